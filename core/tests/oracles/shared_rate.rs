//! The shared limiter: alone it answers like the exclusive one, together it never grants more.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::thread;

use crossbridge_core::rate_limit::{Answer, RateLimiter, SharedRateLimiter};
use crossbridge_core::{Clock, Instant, Quota};
use proptest::prelude::*;

use crate::{any_nanos, check, log_uniform};

/// A clock that every reading moves on, so that threads disagree about the time.
pub(crate) struct Ticking {
    now: AtomicU64,
    step: u64,
}

impl Ticking {
    pub(crate) const fn new(step: u64) -> Self {
        Self {
            now: AtomicU64::new(0),
            step,
        }
    }
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.now.fetch_add(self.step, Ordering::Relaxed))
    }
}

/// No interval holds more than `B + floor(L / T)` of these.
pub(crate) fn assert_conforms(mut grants: Vec<u64>, capacity: u64, interval: u64) {
    grants.sort_unstable();
    // The least room over all intervals that end here, kept as a running bucket of exact size.
    let mut tat = 0_u64;
    for now in grants {
        tat = tat.max(now) + interval;
        assert!(tat - now <= capacity * interval, "too many at {now}");
    }
}

#[test]
fn alone_it_answers_like_the_exclusive_one() {
    let op = (0..5_u8, 0..20_u64, 0..6_u32);
    let inputs = (
        1..6_u32,
        log_uniform(0, 1 << 60),
        prop::collection::vec(op, 1..80),
    );
    check(300, inputs, |(capacity, start, ops)| {
        let quota = Quota::new(capacity, Duration::from_micros(u64::from(capacity) * 10)).unwrap();
        let mut one = RateLimiter::new(quota);
        let shared = SharedRateLimiter::new(quota);
        let mut now = start;
        for (what, gap, n) in ops {
            now += gap * 1_000;
            let at = Instant::from_nanos(now);
            match what {
                0 => {
                    let until = Instant::from_nanos(now + u64::from(n) * 10_000);
                    one.on_throttled(at, until);
                    shared.on_throttled(at, until);
                }
                1 => {
                    let receipt = shared.take(at, n);
                    assert_eq!(receipt.is_ok(), one.check(at, n) == Answer::Granted);
                    if let Ok(receipt) = receipt {
                        assert_eq!(receipt.permits(), n);
                        let clock = Ticking {
                            now: AtomicU64::new(now),
                            step: 0,
                        };
                        shared.refund(receipt, &clock);
                        one.give_back(at, at, n);
                    }
                }
                _ => {
                    assert_eq!(shared.would_grant(at, n), one.would_grant(at, n));
                    assert_eq!(shared.check(at, n), one.check(at, n));
                }
            }
            assert_eq!(shared.remaining(at), one.remaining(at));
            assert_eq!(shared.full_at(at), one.full_at(at));
        }
    });
}

#[test]
fn shared_never_exceeds_quota_under_threads() {
    for (capacity, step) in [(1, 3), (3, 100), (50, 1), (7, 2_000)] {
        let interval = 1_100;
        let quota = Quota::new(capacity, Duration::from_nanos(interval * u64::from(capacity))).unwrap();
        let limiter = SharedRateLimiter::new(quota);
        let clock = Ticking::new(step);
        let ask = || {
            let (mut used, mut given_back) = (Vec::new(), 0);
            for turn in 0..5_000 {
                let now = clock.now();
                match limiter.take(now, 1) {
                    Ok(receipt) if turn % 3 == 0 => {
                        limiter.refund(receipt, &clock);
                        given_back += 1;
                    }
                    Ok(_) => used.push(now.as_nanos()),
                    Err(Answer::NotBefore(at)) => assert!(at > now),
                    Err(other) => panic!("{other:?}"),
                }
            }
            (used, given_back)
        };
        let (used, given_back) = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().fold((Vec::new(), 0), |mut all, thread| {
                let (used, given_back) = thread.join().unwrap();
                all.0.extend(used);
                (all.0, all.1 + given_back)
            })
        });
        assert!(given_back > 0 && used.len() >= capacity as usize);
        assert_conforms(used, u64::from(capacity), interval);
    }
}

/// At one instant the bucket is handed out exactly, whatever was given back in between.
#[test]
fn at_one_instant_threads_share_the_bucket_exactly() {
    let limiter = SharedRateLimiter::new(Quota::per_minute(1_000).unwrap());
    let still = Ticking::new(0);
    let take = || {
        let granted = (0..2_000).filter(|turn| match limiter.take(Instant::ZERO, 1) {
            Ok(receipt) if turn % 2 == 0 => {
                limiter.refund(receipt, &still);
                false
            }
            answer => answer.is_ok(),
        });
        granted.count()
    };
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let left = limiter.remaining(Instant::ZERO) as usize;
    assert_eq!(granted + left, 1_000);
}

/// A thread that read the clock before the others takes nothing back from them.
#[test]
fn a_late_thread_moves_nothing_back() {
    let inputs = (
        1..20_u32,
        0..1_000_000_000_u64,
        log_uniform(2_000_000_000, 1 << 60),
    );
    check(300, inputs, |(capacity, late, now)| {
        let limiter = SharedRateLimiter::new(Quota::per_minute(capacity).unwrap());
        let at = Instant::from_nanos(now);
        assert_eq!(limiter.check(at, capacity), Answer::Granted);
        let promised = limiter.would_grant(at, 1);
        let early = Instant::from_nanos(now - late);
        assert_eq!(limiter.would_grant(early, 1), promised);
        assert_eq!(limiter.check(early, 1), promised);
        assert_eq!(limiter.check(at, 1), promised);
    });
}

#[test]
fn a_step_back_locks_for_one_refill_and_the_slack() {
    let inputs = (1..20_u32, log_uniform(0, 1 << 60), log_uniform(0, 1 << 60));
    check(300, inputs, |(capacity, now, step)| {
        let limiter = SharedRateLimiter::new(Quota::per_minute(capacity).unwrap());
        assert_eq!(limiter.check(Instant::from_nanos(now), capacity), Answer::Granted);
        let back = Instant::from_nanos(now.saturating_sub(step));
        let Answer::NotBefore(at) = limiter.check(back, 1) else {
            panic!("refilled by a step back");
        };
        let longest = limiter.quota().refill_time() + SharedRateLimiter::LATE;
        assert!(at.saturating_duration_since(back) <= longest);
        assert_eq!(limiter.check(at, 1), Answer::Granted);
    });
}

#[test]
fn any_now_and_any_order_panic_at_nothing() {
    let op = (0..5_u8, any_nanos(), any::<u32>());
    let quota = (log_uniform(1, 1 << 31), log_uniform(1, 1 << 60));
    check(300, (quota, prop::collection::vec(op, 1..40)), |(quota, ops)| {
        let (capacity, window) = (quota.0, quota.1.max(quota.0 * 100).min(1 << 61));
        let quota = Quota::new(u32::try_from(capacity).unwrap(), Duration::from_nanos(window)).unwrap();
        let limiter = SharedRateLimiter::new(quota);
        for (what, nanos, n) in ops {
            let now = Instant::from_nanos(nanos);
            match what {
                0 => limiter.on_throttled(now, Instant::from_nanos(nanos ^ 0xFFFF_FFFF)),
                1 => {
                    if let Ok(receipt) = limiter.take(now, n % quota.capacity()) {
                        limiter.refund(receipt, &Ticking::new(u64::from(n)));
                    }
                }
                2 => limiter.reset(),
                _ => {
                    let _ = limiter.check(now, n);
                }
            }
            assert!(limiter.remaining(now) <= quota.capacity());
            assert!(limiter.full_at(now) >= now);
        }
    });
}
