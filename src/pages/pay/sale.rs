//! What is for sale in the pay page: in words, and as its script reads it.

use serde_json::{Value, json};

use super::{Refusal, card, chain, words};
use crate::client::SESSION_LIFE;
use crate::limit::decision::Grant;
use crate::pages::escaped;
use crate::pay::offer::{EvmTender, Offer, Resource, Tender, TransferMethod};
use crate::pay::x402::v2;

/// What is for sale, in every way to pay for it.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// The ways to pay.
    pub offers: &'a [Offer],
    /// What is sold.
    pub resource: &'a Resource,
    /// Whether it is the one call; else it adds to limits.
    pub one_call: bool,
    /// What it adds to each limit that refused.
    pub grants: &'a [Grant],
    /// What this request alone takes of each of them.
    pub single: &'a [Grant],
    /// Whether a payment must have a name (x402 extension `payment-identifier`).
    pub named: bool,
}

/// Whether the page's script can pay an offer, and else how it is paid.
enum Payable {
    /// By a signature that the token checks (EIP-3009).
    Here,
    /// Only by a client that speaks that.
    Elsewhere(&'static str),
}

fn payable(tender: &Tender) -> Payable {
    match tender {
        Tender::Evm(EvmTender { transfer_method: TransferMethod::Eip3009, .. }) => Payable::Here,
        Tender::Evm(EvmTender { transfer_method: TransferMethod::Permit2, .. }) => {
            Payable::Elsewhere("not from this page: by Permit2, with a program")
        }
        Tender::Opaque(_) => Payable::Elsewhere("not from this page: with a program for that network"),
    }
}

impl Sale<'_> {
    fn bought(&self, refusal: &Refusal<'_>) -> String {
        if self.one_call {
            "this call".to_owned()
        } else {
            words::refill(self.grants, self.single, refusal.standings)
        }
    }

    /// Whether a page can send the request again: of a form only the browser knows what was in it.
    fn is_repeatable(refusal: &Refusal<'_>) -> bool {
        refusal.method == "GET"
    }

    /// The offers in words, and where the script puts its controls.
    pub(super) fn html(&self, refusal: &Refusal<'_>) -> String {
        let bought = escaped(&self.bought(refusal));
        let offers: String =
            self.offers.iter().enumerate().map(|(nth, offer)| offer_html(nth, offer)).collect();
        let here = Self::is_repeatable(refusal)
            && self.offers.iter().any(|offer| matches!(payable(&offer.tender), Payable::Here));
        let controls = if here {
            CONTROLS.to_owned()
        } else if Self::is_repeatable(refusal) {
            "<p class=\"note\">None of these can be paid from this page.</p>\n".to_owned()
        } else {
            format!(
                "<p class=\"note\">This page cannot send a {} again: pay with a program, or wait and send it again.</p>\n",
                escaped(refusal.method)
            )
        };
        let title = format!(
            "{} <span id=\"bought\">{bought}</span>",
            if self.one_call { "Pay for" } else { "Or go on now, with" }
        );
        card("pay", &title, &format!("<ul class=\"offers\">\n{offers}</ul>\n{controls}"))
    }

    /// What the script reads, as JSON in the document.
    pub(super) fn for_script(&self, refusal: &Refusal<'_>) -> String {
        let required = json!({
            "accepts": self.offers.iter().map(v2::requirements).collect::<Vec<_>>(),
            "resource": {
                "url": self.resource.url,
                "description": self.resource.description,
                "mimeType": self.resource.mime_type,
            },
        });
        let data = json!({
            "at": refusal.at.get(),
            "prefix": refusal.prefix,
            "oneCall": self.one_call,
            "named": self.named,
            "sessionSeconds": SESSION_LIFE.seconds_up(),
            "required": required,
            "offers": self.offers.iter().map(for_script).collect::<Vec<_>>(),
            "problem": { "detail": refusal.problem.detail, "reason": refusal.problem.members.get("reason") },
        });
        format!("<script type=\"application/json\" id=\"data\">{}</script>\n", in_script(&data))
    }
}

/// What the script fills where it runs, and what is said where it does not.
const CONTROLS: &str =
    "<noscript><p class=\"note\">To pay from this page with a wallet in the browser, allow its JavaScript. \
Or pay with a program, as below.</p></noscript>
<div id=\"wallets\" hidden></div>
<button type=\"button\" id=\"go\" class=\"primary\" hidden></button>
<p id=\"progress\" class=\"note\" role=\"status\" aria-live=\"polite\"></p>
";

fn offer_html(nth: usize, offer: &Offer) -> String {
    let (amount, what) = words::price(offer);
    let (amount, what, payee) = (escaped(&amount), escaped(&what), escaped(&offer.tender.payee()));
    let label =
        format!("<span><b>{amount}</b> {what}<small class=\"soft\">to <code>{payee}</code></small></span>");
    match payable(&offer.tender) {
        Payable::Here => format!(
            "<li><label><input type=\"radio\" name=\"offer\" value=\"{nth}\" hidden> {label}</label></li>\n"
        ),
        Payable::Elsewhere(how) => {
            format!(
                "<li class=\"elsewhere\"><label>{label}</label> <small class=\"note\">{how}</small></li>\n"
            )
        }
    }
}

fn for_script(offer: &Offer) -> Value {
    let payable = matches!(payable(&offer.tender), Payable::Here);
    let (amount, what) = words::price(offer);
    json!({
        "words": format!("{amount} {what}"),
        "price": format!("{} {}", offer.price(), offer.tender.symbol()),
        "network": words::network(&offer.tender),
        "chain": payable.then(|| chain::for_wallet(offer.tender.chain_id())),
    })
}

/// JSON that nothing in it can end the element around it.
fn in_script(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c")
}
