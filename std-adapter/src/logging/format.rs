//! What a record looks like.
//!
//! | format | for | a line |
//! |---|---|---|
//! | [`Simple`](Format::Simple) | terminals | level, text, key-values |
//! | [`Detailed`](Format::Detailed) | log files read by people | time, level, category, text, key-values |
//! | [`Json`](Format::Json) | log files read by programs | one object, key-values as its fields |
//!
//! The fields of an object are `timestamp` (RFC 3339, UTC, microseconds), `level`, `category` (null
//! for records of other libraries), `target`, `message`, then the key-values. One that is called
//! like a field before it is written with `kv_` before its name.

use std::fmt::Write as _;

use jiff::Timestamp;
use log::Record;
use serde::ser::{SerializeMap, Serializer};

use super::category::Category;
use super::fields::{self, Field};
use super::redact;

/// What a record looks like. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Level, text, key-values.
    Simple,
    /// Time, level, category, text, key-values.
    Detailed,
    /// One object.
    Json,
}

impl Format {
    /// The line of a record that was made at `at`, without the line feed.
    ///
    /// ```
    /// use crossbridge_std::logging::Format;
    /// use jiff::Timestamp;
    /// use log::{Level, Record};
    ///
    /// let record = Record::builder()
    ///     .level(Level::Warn)
    ///     .target("crossbridge::persistence")
    ///     .key_values(&[("attempts", 4), ("api_key", 12345)])
    ///     .args(format_args!("no answer from postgres://ci:hunter2@db/profiles"))
    ///     .build();
    /// assert_eq!(
    ///     Format::Detailed.line(Timestamp::UNIX_EPOCH, &record),
    ///     "1970-01-01T00:00:00.000000Z WARN persistence no answer from postgres://ci:***@db/profiles \
    ///      attempts=4 api_key=***",
    /// );
    /// ```
    #[must_use]
    pub fn line(self, at: Timestamp, record: &Record<'_>) -> String {
        let message = record.args().to_string();
        let message = redact::text(&message);
        let fields = fields::of(record);
        match self {
            Self::Simple => text(None, record, &message, &fields),
            Self::Detailed => text(Some(at), record, &message, &fields),
            Self::Json => json(at, record, &message, &fields),
        }
    }
}

fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn text(at: Option<Timestamp>, record: &Record<'_>, message: &str, fields: &[Field]) -> String {
    let mut line = String::with_capacity(128);
    // Writing to a `String` does not fail.
    if let Some(at) = at {
        let category = Category::of_target(record.target());
        let category = category.map_or_else(|| record.target(), |category| category.name());
        let _ = write!(line, "{} {} {category} ", rfc3339(at), record.level());
    } else {
        let _ = write!(line, "{} ", record.level());
    }
    for c in message.chars() {
        // A line feed in a message must not look like the next record.
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    for field in fields {
        let _ = write!(line, " {}={}", field.key, field.value.to_text());
    }
    line
}

/// The fields that every object has.
const RESERVED: [&str; 5] = ["timestamp", "level", "category", "target", "message"];

fn json(at: Timestamp, record: &Record<'_>, message: &str, fields: &[Field]) -> String {
    let object = |out: &mut Vec<u8>| {
        let mut serializer = serde_json::Serializer::new(out);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &rfc3339(at))?;
        map.serialize_entry("level", record.level().as_str())?;
        map.serialize_entry("category", &Category::of_target(record.target()))?;
        map.serialize_entry("target", record.target())?;
        map.serialize_entry("message", message)?;
        for field in fields {
            if RESERVED.contains(&field.key.as_str()) {
                map.serialize_entry(&format!("kv_{}", field.key), &field.value)?;
            } else {
                map.serialize_entry(&field.key, &field.value)?;
            }
        }
        map.end()
    };
    let mut out = Vec::with_capacity(256);
    // Texts and numbers into memory: nothing in it can fail.
    let _: Result<(), serde_json::Error> = object(&mut out);
    String::from_utf8(out).unwrap_or_default()
}
