//! The limiter at the ends of the clock, under steps back and with every accepted quota.

use core::time::Duration;

use crossbridge_core::rate_limit::{Answer, RateLimiter, gcra};
use crossbridge_core::{Instant, Quota};
use proptest::prelude::*;

use crate::{any_nanos, check, log_uniform};

const A_CENTURY: u64 = 100 * 365 * crate::A_DAY;

/// Every quota that a constructor accepts, fast ones and unlimited included.
fn accepted_quota() -> impl Strategy<Value = Quota> {
    let made = (
        log_uniform(1, u64::from(u32::MAX)),
        log_uniform(1, A_CENTURY),
        log_uniform(1, u64::from(u32::MAX)),
    );
    let made = made.prop_map(|(capacity, window, burst)| {
        let window = window.max(capacity.saturating_mul(100)).min(A_CENTURY);
        let quota = Quota::new(u32::try_from(capacity).unwrap(), Duration::from_nanos(window)).unwrap();
        quota.burst(u32::try_from(burst).unwrap()).unwrap_or(quota)
    });
    prop_oneof![20 => made, 1 => Just(Quota::UNLIMITED)]
}

#[derive(Clone, Debug)]
enum Op {
    Check(u64, u32),
    Refund(u32),
    Throttled(u64, u64),
    Reset,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let count = || log_uniform(0, u64::from(u32::MAX)).prop_map(|n| u32::try_from(n).unwrap());
    let op = prop_oneof![
        8 => (any_nanos(), count()).prop_map(|(now, n)| Op::Check(now, n)),
        2 => count().prop_map(Op::Refund),
        2 => (any_nanos(), any_nanos()).prop_map(|(now, until)| Op::Throttled(now, until)),
        1 => Just(Op::Reset),
    ];
    prop::collection::vec(op, 1..40)
}

/// What holds whatever happened before: `now` may be anything, before or after the last one.
fn holds(limiter: &RateLimiter, now: Instant, n: u32) {
    let quota = limiter.quota();
    let refill = quota.refill_time();
    assert_eq!(limiter.would_grant(now, 0), Answer::Granted);
    assert!(limiter.remaining(now) <= quota.capacity());
    assert!(limiter.full_at(now) >= now);
    assert!(limiter.full_at(now).saturating_duration_since(now) <= refill + Duration::from_nanos(1));
    match limiter.would_grant(now, n) {
        Answer::Granted => assert!(n <= quota.capacity()),
        Answer::NotBefore(at) => {
            let wait = at.saturating_duration_since(now);
            assert!(at > now && wait <= refill, "{wait:?} is longer than a refill");
            let early = Instant::from_nanos(at.as_nanos() - 1);
            // The promise holds for whoever asked, early too, and comes back for it.
            let mut asked = limiter.clone();
            assert_eq!(asked.check(now, n), Answer::NotBefore(at));
            if early > now {
                assert_eq!(asked.check(early, n), Answer::NotBefore(at));
            }
            assert_eq!(asked.check(at, n), Answer::Granted);
        }
        // More than ever fits, or beyond the end of the range: 36 years where ticks are sixteenths.
        Answer::Never => {
            let end = u64::MAX / 16;
            let late = now
                .as_nanos()
                .saturating_add(u64::try_from(2 * refill.as_nanos()).unwrap())
                > end;
            assert!(n > quota.capacity() || late, "never {n} at {now:?}");
        }
    }
}

#[test]
fn any_now_and_any_order_keep_every_promise() {
    let probe = log_uniform(0, u64::from(u32::MAX)).prop_map(|n| u32::try_from(n).unwrap());
    check(
        600,
        (accepted_quota(), ops(), any_nanos(), probe),
        |(quota, ops, later, n)| {
            let mut limiter = RateLimiter::new(quota);
            let n = n.min(quota.capacity().saturating_add(1));
            for op in ops {
                let before = limiter.clone();
                match op {
                    Op::Check(now, n) => {
                        let now = Instant::from_nanos(now);
                        holds(&limiter, now, n);
                        assert_eq!(before, limiter, "a question changed something");
                        let answer = limiter.check(now, n);
                        if n > quota.capacity() {
                            assert_eq!(answer, Answer::Never);
                        }
                        if n == 0 {
                            assert_eq!((answer, &limiter), (Answer::Granted, &before));
                        }
                        holds(&limiter, now, n);
                    }
                    Op::Refund(n) => limiter.refund(n),
                    Op::Throttled(now, until) => {
                        limiter.on_throttled(Instant::from_nanos(now), Instant::from_nanos(until));
                    }
                    Op::Reset => limiter.reset(),
                }
                holds(&limiter, Instant::from_nanos(later), n);
            }
        },
    );
}

/// Whatever was given back, one instant never grants more than the capacity.
#[test]
fn a_refund_never_fills_above_the_capacity() {
    let inputs = (1..50_u32, 1..50_u32, 0..200_u32, log_uniform(0, 1 << 60));
    check(200, inputs, |(capacity, taken, refunded, now)| {
        let quota = Quota::per_minute(capacity).unwrap();
        let mut limiter = RateLimiter::new(quota);
        let now = Instant::from_nanos(now);
        let taken = taken.min(capacity);
        assert_eq!(limiter.check(now, taken), Answer::Granted);
        limiter.refund(refunded);
        let expected = (capacity - taken + refunded).min(capacity);
        assert_eq!(limiter.remaining(now), expected);
        let granted = (0..300).take_while(|_| limiter.check(now, 1) == Answer::Granted);
        assert_eq!(granted.count(), usize::try_from(expected).unwrap());
    });
}

/// After any step back a key that keeps asking, or that comes back when it was told to, is served
/// within one refill.
#[test]
fn a_step_back_locks_for_one_refill_at_most() {
    let inputs = (
        accepted_quota(),
        log_uniform(0, 1 << 60),
        log_uniform(0, 1 << 60),
        2..20_u64,
    );
    check(300, inputs, |(quota, before, step, polls)| {
        if quota.is_unlimited() {
            return;
        }
        let mut limiter = RateLimiter::new(quota);
        let taken = limiter.check(Instant::from_nanos(before), quota.capacity());
        if taken != Answer::Granted {
            return;
        }
        let now = before.saturating_sub(step);
        let refill = u64::try_from(quota.refill_time().as_nanos()).unwrap();
        // Impatient: it asks `polls` times in a refill, and is served by its end.
        let mut impatient = limiter.clone();
        let served = (0..=polls).any(|k| {
            let at = now + u64::try_from(u128::from(refill) * u128::from(k) / u128::from(polls)).unwrap();
            impatient.check(Instant::from_nanos(at), 1) == Answer::Granted
        });
        assert!(served, "locked for longer than a refill of {refill} ns");
        // Patient: it comes back at the promised instant.
        if let Answer::NotBefore(at) = limiter.check(Instant::from_nanos(now), 1) {
            assert_eq!(limiter.check(at, 1), Answer::Granted);
        }
    });
}

/// As far as one bucket reaches, nothing is granted before the instant the server named.
#[test]
fn a_throttled_key_waits() {
    let inputs = (
        1..20_u32,
        0..20_u32,
        log_uniform(0, 1 << 50),
        log_uniform(0, 120_000_000_000),
    );
    check(200, inputs, |(capacity, taken, now, asked)| {
        let quota = Quota::per_minute(capacity).unwrap();
        let mut limiter = RateLimiter::new(quota);
        let _ = limiter.check(Instant::from_nanos(now), taken.min(capacity));
        let until = Instant::from_nanos(now + asked);
        limiter.on_throttled(Instant::from_nanos(now), until);
        let reach = Instant::from_nanos(now).saturating_add(quota.emission_interval());
        let earliest = until.min(reach);
        if earliest.as_nanos() > now {
            assert_ne!(limiter.check(Instant::from_nanos(now), 1), Answer::Granted);
            let early = Instant::from_nanos(earliest.as_nanos() - 1);
            assert_ne!(limiter.check(early, 1), Answer::Granted);
        }
    });
}

/// The pure step over any stored number, as one that memory elsewhere hands back may be.
#[test]
fn the_pure_step_takes_any_stored_instant() {
    let inputs = (
        accepted_quota(),
        any_nanos(),
        any_nanos(),
        any_nanos(),
        any::<u32>(),
    );
    check(500, inputs, |(quota, stored, now, until, n)| {
        let mut tat = gcra::Tat::default();
        // The only way to any stored number: throttle from there.
        if let gcra::Step::Admit(next) = gcra::step(tat, Instant::from_nanos(stored), 1, quota) {
            tat = next;
        }
        let now = Instant::from_nanos(now);
        let _ = gcra::step(tat, now, n, quota);
        let _ = gcra::remaining(tat, now, quota).min(n);
        let _ = gcra::full_at(tat, now, quota).max(now);
        let _ = gcra::step(gcra::refund(tat, n, quota), now, n, quota);
        let throttled = gcra::throttled(tat, now, Instant::from_nanos(until), quota);
        let _ = gcra::step(throttled, now, n, quota);
    });
}
