//! Recursive Length Prefix, the form of transactions (Ethereum Yellow Paper, appendix B).

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Bytes; a number is its big-endian bytes without leading zeros.
    Bytes(Vec<u8>),
    /// A list of such.
    List(Vec<Self>),
}

/// How deep lists are read: an access list within a transaction is three.
const MAX_DEPTH: u8 = 8;

impl Item {
    /// A number.
    #[must_use]
    pub fn number(number: u128) -> Self {
        let bytes = number.to_be_bytes();
        Self::Bytes(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
    }

    /// The bytes, where it is no list.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    /// The items, where it is a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Bytes(_) => None,
            Self::List(items) => Some(items),
        }
    }

    /// The number that it is, if it is one of at most 64 bits in its one form.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        let bytes = self.bytes().filter(|bytes| bytes.len() <= 8 && bytes.first() != Some(&0))?;
        Some(bytes.iter().fold(0, |number: u64, byte| (number << 8) | u64::from(*byte)))
    }

    /// Reads one item, which is all that there is. Each item has one form; another is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (item, rest) = read(bytes, MAX_DEPTH)?;
        rest.is_empty().then_some(item)
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => match bytes.as_slice() {
                [byte] if *byte < 0x80 => vec![*byte],
                bytes => with_length(0x80, bytes),
            },
            Self::List(items) => with_length(0xc0, &items.iter().flat_map(Self::encode).collect::<Vec<u8>>()),
        }
    }
}

/// The payload behind its length: in the first byte up to 55, else in as many bytes as that one says.
fn with_length(offset: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let prefix = match length.as_slice() {
        [] => vec![offset],
        [short] if *short <= 55 => vec![offset.saturating_add(*short)],
        long => {
            let size = u8::try_from(long.len()).unwrap_or(u8::MAX);
            [&[offset.saturating_add(55).saturating_add(size)], long].concat()
        }
    };
    [prefix.as_slice(), payload].concat()
}

fn read(bytes: &[u8], depth: u8) -> Option<(Item, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match *first {
        byte @ 0..=0x7f => Some((Item::Bytes(vec![byte]), rest)),
        prefix @ 0x80..=0xbf => {
            let (payload, rest) = payload(prefix.checked_sub(0x80)?, rest)?;
            // A byte below 0x80 stands for itself.
            let is_canonical = !matches!(payload, [byte] if *byte < 0x80);
            is_canonical.then(|| (Item::Bytes(payload.to_vec()), rest))
        }
        prefix => {
            let (mut payload, rest) = payload(prefix.checked_sub(0xc0)?, rest)?;
            let depth = depth.checked_sub(1)?;
            let mut items = Vec::new();
            while !payload.is_empty() {
                let (item, left) = read(payload, depth)?;
                items.push(item);
                payload = left;
            }
            Some((Item::List(items), rest))
        }
    }
}

fn payload(length: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(size) = length.checked_sub(55).filter(|size| *size > 0) else {
        return rest.split_at_checked(usize::from(length));
    };
    let (length, rest) = rest.split_at_checked(usize::from(size))?;
    if length.first() == Some(&0) || length.len() > 4 {
        return None;
    }
    let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if length <= 55 { None } else { rest.split_at_checked(length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Item {
        Item::Bytes(text.as_bytes().to_vec())
    }

    /// The examples of Ethereum's documentation ("Recursive-length prefix serialization").
    #[test]
    fn the_published_examples_are_read_and_written() {
        let long = "Lorem ipsum dolor sit amet, consectetur adipisicing elit";
        let nested = Item::List(vec![
            Item::List(vec![]),
            Item::List(vec![Item::List(vec![])]),
            Item::List(vec![Item::List(vec![]), Item::List(vec![Item::List(vec![])])]),
        ]);
        for (item, bytes) in [
            (text("dog"), b"\x83dog".to_vec()),
            (Item::List(vec![text("cat"), text("dog")]), b"\xc8\x83cat\x83dog".to_vec()),
            (text(""), vec![0x80]),
            (Item::List(vec![]), vec![0xc0]),
            (Item::number(0), vec![0x80]),
            (Item::Bytes(vec![0]), vec![0]),
            (Item::number(15), vec![0x0f]),
            (Item::number(1024), vec![0x82, 4, 0]),
            (nested, vec![0xc7, 0xc0, 0xc1, 0xc0, 0xc3, 0xc0, 0xc1, 0xc0]),
            (text(long), [b"\xb8\x38", long.as_bytes()].concat()),
        ] {
            assert_eq!(item.encode(), bytes);
            assert_eq!(Item::decode(&bytes), Some(item));
        }
    }

    #[test]
    fn another_form_is_none() {
        let deep = [0xc1; 20];
        for bad in [
            &b""[..],
            b"\x83do",
            b"\x83dogs",
            b"\x81\x05",
            b"\xb8\x03dog",
            b"\xb9\x00\x38",
            b"\xc8\x83cat\x83do",
            b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            &deep,
        ] {
            assert_eq!(Item::decode(bad), None, "{bad:?}");
        }
        assert_eq!(
            (Item::number(1 << 40).as_number(), Item::Bytes(vec![0, 1]).as_number()),
            (Some(1 << 40), None)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_breaks(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let item = Item::List(vec![Item::Bytes(bytes.clone()), Item::List(vec![Item::Bytes(bytes.clone())])]);
            prop_assert_eq!(Item::decode(&item.encode()), Some(item));
            if let Some(read) = Item::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
