//! A payment that passed every check that can be made here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Means, Moment, PaymentId, PaymentRefused, Signer, Version};
use crate::pay::eip712::{Address, TransferWithAuthorization};
use crate::pay::offer::Offer;

/// A payment that pays one of our offers if its signature is good and its money is there.
///
/// Made only by [`super::v1::check`] and [`super::v2::check`]. What it is understood to be pays exactly the offer's amount to
/// the offer's payee; what is not understood is the facilitator's to judge, against our requirements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    version: Version,
    offer: Offer,
    #[serde(flatten)]
    means: Means,
    payload: Value,
    requirements: Value,
}

impl Payment {
    /// Reads the member `payload` of `whole`, as the client sent it, as a payment of this offer at that moment.
    pub(super) fn read(
        version: Version,
        (offer, requirements): (&Offer, Value),
        payload: &Map<String, Value>,
        whole: &Value,
        moment: Moment,
    ) -> Result<Self, PaymentRefused> {
        let means = Means::read(payload, offer, moment)?;
        Ok(Self { version, offer: offer.clone(), means, payload: whole.clone(), requirements })
    }

    /// The version the client spoke.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The offer it pays.
    #[must_use]
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// By what it moves money.
    #[must_use]
    pub const fn means(&self) -> &Means {
        &self.means
    }

    /// The transfer that the payer signed, where it is one (EIP-3009).
    #[must_use]
    pub const fn authorization(&self) -> Option<&TransferWithAuthorization> {
        match &self.means {
            Means::Transfer { authorization, .. } => Some(authorization),
            Means::Permit { .. } | Means::Opaque { .. } => None,
        }
    }

    /// Who pays, where the payment says so and is understood. Claimed by the client where the signer is
    /// [`Signer::Unproven`], until a facilitator confirms it.
    #[must_use]
    pub const fn payer(&self) -> Option<Address> {
        self.means.payer()
    }

    /// What makes it unique, as the payer signed it.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.means.nonce()
    }

    /// The unix second after which it moves nothing any more, where that is understood.
    #[must_use]
    pub const fn valid_before(&self) -> Option<u64> {
        self.means.valid_before()
    }

    /// Whether the signature was proven locally.
    #[must_use]
    pub const fn signer(&self) -> Signer {
        self.means.signer()
    }

    /// The whole payment payload as the client sent it, for the facilitator.
    #[must_use]
    pub const fn payload(&self) -> &Value {
        &self.payload
    }

    /// Our requirements for it, in the form of its version; never the client's copy.
    #[must_use]
    pub const fn requirements(&self) -> &Value {
        &self.requirements
    }

    /// What the chain lets happen once, in one spelling whatever the version and encoding of the payment:
    /// `exact:eip155:84532:0x<asset>:0x<from>:0x<nonce>`, lower case; `permit2:eip155:84532:0x<from>:<nonce>`; or
    /// `payload:<network>:0x<hash>` of one that is not understood.
    #[must_use]
    pub fn replay_identity(&self) -> String {
        self.means.replay_identity(&self.offer.tender)
    }

    /// The id made from [`Payment::replay_identity`].
    #[must_use]
    pub fn id(&self) -> PaymentId {
        PaymentId::of(&self.replay_identity())
    }
}
