//! What each secret is to a gate of certain settings, and what is wrong with those that are at hand.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Secrets;
use crate::config::Config;
use crate::config::payment::facilitator::Auth;
use crate::config::table::{Faults, unknown};

/// What a secret is to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The gate serves nobody without it.
    Needed,
    /// What the gate does if it is set.
    Optional(&'static str),
    /// Why nothing reads it.
    None(&'static str),
}

/// The one of them that everybody may see.
pub const NOT_SECRET: &str = "PREVIOUS_RECEIPT_KEYS";

const NO_PAYMENT: &str = "[vars.TOLLGATE.payment] is missing";

/// Every secret that the gate knows, and those that header fields of the settings name. A field that cannot be filled in is a
/// fault.
pub fn uses(config: &Config, faults: &mut Faults) -> BTreeMap<String, Use> {
    let payment = config.payment.as_ref();
    let session = payment.and_then(|payment| payment.session.as_ref());
    let for_payment = |used| if payment.is_some() { used } else { Use::None(NO_PAYMENT) };
    let needed = |is_needed: bool, lacks| if is_needed { Use::Needed } else { Use::None(lacks) };
    let cdp = needed(config.asks_for(Auth::Cdp), "no facilitator has auth = \"cdp\"");
    let own = [
        ("RECEIPT_SIGNING_KEY", for_payment(Use::Needed)),
        (NOT_SECRET, for_payment(Use::Optional("shows the public keys before RECEIPT_SIGNING_KEY"))),
        ("SESSION_KEY", for_payment(Use::Needed)),
        ("PREVIOUS_SESSION_KEY", for_payment(Use::Optional("keeps challenges good of before SESSION_KEY"))),
        (
            "SESSION_PAYEE_KEY",
            match session {
                Some(_) => Use::Optional("the key of pay_to: redeems what sessions pay"),
                None => Use::None("sessions are not offered"),
            },
        ),
        ("ADMIN_TOKEN", Use::Optional("opens the owner's API")),
        ("WEBHOOK_SECRET", needed(config.webhook.is_some(), "TOLLGATE.webhook is missing")),
        ("FACILITATOR_TOKEN", needed(config.asks_for(Auth::Bearer), "no facilitator has auth = \"bearer\"")),
        ("CDP_API_KEY_ID", cdp),
        ("CDP_API_KEY_SECRET", cdp),
    ];
    let own = own.into_iter().map(|(name, used)| (name.to_owned(), used));
    let named = named_in_fields(config, faults).into_iter().map(|name| (name, Use::Needed));
    own.chain(named).collect()
}

/// The secrets that header fields of the settings name.
fn named_in_fields(config: &Config, faults: &mut Faults) -> BTreeSet<String> {
    let named = RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        named.borrow_mut().insert(name.to_owned());
        Some(String::new())
    };
    let _ = config.origin_headers.fill(note, faults);
    for endpoint in config.endpoints.iter() {
        let _ = endpoint.origin_headers.fill(note, faults);
    }
    named.into_inner()
}

/// What is wrong with secrets that are at hand, without showing them, and which of them nothing reads. Those that are not at
/// hand are not missed.
#[must_use]
pub fn check(config: &Config, at_hand: &BTreeMap<String, String>) -> (Faults, Faults) {
    let (mut faults, mut surprises) = (Faults::default(), Faults::default());
    let uses = uses(config, &mut Faults::default());
    if let Err(found) = Secrets::read(config, |name| at_hand.get(name).cloned()) {
        let is_at_hand =
            |setting: &str| setting.split('[').next().is_some_and(|name| at_hand.contains_key(name));
        for fault in found.list().iter().filter(|fault| is_at_hand(&fault.setting)) {
            faults.add(&fault.setting, &fault.message);
        }
    }
    for name in at_hand.keys() {
        match uses.get(name) {
            Some(Use::None(why)) => surprises.add(name, format!("has no effect: {why}")),
            Some(Use::Needed | Use::Optional(_)) => {}
            None => {
                let known: Vec<&str> = uses.keys().map(String::as_str).collect();
                surprises.add(name, unknown("a secret of this gate", name, &known));
            }
        }
    }
    (faults, surprises)
}
