//! A voucher: what a channel's signer owes in all so far (draft-tempo-session-00, "Voucher Format"; protocol v1).

use serde::{Deserialize, Serialize};

use crate::pay::amount::Amount;
use crate::pay::eip712::{Address, Domain, Hash32, Signature, hash_struct, recover, word};

use super::Escrow;
use super::channel::ChannelFault;

const VOUCHER_TYPE: &[u8] = b"Voucher(bytes32 channelId,uint128 cumulativeAmount)";

/// A voucher that was read and not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voucher {
    /// The channel.
    pub channel: Hash32,
    /// What is owed in all so far.
    pub cumulative: Amount,
    /// Its signature, as it came.
    pub signature: String,
}

impl Voucher {
    /// What the signer signs.
    #[must_use]
    pub fn digest(&self, escrow: &Escrow) -> [u8; 32] {
        let domain = Domain {
            name: "Tempo Stream Channel".to_owned(),
            version: "1".to_owned(),
            chain_id: escrow.chain_id,
            verifying_contract: escrow.contract,
        };
        let members = [*self.channel.as_bytes(), word(&self.cumulative.atomic().to_be_bytes())];
        domain.digest(hash_struct(VOUCHER_TYPE, &members))
    }

    /// Checks that `signer` signed it, in the one form that escrows take: 65 bytes, low `s`, `v` 27 or 28.
    ///
    /// # Errors
    /// It is no such signature, or another's.
    pub fn check(&self, escrow: &Escrow, signer: Address) -> Result<(), ChannelFault> {
        let signature: Signature = self.signature.parse().map_err(|_| ChannelFault::InvalidSignature)?;
        if !signature.is_low_s() || !matches!(signature.v(), 27 | 28) {
            return Err(ChannelFault::InvalidSignature);
        }
        match recover(self.digest(escrow), &signature) {
            Some(found) if found == signer => Ok(()),
            Some(_) => Err(ChannelFault::SignerMismatch),
            None => Err(ChannelFault::InvalidSignature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generated with viem (WIRE §5.7): anvil's account 1 signs.
    #[test]
    fn the_digest_is_that_of_the_vector_and_its_signature_is_the_signers() {
        let escrow = Escrow {
            contract: "0x1234567890abcdef1234567890abcdef12345678".parse().unwrap(),
            chain_id: 42_431,
            currency: Address::ZERO,
            decimals: 6,
            payee: Address::ZERO,
        };
        let voucher = Voucher {
            channel: format!("0x{}1", "0".repeat(63)).parse().unwrap(),
            cumulative: Amount::new(1_000_000),
            signature: "0x1c66151b10827506d1a5732c752d0d244d4ef269f343d55afd73ed3889bd8b5479f446d966c8bef15cce525cf6d9ceb27d4f07325994f02f3842e984f61353da1b".to_owned(),
        };
        assert_eq!(
            hex::encode(voucher.digest(&escrow)),
            "6dc35eeff9b1012097be8391643663453bb2d7634f2fb92843f7a8a736969651"
        );
        let signer = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap();
        assert_eq!(voucher.check(&escrow, signer), Ok(()));
        assert_eq!(voucher.check(&escrow, Address::ZERO), Err(ChannelFault::SignerMismatch));
        let more = Voucher { cumulative: Amount::new(1_000_001), ..voucher.clone() };
        assert_eq!(more.check(&escrow, signer), Err(ChannelFault::SignerMismatch));
        let elsewhere = Escrow { chain_id: 1, ..escrow.clone() };
        assert_eq!(voucher.check(&elsewhere, signer), Err(ChannelFault::SignerMismatch));
        let malformed = Voucher { signature: "0x12".to_owned(), ..voucher };
        assert_eq!(malformed.check(&escrow, signer), Err(ChannelFault::InvalidSignature));
    }

    /// Session protocol v2 is not spoken here: its vouchers are the same data under another name and type (mpp-rs: the vector).
    #[test]
    fn the_digest_of_a_v2_voucher_is_that_of_the_published_vector() {
        let domain = Domain {
            name: "TIP20 Channel Reserve".to_owned(),
            version: "1".to_owned(),
            chain_id: 42_431,
            verifying_contract: "0x4d50500000000000000000000000000000000000".parse().unwrap(),
        };
        let channel: Hash32 =
            "0x57e629663a75a0a49f8dc65c9f62ee38ab5dfa9124d7316d160766e4ecbc1227".parse().unwrap();
        let members = [*channel.as_bytes(), word(&50_u128.to_be_bytes())];
        let voucher = hash_struct(b"Voucher(bytes32 channelId,uint96 cumulativeAmount)", &members);
        assert_eq!(
            hex::encode(domain.digest(voucher)),
            "41a23f1573d302acae1dcec60d237f78d2514768faf670ef27458931c38b5db3"
        );
    }
}
