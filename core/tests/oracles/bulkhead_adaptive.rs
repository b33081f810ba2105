//! The shared bulkhead with a limit that moves: alone it answers like the one with a line of
//! nobody, together no slot and no sample is lost.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::{Barrier, Mutex};
use std::thread;

use crossbridge_core::Instant;
use crossbridge_core::bulkhead::adaptive::{AdaptiveBulkheadSnapshot, AdaptiveSlot, SharedAdaptiveBulkhead};
use crossbridge_core::bulkhead::limit::gradient2::Gradient2Config;
use crossbridge_core::bulkhead::limit::{AimdConfig, LimitConfig};
use crossbridge_core::bulkhead::waiters::{Entered, Released, Slot, WaitingBulkhead};
use proptest::prelude::*;

use crate::{any_span, check};

fn any_limit() -> impl Strategy<Value = LimitConfig> + Clone {
    let bounds = (1..4_u32, 0..4_u32, 0..40_u32);
    prop_oneof![
        (1..6_u32).prop_map(LimitConfig::Fixed),
        bounds
            .clone()
            .prop_map(|(min, more, most)| LimitConfig::Aimd(AimdConfig {
                min,
                initial: min + more,
                max: min + more + most,
                ..AimdConfig::DEFAULT
            })),
        bounds.prop_map(|(min, more, most)| LimitConfig::Gradient2(Gradient2Config {
            min,
            initial: min + more,
            max: min + more + most,
            ..Gradient2Config::DEFAULT
        })),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Wait(Duration),
    Acquire,
    Release(usize, Released),
    Restore,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let long = 10_000_000_000;
    let released = prop_oneof![
        6 => any_span(0, long).prop_map(|took| Released::Success { took }),
        1 => Just(Released::Neutral),
        2 => Just(Released::Dropped),
    ];
    let op = prop_oneof![
        2 => any_span(0, long).prop_map(Op::Wait),
        8 => Just(Op::Acquire),
        6 => (any::<usize>(), released).prop_map(|(index, released)| Op::Release(index, released)),
        1 => Just(Op::Restore),
    ];
    prop::collection::vec(op, 1..150)
}

#[test]
fn alone_it_answers_like_the_one_with_a_line_of_nobody() {
    check(400, (any_limit(), ops()), |(config, ops)| {
        let mut shared = SharedAdaptiveBulkhead::new(config).unwrap();
        let mut one: WaitingBulkhead<0> = WaitingBulkhead::new(config).unwrap();
        let mut slots: Vec<(AdaptiveSlot, Slot)> = Vec::new();
        let mut now = Instant::from_nanos(7);
        for op in ops {
            match op {
                Op::Wait(span) => now = now.saturating_add(span),
                Op::Acquire => match (shared.try_acquire(now), one.enter(now, None)) {
                    (Some(mine), Entered::Now(its)) => slots.push((mine, its)),
                    (None, Entered::Refused { .. }) => {}
                    different => panic!("{different:?}"),
                },
                Op::Release(index, released) if !slots.is_empty() => {
                    let (mine, its) = slots.swap_remove(index % slots.len());
                    shared.release(now, mine, released);
                    one.release(now, its, released);
                }
                Op::Restore if slots.is_empty() => {
                    let taken = shared.snapshot();
                    shared = SharedAdaptiveBulkhead::restore(config, &taken).unwrap();
                    assert_eq!(shared.snapshot(), taken);
                }
                Op::Release(..) | Op::Restore => {}
            }
            assert_eq!(shared.limit(), one.limit());
            assert_eq!(shared.in_flight(), one.in_flight());
            assert_eq!(shared.snapshot().limit, one.snapshot().limit);
        }
    });
}

#[test]
fn a_snapshot_of_another_version_or_algorithm_is_refused() {
    let inputs = (any_limit(), any_limit(), 0..3_u32);
    check(200, inputs, |(config, other, version)| {
        let taken = SharedAdaptiveBulkhead::new(other).unwrap().snapshot();
        let taken = AdaptiveBulkheadSnapshot { version, ..taken };
        let restored = SharedAdaptiveBulkhead::restore(config, &taken);
        let same = core::mem::discriminant(&config) == core::mem::discriminant(&other);
        if version != 1 || !same {
            assert!(restored.is_err());
        } else if config == other {
            assert_eq!(restored.unwrap().snapshot(), taken);
        }
    });
}

/// Every sample adds one: as many as there were, whatever the threads did.
#[test]
fn of_many_samples_at_once_none_is_lost() {
    let config = LimitConfig::Aimd(AimdConfig {
        initial: 400_000,
        min: 1,
        max: 1_000_000,
        ..AimdConfig::DEFAULT
    });
    let bulkhead = SharedAdaptiveBulkhead::new(config).unwrap();
    let mut slots: Vec<_> = (0..400_000)
        .map(|_| bulkhead.try_acquire(Instant::ZERO).unwrap())
        .collect();
    // These saw more than 300 000 in flight, half of 600 000.
    let mut shares = [(); 4].map(|()| Mutex::new(slots.split_off(slots.len() - 25_000)));
    let start = Barrier::new(4);
    let next = AtomicU32::new(0);
    together(|| {
        let share = &shares[next.fetch_add(1, Ordering::Relaxed) as usize];
        let share = core::mem::take(&mut *share.lock().unwrap());
        start.wait();
        let took = Duration::from_millis(1);
        for slot in share {
            bulkhead.release(Instant::ZERO, slot, Released::Success { took });
        }
        0
    });
    assert!(shares.iter_mut().all(|share| share.get_mut().unwrap().is_empty()));
    assert_eq!((bulkhead.limit(), bulkhead.in_flight()), (500_000, 300_000));
}

/// A lost race would be missing from the count for good.
#[test]
fn of_many_slots_at_once_none_is_lost() {
    let bulkhead = SharedAdaptiveBulkhead::new(LimitConfig::Fixed(u32::MAX)).unwrap();
    let [start, full, counted] = [(); 3].map(|()| Barrier::new(4));
    together(|| {
        start.wait();
        let acquire = |_| bulkhead.try_acquire(Instant::ZERO).unwrap();
        let slots: Vec<_> = (0..50_000).map(acquire).collect();
        full.wait();
        assert_eq!(bulkhead.in_flight(), 200_000);
        counted.wait();
        for slot in slots {
            bulkhead.release(Instant::ZERO, slot, Released::Neutral);
        }
        0
    });
    assert_eq!(bulkhead.in_flight(), 0);
}

/// Never more inside than the highest limit, and all of them back in the end.
#[test]
fn exact_under_threads() {
    for config in [
        LimitConfig::Fixed(2),
        LimitConfig::Aimd(AimdConfig {
            initial: 2,
            min: 1,
            max: 2,
            ..AimdConfig::DEFAULT
        }),
        LimitConfig::Gradient2(Gradient2Config {
            initial: 2,
            min: 1,
            max: 2,
            ..Gradient2Config::DEFAULT
        }),
    ] {
        let bulkhead = SharedAdaptiveBulkhead::new(config).unwrap();
        let inside = AtomicU32::new(0);
        let start = Barrier::new(4);
        let granted = together(|| {
            start.wait();
            let mut granted = 0;
            for turn in 0..20_000_u64 {
                let Some(slot) = bulkhead.try_acquire(Instant::from_nanos(turn)) else {
                    continue;
                };
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                granted += 1;
                if turn % 16 == 0 {
                    thread::yield_now();
                }
                inside.fetch_sub(1, Ordering::SeqCst);
                // Nearly all of them neutral, so that the threads meet at the count.
                let released = match turn % 50 {
                    0 => Released::Dropped,
                    1..5 => Released::Success {
                        took: Duration::from_nanos(turn % 7),
                    },
                    _ => Released::Neutral,
                };
                bulkhead.release(Instant::from_nanos(turn + 9), slot, released);
                assert!((1..=2).contains(&bulkhead.limit()));
            }
            granted
        });
        assert!(granted > 0 && bulkhead.in_flight() == 0);
    }
}

fn together(run: impl Fn() -> u32 + Sync) -> u32 {
    thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(&run));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    })
}
