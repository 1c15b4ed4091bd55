//! The names that clients give their payments (x402 extension `payment-identifier`): one payment to a name.

use super::exchange::{Exchange, Outcome};
use super::objects;
use crate::client::AccountId;
use crate::contract::{Done, PaymentCall, Presented};
use crate::fields::PAYMENT_SIGNATURE;
use crate::pay::x402::Payment;
use crate::pay::x402::payment_identifier::{NAME, PaymentName};
use crate::pay::x402::v2::Extensions;
use crate::problem::{Problem, ProblemKind};

/// A name that a payment holds, in an object of its own.
pub(super) struct Claimed {
    object: String,
    name: PaymentName,
}

/// Says in a challenge that payments may or must be named.
pub(super) fn declare(exchange: &Exchange, extensions: &mut Extensions) {
    let naming = exchange.settings.config.payment.as_ref().and_then(|payment| payment.naming);
    if let Some(naming) = naming {
        extensions.insert(NAME.to_owned(), naming.declaration());
    }
}

/// Claims the name that the payment came with, if it has one, before anybody is asked about the payment.
pub(super) async fn claim(
    exchange: &Exchange,
    account: &AccountId,
    payment: &Payment,
) -> Outcome<Option<Claimed>> {
    let Some(naming) = exchange.settings.config.payment.as_ref().and_then(|payment| payment.naming) else {
        return Ok(None);
    };
    let name = naming.read(payment).map_err(|fault| {
        let detail = format!("{PAYMENT_SIGNATURE} {fault}");
        Problem::new(ProblemKind::BadPayment, detail).with("header", PAYMENT_SIGNATURE)
    })?;
    let Some(name) = name else { return Ok(None) };
    let object = name.object(account);
    let call = PaymentCall::ClaimName(name.holder().to_owned());
    let holds: bool = exchange.ours(objects::payment(&exchange.env, &object, &call).await)?;
    if holds {
        return Ok(Some(Claimed { object, name }));
    }
    let detail = "another payment of this client has the same payment-identifier; this one was not looked at";
    Err(Problem::new(ProblemKind::PaymentUsed, detail))
}

impl Claimed {
    /// Lets go of the name when nothing came of the payment.
    pub(super) async fn settle(&self, exchange: &Exchange, presented: &Presented) -> Outcome<()> {
        if !is_nothing(presented) {
            return Ok(());
        }
        let call = PaymentCall::ReleaseName(self.name.holder().to_owned());
        let Done = exchange.ours(objects::payment(&exchange.env, &self.object, &call).await)?;
        Ok(())
    }
}

/// Whether a payment that was presented left nothing behind: its client may sign another one under the same name.
const fn is_nothing(presented: &Presented) -> bool {
    match presented {
        Presented::Refused { .. }
        | Presented::Unavailable { .. }
        | Presented::TooManyFailures { .. }
        | Presented::Denied { .. }
        | Presented::NotKnown
        | Presented::Foreign => true,
        Presented::Credited { .. }
        | Presented::Advanced { .. }
        | Presented::Serve { .. }
        | Presented::Sold { .. }
        | Presented::NotSold
        | Presented::Kept { .. }
        | Presented::Used { .. }
        | Presented::ElseBought
        | Presented::Pending => false,
    }
}
