//! Shares: `0.25` is a quarter.

use std::borrow::Cow;
use std::fmt;

use crossbridge_core::PerMille;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// A share from 0 to 1, in steps of a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(PerMille);

impl Share {
    /// The share `number` stands for, rounded to the nearest thousandth. `None` below 0, above 1
    /// and for what would be rounded to nothing.
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&number) {
            return None;
        }
        // Between 0 and 1000.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let thousandths = (number * 1_000.0).round() as u16;
        if thousandths == 0 && number > 0.0 {
            return None;
        }
        PerMille::new(thousandths).ok().map(Self)
    }

    /// The share in thousandths.
    #[must_use]
    pub const fn per_mille(self) -> PerMille {
        self.0
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(ShareVisitor)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

struct ShareVisitor;

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share, 0 or 0.001 to 1")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Share, E> {
        Share::from_f64(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Share, E> {
        match number {
            0 => Ok(Share(PerMille::ZERO)),
            1 => Ok(Share(PerMille::ALL)),
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Share, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}
