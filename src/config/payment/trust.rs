//! `trust_after` and `trust_window`: which wallets are credited before their payments are settled.

use serde_json::Value;

use crate::config::positive_span;
use crate::config::table::{Faults, Table, number};
use crate::pay::trust::TrustPolicy;

/// The last so many payments of a wallet are remembered.
const MOST: usize = 1000;

/// Reads both settings; `None` where nobody is trusted.
pub(super) fn read(t: &mut Table<'_>, faults: &mut Faults) -> Option<TrustPolicy> {
    let (has_after, has_window) = (t.value("trust_after").is_some(), t.value("trust_window").is_some());
    let after = t.optional("trust_after", trust_after, faults);
    let window = t.optional("trust_window", positive_span, faults);
    if has_after && !has_window {
        faults.add(
            t.name_of("trust_window"),
            "is missing; beside trust_after, write in what time, such as 24h",
        );
    }
    if has_window && !has_after {
        let message = "is missing; beside trust_window, write after how many settled payments, such as 10";
        faults.add(t.name_of("trust_after"), message);
    }
    Some(TrustPolicy { after: after?, window: window? })
}

fn trust_after(value: &Value) -> Result<usize, String> {
    match number::<usize>(value)? {
        after @ 1..=MOST => Ok(after),
        _ => Err(format!("must be from 1 to {MOST}: after so many settled payments a wallet is trusted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use serde_json::json;

    fn read_from(settings: &Value) -> Result<Option<TrustPolicy>, String> {
        let mut faults = Faults::default();
        let mut table = Table::open("TOLLGATE.payment", settings, &mut faults).unwrap();
        let policy = read(&mut table, &mut faults);
        if faults.is_empty() { Ok(policy) } else { Err(faults.to_string()) }
    }

    #[test]
    fn nobody_is_trusted_unless_both_settings_say_so() {
        assert_eq!(read_from(&json!({})), Ok(None));
        let policy = TrustPolicy { after: 10, window: Span::seconds(86_400) };
        assert_eq!(read_from(&json!({ "trust_after": 10, "trust_window": "24h" })), Ok(Some(policy)));
    }

    #[test]
    fn what_is_wrong_with_trust_is_said() {
        for (settings, said) in [
            (
                json!({ "trust_after": 10 }),
                "TOLLGATE.payment.trust_window: is missing; beside trust_after, write in what time, such as 24h",
            ),
            (
                json!({ "trust_window": "24h" }),
                "TOLLGATE.payment.trust_after: is missing; beside trust_window, write after how many settled payments, such as 10",
            ),
            (
                json!({ "trust_after": 0, "trust_window": "24h" }),
                "TOLLGATE.payment.trust_after: must be from 1 to 1000: after so many settled payments a wallet is trusted",
            ),
            (
                json!({ "trust_after": 1001, "trust_window": "24h" }),
                "TOLLGATE.payment.trust_after: must be from 1 to 1000: after so many settled payments a wallet is trusted",
            ),
        ] {
            assert_eq!(read_from(&settings), Err(said.to_owned()));
        }
    }
}
