//! `jitter:` of a policy.

use std::borrow::Cow;
use std::fmt;

use crossbridge_core::Jitter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use crate::config::scalar::Share;

/// `true` and `false` are the platform's own; names and shares are new.
#[derive(Clone, Copy, Debug)]
pub(super) struct JitterFile(pub(super) Jitter);

impl<'de> Deserialize<'de> for JitterFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JitterVisitor;

        impl Visitor<'_> for JitterVisitor {
            type Value = JitterFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, `none`, `full`, `equal`, `decorrelated` or a share, 0 to 1")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<JitterFile, E> {
                Ok(JitterFile(if on { Jitter::Full } else { Jitter::None }))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<JitterFile, E> {
                Ok(JitterFile(match name {
                    "none" => Jitter::None,
                    "full" => Jitter::Full,
                    "equal" => Jitter::Equal,
                    "decorrelated" => Jitter::Decorrelated,
                    _ => return Err(E::invalid_value(Unexpected::Str(name), &self)),
                }))
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> Result<JitterFile, E> {
                match Share::from_f64(share) {
                    Some(share) if share.per_mille().get() == 0 => Ok(JitterFile(Jitter::None)),
                    Some(share) => Ok(JitterFile(Jitter::Proportional(share.per_mille()))),
                    None => Err(E::invalid_value(Unexpected::Float(share), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, share: u64) -> Result<JitterFile, E> {
                match share {
                    0 => self.visit_f64(0.0),
                    1 => self.visit_f64(1.0),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(share), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, share: i64) -> Result<JitterFile, E> {
                Err(E::invalid_value(Unexpected::Signed(share), &self))
            }
        }

        deserializer.deserialize_any(JitterVisitor)
    }
}

impl JsonSchema for JitterFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Jitter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "enum": ["none", "full", "equal", "decorrelated", true, false] },
                { "type": "number", "minimum": 0, "maximum": 1 },
            ],
        })
    }
}
