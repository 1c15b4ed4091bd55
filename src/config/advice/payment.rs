//! What will surprise in how payments are taken, or in that none are.

use crate::config::payment::PaymentConfig;
use crate::config::table::{Faults, member_name};
use crate::limit::plan::{OverLimit, Plans};
use crate::pay::eip712::Address;
use crate::pay::offer::{Tender, TransferMethod};

pub(super) fn on_payment(payment: &PaymentConfig, found: &mut Faults) {
    for (index, facilitator) in payment.facilitators.iter().enumerate() {
        if facilitator.url.scheme() != "https" {
            let url = &facilitator.url;
            let message = format!(
                "{url} is not HTTPS: payments would go there in the clear, and only from this machine"
            );
            found.add(format!("TOLLGATE.payment.facilitators[{index}]"), message);
        }
    }
    for (index, tender) in payment.tenders.iter().enumerate() {
        let within = match index.checked_sub(1) {
            None => "TOLLGATE.payment".to_owned(),
            Some(nth) => format!("TOLLGATE.payment.offers[{nth}]"),
        };
        if tender.evm().is_some_and(|evm| is_nobody(&evm.pay_to)) {
            let message = format!("{} is nobody's: what is paid to it is lost", tender.payee());
            found.add(format!("{within}.pay_to"), message);
        }
        if tender.v1_name().is_none() && !is_permit2(tender) {
            let network = tender.caip2();
            let message =
                format!("{network} has no name in x402 v1: clients of that version cannot pay there");
            found.add(format!("{within}.network"), message);
        }
    }
}

/// Whether it is offered to clients of version 2 alone.
pub(super) fn is_permit2(tender: &Tender) -> bool {
    tender.evm().is_some_and(|evm| evm.transfer_method == TransferMethod::Permit2)
}

/// The zero address, and the one that wrangler.toml comes with.
fn is_nobody(address: &Address) -> bool {
    let [leading @ .., high, low] = address.as_bytes();
    leading.iter().all(|byte| *byte == 0) && matches!((high, low), (0, 0) | (0xde, 0xad))
}

/// Without payments, what is for sale blocks.
pub(super) fn on_no_payment(plans: &Plans, found: &mut Faults) {
    for (plan, _) in plans.iter().filter(|(_, read)| read.credit_price.is_some()) {
        let full = member_name(&member_name("PLANS", plan), "credit_price");
        found.add(full, "sells credits, and [vars.TOLLGATE.payment] is missing: nothing can be bought");
    }
    for (plan, endpoint) in plans.iter().flat_map(|(plan, read)| read.endpoints().map(move |e| (plan, e))) {
        if matches!(endpoint.policy.over_limit, OverLimit::Pay(_)) {
            let endpoints = format!("{}.endpoints", member_name("PLANS", plan));
            let full = member_name(&endpoints, endpoint.name.as_str());
            let message =
                "is pay, and [vars.TOLLGATE.payment] is missing: nothing can be bought, and it blocks";
            found.add(format!("{full}.over_limit"), message);
        }
    }
}
