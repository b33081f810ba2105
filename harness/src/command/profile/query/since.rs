//! When `--since` is.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// A time, or so long before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Since {
    /// The time, if it is now `now`.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if let Some(at) = text
            .parse::<Date>()
            .ok()
            .and_then(|date| date.to_zoned(TimeZone::UTC).ok())
        {
            return Ok(Self::At(at.timestamp()));
        }
        text.parse::<Span>()
            .ok()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
            .filter(|span| !span.is_negative())
            .map(Self::Ago)
            .ok_or_else(|| "expected 7d, 12h, 30m, 2026-02-04 or 2026-02-04T10:00:00Z".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_dates_and_times() {
        let now: Timestamp = "2026-02-04T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7d", "2026-01-28T10:00:00Z"),
            ("2w", "2026-01-21T10:00:00Z"),
            ("1h30m", "2026-02-04T08:30:00Z"),
            ("2026-02-01", "2026-02-01T00:00:00Z"),
            ("2026-02-01T12:00:00+02:00", "2026-02-01T10:00:00Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.before(now).to_string(), expected, "{text}");
        }
        for bad in ["", "yesterday", "7", "-7d", "1 month", "2026-02-30"] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
        let ages: Since = "9999w".parse().unwrap();
        assert_eq!(ages.before(Timestamp::MIN), Timestamp::MIN);
    }
}
