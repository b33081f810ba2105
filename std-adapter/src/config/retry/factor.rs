//! `exponential_base:` of a policy.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// What each delay is multiplied by, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor(pub(super) u32);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FactorVisitor;

        impl Visitor<'_> for FactorVisitor {
            type Value = Factor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, 1 to 100")
            }

            fn visit_f64<E: de::Error>(self, factor: f64) -> Result<Factor, E> {
                if !(1.0..=100.0).contains(&factor) {
                    return Err(E::invalid_value(Unexpected::Float(factor), &self));
                }
                // Between 1 000 and 100 000.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let permille = (factor * 1_000.0).round() as u32;
                Ok(Factor(permille))
            }

            fn visit_u64<E: de::Error>(self, factor: u64) -> Result<Factor, E> {
                match u32::try_from(factor) {
                    Ok(factor @ 1..=100) => Ok(Factor(factor * 1_000)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(factor), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, factor: i64) -> Result<Factor, E> {
                Err(E::invalid_value(Unexpected::Signed(factor), &self))
            }
        }

        deserializer.deserialize_f64(FactorVisitor)
    }
}

impl JsonSchema for Factor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Factor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 1, "maximum": 100 })
    }
}
