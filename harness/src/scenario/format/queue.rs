//! The `queue:` of a dependency or a service.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Requests that may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueFile {
    /// As many as come.
    #[default]
    Unbounded,
    /// So many.
    Bounded(u32),
}

impl<'de> Deserialize<'de> for QueueFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Queue;
        impl Visitor<'_> for Queue {
            type Value = QueueFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of requests, or `unbounded`")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<QueueFile, E> {
                let count = u32::try_from(count);
                count
                    .map(QueueFile::Bounded)
                    .map_err(|_| E::custom("a queue holds at most 4294967295 requests"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<QueueFile, E> {
                if text == "unbounded" {
                    return Ok(QueueFile::Unbounded);
                }
                Err(E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Queue)
    }
}

impl JsonSchema for QueueFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Queue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": u32::MAX }, { "const": "unbounded" }],
            "default": "unbounded",
        })
    }
}
