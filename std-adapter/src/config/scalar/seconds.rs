//! Times: `0.5` and `500ms`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

/// A time in a file: a bare number is seconds, a text has a unit.
///
/// | unit | `ns` | `us`, `µs` | `ms` | `s` | `m`, `min` | `h` | `d` |
/// |---|---|---|---|---|---|---|---|
/// | seconds | 1e-9 | 1e-6 | 1e-3 | 1 | 60 | 3 600 | 86 400 |
///
/// From 0 to [`Seconds::MAX`] in whole nanoseconds. `Display` is the shortest exact text in one
/// unit, and reads back as the same time.
///
/// ```
/// use std::time::Duration;
/// use crossbridge_std::config::Seconds;
///
/// assert_eq!(Seconds(Duration::from_millis(1_500)).to_string(), "1.5s");
/// assert_eq!(Seconds(Duration::from_secs(7_200)).to_string(), "2h");
/// assert_eq!("250ms".parse(), Ok(Seconds(Duration::from_millis(250))));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub Duration);

impl Seconds {
    /// The longest time a file may say: 100 years of 365 days.
    pub const MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    fn from_f64(seconds: f64) -> Option<Self> {
        let span = Duration::try_from_secs_f64(seconds).ok()?;
        let vanished = span.is_zero() && seconds > 0.0;
        (span <= Self::MAX && !vanished).then_some(Self(span))
    }
}

/// Why a text is no time. `Display` says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseSpanError {
    /// It does not begin with a number.
    NoNumber,
    /// There is no unit after the number.
    NoUnit,
    /// There is something else after the number.
    UnknownUnit,
    /// It is below zero.
    Negative,
    /// It is not zero, and shorter than a nanosecond.
    TooShort,
    /// It is longer than [`Seconds::MAX`].
    TooLong,
}

impl fmt::Display for ParseSpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => SHAPE,
            Self::NoUnit | Self::UnknownUnit => "a unit: `ns`, `us`, `ms`, `s`, `m`, `h` or `d`",
            Self::Negative | Self::TooShort | Self::TooLong => RANGE,
        })
    }
}

impl std::error::Error for ParseSpanError {}

const SHAPE: &str = "a time: a number of seconds, or text like `250ms`, `2s`, `5m`, `1h`";
const RANGE: &str = "a time, 0 or 1ns to 100 years";

/// Reads `250ms`, `1.5s`, `5m`. A number without a unit is refused here: in a file, bare numbers
/// are seconds and are no text.
///
/// # Errors
/// See [`ParseSpanError`].
pub fn parse_span(text: &str) -> Result<Duration, ParseSpanError> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return Err(ParseSpanError::NoNumber);
    }
    let unit: u64 = match unit.trim_start() {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" | "min" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "d" => 86_400 * SECOND,
        "" => return Err(ParseSpanError::NoUnit),
        _ => return Err(ParseSpanError::UnknownUnit),
    };
    let whole: u64 = whole.parse().map_err(|_| ParseSpanError::TooLong)?;
    let nanos = u128::from(whole) * u128::from(unit) + fraction_of(fraction, unit);
    if nanos > Seconds::MAX.as_nanos() {
        return Err(ParseSpanError::TooLong);
    }
    let any_digit = number.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    if nanos == 0 && any_digit {
        return Err(ParseSpanError::TooShort);
    }
    if negative && any_digit {
        return Err(ParseSpanError::Negative);
    }
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| ParseSpanError::TooLong)
}

const SECOND: u64 = 1_000_000_000;

/// `0.fraction` of `unit` nanoseconds, rounded down. A day has 14 digits of nanoseconds: digits
/// after the eighteenth add nothing.
fn fraction_of(fraction: &str, unit: u64) -> u128 {
    let digits = fraction.get(..18).unwrap_or(fraction);
    let scale = u32::try_from(digits.len()).unwrap_or(0);
    let value: u128 = digits.parse().unwrap_or(0);
    value * u128::from(unit) / 10_u128.pow(scale)
}

impl std::str::FromStr for Seconds {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        parse_span(text).map(Self)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let second = u128::from(SECOND);
        let (minute, hour, day) = (60 * second, 3_600 * second, 86_400 * second);
        // A window of a minute is one of `60s` for most people.
        for (unit, least, name) in [(day, day, "d"), (hour, hour, "h"), (minute, 2 * minute, "m")] {
            if nanos >= least && nanos.is_multiple_of(unit) {
                return write!(f, "{}{name}", nanos / unit);
            }
        }
        let (unit, name, digits) = match nanos {
            0 => return f.write_str("0s"),
            1..=999 => (1, "ns", 0),
            1_000..=999_999 => (1_000, "us", 3),
            1_000_000..=999_999_999 => (1_000_000, "ms", 6),
            _ => (second, "s", 9),
        };
        let fraction = format!("{:0digits$}", nanos % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction}{name}", nanos / unit)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "number", "minimum": 0, "maximum": Self::MAX.as_secs() },
                {
                    "type": "string",
                    "pattern": r"^\s*(-0|[0-9]+(\.[0-9]+)?)\s*(ns|us|µs|μs|ms|s|m|min|h|d)\s*$",
                },
            ],
            "description": "A time: a number of seconds, or text with a unit (ns, us, ms, s, m, h, d). \
                At most 100 years.",
            "examples": ["250ms", "2s", "5m", 30],
        })
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        let span = Duration::from_secs(seconds);
        if span > Seconds::MAX {
            return Err(E::invalid_value(Unexpected::Unsigned(seconds), &RANGE));
        }
        Ok(Seconds(span))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Seconds, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(seconds), &RANGE)),
        }
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        Seconds::from_f64(seconds).ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &RANGE))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
        parse_span(text)
            .map(Seconds)
            .map_err(|error| E::invalid_value(Unexpected::Str(text), &error.to_string().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_exactly() {
        for (text, nanos) in [
            ("0s", 0),
            ("10ns", 10),
            ("500us", 500_000),
            ("500µs", 500_000),
            ("250ms", 250_000_000),
            ("0.1s", 100_000_000),
            ("1.5s", 1_500_000_000),
            ("2 s", 2_000_000_000),
            ("5m", 300_000_000_000),
            ("1h", 3_600_000_000_000),
            ("0.5d", 43_200_000_000_000),
            ("36500d", 3_153_600_000_000_000_000),
        ] {
            assert_eq!(parse_span(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_for_its_reason() {
        use ParseSpanError::{Negative, NoNumber, NoUnit, TooLong, TooShort, UnknownUnit};
        for (text, reason) in [
            ("", NoNumber),
            ("ms", NoNumber),
            ("1.s", NoNumber),
            (".5s", NoNumber),
            ("1.2.3s", NoNumber),
            ("30", NoUnit),
            ("200 parsecs", UnknownUnit),
            ("1e3s", UnknownUnit),
            ("-1s", Negative),
            ("0.1ns", TooShort),
            ("36501d", TooLong),
            ("99999999999999999999s", TooLong),
            ("999999999999999d", TooLong),
        ] {
            assert_eq!(parse_span(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for nanos in [
            0,
            1,
            999,
            1_000,
            1_001,
            1_500_000,
            60_000_000_000,
            90_000_000_000,
            7_200_000_000_000,
        ] {
            let span = Seconds(Duration::from_nanos(nanos));
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
        let shown = |millis| Seconds(Duration::from_millis(millis)).to_string();
        assert_eq!(
            [
                shown(1),
                shown(1_500),
                shown(60_000),
                shown(90_000),
                shown(120_000),
                shown(172_800_000)
            ],
            ["1ms", "1.5s", "60s", "90s", "2m", "2d"]
        );
    }
}
