//! A request that a backend asked about: the same id gives the same answer and counts once, wherever it is asked.

use serde::{Deserialize, Serialize};

use super::decision::{Decision, Verdict};
use crate::client::AccountId;

/// What is remembered of a request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRecord {
    account: AccountId,
    /// The endpoint as the backend named it.
    endpoint: String,
    /// The decision, once the request was admitted. A denied one counted nothing, and is decided anew.
    admitted: Option<Decision>,
    ended: bool,
}

/// How it is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredRequest {
    /// The first form.
    V1(RequestRecord),
}

impl RequestRecord {
    /// A request id that was never used before.
    #[must_use]
    pub const fn new(account: AccountId, endpoint: String) -> Self {
        Self { account, endpoint, admitted: None, ended: false }
    }

    /// Whether it belongs to that account and endpoint.
    #[must_use]
    pub fn is_of(&self, account: &AccountId, endpoint: &str) -> bool {
        self.account == *account && self.endpoint == endpoint
    }

    /// Whose it is.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// The answer that it was admitted with, if it was.
    #[must_use]
    pub const fn admitted(&self) -> Option<&Decision> {
        self.admitted.as_ref()
    }

    /// Takes in what was decided about it.
    #[must_use]
    pub fn decided(mut self, decision: &Decision) -> Self {
        if matches!(decision.verdict, Verdict::Admitted(_)) {
            self.admitted = Some(decision.clone());
        }
        self
    }

    /// The decision that its end belongs to: none when it was not admitted, or its end was told before.
    #[must_use]
    pub const fn to_end(&self) -> Option<&Decision> {
        if self.ended { None } else { self.admitted.as_ref() }
    }

    /// Takes in that its end was told.
    #[must_use]
    pub fn ended(mut self) -> Self {
        self.ended = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointName;
    use crate::limit::decision::{Admitted, Denied, DeniedBy};
    use crate::time::Millis;

    fn decision(verdict: Verdict) -> Decision {
        Decision {
            plan: "p".into(),
            endpoint: EndpointName::new("e"),
            verdict,
            standings: Vec::new(),
            at: Millis::new(0),
        }
    }

    fn record() -> RequestRecord {
        RequestRecord::new("key:acme".parse().unwrap(), "e".to_owned())
    }

    #[test]
    fn an_admitted_request_keeps_its_answer_and_ends_once() {
        let admitted = decision(Verdict::Admitted(Admitted::default()));
        let record = record().decided(&admitted);
        assert_eq!((record.admitted(), record.to_end()), (Some(&admitted), Some(&admitted)));
        assert_eq!(record.ended().to_end(), None);
    }

    #[test]
    fn a_denied_request_is_not_denied_for_ever() {
        let denied = Denied::new(DeniedBy::Limit, "w".into(), None, None);
        let record = record().decided(&decision(Verdict::Denied(denied)));
        assert_eq!((record.admitted(), record.to_end()), (None, None));
    }

    #[test]
    fn an_id_belongs_to_one_account_and_endpoint() {
        assert!(record().is_of(&"key:acme".parse().unwrap(), "e"));
        assert!(!record().is_of(&"key:other".parse().unwrap(), "e"));
        assert!(!record().is_of(&"key:acme".parse().unwrap(), "f"));
    }
}
