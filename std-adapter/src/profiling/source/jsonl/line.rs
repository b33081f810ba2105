//! One line of JSON, field by field.

use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::profiling::event::{EventType, MAX_QUOTED, Millis, Seconds};
use crate::profiling::source::json::without_place;
use crate::profiling::source::time;

/// The fields of a line that is an event.
#[derive(Debug)]
pub(in crate::profiling) struct Line {
    pub(in crate::profiling) event_id: Option<String>,
    pub(in crate::profiling) run_id: Option<String>,
    pub(in crate::profiling) test_id: String,
    pub(in crate::profiling) event_type: EventType,
    pub(in crate::profiling) framework: Option<String>,
    pub(in crate::profiling) step_name: Option<String>,
    pub(in crate::profiling) start_time: Option<Seconds>,
    pub(in crate::profiling) end_time: Option<Seconds>,
    pub(in crate::profiling) duration_ms: Option<Millis>,
    pub(in crate::profiling) created_at: Option<Timestamp>,
    /// Whether `created_at` came without a zone and was taken as UTC.
    pub(in crate::profiling) assumed_utc: bool,
    pub(in crate::profiling) metadata: Map<String, Value>,
    /// Names of fields that the model does not have.
    pub(in crate::profiling) unknown: Vec<String>,
}

/// Why a line is not an event.
#[derive(Debug)]
pub(super) struct BadLine {
    /// Byte of the line where the trouble was noticed.
    pub(super) offset: usize,
    pub(super) reason: String,
    /// The line stops where more was expected.
    pub(super) at_end: bool,
}

/// Reads one line, without its end and without white space around it.
pub(super) fn parse(text: &[u8]) -> Result<Line, BadLine> {
    let text = std::str::from_utf8(text).map_err(|error| BadLine {
        offset: error.valid_up_to(),
        reason: format!(
            "found byte 0x{:02x} that is not UTF-8",
            text.get(error.valid_up_to()).copied().unwrap_or_default()
        ),
        // An unfinished character at the very end is a line cut off.
        at_end: error.error_len().is_none(),
    })?;
    let mut json = serde_json::Deserializer::from_str(text);
    EventLine { test_in_data: false }
        .deserialize(&mut json)
        .and_then(|line| json.end().map(|()| line))
        .map_err(|error| BadLine {
            offset: error.column().saturating_sub(1),
            at_end: error.is_eof(),
            reason: without_place(&error),
        })
}

/// Deserializes field by field, so that an error has the place of its field.
pub(in crate::profiling) struct EventLine {
    /// Whether the field `data` may name the test: `test_id` is empty then.
    pub(in crate::profiling) test_in_data: bool,
}

impl<'de> DeserializeSeed<'de> for EventLine {
    type Value = Line;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Line, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventLine {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object with the fields of an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<Value>()?;
            fields.take(name, value).map_err(A::Error::custom)?;
        }
        if self.test_in_data && fields.unknown.contains_key("data") {
            fields.test_id.value.get_or_insert_default();
        }
        fields.finish().map_err(A::Error::custom)
    }
}

/// What was read of a line so far.
#[derive(Default)]
struct Fields {
    event_id: Once<String>,
    run_id: Once<String>,
    test_id: Once<String>,
    event_type: Once<EventType>,
    framework: Once<String>,
    step_name: Once<String>,
    start_time: Once<Seconds>,
    end_time: Once<Seconds>,
    duration_ms: Once<Millis>,
    created_at: Once<(Timestamp, bool)>,
    metadata: Once<Map<String, Value>>,
    unknown: Map<String, Value>,
}

impl Fields {
    fn take(&mut self, name: String, value: Value) -> Result<(), String> {
        match name.as_str() {
            "event_id" => self.event_id.set(&name, value, identifier),
            "run_id" => self.run_id.set(&name, value, identifier),
            "test_id" => self.test_id.set(&name, value, filled),
            "event_type" => self.event_type.set(&name, value, |value| {
                text(value)?
                    .parse()
                    .map_err(|error: crate::profiling::UnknownEventType| error.to_string())
            }),
            "framework" => self.framework.set(&name, value, filled),
            "step_name" => self.step_name.set(&name, value, text),
            "start_time" => self.start_time.set(&name, value, seconds),
            "end_time" => self.end_time.set(&name, value, seconds),
            "duration_ms" => self.duration_ms.set(&name, value, |value| {
                Millis::new(number(&value)?).map_err(|error| error.to_string())
            }),
            "created_at" => self.created_at.set(&name, value, timestamp),
            "metadata" => self.metadata.set(&name, value, |value| match value {
                Value::Object(map) => Ok(map),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    Err(format!("found {}, expected an object", describe(&value)))
                }
            }),
            _ => match self.unknown.insert(name.clone(), value) {
                None => Ok(()),
                Some(_) => Err(twice(&name)),
            },
        }
    }

    fn finish(self) -> Result<Line, String> {
        let missing = |name: &str| format!("missing field `{name}`");
        let (start, end) = (self.start_time.value, self.end_time.value);
        let measured = match (start, end) {
            (Some(start), Some(end)) => Some(Millis::between(start, end).ok_or_else(|| {
                format!("field `end_time`: found {end}, expected at least `start_time`, which is {start}")
            })?),
            (Some(_), None) | (None, Some(_)) | (None, None) => None,
        };
        let mut metadata = self.metadata.value.unwrap_or_default();
        let unknown = self.unknown.keys().cloned().collect();
        for (name, value) in self.unknown {
            let name = if metadata.contains_key(&name) {
                format!("event.{name}")
            } else {
                name
            };
            metadata.insert(name, value);
        }
        Ok(Line {
            event_id: self.event_id.value,
            run_id: self.run_id.value,
            test_id: self.test_id.value.ok_or_else(|| missing("test_id"))?,
            event_type: self.event_type.value.ok_or_else(|| missing("event_type"))?,
            framework: self.framework.value,
            step_name: self.step_name.value,
            start_time: start,
            end_time: end,
            // An explicit 0 is a measurement and stays one.
            duration_ms: self.duration_ms.value.or(measured),
            created_at: self.created_at.value.map(|(at, _)| at),
            assumed_utc: self.created_at.value.is_some_and(|(_, assumed)| assumed),
            metadata,
            unknown,
        })
    }
}

/// A field that may be given once. JSON lets a later one win in silence.
struct Once<T> {
    seen: bool,
    value: Option<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self {
            seen: false,
            value: None,
        }
    }
}

impl<T> Once<T> {
    fn set(
        &mut self,
        name: &str,
        value: Value,
        read: impl Fn(Value) -> Result<T, String>,
    ) -> Result<(), String> {
        if std::mem::replace(&mut self.seen, true) {
            return Err(twice(name));
        }
        if !value.is_null() {
            self.value = Some(read(value).map_err(|reason| format!("field `{name}`: {reason}"))?);
        }
        Ok(())
    }
}

fn twice(name: &str) -> String {
    format!(
        "field `{}` is given twice",
        name.chars().take(MAX_QUOTED).collect::<String>()
    )
}

fn text(value: Value) -> Result<String, String> {
    if let Value::String(text) = value {
        Ok(text)
    } else {
        Err(format!("found {}, expected text", describe(&value)))
    }
}

fn filled(value: Value) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() {
        Err("found empty text, expected at least 1 character".to_owned())
    } else {
        Ok(text)
    }
}

fn identifier(value: Value) -> Result<String, String> {
    let text = filled(value)?;
    if text.len() > MAX_ID {
        return Err(format!(
            "found text of {} bytes, expected at most {MAX_ID}",
            text.len()
        ));
    }
    Ok(text)
}

fn number(value: &Value) -> Result<f64, String> {
    value
        .as_f64()
        .ok_or_else(|| format!("found {}, expected a number", describe(value)))
}

fn seconds(value: Value) -> Result<Seconds, String> {
    Seconds::new(number(&value)?).map_err(|error| error.to_string())
}

fn timestamp(value: Value) -> Result<(Timestamp, bool), String> {
    let text = text(value)?;
    time::read(&text).ok_or_else(|| {
        format!(
            "found `{}`, expected a time such as 2026-11-21T16:53:04.5Z (RFC 3339)",
            text.chars().take(MAX_QUOTED).collect::<String>()
        )
    })
}

/// The value as a message shows it: short.
/// A value in the words of an error: short, whatever it is.
pub(in crate::profiling) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text `{}`", text.chars().take(MAX_QUOTED).collect::<String>()),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(map) => format!("an object of {}", map.len()),
    }
}

/// The longest `event_id` and `run_id`, in bytes: keys of an index.
const MAX_ID: usize = 512;
