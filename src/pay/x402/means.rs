//! By what a payment lets a facilitator move money, as far as it is understood here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::exact::{PaymentRefused, SignedTransfer, text};
use super::{Moment, Signer, permit2};
use crate::pay::eip712::{Address, Hash32, PermitWitnessTransfer, TransferWithAuthorization};
use crate::pay::offer::{EvmTender, Offer, Tender, TransferMethod};

/// By what a payment lets a facilitator move money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Means {
    /// An authorization that the token checks (EIP-3009).
    Transfer {
        /// What the payer signed.
        authorization: TransferWithAuthorization,
        /// The signature as it came; of a plain wallet 65 bytes in hexadecimal.
        signature: String,
        /// What it shows.
        signer: Signer,
    },
    /// An authorization that Permit2 checks.
    Permit {
        /// What the payer signed.
        permit2: PermitWitnessTransfer,
        /// The signature as it came.
        signature: String,
        /// What it shows.
        signer: Signer,
    },
    /// Something that only the facilitator understands.
    Opaque {
        /// SHA-256 of the payload in compact JSON with sorted members, so that its encoding does not matter.
        payload_hash: Hash32,
    },
}

impl Means {
    /// Reads the member `payload` of a payment, and checks that it pays the offer at that moment as far as that can
    /// be told here.
    pub(super) fn read(
        payload: &Map<String, Value>,
        offer: &Offer,
        moment: Moment,
    ) -> Result<Self, PaymentRefused> {
        match &offer.tender {
            Tender::Evm(tender @ EvmTender { transfer_method: TransferMethod::Eip3009, .. }) => {
                let transfer = SignedTransfer::read(payload)?;
                let signer = transfer.check((tender, offer.amount), moment)?;
                let SignedTransfer { authorization, signature } = transfer;
                Ok(Self::Transfer { authorization, signature, signer })
            }
            Tender::Evm(tender @ EvmTender { transfer_method: TransferMethod::Permit2, .. }) => {
                let permit2 = permit2::read_permit(payload)?;
                let signature = text(payload, "signature")?.to_owned();
                let signer = permit2::check(&permit2, &signature, (tender, offer.amount), moment)?;
                Ok(Self::Permit { permit2, signature, signer })
            }
            Tender::Opaque(_) => Ok(Self::Opaque { payload_hash: hash(payload)? }),
        }
    }

    /// What the chain lets happen once, in one spelling whatever the version and encoding of the payment.
    pub(super) fn replay_identity(&self, tender: &Tender) -> String {
        let network = tender.caip2();
        match self {
            Self::Transfer { authorization: TransferWithAuthorization { from, nonce, .. }, .. } => {
                format!("exact:{network}:{}:{from}:{nonce}", tender.asset())
            }
            // Permit2 counts nonces by payer, whatever the token.
            Self::Permit { permit2: PermitWitnessTransfer { from, nonce, .. }, .. } => {
                format!("permit2:{network}:{from}:{nonce}")
            }
            Self::Opaque { payload_hash } => format!("payload:{network}:{payload_hash}"),
        }
    }

    /// Who pays, as the payment says.
    pub(super) const fn payer(&self) -> Option<Address> {
        match self {
            Self::Transfer { authorization, .. } => Some(authorization.from),
            Self::Permit { permit2, .. } => Some(permit2.from),
            Self::Opaque { .. } => None,
        }
    }

    /// What makes it unique, as the payer signed it; the hash of a payload that is not understood.
    pub(super) fn nonce(&self) -> String {
        match self {
            Self::Transfer { authorization, .. } => authorization.nonce.to_string(),
            Self::Permit { permit2, .. } => permit2.nonce.to_string(),
            Self::Opaque { payload_hash } => payload_hash.to_string(),
        }
    }

    /// The unix second after which it moves nothing any more, where that is understood.
    pub(super) const fn valid_before(&self) -> Option<u64> {
        match self {
            Self::Transfer { authorization, .. } => Some(authorization.valid_before),
            Self::Permit { permit2, .. } => Some(permit2.deadline),
            Self::Opaque { .. } => None,
        }
    }

    /// What the signature shows.
    pub(super) const fn signer(&self) -> Signer {
        match self {
            Self::Transfer { signer, .. } | Self::Permit { signer, .. } => *signer,
            Self::Opaque { .. } => Signer::Unproven,
        }
    }
}

/// An empty payload could be no payment, and would be the same one for everybody.
fn hash(payload: &Map<String, Value>) -> Result<Hash32, PaymentRefused> {
    if payload.is_empty() {
        return Err(PaymentRefused::InvalidPayload("payload".to_owned()));
    }
    let json =
        serde_json::to_vec(payload).map_err(|_| PaymentRefused::InvalidPayload("payload".to_owned()))?;
    Ok(Hash32::new(Sha256::digest(json).into()))
}
