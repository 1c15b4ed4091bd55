//! The message by which a payer lets x402's proxy move a token through Uniswap's Permit2 (x402 v2, scheme `exact` on EVM,
//! `permit2`).

use serde::{Deserialize, Serialize};

use super::{Address, Uint256, decimal, hash_struct, keccak256, typed_digest, word};

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,uint256 chainId,address verifyingContract)";
const PERMIT_TYPE: &[u8] = b"PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";
const PERMISSIONS_TYPE: &[u8] = b"TokenPermissions(address token,uint256 amount)";
const WITNESS_TYPE: &[u8] = b"Witness(address to,uint256 validAfter)";

/// Permit2, at the same address on every chain: `0x000000000022D473030F116dDEE9F6B43aC78BA3`.
pub const PERMIT2: Address = Address::new([
    0, 0, 0, 0, 0, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4, 0x3a, 0xc7, 0x8b, 0xa3,
]);
/// x402's proxy for `exact`, likewise: `0x402085c248EeA27D92E8b30b2C58ed07f9E20001`. It pays nobody but the witness's `to`.
pub const EXACT_PROXY: Address = Address::new([
    0x40, 0x20, 0x85, 0xc2, 0x48, 0xee, 0xa2, 0x7d, 0x92, 0xe8, 0xb3, 0x0b, 0x2c, 0x58, 0xed, 0x07, 0xf9,
    0xe2, 0x00, 0x01,
]);

/// A transfer that the spender may carry out once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermitWitnessTransfer {
    /// Who pays. Not signed: the signature's own.
    pub from: Address,
    /// The token.
    pub token: Address,
    /// Atomic units of the token.
    #[serde(with = "decimal")]
    pub amount: u128,
    /// Who may carry it out: x402's proxy.
    pub spender: Address,
    /// Makes the permit unique for `from`, in whatever token.
    pub nonce: Uint256,
    /// Unix seconds; the transfer is possible until this.
    pub deadline: u64,
    /// Who is paid.
    pub to: Address,
    /// Unix seconds; the transfer is possible from this on.
    pub valid_after: u64,
}

impl PermitWitnessTransfer {
    /// What the payer signed, on that chain.
    #[must_use]
    pub fn digest(&self, chain_id: u64) -> [u8; 32] {
        let domain = hash_struct(
            DOMAIN_TYPE,
            &[keccak256(b"Permit2"), word(&chain_id.to_be_bytes()), word(PERMIT2.as_bytes())],
        );
        let permitted =
            hash_struct(PERMISSIONS_TYPE, &[word(self.token.as_bytes()), word(&self.amount.to_be_bytes())]);
        let witness =
            hash_struct(WITNESS_TYPE, &[word(self.to.as_bytes()), word(&self.valid_after.to_be_bytes())]);
        let members = [
            permitted,
            word(self.spender.as_bytes()),
            *self.nonce.as_word(),
            word(&self.deadline.to_be_bytes()),
            witness,
        ];
        typed_digest(domain, hash_struct(PERMIT_TYPE, &members))
    }
}
