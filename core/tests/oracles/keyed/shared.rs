//! The shared table: alone it answers like the exclusive one, under threads no key is above its
//! quota.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::thread;

use crossbridge_core::rate_limit::keyed::{
    KeyedAnswer, KeyedLimiter, KeyedStats, Line, Overflow, SharedKeyedLimiter, SharedLine,
};
use crossbridge_core::{Clock, Instant, Quota};
use proptest::prelude::*;

use super::{Op, SECOND, hash, in_range, ops, quota_of, quotas, slow_and_fast, steps};
use crate::shared_rate::{Ticking, assert_conforms};
use crate::{any_nanos, check, log_uniform};

struct At(Instant);

impl Clock for At {
    fn now(&self) -> Instant {
        self.0
    }
}

/// Runs both; a table of two lines has every key in either, so that they overflow together.
fn same<const LINES: usize>(ops: Vec<Op>, start: u64, overflow: Overflow) {
    let shared = SharedKeyedLimiter::<[SharedLine; LINES]>::with_slots(overflow);
    let mut one = KeyedLimiter::<[Line; LINES]>::with_slots(overflow);
    let mut now = start;
    for op in ops {
        match op {
            Op::Check(gap, key, n) => {
                now += gap;
                let (at, key, quota) = (Instant::from_nanos(now), hash(key), quota_of(key));
                assert_eq!(
                    shared.would_grant(at, key, n, quota),
                    one.would_grant(at, key, n, quota)
                );
                assert_eq!(shared.check(at, key, n, quota), one.check(at, key, n, quota));
            }
            Op::GiveBack(gap, key) => {
                now += gap;
                let (at, taken) = (Instant::from_nanos(now), Instant::from_nanos(now - gap));
                let (key, quota) = (hash(key), quota_of(key));
                shared.give_back(taken, key, 1, quota, &At(at));
                one.give_back(at, taken, key, 1, quota);
            }
            Op::Throttled(key, wait) => {
                let (at, until) = (Instant::from_nanos(now), Instant::from_nanos(now + wait));
                let (key, quota) = (hash(key), quota_of(key));
                assert_eq!(
                    shared.on_throttled(at, until, key, quota),
                    one.on_throttled(at, until, key, quota)
                );
            }
            Op::Reset(key) => {
                shared.reset(hash(key));
                one.reset(hash(key));
            }
        }
        let at = Instant::from_nanos(now);
        assert_eq!(shared.stats(), one.stats());
        assert_eq!(shared.active(at), one.active(at));
        for key in 0..4 {
            let (key, quota) = (hash(key), quota_of(key));
            assert_eq!(shared.remaining(at, key, quota), one.remaining(at, key, quota));
        }
    }
}

#[test]
fn alone_it_answers_like_the_exclusive_one() {
    for overflow in [Overflow::Refuse, Overflow::EvictNearestIdle] {
        let start = || log_uniform(0, 1 << 58);
        check(60, (ops(40, 40_000), start()), |(ops, start)| {
            same::<2>(ops, start, overflow);
        });
        check(60, (ops(200, 40_000), start()), |(ops, start)| {
            same::<8>(ops, start, overflow);
        });
    }
}

/// Four threads, more keys than slots: slots change hands and keys are moved all the time.
#[test]
fn no_key_is_above_its_quota_under_threads() {
    const KEYS: u64 = 24;
    let interval = 1_100;
    let quota = Quota::new(2, Duration::from_nanos(2 * interval)).unwrap();
    for step in [20, 90, 300] {
        let table = SharedKeyedLimiter::<[SharedLine; 4]>::with_slots(Overflow::Refuse);
        let clock = Ticking::new(step);
        let ask = |thread: u64| {
            let mut grants = Vec::new();
            for turn in 0..3_000_u64 {
                let key = (turn * 7 + thread * 5 + turn / 11) % KEYS;
                let now = clock.now();
                match table.check(now, hash(key), 1, quota) {
                    KeyedAnswer::Granted => grants.push((key, now.as_nanos())),
                    KeyedAnswer::NotBefore(at) | KeyedAnswer::Full(at) => assert!(at > now),
                    KeyedAnswer::Never => panic!("never"),
                }
            }
            grants
        };
        let grants: Vec<(u64, u64)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || ask(thread))).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(grants.len() > 500, "{} granted", grants.len());
        for key in 0..KEYS {
            let of_key = grants.iter().filter(|(of, _)| *of == key);
            assert_conforms(of_key.map(|(_, at)| *at).collect(), 2, interval);
        }
    }
}

/// At one instant each bucket is handed out exactly, whoever put the key in, and in one slot only.
#[test]
fn at_one_instant_threads_share_every_bucket_exactly() {
    const KEYS: usize = 3_000;
    let quota = Quota::per_minute(3).unwrap();
    let mut lines = Vec::new();
    lines.resize_with(1_024, SharedLine::new);
    let table = SharedKeyedLimiter::new(lines, Overflow::Refuse).unwrap();
    let granted: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (table, granted) = (&table, &granted);
            scope.spawn(move || {
                for turn in 0..2 * KEYS {
                    // Two run up, two down: they meet at keys that nobody has put in yet.
                    let key = if thread % 2 == 0 {
                        turn
                    } else {
                        2 * KEYS - 1 - turn
                    } % KEYS;
                    if table.check(Instant::ZERO, hash(key as u64), 1, quota) == KeyedAnswer::Granted {
                        granted[key].fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert!(granted.iter().all(|granted| granted.load(Relaxed) == 3));
    assert_eq!(table.active(Instant::ZERO), KEYS);
    assert_eq!(table.stats(), KeyedStats::default());
}

/// Two threads ask for the same key at the same moment: first one that nobody has put in yet, then
/// for what is left of it.
#[test]
fn threads_that_meet_take_one_permit_each() {
    const ROUNDS: u64 = 3_000;
    let quota = Quota::per_minute(3).unwrap();
    let mut lines = Vec::new();
    lines.resize_with(2_048, SharedLine::new);
    let table = SharedKeyedLimiter::new(lines, Overflow::Refuse).unwrap();
    let (arrived, granted) = (AtomicU64::new(0), AtomicU64::new(0));
    let ask = || {
        for round in 0..ROUNDS {
            arrived.fetch_add(1, Relaxed);
            while arrived.load(Relaxed) < 2 * (round + 1) {
                thread::yield_now();
            }
            for _ in 0..2 {
                if table.check(Instant::ZERO, hash(round), 1, quota) == KeyedAnswer::Granted {
                    granted.fetch_add(1, Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(ask);
        scope.spawn(ask);
    });
    assert_eq!(granted.load(Relaxed), 3 * ROUNDS);
    assert_eq!(table.active(Instant::ZERO) as u64, ROUNDS);
}

/// Many threads and one key: no grant is lost, none is made twice.
#[test]
fn threads_share_a_hot_key_exactly() {
    let quota = Quota::per_minute(15_000).unwrap();
    let table = SharedKeyedLimiter::<[SharedLine; 1]>::with_slots(Overflow::Refuse);
    let ask = || {
        let answers = (0..10_000).map(|_| table.check(Instant::ZERO, hash(1), 1, quota));
        answers.filter(|answer| *answer == KeyedAnswer::Granted).count()
    };
    let granted: usize = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(ask));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 15_000);
}

/// A thread that read the clock before the others takes nothing back from them, also where the key
/// has lost its slot since.
#[test]
fn a_late_thread_moves_nothing_back() {
    let inputs = (0..4_u64, 1..SECOND, log_uniform(10 * SECOND, 1 << 58));
    check(200, inputs, |(key, late, now)| {
        let quota = Quota::per_second(1).unwrap();
        let table = SharedKeyedLimiter::<[SharedLine; 1]>::with_slots(Overflow::Refuse);
        for each in 0..4 {
            let before = Instant::from_nanos(now - SECOND);
            assert_eq!(table.check(before, hash(each), 1, quota), KeyedAnswer::Granted);
        }
        let early = Instant::from_nanos(now - late);
        let promised = KeyedAnswer::NotBefore(Instant::from_nanos(now));
        assert_eq!(table.check(early, hash(key), 1, quota), promised);
        // Idle at `now`: all four slots go to others.
        for other in 10..14 {
            let at = Instant::from_nanos(now);
            assert_eq!(table.check(at, hash(other), 1, quota), KeyedAnswer::Granted);
        }
        assert_eq!(table.check(early, hash(key), 1, quota), promised);
    });
}

/// As in the exclusive table: neither old keys nor new ones are locked.
#[test]
fn a_step_back_moves_every_key_along() {
    let inputs = (log_uniform(0, 1 << 58), log_uniform(0, 1 << 58), 0..SECOND);
    check(200, inputs, |(before, step, gap)| {
        let quota = Quota::per_second(2).unwrap();
        let table = SharedKeyedLimiter::<[SharedLine; 2]>::with_slots(Overflow::Refuse);
        let start = Instant::from_nanos(before);
        for key in 0..8 {
            assert_eq!(table.check(start, hash(key), 2, quota), KeyedAnswer::Granted);
        }
        let back = Instant::from_nanos(before.saturating_sub(step));
        // A step of up to this much is not told from a thread that is late.
        let slack = Duration::from_millis(1_135);
        for key in 0..8 {
            let KeyedAnswer::NotBefore(at) = table.check(back, hash(key), 1, quota) else {
                panic!("a step back refilled a bucket");
            };
            assert!(at.saturating_duration_since(back) <= quota.emission_interval() + slack);
        }
        let then = back.saturating_add(Duration::from_nanos(gap) + quota.refill_time() + slack);
        assert_eq!(table.check(then, hash(99), 1, quota), KeyedAnswer::Granted);
    });
}

#[test]
fn a_clock_that_steps_back_from_its_end_locks_nothing_for_longer_than_a_refill() {
    check(300, steps(), |(end, back)| {
        for quota in slow_and_fast() {
            let table = SharedKeyedLimiter::<[SharedLine; 2]>::with_slots(Overflow::Refuse);
            // Forgotten by the end: its slot is another's then.
            let _ = table.check(end.saturating_sub(Duration::from_secs(2)), hash(99), 1, quota);
            // Past the end of the range nothing is granted, and nothing owed.
            let owed: [u32; 8] = core::array::from_fn(|key| {
                let (key, n) = (key as u64, 1 + u32::from(key % 2 > 0));
                let granted = table.check(end, hash(key), n, quota) == KeyedAnswer::Granted;
                if granted { n } else { 0 }
            });
            // A step of up to this much is not told from a thread that is late.
            let slack = Duration::from_millis(1_135);
            let refilled = back.saturating_add(quota.refill_time() + slack);
            if !in_range(quota, refilled) {
                continue;
            }
            for (key, owed) in (0..4).zip(owed) {
                assert_eq!(table.remaining(back, hash(key), quota), 2 - owed);
                let asked = table.would_grant(back, hash(key), 2, quota);
                let answer = table.check(back, hash(key), 2, quota);
                assert_eq!(answer, asked);
                let waits = matches!(answer, KeyedAnswer::NotBefore(at) if at <= refilled);
                assert_eq!(waits, owed > 0, "{answer:?}");
            }
            // Nobody asks for any of them again, and their slots are there for others.
            for key in 8..16 {
                let answer = table.check(refilled, hash(key), 1, quota);
                assert_eq!(answer, KeyedAnswer::Granted, "{end:?} to {back:?}");
            }
        }
    });
}

#[test]
fn any_now_and_any_order_panic_at_nothing() {
    let op = (0..6_u8, any_nanos(), 0..30_u64, any::<u32>(), 0..5_usize);
    let policy = prop_oneof![Just(Overflow::Refuse), Just(Overflow::EvictNearestIdle)];
    let inputs = (policy, prop::collection::vec(op, 1..80));
    check(300, inputs, |(policy, ops)| {
        let table = SharedKeyedLimiter::<[SharedLine; 4]>::with_slots(policy);
        for (what, nanos, key, n, quota) in ops {
            let now = Instant::from_nanos(nanos);
            let quota = quotas().get(quota).copied().unwrap_or(Quota::UNLIMITED);
            match what {
                0 => {
                    let until = Instant::from_nanos(nanos.wrapping_add(u64::from(n)));
                    let _ = table.on_throttled(now, until, key, quota);
                }
                1 => table.give_back(Instant::from_nanos(nanos / 2), key, n, quota, &At(now)),
                2 => table.reset(key),
                _ => {
                    let expected = table.would_grant(now, key, n % 80, quota);
                    assert_eq!(table.check(now, key, n % 80, quota), expected);
                    if let KeyedAnswer::NotBefore(at) = expected {
                        let again = table.check(at, key, n % 80, quota);
                        assert_eq!(again, KeyedAnswer::Granted, "promised {at:?} at {now:?}");
                    }
                }
            }
            assert!(table.remaining(now, key, quota) <= quota.capacity());
            assert!(table.active(now) <= 16);
        }
    });
}

#[test]
fn storage_is_lines_of_any_kind() {
    assert!(SharedKeyedLimiter::new(Vec::new(), Overflow::Refuse).is_err());
    assert_eq!((size_of::<SharedLine>(), align_of::<SharedLine>()), (64, 64));
    static TABLE: SharedKeyedLimiter<[SharedLine; 4]> = SharedKeyedLimiter::with_slots(Overflow::Refuse);
    let quota = Quota::per_second(1).unwrap();
    assert_eq!(TABLE.check(Instant::ZERO, 7, 1, quota), KeyedAnswer::Granted);
    // Lines that were in use are emptied.
    let used = [SharedLine::new()];
    for _ in 0..2 {
        let table = SharedKeyedLimiter::new(&used[..], Overflow::Refuse).unwrap();
        assert_eq!(table.check(Instant::ZERO, 7, 1, quota), KeyedAnswer::Granted);
    }
}
