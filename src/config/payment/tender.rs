//! What may be paid with: tokens on EVM chains, and requirements that are passed through as the owner wrote them.

use serde_json::{Map, Value};

use crate::config::address::address;
use crate::config::list;
use crate::config::table::{Faults, Table, kind, number, text};
use crate::pay::network::{Asset, Network, any_caip2, known_asset};
use crate::pay::offer::{EvmTender, OpaqueTender, Tender, TransferMethod};

/// What may be paid with: what stands in the table itself, then its `offers`; empty where the first is faulty.
pub(super) fn read(t: &mut Table<'_>, faults: &mut Faults) -> Vec<Tender> {
    let first = read_evm(t, None, faults);
    let further = read_offers(t, first.as_ref(), faults);
    first.into_iter().map(Tender::Evm).chain(further).collect()
}

/// Reads `network`, `asset` and `pay_to`; in a further offer the first one's stand in for what is left out.
fn read_evm(t: &mut Table<'_>, first: Option<&EvmTender>, faults: &mut Faults) -> Option<EvmTender> {
    let network =
        |value| text(value).and_then(|name| Network::parse(name).map_err(|error| error.to_string()));
    let network = match first {
        Some(first) => t.optional("network", network, faults).or(Some(first.network)),
        None => t.required("network", network, faults),
    };
    let pay_to = match first {
        Some(first) => t.optional("pay_to", address, faults).or(Some(first.pay_to)),
        None => t.required("pay_to", address, faults),
    };
    let asset = network.and_then(|network| read_asset(t, network, faults));
    let transfer_method =
        t.optional("asset_transfer_method", transfer_method, faults).unwrap_or(TransferMethod::Eip3009);
    Some(EvmTender { network: network?, asset: asset?, pay_to: pay_to?, transfer_method })
}

fn read_asset(t: &mut Table<'_>, network: Network, faults: &mut Faults) -> Option<Asset> {
    let symbol = match t.value("asset") {
        Some(Value::Object(_)) => {
            return t.table("asset", faults).and_then(|table| read_own_asset(table, faults));
        }
        Some(Value::String(symbol)) => symbol.as_str(),
        None => "USDC",
        Some(other) => {
            faults.add(t.name_of("asset"), format!("must be a symbol or a table, not {}", kind(other)));
            return None;
        }
    };
    let known = known_asset(&network, symbol);
    if known.is_none() {
        let message = format!(
            "`{symbol}` is not known on {}; write {{ address, name, version, decimals }} with the token's EIP-712 name and version",
            network.caip2()
        );
        faults.add(t.name_of("asset"), message);
    }
    known
}

fn read_own_asset(mut t: Table<'_>, faults: &mut Faults) -> Option<Asset> {
    let address = t.required("address", address, faults);
    let name = t.required("name", text, faults);
    let version = t.required("version", text, faults);
    let decimals = t.required("decimals", number::<u8>, faults);
    let symbol = t.optional("symbol", text, faults).or(name);
    t.finish(faults);
    Some(Asset {
        address: address?,
        name: name?.to_owned(),
        version: version?.to_owned(),
        decimals: decimals?,
        symbol: symbol?.to_owned(),
    })
}

fn read_offers(t: &mut Table<'_>, first: Option<&EvmTender>, faults: &mut Faults) -> Vec<Tender> {
    let name = t.name_of("offers");
    let items = t.optional("offers", list, faults).unwrap_or_default();
    let Some(first) = first else {
        return Vec::new();
    };
    let tables = items.iter().enumerate().map(|(index, value)| (format!("{name}[{index}]"), value));
    tables
        .filter_map(|(name, value)| {
            let mut table = Table::open(name, value, faults)?;
            let tender = if table.value("scheme").is_some() {
                read_opaque(&mut table, faults).map(Tender::Opaque)
            } else {
                read_evm(&mut table, Some(first), faults).map(Tender::Evm)
            };
            table.finish(faults);
            tender
        })
        .collect()
}

fn transfer_method(value: &Value) -> Result<TransferMethod, String> {
    match text(value)? {
        "eip3009" => Ok(TransferMethod::Eip3009),
        "permit2" => Ok(TransferMethod::Permit2),
        other => Err(format!("`{other}` is not a way to move a token; write eip3009 or permit2")),
    }
}

/// Reads a requirement that is passed through: whatever a facilitator settles and is not understood here.
fn read_opaque(t: &mut Table<'_>, faults: &mut Faults) -> Option<OpaqueTender> {
    let scheme = t.required("scheme", text, faults);
    let caip2 = |value| text(value).and_then(|name| any_caip2(name).map_err(|error| error.to_string()));
    let network = t.required("network", caip2, faults);
    let asset = t.required("asset", text, faults);
    let pay_to = t.required("pay_to", text, faults);
    let decimals = t.required("decimals", number::<u8>, faults);
    let symbol = t.required("symbol", text, faults);
    let extra = t.optional("extra", table, faults).unwrap_or_default();
    let understood =
        scheme == Some("exact") && network.as_deref().is_some_and(|id| id.starts_with("eip155:"));
    if understood {
        let message =
            "`exact` on an EVM chain is understood here: leave `scheme` out, so that payments are checked";
        faults.add(t.name_of("scheme"), message);
        return None;
    }
    Some(OpaqueTender {
        scheme: scheme?.to_owned(),
        network: network?,
        asset: asset?.to_owned(),
        pay_to: pay_to?.to_owned(),
        decimals: decimals?,
        symbol: symbol?.to_owned(),
        extra,
    })
}

fn table(value: &Value) -> Result<Map<String, Value>, String> {
    value.as_object().cloned().ok_or_else(|| format!("must be a table, not {}", kind(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_settings(offers: &Value) -> (Vec<Tender>, Vec<String>) {
        let settings = json!({
            "network": "base-sepolia", "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "offers": offers,
        });
        let mut faults = Faults::default();
        let mut table = Table::open("payment", &settings, &mut faults).unwrap();
        let tenders = read(&mut table, &mut faults);
        (tenders, faults.list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn offers_of_every_kind_are_read() {
        let offers = json!([
            { "network": "base" },
            { "asset": { "address": format!("0x{}", "01".repeat(20)), "name": "Dai", "version": "1", "decimals": 18 },
              "asset_transfer_method": "permit2" },
            { "scheme": "exact", "network": "solana", "asset": "mint", "pay_to": "payee", "decimals": 6,
              "symbol": "USDC", "extra": { "feePayer": "x" } },
        ]);
        let (tenders, faults) = read_settings(&offers);
        assert_eq!(faults, Vec::<String>::new());
        let seen: Vec<_> =
            tenders.iter().map(|tender| (tender.caip2(), tender.symbol(), tender.decimals())).collect();
        let expected = [
            ("eip155:84532", "USDC", 6),
            ("eip155:8453", "USDC", 6),
            ("eip155:84532", "Dai", 18),
            ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "USDC", 6),
        ];
        assert_eq!(seen, expected.map(|(network, symbol, decimals)| (network.to_owned(), symbol, decimals)));
        let methods: Vec<_> = tenders.iter().filter_map(Tender::evm).map(|t| t.transfer_method).collect();
        assert_eq!(methods, [TransferMethod::Eip3009, TransferMethod::Eip3009, TransferMethod::Permit2]);
    }

    #[test]
    fn what_is_wrong_with_an_offer_names_its_setting() {
        let offers = json!([
            { "scheme": "exact", "network": "base", "asset": "x", "pay_to": "y", "decimals": 6, "symbol": "z" },
            { "scheme": "exact", "network": "solana", "asset": "x", "extra": 1 },
            { "asset_transfer_method": "transferFrom" },
            { "network": "solana" },
        ]);
        let (_, faults) = read_settings(&offers);
        let starts = [
            "payment.offers[0].scheme: `exact` on an EVM chain is understood here",
            "payment.offers[1].pay_to: is missing",
            "payment.offers[1].decimals: is missing",
            "payment.offers[1].symbol: is missing",
            "payment.offers[1].extra: must be a table, not a number",
            "payment.offers[2].asset_transfer_method: `transferFrom` is not a way to move a token",
            "payment.offers[3].network: \"solana\" is no known network",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }
}
