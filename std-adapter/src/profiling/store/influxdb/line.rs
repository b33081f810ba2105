//! Events as line protocol.
//!
//! ```text
//!   test_end,framework=pytest,slot=5181 event="{…}",event_id="…",duration_ms=250.125 1763743984123456789
//!   measurement  tags                   fields                                       time
//! ```
//!
//! What cannot be written in the place of a text is written otherwise there (the field `event` has the
//! original): control characters as `�`, a tag longer than 256 bytes cut, an empty tag not at all.
//! The rules: <https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/>.

use std::borrow::Cow;
use std::io::{self, Write as _};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::profiling::event::{Event, Millis, Seconds};
use crate::profiling::store::url::Identity;

/// Appends the line of an event.
pub(super) fn write(event: &Event, identity: Identity, out: &mut Vec<u8>) {
    out.extend_from_slice(event.event_type.as_str().as_bytes());
    let id = short_id(&event.event_id);
    let place = Place::of(event, identity);
    let step = event.step_name.as_deref().unwrap_or_default();
    let texts = [
        ("run_id", &*event.run_id),
        ("step_name", step),
        ("test_id", &*event.test_id),
    ];
    // In the order of their names, which costs the server least.
    if identity == Identity::Tag {
        tag("event_id", &id, out);
    }
    tag("framework", &event.framework, out);
    match identity {
        Identity::Tag => texts.iter().for_each(|(name, text)| tag(name, text, out)),
        Identity::Time => tag("slot", &place.slot.to_string(), out),
    }
    out.extend_from_slice(b" event=\"");
    // Into memory, and of a map with texts for keys: neither fails.
    let _ = serde_json::to_writer(Escaped(out), event);
    out.push(b'"');
    if identity == Identity::Time {
        field("event_id", out);
        quoted(&id, out);
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            field(name, out);
            quoted(&printable(text), out);
        }
    }
    let numbers = [
        ("duration_ms", event.duration_ms.map(Millis::get)),
        ("end_time", event.end_time.map(Seconds::get)),
        ("start_time", event.start_time.map(Seconds::get)),
    ];
    let metadata = |name| event.metadata.get(name);
    let lifted = NUMBERS.map(|name| (name, metadata(name).and_then(Value::as_f64)));
    for (name, number) in numbers.into_iter().chain(lifted) {
        if let Some(number) = number {
            field(name, out);
            // With an exponent where that is shorter; into memory, which does not fail.
            let _ = write!(out, "{number:?}");
        }
    }
    for name in TEXTS {
        if let Some(text) = metadata(name).and_then(Value::as_str) {
            field(name, out);
            quoted(&printable(text), out);
        }
    }
    let _ = writeln!(out, " {}", place.time);
}

/// Where an event's point stands.
pub(super) struct Place {
    /// In nanoseconds since 1970.
    pub(super) time: i64,
    /// Which of the series of its type and framework it is in, where they tell events apart.
    pub(super) slot: u16,
}

impl Place {
    pub(super) fn of(event: &Event, identity: Identity) -> Self {
        // The bounds of the server are those of `i64`, but for some minutes.
        let known = event.created_at.map(jiff::Timestamp::as_nanosecond);
        let known = known.and_then(|nanoseconds| i64::try_from(nanoseconds).ok());
        let known = known.filter(|nanoseconds| nanoseconds.unsigned_abs() < LAST_TIME);
        match identity {
            Identity::Tag => Self {
                time: known.unwrap_or(0),
                slot: 0,
            },
            Identity::Time => {
                let hashed = Self::hashed(&event.event_id);
                let inside = |known: i64| known - known.rem_euclid(SECOND) + hashed.time % SECOND;
                Self {
                    time: known.map_or(hashed.time, inside),
                    ..hashed
                }
            }
        }
    }

    /// 48 bits of an id's hash for the time and 14 others for the slot.
    pub(super) fn hashed(event_id: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(event_id.as_bytes()).into();
        Self {
            time: i64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            slot: u16::from_be_bytes([g, h]) % SLOTS,
        }
    }
}

/// An id as it can be asked for: itself where it is plain, else its hash.
pub(super) fn short_id(event_id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if (1..=MAX_ID).contains(&event_id.len()) && event_id.bytes().all(plain) {
        return Cow::Borrowed(event_id);
    }
    let mut text = "sha256-".to_owned();
    for byte in Sha256::digest(event_id.as_bytes()) {
        text.push_str(&format!("{byte:02x}"));
    }
    Cow::Owned(text)
}

fn tag(name: &str, value: &str, out: &mut Vec<u8>) {
    let value = printable(value);
    let value = value
        .get(..value.floor_char_boundary(MAX_TAG))
        .unwrap_or_default();
    if value.is_empty() {
        return;
    }
    out.push(b',');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    let mut rest = value.bytes().peekable();
    while let Some(byte) = rest.next() {
        let special = |byte: u8| b", =".contains(&byte);
        match byte {
            // Before one of those, and at the end, it would escape what follows and not be itself.
            b'\\' if rest.peek().is_none_or(|next| special(*next)) => out.push(b'/'),
            byte if special(byte) => out.extend_from_slice(&[b'\\', byte]),
            byte => out.push(byte),
        }
    }
}

fn field(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

/// A text in quotes.
fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// What stands between quotes: `"` and `\` are escaped and nothing else is.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| b"\"\\".contains(byte)) {
        let (before, special) = rest.split_at(at);
        out.extend_from_slice(before);
        out.push(b'\\');
        let (special, after) = special.split_at(1);
        out.extend_from_slice(special);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Escapes what is written to it, without a copy of the whole before.
struct Escaped<'o>(&'o mut Vec<u8>);

impl io::Write for Escaped<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        escaped(text, self.0);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Without control characters: the end of a line would be one.
fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(text.replace(char::is_control, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// What is taken out of the metadata: the columns of the tables of the Python implementation.
const NUMBERS: [&str; 4] = ["cpu_percent", "memory_mb", "retry_count", "status_code"];
const TEXTS: [&str; 4] = ["command", "endpoint", "method", "status"];

/// Series of one type and framework at most: together with the 17 types, below what a server of
/// version 1 takes by default (a million), with three frameworks.
const SLOTS: u16 = 1 << 14;

const SECOND: i64 = 1_000_000_000;

/// The server's last time is 806 ns and some 47 minutes before the end of `i64`; this is a day before.
const LAST_TIME: u64 = i64::MAX.unsigned_abs() - 86_400_000_000_000;

/// Tags are part of the key of a series, of which there may be 65 535 bytes.
const MAX_TAG: usize = 256;
const MAX_ID: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiling::EventType;

    fn line(event: &Event, identity: Identity) -> String {
        let mut out = Vec::new();
        write(event, identity, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_as_a_line() {
        let mut event = Event::new("id-1", "run 1", "a,b=c\\", EventType::HttpRequest);
        event.framework = "py\ntest\\ x".to_owned();
        event.step_name = Some(String::new());
        event.duration_ms = Some(Millis::new(250.125).unwrap());
        event.created_at = Some("2026-11-21T16:53:04.026751123Z".parse().unwrap());
        let metadata = serde_json::json!({"status": "say \"hi\"", "status_code": 200, "method": 7});
        event.metadata = serde_json::from_value(metadata).unwrap();
        let lines = [Identity::Time, Identity::Tag].map(|identity| line(&event, identity));
        insta::assert_snapshot!(lines.concat());
    }

    #[test]
    fn a_time_nobody_can_hold_is_as_good_as_none() {
        let mut event = Event::new("id", "run", "test", EventType::TestEnd);
        let time = |event: &Event, identity| Place::of(event, identity).time;
        let none = time(&event, Identity::Time);
        assert!((0..1 << 48).contains(&none));
        for text in [
            "9999-12-30T22:00:00Z",
            "-009999-01-02T02:00:00Z",
            "2262-04-11T23:47:16Z",
        ] {
            event.created_at = Some(text.parse().unwrap());
            assert_eq!(time(&event, Identity::Time), none);
            assert_eq!(time(&event, Identity::Tag), 0);
        }
        event.created_at = Some("1969-12-31T23:59:59.999999999Z".parse().unwrap());
        assert!((-SECOND..0).contains(&time(&event, Identity::Time)));
        assert_eq!(time(&event, Identity::Tag), -1);
    }

    #[test]
    fn ids_that_are_not_plain_are_hashed() {
        for plain in ["a", "30e76e67-0000-8007-a7e7-196d319f9dec", "tests/a.py::b"] {
            assert_eq!(short_id(plain), plain);
        }
        for odd in ["", " ", "a'b", "a\"", "ü", "a\\", &"x".repeat(129)] {
            assert!(short_id(odd).starts_with("sha256-"), "{odd}");
        }
    }
}
