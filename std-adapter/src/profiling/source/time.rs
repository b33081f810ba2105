//! Times in reports, as texts.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A point in time by its text in ISO 8601; the second value tells whether it came without a zone
/// and was taken as UTC.
pub(in crate::profiling) fn read(text: &str) -> Option<(Timestamp, bool)> {
    // To be refused costs a parser more than to read.
    let zoned = || text.parse::<Timestamp>().ok().map(|at| (at, false));
    let local = || {
        let local = text.parse::<DateTime>().ok()?;
        Some((TimeZone::UTC.to_timestamp(local).ok()?, true))
    };
    if has_zone(text) {
        zoned().or_else(local)
    } else {
        local()
    }
}

/// Whether anything after the date may be a zone.
fn has_zone(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_digit() || b"T :.,".contains(byte);
    !text
        .as_bytes()
        .get(DATE..)
        .is_none_or(|rest| rest.iter().all(plain))
}

/// Bytes of a date such as `2026-11-21`.
const DATE: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_a_zone() {
        for (text, utc, assumed) in [
            ("2026-11-21T16:53:04Z", "2026-11-21T16:53:04Z", false),
            ("2026-11-21T16:53:04.5+01:00", "2026-11-21T15:53:04.5Z", false),
            ("2026-11-21 16:53:04-01", "2026-11-21T17:53:04Z", false),
            ("20261121T165304Z", "2026-11-21T16:53:04Z", false),
            ("+002026-11-21T16:53:04Z", "2026-11-21T16:53:04Z", false),
            ("2026-11-21T16:53:04.123456", "2026-11-21T16:53:04.123456Z", true),
            ("2026-11-21T16:53:04,5", "2026-11-21T16:53:04.5Z", true),
            ("2026-11-21t16:53", "2026-11-21T16:53:00Z", true),
            ("+002026-11-21T16:53:04", "2026-11-21T16:53:04Z", true),
            ("2026-11-21", "2026-11-21T00:00:00Z", true),
        ] {
            assert_eq!(read(text), Some((utc.parse().unwrap(), assumed)), "{text}");
        }
        for text in ["", "then", "2026-11-21T25:00:00", "2026-11-21T16:53:04X"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
