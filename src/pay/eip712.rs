//! Typed data that wallets sign (EIP-712), and the messages that pay us: EIP-3009 transfers, Permit2 transfers and the older
//! signed context; and what we sign ourselves, x402's offers and receipts.
//!
//! Digests only. What a digest means for a payment is decided in [`super::x402`].

mod address;
mod attestation;
mod key;
mod permit2;
mod uint256;

use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};

pub use address::{Address, Hash32, HexError};
pub use attestation::{OfferStatement, ReceiptStatement};
pub use key::{
    KeyError, PublicKey, Signature, SignatureError, SigningKey, recover, recover_public_key,
    verify_with_public_key,
};
pub use permit2::{EXACT_PROXY, PERMIT2, PermitWitnessTransfer};
pub use uint256::{Uint256, Uint256Error};

const DOMAIN_TYPE: &[u8] =
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const TRANSFER_TYPE: &[u8] = b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
const SIGNED_CONTEXT_TYPE: &[u8] = b"Payment(address recipient,string token,string amount,string nonce)";

/// Keccak-256, as Ethereum uses it (not SHA3-256).
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The domain that a signature is bound to (EIP-712, "Definition of domainSeparator").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The name, as the contract has it.
    pub name: String,
    /// The version, as the contract has it.
    pub version: String,
    /// The chain (EIP-155).
    pub chain_id: u64,
    /// The contract that checks the signature: for EIP-3009 the token.
    pub verifying_contract: Address,
}

impl Domain {
    /// `domainSeparator`.
    #[must_use]
    pub fn separator(&self) -> [u8; 32] {
        hash_struct(
            DOMAIN_TYPE,
            &[
                keccak256(self.name.as_bytes()),
                keccak256(self.version.as_bytes()),
                word(&self.chain_id.to_be_bytes()),
                word(self.verifying_contract.as_bytes()),
            ],
        )
    }

    pub(in crate::pay) fn digest(&self, message: [u8; 32]) -> [u8; 32] {
        typed_digest(self.separator(), message)
    }
}

/// What is signed: `keccak256(0x1901 ‖ domainSeparator ‖ hashStruct(message))`.
pub(in crate::pay) fn typed_digest(separator: [u8; 32], message: [u8; 32]) -> [u8; 32] {
    keccak256(&[b"\x19\x01".as_slice(), &separator, &message].concat())
}

/// A transfer that whoever holds it may carry out once (EIP-3009, `transferWithAuthorization`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferWithAuthorization {
    /// Who pays.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// Atomic units of the token.
    #[serde(with = "decimal")]
    pub value: u128,
    /// Unix seconds; the transfer is possible only after this.
    pub valid_after: u64,
    /// Unix seconds; the transfer is possible only before this.
    pub valid_before: u64,
    /// Makes the authorization unique for `from` and the token.
    pub nonce: Hash32,
}

impl TransferWithAuthorization {
    /// What the payer signed, for the token that `domain` describes.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        domain.digest(hash_struct(
            TRANSFER_TYPE,
            &[
                word(self.from.as_bytes()),
                word(self.to.as_bytes()),
                word(&self.value.to_be_bytes()),
                word(&self.valid_after.to_be_bytes()),
                word(&self.valid_before.to_be_bytes()),
                *self.nonce.as_bytes(),
            ],
        ))
    }
}

/// The older signed-context message: it proves intent and moves no money (HTTP.md, "Signed context").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedContext {
    /// Who is to be paid.
    pub recipient: Address,
    /// The symbol of the token.
    pub token: String,
    /// The price in whole tokens, as it was offered.
    pub amount: String,
    /// The nonce that the gate issued.
    pub nonce: String,
}

impl SignedContext {
    /// The domain of signed contexts on a chain. It names no contract, for none checks them.
    #[must_use]
    pub fn domain(chain_id: u64) -> Domain {
        Domain {
            name: "MicroAI Paygate".to_owned(),
            version: "1".to_owned(),
            chain_id,
            verifying_contract: Address::ZERO,
        }
    }

    /// What the wallet signed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        domain.digest(hash_struct(
            SIGNED_CONTEXT_TYPE,
            &[
                word(self.recipient.as_bytes()),
                keccak256(self.token.as_bytes()),
                keccak256(self.amount.as_bytes()),
                keccak256(self.nonce.as_bytes()),
            ],
        ))
    }
}

/// `hashStruct(s) = keccak256(typeHash ‖ encodeData(s))`, of members that are encoded already.
pub(in crate::pay) fn hash_struct(type_name: &[u8], members: &[[u8; 32]]) -> [u8; 32] {
    keccak256(&[keccak256(type_name).as_slice(), members.as_flattened()].concat())
}

/// A big-endian value of at most 32 bytes, padded on the left to a 32-byte word.
pub(in crate::pay) fn word(value: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    for (to, from) in word.iter_mut().rev().zip(value.iter().rev()) {
        *to = *from;
    }
    word
}

/// A `u128` as a decimal string: JSON numbers do not hold it.
mod decimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::pay::amount::Amount;

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        Amount::new(*value).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        Amount::deserialize(deserializer).map(Amount::atomic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_hashes_are_those_of_the_standards() {
        // EIP-3009, "TRANSFER_WITH_AUTHORIZATION_TYPEHASH"; EIP-712.
        let transfer = "7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267";
        let domain = "8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f";
        assert_eq!(hex::encode(keccak256(TRANSFER_TYPE)), transfer);
        assert_eq!(hex::encode(keccak256(DOMAIN_TYPE)), domain);
    }

    #[test]
    fn a_word_is_padded_on_the_left() {
        assert_eq!(word(&[1, 2])[30..], [1, 2]);
        assert_eq!(word(&[1, 2])[..30], [0; 30]);
    }
}
