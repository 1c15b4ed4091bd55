//! A stream of events (`text/event-stream`, WHATWG HTML §9.2) that a session pays for as it comes: where one event ends and
//! the next begins, and the events of the protocol that go in between (draft-tempo-session-00, "Streaming").

use serde_json::json;

use super::channel::ChannelStanding;
use crate::pay::amount::Amount;

/// The largest event that is held until it is whole: 256 KiB.
const MAX_EVENT: usize = 256 << 10;

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What came.
    pub bytes: Vec<u8>,
    /// Whether it is the beginning of an event, so that another event may go before it.
    pub begins: bool,
}

impl Piece {
    /// An event that its sender did not end, with its end.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.bytes.extend_from_slice(b"\n\n");
        self
    }
}

/// Cuts a stream into its events, in whatever chunks it comes. An event that is too large comes in several pieces.
#[derive(Clone, Debug)]
pub struct Cutter {
    held: Vec<u8>,
    /// Nothing stands on the present line.
    line_is_empty: bool,
    after_return: bool,
    begins: bool,
}

impl Default for Cutter {
    fn default() -> Self {
        Self { held: Vec::new(), line_is_empty: true, after_return: false, begins: true }
    }
}

impl Cutter {
    /// Takes in what came, and gives out what is whole.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for byte in chunk {
            let whole = self.see(*byte);
            if whole || self.held.len() >= MAX_EVENT {
                pieces.push(self.cut(whole));
            }
        }
        pieces
    }

    /// What is left at the end of the stream: an event that its sender did not end.
    pub fn rest(&mut self) -> Option<Piece> {
        (!self.held.is_empty()).then(|| self.cut(true))
    }

    fn cut(&mut self, whole: bool) -> Piece {
        Piece { bytes: std::mem::take(&mut self.held), begins: std::mem::replace(&mut self.begins, whole) }
    }

    /// Whether an event ends with this byte: it ends an empty line. Lines end in `\n`, `\r` or `\r\n`; of the last, the
    /// second half may begin the next piece, where it is one empty line more.
    fn see(&mut self, byte: u8) -> bool {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        self.held.push(byte);
        match byte {
            b'\n' if after_return => false,
            b'\n' | b'\r' => std::mem::replace(&mut self.line_is_empty, true),
            _ => {
                self.line_is_empty = false;
                false
            }
        }
    }
}

/// The event that asks for a voucher of at least `required` in all.
#[must_use]
pub fn need_voucher(standing: &ChannelStanding, required: Amount) -> String {
    let event = json!({
        "channelId": standing.channel,
        "requiredCumulative": required,
        "acceptedCumulative": standing.accepted,
        "deposit": standing.deposit,
    });
    format!("event: payment-need-voucher\ndata: {event}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::eip712::{Address, Hash32};
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Vec<Piece> {
        let mut cutter = Cutter::default();
        let mut pieces: Vec<Piece> = chunks.iter().flat_map(|chunk| cutter.push(chunk)).collect();
        pieces.extend(cutter.rest());
        pieces
    }

    fn texts(chunks: &[&[u8]]) -> Vec<String> {
        cut(chunks).into_iter().map(|piece| String::from_utf8(piece.bytes).unwrap()).collect()
    }

    #[test]
    fn events_are_whole_and_one_that_did_not_end_comes_last() {
        assert_eq!(
            texts(&[b"data: a\n\ndata: b\nid: 1\n\ndata: c"]),
            ["data: a\n\n", "data: b\nid: 1\n\n", "data: c"]
        );
        assert_eq!(texts(&[b"da", b"ta: a\n", b"\ndata: b\r\r"]), ["data: a\n\n", "data: b\r\r"]);
        assert_eq!(texts(&[b"data: a\r\n\r\ndata: b\r\n\r\n"]), ["data: a\r\n\r", "\ndata: b\r\n\r", "\n"]);
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn an_event_that_is_too_large_is_not_held_and_nothing_goes_into_it() {
        let long = [b"data: ".as_slice(), &vec![b'x'; MAX_EVENT], b"\n\ndata: b\n\n"].concat();
        let begins: Vec<bool> = cut(&[&long]).iter().map(|piece| piece.begins).collect();
        assert_eq!(begins, [true, false, true]);
    }

    #[test]
    fn a_voucher_is_asked_for_as_clients_expect() {
        let standing = ChannelStanding {
            channel: Hash32::new([7; 32]),
            payer: Address::ZERO,
            deposit: Amount::new(1_000),
            accepted: Amount::new(300),
            spent: Amount::new(250),
        };
        let channel = format!("0x{}", "07".repeat(32));
        assert_eq!(
            need_voucher(&standing, Amount::new(350)),
            format!(
                "event: payment-need-voucher\ndata: {{\"acceptedCumulative\":\"300\",\"channelId\":\"{channel}\",\
                 \"deposit\":\"1000\",\"requiredCumulative\":\"350\"}}\n\n"
            )
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_wherever_a_stream_is_cut(text in "[a\r\n]{0,40}", cuts in prop::collection::vec(0_usize..41, 0..5)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([bytes.len()]);
            let chunks: Vec<&[u8]> = [0].into_iter().chain(cuts.iter().copied()).zip(ends).map(|(from, to)| &bytes[from..to]).collect();
            let pieces = cut(&chunks);
            prop_assert_eq!(&pieces, &cut(&[bytes]));
            prop_assert_eq!(pieces.into_iter().flat_map(|piece| piece.bytes).collect::<Vec<u8>>(), bytes);
        }
    }
}
