//! Rates: `5/s`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

/// So many per second, minute, hour or day: `5/s`, `300/min`, `0.5/h`. More than nothing, in steps of
/// a thousandth, at most 1 000 000 000 000 per unit.
///
/// ```
/// use std::time::Duration;
/// use crossbridge_std::config::Rate;
///
/// let rate: Rate = "300/min".parse()?;
/// assert_eq!(rate.interval(), Duration::from_millis(200));
/// assert_eq!(rate.per_second(), 5.0);
/// # Ok::<(), crossbridge_std::config::ParseRateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Thousandths of an event, at least 1.
    millis: u64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

impl Unit {
    const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

impl Rate {
    /// The mean time between two, rounded down to a nanosecond; at least one.
    #[must_use]
    pub fn interval(self) -> Duration {
        let nanos = u128::from(self.unit.seconds()) * 1_000_000_000 * 1_000 / u128::from(self.millis);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
    }

    /// Events per second, to the nearest `f64`.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.millis as f64 / (1_000 * self.unit.seconds()) as f64
    }
}

/// A text that is no rate. `Display` says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseRateError;

impl fmt::Display for ParseRateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate above 0, like `5/s`, `300/min`, `2/h`")
    }
}

impl std::error::Error for ParseRateError {}

const MOST: u64 = 1_000_000_000_000;

impl std::str::FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let (count, unit) = text.split_once('/').ok_or(ParseRateError)?;
        let unit = match unit.trim() {
            "s" | "sec" | "second" => Unit::Second,
            "m" | "min" | "minute" => Unit::Minute,
            "h" | "hour" => Unit::Hour,
            "d" | "day" => Unit::Day,
            _ => return Err(ParseRateError),
        };
        let count = count.trim();
        let (whole, fraction) = count.split_once('.').unwrap_or((count, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
            return Err(ParseRateError);
        }
        let whole: u64 = whole.parse().map_err(|_| ParseRateError)?;
        let fraction: u64 = format!("{fraction:0<3}").parse().map_err(|_| ParseRateError)?;
        if whole > MOST || (whole, fraction) == (0, 0) {
            return Err(ParseRateError);
        }
        Ok(Self {
            millis: whole * 1_000 + fraction,
            unit,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.millis / 1_000)?;
        match self.millis % 1_000 {
            0 => {}
            rest => write!(f, ".{}", format!("{rest:03}").trim_end_matches('0'))?,
        }
        f.write_str(match self.unit {
            Unit::Second => "/s",
            Unit::Minute => "/min",
            Unit::Hour => "/h",
            Unit::Day => "/d",
        })
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*[0-9]+(\.[0-9]{1,3})?\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)\s*$",
            "description": "A rate above 0, per second, minute, hour or day.",
            "examples": ["5/s", "300/min", "0.5/h"],
        })
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ParseRateError}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        text.parse()
            .map_err(|_: ParseRateError| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Seconds;
    use super::*;

    #[test]
    fn rates_read_and_show_the_same() {
        for (text, nanos) in [
            ("5/s", 200_000_000),
            ("300/min", 200_000_000),
            ("2/h", 1_800_000_000_000),
            ("0.5/s", 2_000_000_000),
            ("1/d", 86_400_000_000_000),
            ("1000000000000/s", 1),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), Duration::from_nanos(nanos), "{text}");
            assert_eq!(rate.to_string(), text);
        }
        for text in [
            "",
            "5",
            "/s",
            "0/s",
            "-1/s",
            "5/parsec",
            "1e3/s",
            "0.0001/s",
            "5 / s / s",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(ParseRateError), "{text}");
        }
    }

    #[test]
    fn the_longest_interval_is_within_the_range_of_times() {
        let slowest: Rate = "0.001/d".parse().unwrap();
        assert!(slowest.interval() <= Seconds::MAX);
    }
}
