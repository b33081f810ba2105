//! Events in the body of a request: one object, or many of them.
//!
//! For hooks in any language. An event has the fields of a [line](super::source) of JSON; a run has
//! to be named. The words of the platform's sidecar are understood as well:
//!
//! | word | taken for | |
//! |---|---|---|
//! | `execution_id` | `run_id`, where there is none | text |
//! | `timestamp` | `created_at`, where there is none | ISO 8601, in UTC where it names no zone, or seconds since 1970 |
//! | `data` | `duration_ms`, `step_name`, `test_id` in it, where there are none; the rest is metadata | object |
//! | anything else | metadata under its own name | |
//!
//! A batch is an array of events or `{"events": [...]}`. It is **all or nothing**: one bad event and
//! none is taken, so that whoever repeats the request after mending it sends nothing twice.
//!
//! # Ids
//! | the event or request has | its id | a repeated request |
//! |---|---|---|
//! | `event_id` | that | is stored once |
//! | an idempotency key | made from key and position | is stored once |
//! | neither | made from the `nonce` of the request and position | is stored again |
//!
//! ```
//! use crossbridge_std::profiling::payload::{self, Origin};
//!
//! let origin = Origin::new("nonce", None);
//! let event = payload::one(br#"{"run_id":"r1","test_id":"a::b","event_type":"test_end"}"#, &origin)?;
//! assert_eq!(event.test_id, "a::b");
//! let bad = payload::batch(br#"[{"run_id":"r1","test_id":"a"}]"#, &origin).unwrap_err();
//! assert_eq!(bad.to_string(), "events[0]: 1:30: missing field `event_type`");
//! # Ok::<(), payload::BadPayload>(())
//! ```

use std::cell::Cell;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::event::{Event, Millis, UNKNOWN_FRAMEWORK};
use super::identity::{self, Fingerprint};
use super::source::json::without_place;
use super::source::jsonl::line::{EventLine, Line, describe};
use super::source::time;

/// Where a request's events get their ids and their time from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    request: Fingerprint,
    received_at: Option<Timestamp>,
}

impl Origin {
    /// `key` tells this request from others: its idempotency key, else something that no other has.
    /// An event that does not say when it was recorded was recorded when it was received.
    #[must_use]
    pub fn new(key: &str, received_at: Option<Timestamp>) -> Self {
        Self {
            request: Fingerprint::of(key.as_bytes()),
            received_at,
        }
    }
}

/// Why a body is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPayload {
    /// The event, from 0; `None` where it is not about one of several.
    pub index: Option<usize>,
    /// The line of the body, from 1.
    pub line: usize,
    /// The byte of the line, from 1.
    pub column: usize,
    /// What is wrong: what was found, what was expected.
    pub reason: String,
}

impl fmt::Display for BadPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "events[{index}]: ")?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.reason)
    }
}

impl std::error::Error for BadPayload {}

/// Reads one event.
///
/// # Errors
/// Where the body is not an event, and why.
pub fn one(body: &[u8], origin: &Origin) -> Result<Event, BadPayload> {
    read(body, None, Whole { origin, position: 0 })
}

/// Reads the events of a batch, at least one.
///
/// # Errors
/// The first place where the body is not a batch, and why.
pub fn batch(body: &[u8], origin: &Origin) -> Result<Vec<Event>, BadPayload> {
    let at = Cell::new(None);
    read(body, Some(&at), Batch { origin, at: &at })
}

fn read<'de, S: DeserializeSeed<'de>>(
    body: &'de [u8],
    at: Option<&Cell<Option<usize>>>,
    seed: S,
) -> Result<S::Value, BadPayload> {
    let mut json = serde_json::Deserializer::from_slice(body);
    seed.deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| BadPayload {
            index: at.and_then(Cell::get),
            line: error.line().max(1),
            column: error.column().max(1),
            reason: without_place(&error),
        })
}

/// One event of a request.
struct Whole<'o> {
    origin: &'o Origin,
    position: usize,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Event;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Event, D::Error> {
        let line = EventLine { test_in_data: true }.deserialize(deserializer)?;
        event(line, self.origin, self.position).map_err(D::Error::custom)
    }
}

struct Batch<'o> {
    origin: &'o Origin,
    /// The event that is being read.
    at: &'o Cell<Option<usize>>,
}

impl<'de> DeserializeSeed<'de> for Batch<'_> {
    type Value = Vec<Event>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Event>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = Vec<Event>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events or {\"events\": [...]}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Event>, A::Error> {
        let mut events = Vec::new();
        loop {
            let position = events.len();
            self.at.set(Some(position));
            let origin = self.origin;
            match list.next_element_seed(Whole { origin, position })? {
                Some(event) => events.push(event),
                None => break,
            }
        }
        self.at.set(None);
        if events.is_empty() {
            return Err(A::Error::custom("found no event, expected at least 1"));
        }
        Ok(events)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Event>, A::Error> {
        let mut events = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "events" || events.is_some() {
                let name: String = name.chars().take(80).collect();
                return Err(A::Error::custom(format!(
                    "found field `{name}`, expected `events` and nothing else"
                )));
            }
            let Self { origin, at } = self;
            events = Some(map.next_value_seed(Batch { origin, at })?);
        }
        events.ok_or_else(|| A::Error::custom("missing field `events`"))
    }
}

fn event(mut line: Line, origin: &Origin, position: usize) -> Result<Event, String> {
    for name in std::mem::take(&mut line.unknown) {
        translate(&mut line, &name)?;
    }
    let run_id = line.run_id.ok_or("missing field `run_id`")?;
    if line.test_id.is_empty() {
        return Err("missing field `test_id`".to_owned());
    }
    let event_id = line.event_id.unwrap_or_else(|| {
        let position = u64::try_from(position).unwrap_or(u64::MAX);
        identity::event_id(&run_id, origin.request, position, b"")
    });
    Ok(Event {
        event_id,
        run_id,
        test_id: line.test_id,
        event_type: line.event_type,
        framework: line.framework.unwrap_or_else(|| UNKNOWN_FRAMEWORK.to_owned()),
        step_name: line.step_name,
        start_time: line.start_time,
        end_time: line.end_time,
        duration_ms: line.duration_ms,
        created_at: line.created_at.or(origin.received_at),
        metadata: line.metadata.into(),
    })
}

/// Takes a word of the sidecar for what it means. The line has it in its metadata by now.
fn translate(line: &mut Line, name: &str) -> Result<(), String> {
    let bad = |found: &Value, expected: &str| {
        format!("field `{name}`: found {}, expected {expected}", describe(found))
    };
    match name {
        "execution_id" if line.run_id.is_none() => match line.metadata.remove(name) {
            Some(Value::String(id)) if (1..=MAX_ID).contains(&id.len()) => line.run_id = Some(id),
            Some(Value::Null) | None => {}
            Some(value) => return Err(bad(&value, "text of 1 to 512 bytes")),
        },
        "timestamp" if line.created_at.is_none() => match line.metadata.remove(name) {
            Some(Value::Null) | None => {}
            Some(value) => {
                let at = moment(&value).ok_or_else(|| {
                    let expected = "a time such as 2026-11-21T16:53:04.5Z (RFC 3339), or seconds since 1970";
                    bad(&value, expected)
                })?;
                line.created_at = Some(at);
            }
        },
        "data" => match line.metadata.remove(name) {
            Some(Value::Object(data)) => unpack(line, data)?,
            Some(Value::Null) | None => {}
            Some(value) => return Err(bad(&value, "an object")),
        },
        _ => {}
    }
    Ok(())
}

fn unpack(line: &mut Line, data: Map<String, Value>) -> Result<(), String> {
    for (name, value) in data {
        match (name.as_str(), value) {
            ("duration_ms", Value::Number(number)) if line.duration_ms.is_none() => {
                let span = number.as_f64().map(Millis::new);
                let span = span.and_then(Result::ok).ok_or_else(|| {
                    format!("field `data.duration_ms`: found {number}, expected at least 0")
                })?;
                line.duration_ms = Some(span);
            }
            ("step_name", Value::String(step)) if line.step_name.is_none() => line.step_name = Some(step),
            ("test_id", Value::String(test)) if line.test_id.is_empty() => line.test_id = test,
            (_, value) => {
                let taken = line.metadata.contains_key(&name);
                let name = if taken { format!("data.{name}") } else { name };
                line.metadata.insert(name, value);
            }
        }
    }
    Ok(())
}

fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => time::read(text).map(|(at, _assumed)| at),
        Value::Number(seconds) => match seconds.as_i64() {
            Some(whole) => Timestamp::from_second(whole).ok(),
            None => {
                let span = jiff::SignedDuration::try_from_secs_f64(seconds.as_f64()?).ok()?;
                // To the microsecond: that is as much as a double has for the times we live in.
                let micros = i64::try_from(span.as_micros()).ok()?;
                Timestamp::from_microsecond(micros).ok()
            }
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// As of an `event_id`: what is a key of an index.
const MAX_ID: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::new("key", "2026-11-21T10:00:00Z".parse().ok())
    }

    #[test]
    fn the_words_of_the_sidecar_are_understood() {
        let body = br#"{"event_type":"http_request","execution_id":"e1","timestamp":1795278485.25,
            "environment":"ci","metadata":{"endpoint":"/a"},
            "data":{"test_id":"t","duration_ms":1.5,"status_code":200,"endpoint":"/b"}}"#;
        let event = one(body, &origin()).unwrap();
        assert_eq!((event.run_id.as_str(), event.test_id.as_str()), ("e1", "t"));
        assert_eq!(event.duration_ms.map(Millis::get), Some(1.5));
        assert_eq!(event.created_at.unwrap().to_string(), "2026-11-21T16:28:05.25Z");
        let metadata = serde_json::to_string(&event.metadata).unwrap();
        assert_eq!(
            metadata,
            r#"{"data.endpoint":"/b","endpoint":"/a","environment":"ci","status_code":200}"#
        );
    }

    #[test]
    fn a_timestamp_without_a_zone_is_one_in_utc() {
        let body = br#"{"run_id":"r","test_id":"t","event_type":"test_end",
            "timestamp":"2026-01-25T10:00:00.125"}"#;
        let event = one(body, &origin()).unwrap();
        assert_eq!(event.created_at.unwrap().to_string(), "2026-01-25T10:00:00.125Z");
    }

    #[test]
    fn ids_follow_from_key_and_position() {
        let body = br#"{"events":[{"run_id":"r","test_id":"t","event_type":"test_end"},
            {"run_id":"r","test_id":"t","event_type":"test_end"},
            {"event_id":"mine","run_id":"r","test_id":"t","event_type":"test_end"}]}"#;
        let ids = |key: &str| -> Vec<String> {
            let events = batch(body, &Origin::new(key, None)).unwrap();
            events.into_iter().map(|event| event.event_id).collect()
        };
        let first = ids("a");
        assert_eq!(first, ids("a"));
        assert_ne!(first[0], first[1]);
        assert_ne!(first[0], ids("b")[0]);
        assert_eq!(first[2], "mine");
    }

    #[test]
    fn a_bad_body_is_told_with_its_place() {
        let good = r#"{"run_id":"r","test_id":"t","event_type":"test_end"}"#;
        let said = |body: &str| batch(body.as_bytes(), &origin()).unwrap_err().to_string();
        let cases = [
            said("[]"),
            said("{}"),
            said("7"),
            said(""),
            said(r#"{"events":[],"more":1}"#),
            said(&format!(
                "[{good},\n{{\"test_id\":\"t\",\"event_type\":\"test_end\"}}]"
            )),
            said(&format!("[{good},\n {good}")),
            said(&format!("[{good}] x")),
            said(&good.replace("test_end", "test_nd").replace('{', "[{")),
            said(r#"[{"run_id":"r","event_type":"test_end"}]"#),
            said(r#"[{"run_id":"r","test_id":"t","event_type":"test_end","timestamp":"now"}]"#),
        ];
        insta::assert_snapshot!(cases.join("\n"));
    }
}
