//! What the chain says of a channel: the escrow's `getChannel`, asked over Ethereum's JSON-RPC. Nothing here calls anybody.

use serde_json::{Value, json};

use super::Escrow;
use super::channel::ChannelFault;
use crate::pay::amount::Amount;
use crate::pay::eip712::{Address, Hash32, keccak256};

/// A channel as the escrow has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChain {
    /// Closed, and paid out.
    pub finalized: bool,
    /// Whether the payer asked to close it without the payee.
    pub closing: bool,
    /// Who deposited.
    pub payer: Address,
    /// Who is paid.
    pub payee: Address,
    /// In what.
    pub token: Address,
    /// Who signs vouchers; the payer where it is zero.
    pub authorized: Address,
    /// What is locked in it.
    pub deposit: Amount,
    /// What was paid out of it before.
    pub settled: Amount,
}

/// The parameters of `eth_call` for that channel.
#[must_use]
pub fn query(escrow: &Escrow, channel: &Hash32) -> Value {
    let [a, b, c, d, ..] = keccak256(b"getChannel(bytes32)");
    let data = format!("0x{}{}", hex::encode([a, b, c, d]), hex::encode(channel.as_bytes()));
    json!([{ "to": escrow.contract.to_string(), "data": data }, "latest"])
}

/// Reads the answer: eight words.
///
/// # Errors
/// It is not that.
pub fn read(result: &Value) -> Result<OnChain, String> {
    let bytes = result.as_str().and_then(|text| hex::decode(text.strip_prefix("0x")?).ok());
    let words: Vec<[u8; 32]> = bytes
        .iter()
        .flat_map(|bytes| bytes.chunks_exact(32))
        .filter_map(|word| word.try_into().ok())
        .collect();
    let [finalized, closing, from, to, token, authorized, deposit, settled] = words.as_slice() else {
        return Err("an answer that is no channel".to_owned());
    };
    let is_set = |word: &[u8; 32]| word.iter().any(|byte| *byte != 0);
    Ok(OnChain {
        finalized: is_set(finalized),
        closing: is_set(closing),
        payer: address(from),
        payee: address(to),
        token: address(token),
        authorized: address(authorized),
        deposit: amount(deposit)?,
        settled: amount(settled)?,
    })
}

fn address(word: &[u8; 32]) -> Address {
    let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = *word;
    Address::new(address)
}

fn amount(word: &[u8; 32]) -> Result<Amount, String> {
    let (high, low) = word.split_at(16);
    let low: [u8; 16] = low.try_into().map_err(|_| "a word of another length")?;
    if high.iter().all(|byte| *byte == 0) {
        Ok(Amount::new(u128::from_be_bytes(low)))
    } else {
        Err("an amount beyond 128 bits".to_owned())
    }
}

impl OnChain {
    /// Checks that vouchers on it can be redeemed by us.
    ///
    /// # Errors
    /// There is no such channel, it pays somebody else or in something else, or it is closed or being closed.
    pub fn check(&self, escrow: &Escrow) -> Result<(), ChannelFault> {
        let ours = self.payee == escrow.payee && self.token == escrow.currency;
        if !ours || self.deposit == Amount::default() {
            return Err(ChannelFault::NotFound);
        }
        if self.finalized || self.closing { Err(ChannelFault::Finalized) } else { Ok(()) }
    }

    /// Who signs vouchers.
    #[must_use]
    pub fn signer(&self) -> Address {
        if self.authorized == Address::ZERO { self.payer } else { self.authorized }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn word(low: &str) -> String {
        format!("{low:0>64}")
    }

    fn answer() -> Value {
        let words = [
            word("0"),
            word("0"),
            word(&"11".repeat(20)),
            word(&"22".repeat(20)),
            word(&"33".repeat(20)),
            word("0"),
            word("989680"),
            word("5"),
        ];
        Value::from(format!("0x{}", words.concat()))
    }

    /// The escrow that the vectors of sessions are made for.
    pub(in crate::pay::mpp::session) fn escrow() -> Escrow {
        let address = |digits: &str| format!("0x{}", digits.repeat(20)).parse().unwrap();
        Escrow {
            contract: address("44"),
            chain_id: 42_431,
            currency: address("33"),
            decimals: 6,
            payee: address("22"),
        }
    }

    #[test]
    fn a_channel_is_asked_for_and_read() {
        let channel = format!("0x{}", "ab".repeat(32)).parse().unwrap();
        // cast sig "getChannel(bytes32)" = 0x831c2b82
        assert_eq!(
            query(&escrow(), &channel),
            json!([{ "to": format!("0x{}", "44".repeat(20)), "data": format!("0x831c2b82{}", "ab".repeat(32)) }, "latest"])
        );
        let channel = read(&answer()).unwrap();
        assert_eq!(channel.deposit, Amount::new(10_000_000));
        assert_eq!(channel.settled, Amount::new(5));
        assert_eq!(channel.signer(), channel.payer);
        assert_eq!(channel.check(&escrow()), Ok(()));
        for bad in ["0x", "0x00", "", "zz"] {
            assert!(read(&Value::from(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_channel_that_cannot_be_redeemed_is_refused() {
        let good = read(&answer()).unwrap();
        let fault = |channel: OnChain| channel.check(&escrow()).unwrap_err();
        assert_eq!(fault(OnChain { payee: Address::ZERO, ..good.clone() }), ChannelFault::NotFound);
        assert_eq!(fault(OnChain { token: Address::ZERO, ..good.clone() }), ChannelFault::NotFound);
        assert_eq!(fault(OnChain { deposit: Amount::default(), ..good.clone() }), ChannelFault::NotFound);
        assert_eq!(fault(OnChain { finalized: true, ..good.clone() }), ChannelFault::Finalized);
        assert_eq!(fault(OnChain { closing: true, ..good }), ChannelFault::Finalized);
    }
}
