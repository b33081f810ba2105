//! Reservations, changed quotas and snapshots of the limiter for one key.

use core::time::Duration;

use crossbridge_core::rate_limit::{Answer, RateLimiter, RateLimiterSnapshot};
use crossbridge_core::{Instant, Quota};
use proptest::prelude::*;

use crate::{any_nanos, any_span, check, log_uniform};

/// Every permit granted so far by the instant from which it may be used, in order.
struct Turns {
    capacity: u64,
    interval: u64,
    times: Vec<u64>,
}

impl Turns {
    /// The first instant, `now` or later, at which no interval holds more than `B + L / T`.
    fn turn(&self, now: u64, n: u64) -> u64 {
        let after = |(index, &start): (usize, &u64)| {
            let held = (self.times.len() - index) as u64 + n;
            start + held.saturating_sub(self.capacity) * self.interval
        };
        let earliest = self.times.iter().enumerate().map(after).max();
        // Behind whoever asked before.
        let last = self.times.last().copied();
        now.max(earliest.unwrap_or(0)).max(last.unwrap_or(0))
    }
}

fn quota_and_asks() -> impl Strategy<Value = (Quota, u64, Vec<(u64, u32, u64)>)> {
    let quota = (1..=6_u32, 1_024..50_000_u64);
    quota.prop_flat_map(|(capacity, interval)| {
        let window = Duration::from_nanos(interval * u64::from(capacity));
        let quota = Quota::new(capacity, window).unwrap();
        // Zero waits are plain requests.
        let wait = prop_oneof![Just(0), 0..interval * 10];
        let ask = (0..interval * 3, 0..=capacity + 1, wait);
        let asks = prop::collection::vec(ask, 1..60);
        (Just(quota), log_uniform(0, 1 << 60), asks)
    })
}

#[test]
fn whoever_asks_later_is_served_later_and_right_on_time() {
    check(400, quota_and_asks(), |(quota, start, asks)| {
        let interval = u64::try_from(quota.emission_interval().as_nanos()).unwrap();
        let mut limiter = RateLimiter::new(quota);
        let mut oracle = Turns {
            capacity: u64::from(quota.capacity()),
            interval,
            times: Vec::new(),
        };
        let mut now = start;
        for (gap, n, max_wait) in asks {
            now += gap;
            let at = Instant::from_nanos(now);
            let turn = oracle.turn(now, u64::from(n));
            let plain = limiter.would_grant(at, n);
            let wait = Duration::from_nanos(max_wait);
            let answer = limiter.clone().reserve(at, n, wait);
            if max_wait == 0 {
                assert_eq!(answer.is_ok(), plain == Answer::Granted);
                assert_eq!(answer.err(), Some(plain).filter(|a| *a != Answer::Granted));
            }
            let answer = limiter.reserve(at, n, wait);
            if n > quota.capacity() {
                assert_eq!((answer, plain), (Err(Answer::Never), Answer::Never));
            } else if n == 0 {
                assert_eq!(answer, Ok(at));
            } else if turn - now <= max_wait {
                assert_eq!(answer, Ok(Instant::from_nanos(turn)));
                oracle.times.extend((0..n).map(|_| turn));
            } else {
                let promised = Instant::from_nanos(turn - max_wait);
                assert_eq!(answer, Err(Answer::NotBefore(promised)));
                let early = Instant::from_nanos(promised.as_nanos() - 1);
                assert!(limiter.clone().reserve(early, n, wait).is_err());
                assert_eq!(
                    limiter.clone().reserve(promised, n, wait),
                    Ok(Instant::from_nanos(turn))
                );
            }
            if let Answer::NotBefore(next) = limiter.would_grant(at, 1) {
                assert_eq!(
                    next.as_nanos(),
                    oracle.turn(now, 1),
                    "a plain request waits its turn"
                );
            }
        }
    });
}

/// A step back locks for one refill and one wait, and the instants that were given out stand.
#[test]
fn a_step_back_forgets_no_reservation_and_locks_nobody() {
    let inputs = (
        1..20_u32,
        1..30_u32,
        log_uniform(0, 1 << 60),
        log_uniform(0, 1 << 60),
    );
    check(300, inputs, |(capacity, reserved, before, step)| {
        let quota = Quota::per_minute(capacity).unwrap();
        let mut limiter = RateLimiter::new(quota);
        let start = Instant::from_nanos(before);
        let wait = Duration::from_secs(600);
        let last = (0..capacity + reserved).filter_map(|_| limiter.reserve(start, 1, wait).ok());
        let furthest = last.last().unwrap().saturating_duration_since(start);
        let now = Instant::from_nanos(before.saturating_sub(step));
        let Answer::NotBefore(at) = limiter.check(now, 1) else {
            panic!("a reservation was forgotten");
        };
        let locked = at.saturating_duration_since(now);
        assert!(locked >= furthest, "in front of a reservation: {locked:?}");
        assert!(locked <= furthest + quota.refill_time(), "locked for {locked:?}");
        assert_eq!(limiter.check(at, 1), Answer::Granted);
    });
}

#[test]
fn a_changed_quota_keeps_the_used_fraction() {
    let inputs = (
        (1..1_000_u32, any_span(1_000_000, 1 << 50)),
        (1..1_000_u32, any_span(1_000_000, 1 << 50)),
        0..=1_000_u32,
        log_uniform(0, 1 << 59),
    );
    check(400, inputs, |(old, new, share, now)| {
        let old = Quota::new(old.0, old.1).unwrap();
        let new = Quota::new(new.0, new.1).unwrap();
        let now = Instant::from_nanos(now);
        let used = u64::from(old.capacity()) * u64::from(share) / 1_000;
        let mut limiter = RateLimiter::new(old);
        assert_eq!(limiter.check(now, u32::try_from(used).unwrap()), Answer::Granted);
        limiter.set_quota(now, new);
        assert_eq!(limiter.quota(), new);
        // Rounded towards used.
        let left = u64::from(old.capacity()) - used;
        let expected = u64::from(new.capacity()) * left / u64::from(old.capacity());
        let found = u64::from(limiter.remaining(now));
        assert!(
            found == expected || found + 1 == expected,
            "{found} of {expected}"
        );
        if used == 0 || left == 0 {
            assert_eq!(found, expected);
        }
    });
}

#[test]
fn a_changed_quota_keeps_the_turns_that_were_given() {
    let second = |n: u64| Instant::from_nanos(n * 1_000_000_000);
    let wait = Duration::from_secs(60);
    let mut limiter = RateLimiter::new(Quota::per_second(1).unwrap());
    for turn in 0..=5 {
        assert_eq!(limiter.reserve(second(0), 1, wait), Ok(second(turn)));
    }
    limiter.set_quota(second(0), Quota::new(1, Duration::from_secs(3)).unwrap());
    assert_eq!(limiter.reserve(second(0), 1, wait), Ok(second(8)));
    limiter.set_quota(second(0), Quota::UNLIMITED);
    assert_eq!(limiter.check(second(0), u32::MAX), Answer::Granted);
    limiter.set_quota(second(0), Quota::per_second(1).unwrap());
    assert_eq!(limiter.check(second(0), 1), Answer::Granted);
}

/// Any numbers: refused with a reason, or a limiter that panics at nothing and goes on exactly.
#[test]
fn any_snapshot_is_refused_or_goes_on() {
    let odd = (
        0..3_u32,
        log_uniform(0, u64::from(u32::MAX)),
        any_nanos(),
        0..6_u32,
    );
    let state = (any_nanos(), any_nanos());
    let asks = prop::collection::vec((any_nanos(), any::<u32>(), any_span(0, u64::MAX)), 1..20);
    check(600, (odd, state, asks), |(odd, (owed, ahead), asks)| {
        let snapshot = RateLimiterSnapshot {
            version: odd.0,
            capacity: u32::try_from(odd.1).unwrap(),
            interval: odd.2,
            shift: odd.3,
            owed,
            ahead,
        };
        let quota = Quota::per_second(3).unwrap().burst(1_000).unwrap();
        let Ok(other) = RateLimiter::restore(quota, &snapshot, Instant::ZERO) else {
            return;
        };
        assert_eq!(snapshot.version, 1);
        assert!(other.remaining(Instant::ZERO) <= 1_000);
        let mut limiter = other;
        for (now, n, wait) in asks {
            let now = Instant::from_nanos(now);
            let kept = limiter.snapshot(now);
            let mut twin = RateLimiter::restore(limiter.quota(), &kept, now).unwrap();
            assert_eq!(limiter.reserve(now, n, wait), twin.reserve(now, n, wait));
            let n = n % limiter.quota().capacity();
            if let Ok(turn) = limiter.reserve(now, n, wait) {
                assert!(turn >= now && turn.saturating_duration_since(now) <= wait);
            }
            if let Answer::NotBefore(at) = limiter.check(now, n) {
                assert_eq!(limiter.check(at, n), Answer::Granted);
            }
            limiter.give_back(now.saturating_add(wait), now, n);
            assert!(limiter.full_at(now) >= now);
            assert!(limiter.remaining(now) <= limiter.quota().capacity());
            let capacity = n % 1_000 + 1;
            twin.set_quota(now, Quota::per_minute(capacity).unwrap());
            assert!(twin.remaining(now) <= capacity);
        }
    });
}

#[test]
fn a_restored_limiter_goes_on_under_another_clock() {
    let inputs = (
        log_uniform(1, u64::from(u32::MAX)),
        log_uniform(1, 36_500 * crate::A_DAY),
        (log_uniform(0, 1 << 58), log_uniform(0, 1 << 58)),
        prop::collection::vec((log_uniform(0, 1 << 50), 0..=1_100_u64, any::<bool>()), 1..20),
    );
    check(500, inputs, |(capacity, window, (here, there), asks)| {
        let window = window
            .max(capacity.saturating_mul(100))
            .min(36_500 * crate::A_DAY);
        let quota = Quota::new(u32::try_from(capacity).unwrap(), Duration::from_nanos(window)).unwrap();
        let mut limiter = RateLimiter::new(quota);
        let (mut here, mut there) = (Instant::from_nanos(here), Instant::from_nanos(there));
        let mut restored = RateLimiter::restore(quota, &limiter.snapshot(here), there).unwrap();
        for (gap, share, again) in asks {
            here = here.saturating_add(Duration::from_nanos(gap));
            there = there.saturating_add(Duration::from_nanos(gap));
            let n = u32::try_from(capacity * share / 1_000).unwrap_or(u32::MAX);
            let wait = Duration::from_nanos(window / 3);
            let turn = |found: Result<Instant, Answer>, now: Instant| match found {
                Ok(at) | Err(Answer::NotBefore(at)) => Some(at.saturating_duration_since(now)),
                Err(Answer::Never | Answer::Granted) => None,
            };
            let (a, b) = (limiter.reserve(here, n, wait), restored.reserve(there, n, wait));
            assert_eq!((a.is_ok(), turn(a, here)), (b.is_ok(), turn(b, there)));
            assert_eq!(limiter.remaining(here), restored.remaining(there));
            assert_eq!(limiter.snapshot(here), restored.snapshot(there));
            if again {
                restored = RateLimiter::restore(quota, &limiter.snapshot(here), there).unwrap();
            }
        }
    });
    let unlimited = RateLimiter::new(Quota::UNLIMITED).snapshot(Instant::ZERO);
    assert!(RateLimiter::restore(Quota::UNLIMITED, &unlimited, Instant::MAX).is_ok());
}

/// What was given back late lets nobody through above the quota: used grants alone, in a list.
#[test]
fn giving_back_never_admits_above_the_quota() {
    let ask = (0..40_u64, any::<bool>(), 0..30_u64);
    let asks = prop::collection::vec(ask, 1..80);
    check(400, (1..4_u32, asks), |(capacity, asks)| {
        let interval = 10_000;
        let quota = Quota::new(capacity, Duration::from_nanos(interval * u64::from(capacity))).unwrap();
        let mut limiter = RateLimiter::new(quota);
        let (mut now, mut used, mut held) = (0, Vec::new(), Vec::<(u64, u64)>::new());
        for (gap, keep, hold) in asks {
            now += gap * 500;
            held.retain(|&(taken, until)| {
                if until <= now {
                    limiter.give_back(Instant::from_nanos(now), Instant::from_nanos(taken), 1);
                }
                until > now
            });
            while limiter.check(Instant::from_nanos(now), 1) == Answer::Granted {
                if keep {
                    used.push(now);
                } else {
                    held.push((now, now + hold * 500));
                    break;
                }
            }
        }
        for (index, &from) in used.iter().enumerate() {
            for (count, &to) in used[index..].iter().enumerate() {
                let allowed = u64::from(capacity) + (to - from) / interval;
                assert!((count as u64) < allowed, "{from} to {to}");
            }
        }
    });
}
