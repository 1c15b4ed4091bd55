//! The scheme `exact` on EVM with Permit2: the signed permit out of a payload, and whether it pays an offer.

use serde_json::{Map, Value};

use super::exact::{PaymentRefused, is_plain_signature, members, only, read, read_seconds};
use super::{Moment, Signer};
use crate::pay::amount::Amount;
use crate::pay::eip712::{EXACT_PROXY, PermitWitnessTransfer};
use crate::pay::offer::EvmTender;

/// Reads the member `permit2Authorization` of a payload.
pub(super) fn read_permit(payload: &Map<String, Value>) -> Result<PermitWitnessTransfer, PaymentRefused> {
    only(payload, &["signature", "permit2Authorization"])
        .map_err(|_| PaymentRefused::UnsupportedPayloadType)?;
    let permit = members(payload, "permit2Authorization")?;
    only(permit, &["from", "permitted", "spender", "nonce", "deadline", "witness"])?;
    let permitted = members(permit, "permitted")?;
    only(permitted, &["token", "amount"])?;
    let witness = members(permit, "witness")?;
    only(witness, &["to", "validAfter"])?;
    Ok(PermitWitnessTransfer {
        from: read(permit, "from")?,
        token: read(permitted, "token")?,
        amount: read::<Amount>(permitted, "amount")?.atomic(),
        spender: read(permit, "spender")?,
        nonce: read(permit, "nonce")?,
        deadline: read_seconds(permit, "deadline")?,
        to: read(witness, "to")?,
        valid_after: read_seconds(witness, "validAfter")?,
    })
}

/// Whether it pays that amount of this token at that moment, and what the signature shows.
pub(super) fn check(
    permit: &PermitWitnessTransfer,
    signature: &str,
    (tender, amount): (&EvmTender, Amount),
    moment: Moment,
) -> Result<Signer, PaymentRefused> {
    if permit.token != tender.asset.address {
        return Err(PaymentRefused::WrongToken);
    }
    if permit.spender != EXACT_PROXY {
        return Err(PaymentRefused::WrongSpender);
    }
    if permit.to != tender.pay_to {
        return Err(PaymentRefused::WrongRecipient);
    }
    if permit.amount != amount.atomic() {
        return Err(PaymentRefused::WrongValue);
    }
    moment.is_within(permit.valid_after, permit.deadline)?;
    let digest = permit.digest(tender.network.chain_id());
    Ok(if is_plain_signature(signature, digest, permit.from) { Signer::Proven } else { Signer::Unproven })
}
