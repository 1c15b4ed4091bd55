//! Signs what we sell and what was paid, for x402's extension `offer-receipt`.

use std::cell::RefCell;
use std::collections::HashMap;

use super::clock;
use super::exchange::Exchange;
use crate::pay::eip712::{ReceiptStatement, Signature, SigningKey};
use crate::pay::offer::{Offer, Resource};
use crate::pay::purchase::Settlement;
use crate::pay::x402::v2::Extensions;
use crate::pay::x402::{Payment, offer_receipt};

/// Signatures that are remembered. Whoever is over the limit asks for the same offers again and again.
const MOST_REMEMBERED: usize = 256;

thread_local! {
    static REMEMBERED: RefCell<HashMap<[u8; 32], Signature>> = RefCell::default();
}

/// Adds the offers, signed, to what a challenge says beside.
pub(super) fn offers(
    exchange: &Exchange,
    offers: &[Offer],
    resource: &Resource,
    extensions: &mut Extensions,
) {
    if let Some(keys) = &exchange.settings.secrets.keys {
        let sign = |digest| remembered(&keys.receipts, digest);
        let signed = offer_receipt::offers(offers, resource, clock::now().seconds(), sign);
        extensions.insert(offer_receipt::NAME.to_owned(), signed);
    }
}

/// A key signs the same digest always in the same way (RFC 6979).
fn remembered(key: &SigningKey, digest: [u8; 32]) -> Signature {
    REMEMBERED.with_borrow_mut(|known| {
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.entry(digest).or_insert_with(|| key.sign_digest(digest)).clone()
    })
}

/// What the answer to a settled payment says beside: that it was paid, signed. Nothing where nobody said who paid.
pub(super) fn receipt(
    exchange: &Exchange,
    payment: &Payment,
    settlement: &Settlement,
    resource: &Resource,
) -> Extensions {
    let (Some(keys), Some(payer)) = (&exchange.settings.secrets.keys, settlement.shown_payer(payment)) else {
        return Extensions::new();
    };
    let statement = ReceiptStatement {
        network: payment.offer().tender.caip2(),
        resource_url: resource.url.clone(),
        payer,
        issued_at: settlement.at.seconds(),
        transaction: settlement.transaction.clone(),
    };
    let signed = offer_receipt::receipt(&statement, |digest| keys.receipts.sign_digest(digest));
    [(offer_receipt::NAME.to_owned(), signed)].into_iter().collect()
}
