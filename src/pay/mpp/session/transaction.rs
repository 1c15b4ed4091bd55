//! The signed transaction of an `open` or a `topUp`, read before it is sent: a Tempo transaction (type 0x76) that does this one
//! thing with this escrow and nothing else, so that the node of the settings sends nothing for strangers. Whether its
//! signature is good, the chain says.

use super::Escrow;
use super::action::RawTransaction;
use crate::pay::eip712::{Address, Hash32, keccak256};
use crate::pay::rlp::Item;

/// The type of Tempo's transactions.
pub(super) const TEMPO: u8 = 0x76;
/// How many items one has: with a signature, and with a key's authorization or without.
const SIGNED: std::ops::RangeInclusive<usize> = 14..=15;

const APPROVE: &[u8] = b"approve(address,uint256)";
const OPEN: &[u8] = b"open(address,address,uint128,bytes32,address)";
const TOP_UP: &[u8] = b"topUp(bytes32,uint256)";

/// What a transaction calls.
struct Call {
    to: Address,
    selector: [u8; 4],
    words: Vec<[u8; 32]>,
}

impl Call {
    fn read(item: &Item) -> Option<Self> {
        let [to, value, data] = item.items()? else { return None };
        let to = Address::new(to.bytes()?.try_into().ok()?);
        // Nothing is sent along.
        value.bytes().filter(|value| value.is_empty())?;
        let (selector, arguments) = data.bytes()?.split_first_chunk()?;
        let (words, rest) = arguments.as_chunks();
        rest.is_empty().then(|| Self { to, selector: *selector, words: words.to_vec() })
    }

    fn is(&self, to: Address, function: &[u8]) -> bool {
        let [a, b, c, d, ..] = keccak256(function);
        self.to == to && self.selector == [a, b, c, d]
    }

    fn has(&self, place: usize, word: [u8; 32]) -> bool {
        self.words.get(place) == Some(&word)
    }
}

fn word(address: Address) -> [u8; 32] {
    let mut word = [0; 32];
    for (to, from) in word.iter_mut().skip(12).zip(address.as_bytes()) {
        *to = *from;
    }
    word
}

impl RawTransaction {
    /// Whether it opens a channel of this escrow to this payee, in its token.
    #[must_use]
    pub fn opens(&self, escrow: &Escrow) -> bool {
        self.does_only(escrow, |call| {
            call.is(escrow.contract, OPEN)
                && call.words.len() == 5
                && call.has(0, word(escrow.payee))
                && call.has(1, word(escrow.currency))
        })
    }

    /// Whether it tops up that channel of this escrow.
    #[must_use]
    pub fn tops_up(&self, escrow: &Escrow, channel: &Hash32) -> bool {
        self.does_only(escrow, |call| {
            call.is(escrow.contract, TOP_UP) && call.words.len() == 2 && call.has(0, *channel.as_bytes())
        })
    }

    /// Whether its last call is that one, and one before it, if there is one, lets the escrow take what it needs.
    fn does_only(&self, escrow: &Escrow, wanted: impl Fn(&Call) -> bool) -> bool {
        let approves = |call: &Call| {
            call.is(escrow.currency, APPROVE) && call.words.len() == 2 && call.has(0, word(escrow.contract))
        };
        match self.calls(escrow.chain_id).as_deref() {
            Some([call]) => wanted(call),
            Some([first, second]) => approves(first) && wanted(second),
            _ => false,
        }
    }

    fn calls(&self, chain_id: u64) -> Option<Vec<Call>> {
        let bytes = hex::decode(self.as_str().strip_prefix("0x")?).ok()?;
        let envelope = bytes.split_first().filter(|(kind, _)| **kind == TEMPO)?.1;
        let envelope = Item::decode(envelope)?;
        let items = envelope.items().filter(|items| SIGNED.contains(&items.len()))?;
        let [chain, _, _, _, calls, _, _, _, _, _, _, _, delegations, ..] = items else { return None };
        if chain.as_number() != Some(chain_id) || !delegations.items()?.is_empty() {
            return None;
        }
        calls.items()?.iter().map(Call::read).collect()
    }
}

/// Made with npm ox 0.14 (`TxEnvelopeTempo`), signed by the key of 32 bytes 01.
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pay::mpp::session::escrow::tests::escrow;

    fn vector(name: &str) -> String {
        let vectors = include_str!("../../../../tests/vectors/tempo_transactions.json");
        serde_json::from_str::<BTreeMap<String, String>>(vectors).unwrap().remove(name).unwrap()
    }

    fn raw(text: &str) -> RawTransaction {
        serde_json::from_value(text.into()).unwrap()
    }

    const CHANNEL: Hash32 = Hash32::new([7; 32]);

    #[test]
    fn a_transaction_does_what_it_says_and_nothing_else() {
        let (open, top_up) = (raw(&vector("open")), raw(&vector("top_up")));
        assert!(open.opens(&escrow()) && top_up.tops_up(&escrow(), &CHANNEL));
        assert!(!open.tops_up(&escrow(), &CHANNEL) && !top_up.opens(&escrow()));
        assert!(!top_up.tops_up(&escrow(), &Hash32::new([8; 32])), "another channel");
        let close = raw(&vector("close"));
        assert!(!close.opens(&escrow()) && !close.tops_up(&escrow(), &CHANNEL));
        let other = Address::new([9; 20]);
        for elsewhere in [
            Escrow { payee: other, ..escrow() },
            Escrow { currency: other, ..escrow() },
            Escrow { contract: other, ..escrow() },
            Escrow { chain_id: 1, ..escrow() },
        ] {
            assert!(!open.opens(&elsewhere), "{elsewhere:?}");
        }
    }

    /// The open of the vector with its envelope changed.
    fn changed(change: impl FnOnce(&mut Vec<Item>)) -> RawTransaction {
        let bytes = hex::decode(&vector("open")[4..]).unwrap();
        let Some(Item::List(mut items)) = Item::decode(&bytes) else { panic!("no list") };
        change(&mut items);
        raw(&format!("0x76{}", hex::encode(Item::List(items).encode())))
    }

    fn calls(items: &mut [Item]) -> &mut Vec<Item> {
        let Item::List(calls) = &mut items[4] else { panic!("no calls") };
        calls
    }

    #[test]
    fn nothing_is_smuggled_in() {
        assert!(changed(|_| ()).opens(&escrow()));
        assert!(changed(|items| drop(calls(items).remove(0))).opens(&escrow()), "approved before");
        let changes: [fn(&mut Vec<Item>); 7] = [
            |items| calls(items).clear(),
            |items| calls(items).reverse(),
            |items| drop(calls(items).pop()),
            |items| {
                let again = calls(items)[1].clone();
                calls(items).push(again);
            },
            |items| {
                let Item::List(call) = &mut calls(items)[1] else { panic!("no call") };
                call[1] = Item::number(1);
            },
            |items| items[12] = Item::List(vec![Item::number(1)]),
            |items| drop(items.pop()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(!changed(change).opens(&escrow()), "{number}");
        }
        let open = vector("open");
        for bad in
            ["0x76", "0x7600", &open[..open.len() - 2], &format!("{open}00"), &open.replacen("76", "78", 1)]
        {
            assert!(!raw(bad).opens(&escrow()), "{bad}");
        }
    }
}
