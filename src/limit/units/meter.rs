//! Reads the final units of a request from the origin's answer while it passes: from a JSON document, or from the last
//! event of a stream (`text/event-stream`, WHATWG HTML §9.2) that tells them. It keeps no more than it must and never
//! holds anything back.

use serde_json::Value;

use super::super::tokens::Tokens;
use super::Units;
use crate::endpoint::logical::Pointer;

/// The largest JSON document that is read for its units: 1 MiB.
const MAX_JSON: usize = 1 << 20;
/// The largest event that is read for its units: 256 KiB.
const MAX_EVENT: usize = 256 << 10;

/// Where in an answer which unit stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings(Vec<(String, Reading)>);

/// How an answer tells how many of a unit were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// By a number there, in a document or in an event.
    At(Pointer),
    /// By how many events there are with data.
    Events,
}

/// Reads the units of one answer.
#[derive(Clone, Debug)]
pub struct Meter {
    readings: Readings,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// What came of a document; `None` when it was too large.
    Json(Option<Vec<u8>>),
    Events(Box<Events>),
}

/// What came of a stream of events.
#[derive(Clone, Debug, Default)]
struct Events {
    /// The line that has not ended.
    line: Vec<u8>,
    /// The data of the event that has not ended.
    data: Vec<u8>,
    /// The event that has not ended is too large to be read.
    cut: bool,
    after_return: bool,
    /// The first line of all may begin with a byte order mark.
    started: bool,
    found: Units,
    /// How many events had data.
    count: u64,
}

impl Readings {
    /// Each unit with its place.
    #[must_use]
    pub const fn new(readings: Vec<(String, Reading)>) -> Self {
        Self(readings)
    }

    /// The units that a document tells.
    fn of(&self, document: &[u8]) -> Units {
        let Ok(document) = serde_json::from_slice::<Value>(document) else { return Units::default() };
        let told = self.0.iter().filter_map(|(unit, reading)| match reading {
            Reading::At(place) => Some((unit, quantity(place.find(&document)?)?)),
            Reading::Events => None,
        });
        told.fold(Units::default(), |units, (unit, quantity)| units.with(unit, quantity))
    }

    /// The units that so many events are.
    fn of_events(&self, count: u64) -> Units {
        let counted = self.0.iter().filter(|(_, reading)| count > 0 && *reading == Reading::Events);
        counted.fold(Units::default(), |units, (unit, _)| units.with(unit, Tokens::whole(count)))
    }
}

/// A quantity as an origin writes it: a number that is not negative. Beyond six decimals it is rounded.
fn quantity(value: &Value) -> Option<Tokens> {
    let written = value.as_number()?.to_string();
    written.parse().ok().or_else(|| format!("{:.6}", value.as_f64()?).parse().ok())
}

impl Meter {
    /// A meter for an answer of that media type; `None` where there is nothing to read.
    #[must_use]
    pub fn new(readings: &Readings, content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let form = match media_type.as_str() {
            _ if readings.0.is_empty() => return None,
            "text/event-stream" => Form::Events(Box::default()),
            "application/json" => Form::Json(Some(Vec::new())),
            other if other.ends_with("+json") => Form::Json(Some(Vec::new())),
            _ => return None,
        };
        Some(Self { readings: readings.clone(), form })
    }

    /// Takes in what passes.
    pub fn see(&mut self, chunk: &[u8]) {
        match &mut self.form {
            Form::Json(kept) => {
                let room =
                    kept.as_ref().is_some_and(|kept| kept.len().saturating_add(chunk.len()) <= MAX_JSON);
                match kept {
                    Some(kept) if room => kept.extend_from_slice(chunk),
                    _ => *kept = None,
                }
            }
            Form::Events(events) => chunk.iter().for_each(|byte| events.see(*byte, &self.readings)),
        }
    }

    /// The units told so far. An answer that broke off tells what its whole events told.
    #[must_use]
    pub fn units(mut self) -> Units {
        match &mut self.form {
            Form::Json(kept) => {
                return kept.as_deref().map(|kept| self.readings.of(kept)).unwrap_or_default();
            }
            // Some origins leave out the empty line after the last event.
            Form::Events(events) => {
                events.end_line(&self.readings);
                events.end_event(&self.readings);
            }
        }
        self.so_far()
    }

    /// The units that whole events told so far; of a document nothing, before it is whole.
    #[must_use]
    pub fn so_far(&self) -> Units {
        match &self.form {
            Form::Json(_) => Units::default(),
            Form::Events(events) => events.found.clone().and(&self.readings.of_events(events.count)),
        }
    }

    /// Takes back that the last event counts as one: it was read, and did not pass.
    pub fn uncount_event(&mut self) {
        if let Form::Events(events) = &mut self.form {
            events.count = events.count.saturating_sub(1);
        }
    }
}

impl Events {
    /// Lines end in `\n`, `\r\n` or `\r`.
    fn see(&mut self, byte: u8, readings: &Readings) {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\n' if after_return => {}
            b'\n' | b'\r' => self.end_line(readings),
            other if self.line.len() < MAX_EVENT => self.line.push(other),
            _ => self.cut = true,
        }
    }

    fn end_line(&mut self, readings: &Readings) {
        let line = std::mem::take(&mut self.line);
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if !self.started => rest,
            _ => line.as_slice(),
        };
        self.started = true;
        if line.is_empty() {
            return self.end_event(readings);
        }
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        if self.data.len().saturating_add(data.len()) < MAX_EVENT {
            self.data.extend_from_slice(data);
            self.data.push(b'\n');
        } else {
            self.cut = true;
        }
    }

    fn end_event(&mut self, readings: &Readings) {
        let data = std::mem::take(&mut self.data);
        let cut = std::mem::take(&mut self.cut);
        if !data.is_empty() || cut {
            self.count = self.count.saturating_add(1);
        }
        if data.is_empty() || cut {
            return;
        }
        // What is no JSON tells nothing, such as the `[DONE]` at the end of OpenAI's streams.
        let told = readings.of(&data);
        self.found = told.or(std::mem::take(&mut self.found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn readings() -> Readings {
        let at = |unit: &str, pointer: &str| (unit.to_owned(), Reading::At(Pointer::parse(pointer).unwrap()));
        Readings::new(vec![at("token", "/usage/total_tokens"), at("image", "/images")])
    }

    fn told(media_type: &str, chunks: &[&[u8]]) -> Units {
        let mut meter = Meter::new(&readings(), media_type).unwrap();
        for chunk in chunks {
            meter.see(chunk);
        }
        meter.units()
    }

    fn tokens(count: u64) -> Units {
        Units::default().with("token", Tokens::whole(count))
    }

    #[test]
    fn a_document_tells_its_units() {
        let json: &[u8] = br#"{"usage":{"total_tokens":123},"images":0.5}"#;
        let expected = tokens(123).with("image", Tokens::micro(500_000));
        assert_eq!(told("application/json; charset=utf-8", &[&json[..7], &json[7..]]), expected);
        assert_eq!(told("application/vnd.api+json", &[json]), expected);
        for silent in [
            &b""[..],
            b"{",
            b"[]",
            br#"{"usage":{"total_tokens":"12"}}"#,
            br#"{"usage":{"total_tokens":-1}}"#,
        ] {
            assert!(told("application/json", &[silent]).is_empty());
        }
    }

    #[test]
    fn a_number_in_any_form_is_a_quantity() {
        for (written, micro) in
            [("12", 12_000_000), ("1e3", 1_000_000_000), ("0.1234567", 123_457), ("2.5", 2_500_000)]
        {
            let value: Value = serde_json::from_str(written).unwrap();
            assert_eq!(quantity(&value), Some(Tokens::micro(micro)), "{written}");
        }
    }

    #[test]
    fn only_what_can_be_read_is_metered() {
        assert!(Meter::new(&readings(), "text/html").is_none());
        assert!(Meter::new(&readings(), "").is_none());
        assert!(Meter::new(&Readings::default(), "application/json").is_none());
    }

    #[test]
    fn a_document_over_the_bound_is_not_kept() {
        let half = vec![b' '; MAX_JSON / 2];
        let json = br#"{"images":1}"#;
        assert!(told("application/json", &[&half, &half, json]).is_empty());
        assert_eq!(told("application/json", &[&half, json]).of("image"), Tokens::ONE);
    }

    #[test]
    fn the_last_event_that_tells_a_unit_counts() {
        let stream = "\u{feff}data: {\"images\":2}\r\n\r\n: comment\nevent: x\ndata: {\"usage\":null}\n\n\
                      data: {\"usage\":{\"total_tokens\":1}}\r\rdata:{\"usage\":\ndata: {\"total_tokens\":7}}\n\ndata: [DONE]\n\n";
        assert_eq!(
            told("text/event-stream", &[stream.as_bytes()]),
            tokens(7).with("image", Tokens::whole(2))
        );
        let unfinished = b"data: {\"usage\":{\"total_tokens\":9}}";
        assert_eq!(told("text/event-stream", &[unfinished]), tokens(9));
    }

    #[test]
    fn events_are_counted_as_they_come_and_one_can_be_taken_back() {
        let readings = Readings::new(vec![("message".to_owned(), Reading::Events)]);
        let mut meter = Meter::new(&readings, "text/event-stream").unwrap();
        let messages = |count| Units::default().with("message", Tokens::whole(count));
        meter.see(b"data: a\n\nevent: x\n\n: comment\n\ndata: b\ndata: c\n\ndata: d");
        assert_eq!(meter.so_far(), messages(2));
        assert_eq!(meter.clone().units(), messages(3));
        meter.uncount_event();
        assert_eq!(meter.so_far(), messages(1));
        let document = Meter::new(&readings, "application/json").unwrap();
        assert_eq!(document.units(), Units::default());
    }

    #[test]
    fn an_event_over_the_bound_tells_nothing_and_the_next_one_does() {
        let long = format!("data: {{\"images\":1,\"x\":\"{}\"}}\n\n", "x".repeat(MAX_EVENT));
        let lines = "data: 1\n".repeat(MAX_EVENT);
        let next = b"data: {\"images\":3}\n\n";
        assert_eq!(told("text/event-stream", &[long.as_bytes(), next]).of("image"), Tokens::whole(3));
        assert_eq!(told("text/event-stream", &[lines.as_bytes(), b"\n", next]).of("image"), Tokens::whole(3));
        assert!(told("text/event-stream", &[long.as_bytes()]).is_empty());
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_into_chunks_does_not_matter(cuts in prop::collection::vec(0_usize..120, 0..6)) {
            let stream = b"data: {\"images\":2}\r\n\r\ndata: {\"usage\":\r\ndata: {\"total_tokens\":7}}\r\n\r\ndata: [DONE]\r\n\r\n";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([stream.len()]);
            let chunks: Vec<&[u8]> =
                [0].into_iter().chain(cuts.iter().copied()).zip(ends).map(|(from, to)| &stream[from..to]).collect();
            prop_assert_eq!(told("text/event-stream", &chunks), tokens(7).with("image", Tokens::whole(2)));
        }
    }
}
