//! Bills over all accounts: what `GET /admin/usage` answers, as JSON and as CSV.

use std::fmt::Write;
use std::str::FromStr;

use serde_json::{Value, json};

use super::summary::number;
use crate::limit::tokens::Tokens;
use crate::pay::amount::Amount;

/// What lines of the ledger can be added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Who used it.
    Account,
    /// What was used.
    Endpoint,
    /// In what it is counted.
    Unit,
    /// In which UTC hour.
    Hour,
    /// On which UTC day.
    Day,
    /// In which UTC month.
    Month,
}

const COLUMNS: [Column; 6] =
    [Column::Account, Column::Endpoint, Column::Unit, Column::Hour, Column::Day, Column::Month];

impl Column {
    /// Its name in `group_by`, in JSON and in CSV.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Endpoint => "endpoint",
            Self::Unit => "unit",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// The columns that a bill is grouped by, in the order in which they are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping(Vec<Column>);

impl Default for Grouping {
    /// By account.
    fn default() -> Self {
        Self(vec![Column::Account])
    }
}

impl Grouping {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.0
    }
}

impl FromStr for Grouping {
    type Err = String;

    /// Reads `account,endpoint,day`.
    fn from_str(text: &str) -> Result<Self, String> {
        let names = COLUMNS.map(Column::name).join(", ");
        let mut columns = Vec::new();
        for name in text.split(',') {
            let found = COLUMNS.into_iter().find(|column| column.name() == name.trim());
            let column = found.ok_or_else(|| {
                format!("`group_by={text}`: `{name}` is none of {names}; separate them by commas")
            })?;
            if columns.contains(&column) {
                return Err(format!("`group_by={text}` names `{}` twice", column.name()));
            }
            columns.push(column);
        }
        Ok(Self(columns))
    }
}

/// A line of a bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillLine {
    /// The values of the columns that it is grouped by.
    pub group: Vec<String>,
    /// Requests that were admitted.
    pub calls: u64,
    /// Units that were used, the requests among them.
    pub quantity: Tokens,
    /// Units that went beyond a quota.
    pub overage_quantity: Tokens,
    /// What that costs, in atomic units.
    pub overage_charge: Amount,
    /// What was paid, in atomic units.
    pub paid: Amount,
    /// Prepaid credits that were spent.
    pub credits: Tokens,
    /// What was promised and is still to be paid, in atomic units.
    pub owed: Amount,
}

/// The columns behind those of the group.
const SUMS: [&str; 7] =
    ["calls", "quantity", "overage_quantity", "overage_charge", "paid", "credits", "owed"];

impl BillLine {
    /// As an item of the JSON list. Money and credits are decimal strings.
    #[must_use]
    pub fn item(&self, grouping: &Grouping, decimals: u8) -> Value {
        let mut item = json!({
            "calls": self.calls,
            "quantity": number(self.quantity),
            "overage_quantity": number(self.overage_quantity),
            "overage_charge": self.overage_charge.to_decimal(decimals),
            "paid": self.paid.to_decimal(decimals),
            "credits": self.credits.to_string(),
            "owed": self.owed.to_decimal(decimals),
        });
        if let Value::Object(members) = &mut item {
            for (column, value) in grouping.columns().iter().zip(&self.group) {
                members.insert(column.name().to_owned(), value.as_str().into());
            }
        }
        item
    }

    fn record(&self, decimals: u8) -> Vec<String> {
        let sums = [
            self.calls.to_string(),
            self.quantity.to_string(),
            self.overage_quantity.to_string(),
            self.overage_charge.to_decimal(decimals),
            self.paid.to_decimal(decimals),
            self.credits.to_string(),
            self.owed.to_decimal(decimals),
        ];
        self.group.iter().cloned().chain(sums).collect()
    }
}

/// The first line of the CSV: the names of the columns.
#[must_use]
pub fn csv_header(grouping: &Grouping) -> String {
    let names = grouping.columns().iter().map(|column| column.name()).chain(SUMS);
    csv_record(&names.map(str::to_owned).collect::<Vec<_>>())
}

/// The bill's lines as CSV (RFC 4180).
#[must_use]
pub fn csv_lines(lines: &[BillLine], decimals: u8) -> String {
    lines.iter().map(|line| csv_record(&line.record(decimals))).collect()
}

fn csv_record(values: &[String]) -> String {
    let mut record = values.iter().map(|value| csv_field(value)).collect::<Vec<_>>().join(",");
    let _ = write!(record, "\r\n");
    record
}

/// A value that a comma, a quote or the end of a line could break is quoted.
fn csv_field(value: &str) -> String {
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(group: &[&str]) -> BillLine {
        BillLine {
            group: group.iter().map(|value| (*value).to_owned()).collect(),
            calls: 3,
            quantity: Tokens::micro(28_500_000),
            overage_quantity: Tokens::whole(2),
            overage_charge: Amount::new(4000),
            paid: Amount::new(1_000_000),
            credits: Tokens::micro(1_500_000),
            owed: Amount::new(1),
        }
    }

    #[test]
    fn a_line_is_told_in_json_and_csv() {
        let grouping: Grouping = "day,account".parse().unwrap();
        let line = line(&["2026-01-06", "key:acme"]);
        assert_eq!(
            line.item(&grouping, 6),
            json!({
                "day": "2026-01-06", "account": "key:acme", "calls": 3, "quantity": 28.5, "overage_quantity": 2,
                "overage_charge": "0.004", "paid": "1", "credits": "1.5", "owed": "0.000001",
            })
        );
        assert_eq!(
            csv_header(&grouping),
            "day,account,calls,quantity,overage_quantity,overage_charge,paid,credits,owed\r\n"
        );
        assert_eq!(csv_lines(&[line], 6), "2026-01-06,key:acme,3,28.5,2,0.004,1,1.5,0.000001\r\n");
    }

    #[test]
    fn what_would_break_a_csv_line_is_quoted() {
        let csv = csv_lines(&[line(&["GET /a,b \"c\""])], 6);
        assert!(csv.starts_with("\"GET /a,b \"\"c\"\"\",3,"), "{csv}");
    }

    #[test]
    fn what_is_no_grouping_is_said() {
        for (text, said) in [
            (
                "week",
                "`group_by=week`: `week` is none of account, endpoint, unit, hour, day, month; separate them by commas",
            ),
            (
                "",
                "`group_by=`: `` is none of account, endpoint, unit, hour, day, month; separate them by commas",
            ),
            ("day,day", "`group_by=day,day` names `day` twice"),
        ] {
            assert_eq!(text.parse::<Grouping>(), Err(said.to_owned()));
        }
    }
}
