//! The shared adaptive limiter: alone it answers like the rate and the limiter it is made of,
//! together no result is lost; and what is taken out and put back goes on as before.

use core::time::Duration;
use std::sync::Barrier;
use std::thread;

use crossbridge_core::rate_limit::adaptive::{
    Adaptive, AdaptiveConfig, AdaptiveSnapshot, Rate, Rise, SharedAdaptiveLimiter, ThrottledSnapshot,
};
use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{Instant, PerMille, Quota};
use proptest::prelude::*;

use crate::{any_nanos, check, log_uniform};

const HALF_SECOND: u64 = 500_000_000;
const LATE: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    StepBack(u64),
    Check(u32),
    Success,
    Throttled,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..2 * HALF_SECOND).prop_map(Op::Wait),
        1 => (LATE + 1..20 * LATE).prop_map(Op::StepBack),
        6 => (0..4_u32).prop_map(Op::Check),
        4 => Just(Op::Success),
        1 => Just(Op::Throttled),
    ];
    prop::collection::vec(op, 1..120)
}

fn any_preset() -> impl Strategy<Value = AdaptiveConfig> + Clone {
    prop::sample::select(vec![AdaptiveConfig::AWS, AdaptiveConfig::AIMD])
}

#[test]
fn alone_it_answers_like_the_two_it_is_made_of() {
    // Far enough from the origin that no step back reaches it.
    let inputs = (any_preset(), log_uniform(1 << 45, 1 << 60), ops());
    check(120, inputs, |(config, start, ops)| {
        let mut now = start;
        let at = Instant::from_nanos;
        let shared = SharedAdaptiveLimiter::new(at(now), config).unwrap();
        let mut rate = Adaptive::new(at(now), config).unwrap();
        let mut limiter = RateLimiter::new(Quota::UNLIMITED);
        let success = |rate: &mut Adaptive, limiter: &mut RateLimiter, now| {
            shared.on_success(at(now));
            rate.on_success(at(now));
            rate.apply(at(now), limiter);
        };
        for op in ops {
            match op {
                Op::Wait(span) => now += span,
                Op::StepBack(span) => {
                    success(&mut rate, &mut limiter, now);
                    now = now.saturating_sub(span);
                    success(&mut rate, &mut limiter, now);
                }
                Op::Check(n) => assert_eq!(shared.check(at(now), n), limiter.check(at(now), n)),
                Op::Success => success(&mut rate, &mut limiter, now),
                Op::Throttled => {
                    shared.on_throttled(at(now));
                    rate.on_throttled(at(now));
                    rate.apply(at(now), &mut limiter);
                }
            }
            assert_eq!(shared.rate(), rate.rate());
            assert_eq!(shared.measured(), rate.measured());
            assert_eq!(shared.quota(), limiter.quota());
            assert_eq!(shared.remaining(at(now)), limiter.remaining(at(now)));
            assert_eq!(shared.snapshot(at(now)).adaptive, rate.snapshot(at(now)));
        }
    });
}

#[test]
fn a_restored_one_goes_on_as_if_nothing_had_happened() {
    // Half seconds begin where they did; far enough from the origin for every span.
    let origin = log_uniform(1 << 10, 1 << 30).prop_map(|half_seconds| half_seconds * HALF_SECOND);
    let inputs = (any_preset(), ops(), ops(), origin);
    check(100, inputs, |(config, before, after, origin)| {
        let start = 1_u64 << 20;
        let drive = |limiter: &SharedAdaptiveLimiter, mut now: u64, ops: &[Op]| {
            let mut told = Vec::new();
            for op in ops {
                match *op {
                    Op::Wait(span) => now += span,
                    Op::StepBack(_) => {}
                    Op::Check(n) => told.push(match limiter.check(Instant::from_nanos(now), n) {
                        Answer::NotBefore(at) => Some(at.saturating_duration_since(Instant::from_nanos(now))),
                        Answer::Granted => Some(Duration::ZERO),
                        Answer::Never => None,
                    }),
                    Op::Success => limiter.on_success(Instant::from_nanos(now)),
                    Op::Throttled => limiter.on_throttled(Instant::from_nanos(now)),
                }
            }
            (now, told, limiter.rate(), limiter.measured())
        };
        let start = start * HALF_SECOND;
        let stayed = SharedAdaptiveLimiter::new(Instant::from_nanos(start), config).unwrap();
        let (now, ..) = drive(&stayed, start, &before);
        let taken = stayed.snapshot(Instant::from_nanos(now));
        let moved = origin + start + now % HALF_SECOND;
        let restored = SharedAdaptiveLimiter::restore(config, &taken, Instant::from_nanos(moved)).unwrap();
        assert_eq!(restored.snapshot(Instant::from_nanos(moved)), taken);
        let (one, other) = (drive(&stayed, now, &after), drive(&restored, moved, &after));
        assert_eq!(
            (one.0 - now, one.1, one.2, one.3),
            (other.0 - moved, other.1, other.2, other.3)
        );
    });
}

#[test]
fn a_snapshot_that_nobody_made_is_refused_with_the_reason() {
    let taken = Adaptive::new(Instant::ZERO, AdaptiveConfig::AWS)
        .unwrap()
        .snapshot(Instant::ZERO);
    let refused = |config, from: AdaptiveSnapshot| {
        let refused = Adaptive::restore(config, &from, Instant::ZERO).unwrap_err();
        refused.to_string()
    };
    let newer = AdaptiveSnapshot { version: 2, ..taken };
    assert_eq!(
        refused(AdaptiveConfig::AWS, newer),
        "snapshot: version is 2, expected 1"
    );
    let slow = AdaptiveConfig {
        ceiling: Rate::from_billionths(1),
        floor: Rate::from_billionths(1),
        ..AdaptiveConfig::AWS
    };
    assert_eq!(
        refused(slow, taken),
        "snapshot: rate is 500000000, expected floor to ceiling"
    );
    let steep = AdaptiveConfig {
        rise: Rise::Cubic {
            scale: PerMille::ZERO,
        },
        ..AdaptiveConfig::AWS
    };
    assert_eq!(
        refused(steep, taken),
        "snapshot: config is 0, expected a configuration that a new machine accepts"
    );
}

/// Whatever is accepted does not panic, at any instant.
#[test]
fn no_snapshot_panics() {
    let rate = || log_uniform(0, u64::MAX).prop_map(Rate::from_billionths);
    let span = || any_nanos().prop_map(Duration::from_nanos);
    let inputs = (
        (any_preset(), rate(), rate(), rate(), any::<bool>()),
        (span(), span(), any_nanos(), any_nanos()),
        prop::collection::vec((any_nanos(), any::<bool>()), 1..20),
    );
    check(
        400,
        inputs,
        |((config, rate, max, measured, was), (ago, running_for, requests, half_seconds), results)| {
            let taken = Adaptive::new(Instant::ZERO, config)
                .unwrap()
                .snapshot(Instant::ZERO);
            let throttled = ThrottledSnapshot { ago, max };
            let from = AdaptiveSnapshot {
                rate: rate.max(config.floor),
                throttled: was.then_some(throttled),
                running_for,
                measured,
                requests,
                half_seconds,
                ..taken
            };
            let now = Instant::from_nanos(results[0].0);
            let mut adaptive = Adaptive::restore(config, &from, now).unwrap();
            for (now, throttled) in results {
                if throttled {
                    adaptive.on_throttled(Instant::from_nanos(now));
                } else {
                    adaptive.on_success(Instant::from_nanos(now));
                }
                let _ = (adaptive.quota(), adaptive.snapshot(Instant::from_nanos(now)));
            }
        },
    );
}

/// What is measured at the end of the half second is what all threads sent in it; and at one
/// instant they are granted no more than the quota.
#[test]
fn of_many_results_at_once_none_is_lost() {
    let limiter = SharedAdaptiveLimiter::new(Instant::ZERO, AdaptiveConfig::AWS).unwrap();
    let start = Barrier::new(4);
    let together = |run: &(dyn Fn() -> usize + Sync)| -> usize {
        thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    start.wait();
                    run()
                })
            });
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        })
    };
    together(&|| {
        (0..2_500).for_each(|_| limiter.on_success(Instant::ZERO));
        0
    });
    let now = Instant::from_nanos(HALF_SECOND);
    limiter.on_throttled(now);
    // 10 001 in half a second, the newest of which weighs four fifths.
    assert_eq!(limiter.measured(), Rate::from_billionths(16_001_600_000_000));
    let rate = limiter.rate().unwrap();
    assert_eq!(rate.whole(), 11_201);
    let granted = together(&|| {
        let granted = (0..5_000).filter(|_| limiter.check(now, 1) == Answer::Granted);
        granted.count()
    });
    assert_eq!(granted, 11_201);
}
