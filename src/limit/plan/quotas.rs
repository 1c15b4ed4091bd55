//! What a plan says of quotas and of what requests cost in credits, as an owner writes it.

use serde_json::Value;

use super::limits::{positive, read_unit, unit_name};
use super::policy::{OverLimit, Sale};
use super::strategy::price;
use crate::config::list;
use crate::config::table::{Faults, Table, number, text};
use crate::limit::quota::{OverQuota, Period, QuotaPolicy};
use crate::limit::units::Units;
use crate::pay::amount::{Price, PriceError};

/// Reads the `quotas` of an endpoint. Where they do not say what happens over them, they are for sale as the other
/// limits are, or block.
pub(super) fn read(table: &mut Table<'_>, over_limit: &OverLimit, faults: &mut Faults) -> Vec<QuotaPolicy> {
    let name = table.name_of("quotas");
    let items = table.optional("quotas", list, faults).unwrap_or_default();
    let unsaid = match over_limit {
        OverLimit::Pay(sale) => OverQuota::Pay(sale.clone()),
        OverLimit::Block | OverLimit::Queue(_) | OverLimit::Degrade(_) => OverQuota::Block,
    };
    let mut quotas: Vec<QuotaPolicy> = Vec::new();
    for (index, value) in items.iter().enumerate() {
        let name = format!("{name}[{index}]");
        let Some(quota) = Table::open(name.as_str(), value, faults) else { continue };
        let Some(quota) = read_quota(quota, table, &unsaid, faults) else { continue };
        if let Some(message) = quotas.iter().find_map(|other| clash(other, &quota)) {
            faults.add(name, message);
        }
        quotas.push(quota);
    }
    quotas
}

/// Why both cannot hold at one endpoint.
fn clash(one: &QuotaPolicy, other: &QuotaPolicy) -> Option<String> {
    let is_billed = |quota: &QuotaPolicy| matches!(quota.over, OverQuota::Overage(_));
    if one.unit != other.unit {
        None
    } else if one.period == other.period {
        let period = one.period.name();
        Some(format!("is the second quota of a {period} for the unit {}; keep the smaller", one.unit))
    } else if is_billed(one) && is_billed(other) {
        Some(format!("bills the unit {} beyond a second quota; let one of the two block", one.unit))
    } else {
        None
    }
}

fn read_quota(
    mut table: Table<'_>,
    endpoint: &mut Table<'_>,
    unsaid: &OverQuota,
    faults: &mut Faults,
) -> Option<QuotaPolicy> {
    let period = table.required("period", period, faults);
    let unit = read_unit(&mut table, faults);
    let overage = table.optional("overage_price", overage_price, faults);
    let has_price = table.value("overage_price").is_some();
    let over = match table.optional("over_quota", over_quota, faults) {
        None if table.value("over_quota").is_some() => None,
        None => Some(unsaid.clone()),
        Some(Choice::Block) => Some(OverQuota::Block),
        Some(Choice::Pay) => sale(endpoint, faults).map(OverQuota::Pay),
        Some(Choice::Overage) if !has_price => {
            let message = "is missing; `over_quota: overage` needs the price of a unit, such as \"0.002\"";
            faults.add(table.name_of("overage_price"), message);
            None
        }
        Some(Choice::Overage) => overage.map(OverQuota::Overage),
    };
    if has_price && over.as_ref().is_some_and(|over| !matches!(over, OverQuota::Overage(_))) {
        faults.add(table.name_of("overage_price"), "has no effect without `over_quota: overage`");
    }
    // Beyond a quota of nothing every unit is billed.
    let limit = match over {
        Some(OverQuota::Overage(_)) => table.required("limit", number, faults),
        _ => table.required("limit", positive, faults),
    };
    table.finish(faults);
    let (period, unit) = (period?, unit.to_owned());
    Some(QuotaPolicy { name: format!("{unit}-{}", period.name()), unit, period, limit: limit?, over: over? })
}

fn period(value: &Value) -> Result<Period, String> {
    match text(value)? {
        "day" => Ok(Period::Day),
        "month" => Ok(Period::Month),
        other => Err(format!("`{other}` is not a period; write day or month")),
    }
}

#[derive(Clone, Copy)]
enum Choice {
    Block,
    Pay,
    Overage,
}

/// Reads what happens over a quota. YAML and JSON may have 402 as a number.
fn over_quota(value: &Value) -> Result<Choice, String> {
    if value.as_u64() == Some(402) {
        return Ok(Choice::Pay);
    }
    match text(value)? {
        "block" => Ok(Choice::Block),
        "402" | "pay" | "charge_402" => Ok(Choice::Pay),
        "overage" | "allow_overage" => Ok(Choice::Overage),
        other => Err(format!("`{other}` is not a strategy; write block, 402 or overage")),
    }
}

fn overage_price(value: &Value) -> Result<Price, String> {
    let price = price(value)?;
    if price.is_zero() { Err(PriceError::Zero.to_string()) } else { Ok(price) }
}

/// What the endpoint sells. A price that is faulty was told where the endpoint's strategy was read.
fn sale(endpoint: &mut Table<'_>, faults: &mut Faults) -> Option<Sale> {
    let Some(written) = endpoint.value("price") else {
        let message = "is missing; `over_quota: 402` needs the price of a refill, such as \"0.001\"";
        faults.add(endpoint.name_of("price"), message);
        return None;
    };
    let refill = endpoint.value("refill").and_then(|refill| positive(refill).ok());
    price(written).ok().map(|price| Sale { price, refill })
}

/// Reads `credits`: what each unit costs.
pub(super) fn read_credits(table: &mut Table<'_>, faults: &mut Faults) -> Units {
    let Some(listed) = table.table("credits", faults) else { return Units::default() };
    let mut units = Units::default();
    for (unit, name, value) in listed.entries() {
        match unit_name(&Value::from(unit)).and_then(|_| positive(value)) {
            Ok(price) => units = units.with(unit, price),
            Err(message) => faults.add(name, message),
        }
    }
    if listed.entries().next().is_none() {
        faults.add(listed.name(), "names no unit; write what a unit costs, such as { image: 1 }");
    }
    units
}

#[cfg(test)]
mod tests {
    use super::super::{Plans, Policy};
    use super::*;
    use crate::endpoint::EndpointName;
    use crate::limit::tokens::Tokens;
    use serde_json::json;

    fn read(endpoint: &Value) -> Result<Policy, Vec<String>> {
        let mut faults = Faults::default();
        let plans = Plans::read("", &json!({ "p": { "endpoints": { "/x": endpoint } } }), &mut faults);
        let said: Vec<String> = faults.list().iter().map(ToString::to_string).collect();
        let policy = plans.get("p").and_then(|plan| plan.endpoint(&EndpointName::new("/x"))).cloned();
        if said.is_empty() { Ok(policy.unwrap().policy) } else { Err(said) }
    }

    #[test]
    fn quotas_and_credits_are_read_as_they_are_written() {
        let policy = read(&json!({
            "quotas": [
                { "period": "day", "limit": 500, "unit_type": "image", "over_quota": "overage", "overage_price": "0.002" },
                { "period": "month", "limit": "10_000" },
                { "period": "month", "limit": 9, "unit_kind": "token", "over_quota": 402 },
                { "period": "day", "limit": 0, "over_quota": "allow_overage", "overage_price": "$1" },
            ],
            "price": "0.01", "refill": 7, "credits": { "image": 1, "token": "0.001" },
        }))
        .unwrap();
        let names: Vec<&str> = policy.quotas.iter().map(|quota| quota.name.as_str()).collect();
        assert_eq!(names, ["image-day", "request-month", "token-month", "request-day"]);
        let [image, month, token, _] = policy.quotas.as_slice() else { panic!("four quotas") };
        assert_eq!(image.over, OverQuota::Overage("0.002".parse().unwrap()));
        assert_eq!((month.limit, &month.over), (Tokens::whole(10_000), &OverQuota::Block));
        let sale = Sale { price: "0.01".parse().unwrap(), refill: Some(Tokens::whole(7)) };
        assert_eq!(token.over, OverQuota::Pay(sale));
        assert_eq!(
            (policy.credits.of("image"), policy.credits.of("token")),
            (Tokens::ONE, Tokens::micro(1000))
        );
        assert!(policy.counts_ends());
    }

    #[test]
    fn a_quota_is_for_sale_where_the_other_limits_are_unless_it_says_otherwise() {
        let policy = read(&json!({
            "quotas": [{ "period": "day", "limit": 5 }, { "period": "month", "limit": 50, "over_quota": "block" }],
            "over_limit": "pay", "price": "0.01",
        }))
        .unwrap();
        let sale = Sale { price: "0.01".parse().unwrap(), refill: None };
        assert_eq!(
            (&policy.quotas[0].over, &policy.quotas[1].over),
            (&OverQuota::Pay(sale), &OverQuota::Block)
        );
    }

    #[test]
    fn every_fault_of_a_quota_names_its_field() {
        let over = |more: &Value| {
            let mut quota = json!({ "period": "day", "limit": 5 });
            quota.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "quotas": [quota] })
        };
        let day = json!({ "period": "day", "limit": 1 });
        let billed = |period: &str| json!({ "period": period, "limit": 1, "over_quota": "overage", "overage_price": "1" });
        for (endpoint, fault) in [
            (
                over(&json!({ "period": "week" })),
                "quotas[0].period: `week` is not a period; write day or month",
            ),
            (over(&json!({ "period": null })), "quotas[0].period: is missing"),
            (over(&json!({ "limit": 0 })), "quotas[0].limit: must be more than 0"),
            (
                over(&json!({ "over_quota": "pass" })),
                "quotas[0].over_quota: `pass` is not a strategy; write block, 402 or overage",
            ),
            (
                over(&json!({ "over_quota": "402" })),
                "price: is missing; `over_quota: 402` needs the price of a refill, such as \"0.001\"",
            ),
            (
                over(&json!({ "over_quota": "overage" })),
                "quotas[0].overage_price: is missing; `over_quota: overage` needs the price of a unit, such as \"0.002\"",
            ),
            (
                over(&json!({ "over_quota": "overage", "overage_price": "0" })),
                "quotas[0].overage_price: must be more than 0",
            ),
            (
                over(&json!({ "over_quota": "overage", "overage_price": 0.002 })),
                "quotas[0].overage_price: must be a text such as \"0.001\", so that no float ever holds money",
            ),
            (
                over(&json!({ "overage_price": "1" })),
                "quotas[0].overage_price: has no effect without `over_quota: overage`",
            ),
            (
                over(&json!({ "unit": "image" })),
                "quotas[0].unit: is not a setting; known here: period, unit_type, unit_kind, overage_price, over_quota, limit",
            ),
            (
                json!({ "quotas": [day, day] }),
                "quotas[1]: is the second quota of a day for the unit request; keep the smaller",
            ),
            (
                json!({ "quotas": [billed("day"), billed("month")] }),
                "quotas[1]: bills the unit request beyond a second quota; let one of the two block",
            ),
            (
                json!({ "credits": {} }),
                "credits: names no unit; write what a unit costs, such as { image: 1 }",
            ),
            (json!({ "credits": { "image": 0 } }), "credits.image: must be more than 0"),
            (
                json!({ "credits": { "an image": 1 } }),
                "credits.\"an image\": `an image` is not a unit; write letters, digits, - and _, such as token",
            ),
        ] {
            let expected = vec![format!("p.endpoints.\"/x\".{fault}")];
            assert_eq!(read(&endpoint), Err(expected));
        }
    }
}
