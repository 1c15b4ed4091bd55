//! Redeeming: the transaction of Tempo's (type 0x76) by which the payee closes a channel on the chain with its last voucher. The
//! escrow then pays the payee what the voucher says, and the payer the rest.

use super::Escrow;
use super::action::RawTransaction;
use super::transaction::TEMPO;
use super::voucher::Voucher;
use crate::pay::eip712::{SigningKey, keccak256, word};
use crate::pay::rlp::Item;

const CLOSE: &[u8] = b"close(bytes32,uint128,bytes)";
/// What a close may use: it moves two balances. What is not used is not paid for.
const GAS: u128 = 2_000_000;
/// Where the signature's length stands among the arguments: behind three words.
const SIGNATURE_AT: u128 = 96;

/// What the chain says of a payee's next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its number.
    pub nonce: u64,
    /// What a unit of gas costs at most, in the chain's own smallest unit.
    pub gas_price: u128,
}

/// The payee's signed transaction. Nothing where the voucher's signature is none.
#[must_use]
pub fn close(escrow: &Escrow, last: &Voucher, next: Next, payee: &SigningKey) -> Option<RawTransaction> {
    let nothing = || Item::Bytes(Vec::new());
    let call = Item::List(vec![
        Item::Bytes(escrow.contract.as_bytes().to_vec()),
        nothing(),
        Item::Bytes(arguments(last)?),
    ]);
    let mut items = vec![
        Item::number(u128::from(escrow.chain_id)),
        nothing(),
        Item::number(next.gas_price),
        Item::number(GAS),
        Item::List(vec![call]),
        Item::List(Vec::new()),
        nothing(),
        Item::number(u128::from(next.nonce)),
        nothing(),
        nothing(),
        // Fees are paid in what is earned.
        Item::Bytes(escrow.currency.as_bytes().to_vec()),
        nothing(),
        Item::List(Vec::new()),
    ];
    let signature = payee.sign_digest(keccak256(&envelope(&items))).in_wallet_style().to_string();
    items.push(Item::Bytes(bytes(&signature)?));
    RawTransaction::of(&envelope(&items))
}

fn envelope(items: &[Item]) -> Vec<u8> {
    [&[TEMPO], Item::List(items.to_vec()).encode().as_slice()].concat()
}

fn arguments(last: &Voucher) -> Option<Vec<u8>> {
    let [a, b, c, d, ..] = keccak256(CLOSE);
    let signature = bytes(&last.signature)?;
    let mut data = vec![a, b, c, d];
    data.extend(last.channel.as_bytes());
    data.extend(word(&last.cumulative.atomic().to_be_bytes()));
    data.extend(word(&SIGNATURE_AT.to_be_bytes()));
    data.extend(word(&u128::try_from(signature.len()).ok()?.to_be_bytes()));
    data.extend(&signature);
    data.resize(data.len().checked_sub(4)?.next_multiple_of(32).checked_add(4)?, 0);
    Some(data)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::amount::Amount;
    use crate::pay::eip712::Hash32;
    use crate::pay::mpp::session::escrow::tests::escrow;

    /// Made with npm ox 0.14 (`TxEnvelopeTempo`), signed by the key of 32 bytes 01.
    #[test]
    fn the_transaction_is_that_of_the_vector() {
        let escrow = escrow();
        let last = Voucher {
            channel: Hash32::new([7; 32]),
            cumulative: Amount::new(1_000),
            signature: format!("0x{}", "ab".repeat(65)),
        };
        let payee = SigningKey::from_hex(&"01".repeat(32)).unwrap();
        let next = Next { nonce: 5, gas_price: 2_000_000_000 };
        let vectors = include_str!("../../../../tests/vectors/tempo_transactions.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        assert_eq!(close(&escrow, &last, next, &payee).unwrap().as_str(), vectors["close"].as_str().unwrap());
        assert_eq!(close(&escrow, &Voucher { signature: "0xz".to_owned(), ..last }, next, &payee), None);
    }
}
