//! The limiter against a list of grant times.
//!
//! A bucket of `B` permits that gets one back every `T` grants `n` more at `now` when no interval
//! that ends now would hold more than `B + floor(L / T)`. That sentence is the whole oracle.

use core::time::Duration;

use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{Instant, Quota};
use proptest::prelude::*;

use crate::check;

/// Every permit granted so far, by its instant.
struct GrantTimes {
    capacity: u64,
    interval: u64,
    times: Vec<u64>,
}

impl GrantTimes {
    fn new(quota: Quota) -> Self {
        let interval = u64::try_from(quota.emission_interval().as_nanos()).expect("at most a century");
        Self {
            capacity: u64::from(quota.capacity()),
            interval,
            times: Vec::new(),
        }
    }

    fn would_grant(&self, now: u64, n: u64) -> bool {
        let fits = |(index, &start): (usize, &u64)| {
            let granted = (self.times.len() - index) as u64;
            granted + n <= self.capacity + (now - start) / self.interval
        };
        n == 0 || (n <= self.capacity && self.times.iter().enumerate().all(fits))
    }

    fn grant(&mut self, now: u64, n: u64) {
        self.times.extend((0..n).map(|_| now));
    }

    /// As if the last `n` had never been granted.
    fn refund(&mut self, n: u64) {
        let left = self.times.len().saturating_sub(usize::try_from(n).unwrap());
        self.times.truncate(left);
    }

    fn remaining(&self, now: u64) -> u64 {
        (0..=self.capacity)
            .rev()
            .find(|&n| self.would_grant(now, n))
            .unwrap()
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Lets this much time pass.
    Wait(u64),
    /// Lets so many intervals pass, give or take a nanosecond.
    WaitIntervals(u64, i64),
    Check(u32),
    Refund(u32),
}

fn ops(capacity: u32) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (0..3_000_u64).prop_map(Op::Wait),
        (0..8_u64, -1..=1_i64).prop_map(|(n, off)| Op::WaitIntervals(n, off)),
        (0..=capacity + 2).prop_map(Op::Check),
        (0..=1_u32).prop_map(Op::Check),
        (0..=1_u32).prop_map(Op::Check),
        (0..=2_u32).prop_map(Op::Refund),
    ];
    prop::collection::vec(op, 1..60)
}

/// Quotas whose interval is a whole number of nanoseconds, so that the oracle's is the same.
fn quota_and_ops() -> impl Strategy<Value = (Quota, Vec<Op>, u64)> {
    (1..=12_u32, 1_024..200_000_u64, 1..=12_u32).prop_flat_map(|(capacity, interval, burst)| {
        let window = Duration::from_nanos(interval * u64::from(capacity) - u64::from(capacity) / 2);
        let quota = Quota::new(capacity, window).unwrap().burst(burst).unwrap();
        (Just(quota), ops(burst), crate::log_uniform(0, 1 << 62))
    })
}

#[test]
fn grants_what_a_list_of_grant_times_allows() {
    check(400, quota_and_ops(), |(quota, ops, start)| {
        let mut limiter = RateLimiter::new(quota);
        let mut oracle = GrantTimes::new(quota);
        let mut now = start;
        for op in ops {
            match op {
                Op::Wait(span) => now += span,
                Op::WaitIntervals(n, off) => now += (n * oracle.interval).saturating_add_signed(off),
                Op::Refund(n) => {
                    limiter.refund(n);
                    oracle.refund(u64::from(n));
                }
                Op::Check(n) => {
                    let count = u64::from(n);
                    let at = Instant::from_nanos(now);
                    let would = limiter.would_grant(at, n);
                    let answer = limiter.check(at, n);
                    assert_eq!(would, answer, "a question is answered like the request");
                    match answer {
                        Answer::Granted => {
                            assert!(oracle.would_grant(now, count), "{n} too many at {now}");
                            oracle.grant(now, count);
                        }
                        Answer::NotBefore(at) => {
                            let at = at.as_nanos();
                            assert!(!oracle.would_grant(now, count), "{n} refused at {now}");
                            assert!(!oracle.would_grant(at - 1, count), "{n} promised late, for {at}");
                            assert!(oracle.would_grant(at, count), "{n} promised early, for {at}");
                        }
                        Answer::Never => assert!(count > oracle.capacity),
                    }
                }
            }
            let remaining = limiter.remaining(Instant::from_nanos(now));
            assert_eq!(u64::from(remaining), oracle.remaining(now), "remaining at {now}");
        }
    });
}

/// Any rate up to ten million a second, with any burst, and how it was asked for.
fn any_quota() -> impl Strategy<Value = (Quota, u128, u128)> {
    let capacity = crate::log_uniform(1, 1 << 20);
    let gap = crate::log_uniform(100, 1 << 40);
    (capacity, gap, 0..1_000_u64, 1..50_u32).prop_map(|(capacity, gap, odd, burst)| {
        let window = capacity * gap + odd;
        let quota = Quota::new(u32::try_from(capacity).unwrap(), Duration::from_nanos(window)).unwrap();
        let quota = quota.burst(burst).unwrap();
        (quota, u128::from(capacity), u128::from(window))
    })
}

/// The semantics' formula with the exact `T = W / B`, over every interval between two grants.
#[test]
fn no_interval_holds_more_than_burst_plus_rate() {
    let asks = prop::collection::vec((0..4_u64, 0..1_000_u64, 1..4_u32), 1..150);
    check(300, (any_quota(), asks), |((quota, capacity, window), asks)| {
        let mut limiter = RateLimiter::new(quota);
        let interval = u64::try_from(quota.emission_interval().as_nanos()).unwrap();
        let mut now = 0;
        let mut granted: Vec<(u128, u128)> = Vec::new();
        for (intervals, thousandths, n) in asks {
            now += intervals * interval
                + u64::try_from(u128::from(interval) * u128::from(thousandths) / 1_000).unwrap();
            if limiter.check(Instant::from_nanos(now), n) == Answer::Granted {
                granted.push((u128::from(now), u128::from(n)));
            }
        }
        for (first, &(from, _)) in granted.iter().enumerate() {
            let mut sum = 0;
            for &(to, n) in &granted[first..] {
                sum += n;
                let allowed = u128::from(quota.capacity()) + (to - from) * capacity / window;
                assert!(sum <= allowed, "{sum} in {} ns, at most {allowed}", to - from);
            }
        }
    });
}

/// Rates from one a day to ten million a second: permits a window, and the window.
const RATES: [(u32, u64); 14] = [
    (1, 86_400_000_000_000),
    (7, 86_400_000_000_000),
    (1_000_000, 86_400_000_000_000),
    (30, 60_000_000_000),
    (1, 1_000_000_000),
    (3, 1_000_000_000),
    (999, 1_000_000_000),
    (60_000, 1_000_000_000),
    (976_563, 1_000_000_000),
    (1_000_000, 1_000_000_000),
    (1_234_567, 1_000_000_000),
    (3_000_000, 1_000_000_000),
    (9_999_999, 1_000_000_000),
    (10_000_000, 1_000_000_000),
];

/// With a burst of two at least: a single permit that comes free between two nanoseconds cannot be
/// taken before the later one, and the next one is counted from there.
#[test]
fn delivers_the_quota_within_a_thousandth_however_often_it_is_polled() {
    let polls = prop::collection::vec(0..1_000_u64, 0..4);
    check(60, (0..RATES.len(), 2..100_u32, polls), |(rate, burst, polls)| {
        let (capacity, window) = RATES[rate];
        let quota = Quota::new(capacity, Duration::from_nanos(window)).unwrap();
        let mut limiter = RateLimiter::new(quota.burst(burst).unwrap());
        let mut now = Instant::ZERO;
        assert_eq!(limiter.check(now, burst), Answer::Granted);
        // Long enough for a rounding of a sixteenth of a nanosecond to show.
        let permits = 2_000_u64;
        for _ in 0..permits {
            let Answer::NotBefore(next) = limiter.check(now, 1) else {
                panic!("one permit too many at {now:?}");
            };
            // Asking in between, however often, neither speeds it up nor slows it down.
            let wait = next.as_nanos() - now.as_nanos();
            for thousandths in &polls {
                let early = now.as_nanos() + wait * thousandths / 1_000;
                assert_eq!(
                    limiter.check(Instant::from_nanos(early), 1),
                    Answer::NotBefore(next)
                );
            }
            now = next;
            assert_eq!(limiter.check(now, 1), Answer::Granted);
        }
        let elapsed = u128::from(now.as_nanos()) * u128::from(capacity);
        let exact = u128::from(permits) * u128::from(window);
        assert!(elapsed >= exact, "{quota:?} is faster than its quota");
        assert!(
            elapsed * 1_000 <= exact * 1_001 + 1_000 * u128::from(capacity),
            "{quota:?} is too slow"
        );
    });
}
