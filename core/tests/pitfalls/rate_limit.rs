//! Limiters that wrap, over-admit or starve.

use core::time::Duration;

use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{Instant, Quota};

const A_DAY: Duration = Duration::from_secs(86_400);

/// governor with one a day and a burst of 10 admits `check_n(213505)`: the product wraps.
#[test]
fn check_n_beyond_burst_never_wraps() {
    let quota = Quota::new(1, A_DAY).unwrap().burst(10).unwrap();
    let mut limiter = RateLimiter::new(quota);
    for n in [11, 213_503, 213_504, 213_505, 213_506, 1 << 31, u32::MAX] {
        assert_eq!(limiter.check(Instant::ZERO, n), Answer::Never, "{n}");
    }
    assert_eq!(limiter.check(Instant::ZERO, 10), Answer::Granted);
    let tomorrow = Instant::ZERO.saturating_add(A_DAY);
    assert_eq!(limiter.check(Instant::ZERO, 1), Answer::NotBefore(tomorrow));
}

/// governor admits 145 984 of a burst of a million a day: the whole bucket's time wraps.
#[test]
fn a_million_a_day_admits_no_more_than_its_burst() {
    let mut limiter = RateLimiter::new(Quota::new(1_000_000, A_DAY).unwrap());
    let granted = (0..1_100_000).filter(|_| limiter.check(Instant::ZERO, 1) == Answer::Granted);
    assert_eq!(granted.count(), 1_000_000);

    // A million days of burst do not fit into the clock; the most that does is admitted exactly.
    let one_a_day = Quota::new(1, A_DAY).unwrap();
    assert!(one_a_day.burst(1_000_000).is_err());
    let mut limiter = RateLimiter::new(one_a_day.burst(36_500).unwrap());
    assert_eq!(limiter.check(Instant::ZERO, 36_500), Answer::Granted);
    assert_ne!(limiter.check(Instant::ZERO, 1), Answer::Granted);
}

/// `ratelimit` delivers 0.54 a second: what a poll finds of the next token is rounded away.
#[test]
fn one_a_second_polled_every_1_9_us_delivers_one_a_second() {
    let mut limiter = RateLimiter::new(Quota::per_second(1).unwrap());
    let polls = (0..3_100_000_000).step_by(1_900).map(Instant::from_nanos);
    let granted: Vec<Instant> = polls
        .filter(|&now| limiter.check(now, 1) == Answer::Granted)
        .collect();
    assert_eq!(
        granted.len(),
        4,
        "the first at once, then one a second: {granted:?}"
    );
}

/// governor admits 1.67 times a quota of 600 million a second; ours ends where it can be kept.
#[test]
fn a_quota_too_fast_to_be_kept_is_refused() {
    assert!(Quota::per_second(Quota::MAX_PER_SECOND).is_ok());
    assert!(Quota::per_second(Quota::MAX_PER_SECOND + 1).is_err());
    assert!(Quota::per_second(600_000_000).is_err());
    assert!(Quota::new(1, Duration::from_nanos(99)).is_err());
    assert!(Quota::new(0, A_DAY).is_err());
    assert!(Quota::new(1, Duration::ZERO).is_err());
    assert!(Quota::new(1, Duration::MAX).is_err());
}

#[test]
fn asking_for_nothing_changes_nothing() {
    let mut limiter = RateLimiter::new(Quota::per_minute(2).unwrap());
    assert_eq!(limiter.check(Instant::ZERO, 2), Answer::Granted);
    let before = limiter.clone();
    for now in [Instant::ZERO, Instant::from_nanos(7), Instant::MAX] {
        assert_eq!(limiter.check(now, 0), Answer::Granted);
    }
    assert_eq!(limiter, before);
}
