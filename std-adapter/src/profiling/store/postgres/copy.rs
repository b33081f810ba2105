//! Events as rows of PostgreSQL's binary COPY format, made chunk by chunk.
//!
//! The format is that of the manual (COPY, "Binary Format"): a header, per row the number of columns
//! and each with its length in front, -1 for NULL, and -1 columns at the end.
//!
//! # What PostgreSQL cannot hold
//! Neither `text` nor `jsonb` can hold a NUL, a key of an index has at most some 2 700 bytes, and
//! `jsonb` keeps decimals instead of floating-point numbers. An event with such a thing is stored all
//! the same: its columns show `␀` for the NUL and the beginning of what is too long, and the column
//! `exact` has the event as it was, for those who read it back.

use std::cell::Cell;

use bytes::{BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use uuid::Uuid;

use crate::profiling::event::{Event, Millis, Seconds, format_timestamp};
use crate::profiling::identity;

/// The columns in the order of the rows.
pub(super) const COLUMNS: &str = "event_key, start_time, end_time, duration_ms, created_at, created_ns, \
    event_id, run_id, test_id, event_type, framework, step_name, metadata, exact";
const COLUMN_COUNT: i16 = 14;

/// The rows of a batch, in chunks of about [`CHUNK`] bytes.
pub(super) struct Rows<'e> {
    events: std::slice::Iter<'e, Event>,
    buffer: BytesMut,
    ended: bool,
}

impl<'e> Rows<'e> {
    pub(super) fn new(events: &'e [Event]) -> Self {
        let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 4);
        buffer.put_slice(b"PGCOPY\n\xff\r\n\0");
        // No flags, no extension.
        buffer.put_i64(0);
        Self {
            events: events.iter(),
            buffer,
            ended: false,
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        while self.buffer.len() < CHUNK {
            if let Some(event) = self.events.next() {
                row(&mut self.buffer, event);
            } else {
                self.buffer.put_i16(-1);
                self.ended = true;
                break;
            }
        }
        let chunk = self.buffer.split().freeze();
        // The last chunk is sent by now, so its memory is taken again where it is free.
        self.buffer.reserve(CHUNK + CHUNK / 4);
        Some(chunk)
    }
}

/// The key of an event: its id where that is a UUID in the usual form, else a UUID made from it.
/// Sixteen bytes make an index half the size of one of texts, and ids of any length have one.
pub(super) fn key(event_id: &str) -> Uuid {
    canonical(event_id).unwrap_or_else(|| identity::key_of(event_id))
}

/// The UUID that is written exactly so.
fn canonical(text: &str) -> Option<Uuid> {
    let uuid = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()?;
    let mut buffer = [0; 36];
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}

fn row(out: &mut BytesMut, event: &Event) {
    let start = out.len();
    if !plain_row(out, event) {
        out.truncate(start);
        exact_row(out, event);
    }
}

/// Writes the row of an event that PostgreSQL can hold as it is; false when it cannot.
fn plain_row(out: &mut BytesMut, event: &Event) -> bool {
    let texts = [&event.event_id, &event.run_id, &event.test_id, &event.framework];
    let fits = |text: &String| !text.as_bytes().contains(&0);
    if !texts.into_iter().chain(&event.step_name).all(fits)
        || [&event.run_id, &event.test_id]
            .into_iter()
            .any(|text| text.len() > MAX_INDEXED)
    {
        return false;
    }
    let created = match event.created_at.map(instant) {
        Some(None) => return false,
        Some(Some(created)) => Some(created),
        None => None,
    };
    out.put_i16(COLUMN_COUNT);
    numbers(out, event, created);
    if canonical(&event.event_id).is_some() {
        null(out);
    } else {
        text(out, &event.event_id);
    }
    text(out, &event.run_id);
    text(out, &event.test_id);
    text(out, event.event_type.as_str());
    text(out, &event.framework);
    match &event.step_name {
        Some(step) => text(out, step),
        None => null(out),
    }
    let kept = metadata(out, &event.metadata);
    null(out);
    kept
}

/// The row of an event that PostgreSQL cannot hold as it is.
fn exact_row(out: &mut BytesMut, event: &Event) {
    out.put_i16(COLUMN_COUNT);
    numbers(out, event, event.created_at.and_then(instant));
    if canonical(&event.event_id).is_some() {
        null(out);
    } else {
        text(out, &shown(&event.event_id));
    }
    text(out, cut(&shown(&event.run_id)));
    text(out, cut(&shown(&event.test_id)));
    text(out, event.event_type.as_str());
    text(out, &shown(&event.framework));
    match &event.step_name {
        Some(step) => text(out, &shown(step)),
        None => null(out),
    }
    let mut visible = Value::Object(event.metadata.clone().into());
    show(&mut visible);
    if let Value::Object(visible) = &visible {
        let _kept = metadata(out, visible);
    }
    let exact = (
        &event.event_id,
        &event.run_id,
        &event.test_id,
        &event.framework,
        &event.step_name,
        event.created_at.map(format_timestamp),
        &event.metadata,
    );
    sized(out, |out| {
        // A buffer in memory takes everything.
        let _ = serde_json::to_writer(out.writer(), &exact);
    });
}

fn numbers(out: &mut BytesMut, event: &Event, created: Option<(i64, i16)>) {
    out.put_i32(16);
    out.put_slice(key(&event.event_id).as_bytes());
    let (start, end) = (
        event.start_time.map(Seconds::get),
        event.end_time.map(Seconds::get),
    );
    for number in [start, end, event.duration_ms.map(Millis::get)] {
        match number {
            Some(number) => {
                out.put_i32(8);
                out.put_f64(number);
            }
            None => null(out),
        }
    }
    if let Some((micros, nanos)) = created {
        out.put_i32(8);
        out.put_i64(micros);
        out.put_i32(2);
        out.put_i16(nanos);
    } else {
        null(out);
        null(out);
    }
}

/// A point in time as PostgreSQL counts: microseconds since the year 2000, and the nanoseconds that
/// are left over; `None` before its first day.
fn instant(at: Timestamp) -> Option<(i64, i16)> {
    let nanos = at.as_nanosecond();
    let micros = i64::try_from(nanos.div_euclid(1_000)).ok()? - EPOCH;
    let left = i16::try_from(nanos.rem_euclid(1_000)).ok()?;
    (micros >= FIRST).then_some((micros, left))
}

/// The other way round.
pub(super) fn timestamp(micros: i64, left: i16) -> Option<Timestamp> {
    let nanos = (i128::from(micros) + i128::from(EPOCH)) * 1_000 + i128::from(left);
    Timestamp::from_nanosecond(nanos).ok()
}

/// Writes an object as `jsonb`; whether that gives it back as it is.
fn metadata(out: &mut BytesMut, metadata: &impl Serialize) -> bool {
    let altered = Cell::new(false);
    let mut start = out.len();
    sized(out, |out| {
        // The version of the format.
        out.put_u8(1);
        start = out.len();
        let mut serializer = Serializer::with_formatter(out.writer(), Decimal(&altered));
        // A buffer in memory takes everything.
        let _ = metadata.serialize(&mut serializer);
    });
    // The escape of a NUL, or what looks like one: the long way is right for both.
    !altered.get() && !has_nul(out.get(start..).unwrap_or_default())
}

/// Notices floating-point numbers that `jsonb` does not give back: it keeps decimals, in which 1e16 is
/// the integer 10000000000000000, 1e-300 has 300 zeros and zero has no sign.
struct Decimal<'f>(&'f Cell<bool>);

impl Formatter for Decimal<'_> {
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> std::io::Result<()> {
        let size = value.abs();
        let zero = size == 0.0 && value.is_sign_positive();
        if !zero && !(1e-5..1e16).contains(&size) {
            self.0.set(true);
        }
        CompactFormatter.write_f64(writer, value)
    }
}

fn text(out: &mut BytesMut, text: &str) {
    sized(out, |out| out.put_slice(text.as_bytes()));
}

fn null(out: &mut BytesMut) {
    out.put_i32(-1);
}

/// Puts the length in front of what is written.
fn sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_i32(0);
    write(out);
    // Texts come from lines of 16 MiB at most. One of 2 GiB is refused by the server, which counts.
    let length = i32::try_from(out.len() - at - 4).unwrap_or(i32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Whether a text of JSON has `\u0000` in it.
fn has_nul(json: &[u8]) -> bool {
    json.split(|byte| *byte == b'\\')
        .skip(1)
        .any(|rest| rest.starts_with(b"u0000"))
}

/// A text without NUL.
fn shown(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

/// As much of a text as an index takes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_INDEXED)).unwrap_or(text)
}

/// The same for every text of a value, keys included.
fn show(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = shown(text),
        Value::Array(list) => list.iter_mut().for_each(show),
        Value::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(name, mut value)| {
                    show(&mut value);
                    (shown(&name), value)
                })
                .collect();
        }
    }
}

/// Bytes of a chunk: some hundred rows, few enough that a batch is never in memory twice.
const CHUNK: usize = 64 << 10;

/// Bytes of a text in an index. A key of a B-tree has at most 2 704 bytes (a third of a page), here
/// with an event type or a time beside it.
const MAX_INDEXED: usize = 2_000;

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const EPOCH: i64 = 946_684_800_000_000;

/// PostgreSQL's first moment, 24 November 4714 BC, in its own count.
const FIRST: i64 = -211_813_488_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiling::EventType;

    #[test]
    fn a_uuid_is_its_own_key_and_nothing_else_is() {
        let uuid = "30e76e67-0000-8007-a7e7-196d319f9dec";
        assert_eq!(key(uuid).to_string(), uuid);
        for other in [
            "",
            "a",
            &uuid.to_uppercase(),
            &uuid.replace('-', ""),
            "{x}",
            &"x".repeat(36),
        ] {
            assert_eq!(canonical(other), None, "{other}");
            assert_ne!(key(other).to_string(), uuid, "{other}");
        }
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        for text in [
            "2026-11-21T16:53:04.026751123Z",
            "1999-12-31T23:59:59.999999999Z",
            "-004713-12-01T00:00:00.000000001Z",
            "9999-01-01T00:00:00Z",
        ] {
            let at: Timestamp = text.parse().unwrap();
            let (micros, left) = instant(at).unwrap();
            assert_eq!(timestamp(micros, left), Some(at), "{text}");
        }
        assert_eq!(instant("-004714-01-01T00:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn chunks_are_bounded_and_end_once() {
        let events = vec![Event::new("id", "run", "test", EventType::TestEnd); 5_000];
        let chunks: Vec<_> = Rows::new(&events).collect();
        assert!(chunks.len() > 2);
        assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK + 1_000));
        assert!(chunks.last().unwrap().ends_with(&(-1_i16).to_be_bytes()));
        assert_eq!(Rows::new(&[]).map(|chunk| chunk.len()).collect::<Vec<_>>(), [21]);
    }

    #[test]
    fn the_escape_of_a_nul_is_found() {
        assert!(has_nul(br#"{"a":"x\u0000"}"#));
        assert!(!has_nul(br#"{"a":"x\u0001 u0000"}"#));
    }
}
