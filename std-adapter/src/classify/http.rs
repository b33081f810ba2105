//! HTTP status and `Retry-After` into [`FaultKind`] and a wait.

use std::time::Duration;

use crossbridge_core::FaultKind;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// What kind of failure an HTTP status is, `None` when it is none (below 400).
///
/// `retryable` are the statuses that the configuration says to retry, `retry_after` is whether the
/// answer named a wait.
///
/// | status | kind | why |
/// |---|---|---|
/// | listed, 429 | throttled | the server asks for less |
/// | listed, 503 with `Retry-After` | throttled | the same, said otherwise |
/// | listed, any other | transient | the server could not do it just now |
/// | not listed, 501 and 505 | permanent | the server does not do that at all |
/// | not listed, other 5xx | overloaded | not to be retried, yet the server's trouble, not the request's |
/// | not listed, any other | permanent | about the request |
///
/// ```
/// use crossbridge_core::FaultKind;
/// use crossbridge_std::classify::http::status_kind;
///
/// let retryable = [429, 500, 502, 503, 504];
/// assert_eq!(status_kind(204, &retryable, false), None);
/// assert_eq!(status_kind(503, &retryable, true), Some(FaultKind::Throttled));
/// assert_eq!(status_kind(404, &retryable, false), Some(FaultKind::Permanent));
/// ```
#[must_use]
pub fn status_kind(status: u16, retryable: &[u16], retry_after: bool) -> Option<FaultKind> {
    if status < 400 {
        return None;
    }
    Some(match (retryable.contains(&status), status) {
        (true, 429) => FaultKind::Throttled,
        (true, 503) if retry_after => FaultKind::Throttled,
        (true, _) => FaultKind::Transient,
        (false, 501 | 505) => FaultKind::Permanent,
        (false, 500..=599) => FaultKind::Overloaded,
        (false, _) => FaultKind::Permanent,
    })
}

/// The wait that a `Retry-After` asks for: whole seconds, or a date (RFC 9110, section 10.2.3).
///
/// A date is measured from `now`, the wall clock when the answer came; one that has passed asks for
/// no wait. The three forms of a date that HTTP has are read. More than `u64` seconds count as
/// `u64::MAX`; the caller bounds the wait anyway. Anything else is `None`, as if not sent.
///
/// ```
/// use std::time::Duration;
/// use crossbridge_std::classify::http::retry_after;
///
/// let now: jiff::Timestamp = "1994-11-06T08:49:00Z".parse()?;
/// assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(37)));
/// assert_eq!(retry_after("soon", now), None);
/// # Ok::<(), jiff::Error>(())
/// ```
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = http_date(value)?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// A date as HTTP writes it, or wrote it once (RFC 9110, section 5.6.7).
fn http_date(value: &str) -> Option<Timestamp> {
    if let Ok(at) = rfc2822::DateTimeParser::new().parse_timestamp(value) {
        return Some(at);
    }
    // RFC 850, and what `asctime` prints; both are in UTC. `%y` reads 69 to 99 as the last century.
    let local = DateTime::strptime("%A, %d-%b-%y %H:%M:%S GMT", value)
        .or_else(|_| DateTime::strptime("%a %b %e %H:%M:%S %Y", value))
        .ok()?;
    TimeZone::UTC.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn statuses() {
        let kind = |status| status_kind(status, &[429, 503, 504], false);
        assert_eq!(kind(200), None);
        assert_eq!(kind(304), None);
        assert_eq!(kind(400), Some(FaultKind::Permanent));
        assert_eq!(kind(429), Some(FaultKind::Throttled));
        assert_eq!(kind(503), Some(FaultKind::Transient));
        assert_eq!(kind(504), Some(FaultKind::Transient));
        assert_eq!(kind(500), Some(FaultKind::Overloaded));
        assert_eq!(kind(501), Some(FaultKind::Permanent));
        assert_eq!(kind(600), Some(FaultKind::Permanent));
        assert_eq!(status_kind(429, &[], true), Some(FaultKind::Permanent));
        assert_eq!(status_kind(503, &[503], true), Some(FaultKind::Throttled));
    }

    #[test]
    fn seconds() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(retry_after("0", now), Some(Duration::ZERO));
        assert_eq!(retry_after(" 7\t", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("99999999999999999999999", now),
            Some(Duration::from_secs(u64::MAX))
        );
        for bad in ["", "-1", "+1", "1.5", "1e3", "tomorrow", "１"] {
            assert_eq!(retry_after(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn the_three_forms_of_a_date() {
        let now = at("1994-11-06T08:49:07Z");
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(retry_after(date, now), Some(Duration::from_secs(30)), "{date}");
            assert_eq!(
                retry_after(date, at("2026-01-01T00:00:00Z")),
                Some(Duration::ZERO),
                "{date}"
            );
        }
        assert_eq!(
            retry_after("Mon, 06 Nov 1994 08:49:37 GMT", now),
            None,
            "a Sunday"
        );
    }
}
