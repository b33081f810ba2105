//! The table of keys against a map of limiters that never forgets.

mod shared;

use core::time::Duration;
use std::collections::HashMap;

use crossbridge_core::rate_limit::keyed::hash::KeyHash;
use crossbridge_core::rate_limit::keyed::{KeyedAnswer, KeyedLimiter, KeyedStats, Line, Overflow};
use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{Instant, Quota};
use proptest::prelude::*;

use crate::{any_nanos, check, log_uniform};

const SECOND: u64 = 1_000_000_000;

/// Slow ones and fast ones, so that neighbours count in different ticks.
fn quotas() -> [Quota; 4] {
    [
        Quota::new(3, Duration::from_nanos(30_000)).unwrap(),
        Quota::new(50, Duration::from_nanos(10_000)).unwrap(),
        Quota::per_second(Quota::MAX_PER_SECOND)
            .unwrap()
            .burst(64)
            .unwrap(),
        Quota::per_minute(30).unwrap().burst(2).unwrap(),
    ]
}

fn quota_of(key: u64) -> Quota {
    quotas()[usize::try_from(key % 4).unwrap()]
}

/// One limiter for each key ever seen.
#[derive(Default)]
struct Unbounded(HashMap<u64, RateLimiter>);

impl Unbounded {
    fn limiter(&mut self, key: u64) -> &mut RateLimiter {
        let new = || RateLimiter::new(quota_of(key));
        self.0.entry(key).or_insert_with(new)
    }

    fn active(&self, now: Instant) -> usize {
        self.0
            .values()
            .filter(|limiter| limiter.full_at(now) > now)
            .count()
    }
}

/// Keys in a row would share buckets by their low bits; these are spread.
fn hash(key: u64) -> u64 {
    KeyHash::new(1).number(key)
}

#[derive(Clone, Debug)]
enum Op {
    Check(u64, u64, u32),
    GiveBack(u64, u64),
    Throttled(u64, u64),
    Reset(u64),
}

fn ops(keys: u64, longest: u64) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => (log_uniform(0, longest), 0..keys, 0..5_u32).prop_map(|(gap, key, n)| Op::Check(gap, key, n)),
        1 => (0..5_000_u64, 0..keys).prop_map(|(gap, key)| Op::GiveBack(gap, key)),
        1 => (0..keys, 0..60_000_u64).prop_map(|(key, wait)| Op::Throttled(key, wait)),
        1 => (0..keys).prop_map(Op::Reset),
    ];
    prop::collection::vec(op, 1..150)
}

/// Runs both; stops at the first overflow, which needs more active keys than `fits`.
fn agree<const LINES: usize>(ops: Vec<Op>, start: u64, fits: usize) {
    let mut table = KeyedLimiter::<[Line; LINES]>::with_slots(Overflow::Refuse);
    let mut oracle = Unbounded::default();
    let mut now = start;
    for op in ops {
        let at = Instant::from_nanos(now);
        let expected_active = oracle.active(at);
        let answer = match op {
            Op::Check(gap, key, n) => {
                now += gap;
                let at = Instant::from_nanos(now);
                let answer = table.check(at, hash(key), n, quota_of(key));
                if let KeyedAnswer::Full(until) = answer {
                    assert!(until > at && oracle.active(at) >= fits, "full too early");
                    return;
                }
                assert_eq!(
                    answer.answer(),
                    oracle.limiter(key).check(at, n),
                    "key {key} at {now}"
                );
                continue;
            }
            Op::GiveBack(gap, key) => {
                now += gap;
                let taken = Instant::from_nanos(now - gap);
                if oracle.limiter(key).check(taken, 1) == Answer::Granted {
                    let answer = table.check(taken, hash(key), 1, quota_of(key));
                    let at = Instant::from_nanos(now);
                    table.give_back(at, taken, hash(key), 1, quota_of(key));
                    oracle.limiter(key).give_back(at, taken, 1);
                    answer
                } else {
                    KeyedAnswer::Granted
                }
            }
            Op::Throttled(key, wait) => {
                let until = Instant::from_nanos(now + wait);
                oracle.limiter(key).on_throttled(at, until);
                match table.on_throttled(at, until, hash(key), quota_of(key)) {
                    true => KeyedAnswer::Granted,
                    false => KeyedAnswer::Full(until),
                }
            }
            Op::Reset(key) => {
                oracle.limiter(key).reset();
                table.reset(hash(key));
                KeyedAnswer::Granted
            }
        };
        if let KeyedAnswer::Full(_) = answer {
            assert!(expected_active >= fits, "full with {expected_active} of {fits}");
            return;
        }
        assert_eq!(answer, KeyedAnswer::Granted);
        let at = Instant::from_nanos(now);
        assert_eq!(table.active(at), oracle.active(at));
        assert_eq!(table.stats(), KeyedStats::default());
        for key in 0..4 {
            let expected = oracle.limiter(key).remaining(at);
            assert_eq!(table.remaining(at, hash(key), quota_of(key)), expected);
        }
    }
}

#[test]
fn idle_reuse_is_lossless() {
    let start = || log_uniform(0, 1 << 58);
    // One line, and two that every key may be in: exact as long as the active keys fit, out of any
    // number.
    check(200, (ops(40, 20_000), start()), |(ops, start)| {
        agree::<1>(ops, start, 4);
    });
    check(200, (ops(40, 40_000), start()), |(ops, start)| {
        agree::<2>(ops, start, 8);
    });
    // More than two of them: keys are moved between their lines before one is turned away.
    check(200, (ops(200, 40_000), start()), |(ops, start)| {
        agree::<8>(ops, start, 20);
    });
}

/// 5 000 keys that ask all the time, all of them refused half of it, and one more.
#[test]
fn five_thousand_active_keys_do_not_disturb_a_foreign_key() {
    let quota = Quota::per_minute(30).unwrap().burst(1).unwrap();
    let mut table = KeyedLimiter::new(vec![Line::EMPTY; 2_048], Overflow::Refuse).unwrap();
    let mut alone = RateLimiter::new(quota);
    let names = KeyHash::new(3);
    let foreign = names.text("foreign");
    // By construction: no request looks at more lines than this, whoever else is there.
    assert_eq!(KeyedLimiter::<Vec<Line>>::LOOKS, 42);
    for round in 0..12 {
        let now = Instant::from_nanos(round * 700_000_000);
        for noisy in 0..5_000 {
            let answer = table.check(now, names.number(noisy), 1, quota);
            assert!(!matches!(answer, KeyedAnswer::Full(_) | KeyedAnswer::Never));
        }
        assert_eq!(table.active(now), 5_000 + usize::from(alone.full_at(now) > now));
        let answer = table.check(now, foreign, 1, quota);
        assert_eq!(answer.answer(), alone.check(now, 1));
    }
    assert_eq!(table.stats(), KeyedStats::default());
}

/// What the module page says about capacity, also for hashes that are only numbers in a row.
#[test]
fn five_sixths_of_a_table_fill_before_a_key_is_turned_away() {
    let quota = Quota::per_minute(1).unwrap();
    let hash = KeyHash::new(9);
    for mixed in [true, false] {
        let mut table = KeyedLimiter::new(vec![Line::EMPTY; 1 << 12], Overflow::Refuse).unwrap();
        let key = |key| if mixed { hash.number(key) } else { key };
        let fitted = (0..1 << 14)
            .take_while(|&n| table.check(Instant::ZERO, key(n), 1, quota) == KeyedAnswer::Granted);
        let fitted = fitted.count();
        assert!(fitted * 6 >= (1 << 14) * 5, "{fitted} fitted, mixed: {mixed}");
        // Those that were moved on the way are all still there, once each.
        assert_eq!(table.active(Instant::ZERO), fitted);
        for n in 0..fitted as u64 {
            assert_eq!(table.remaining(Instant::ZERO, key(n), quota), 0);
        }
    }
}

#[test]
fn a_full_table_says_when_a_slot_comes_free() {
    let inputs = (prop::collection::vec(0..1_000_u64, 8), 0..4_u64);
    check(200, inputs, |(gaps, kind)| {
        let quota = Quota::per_second(1).unwrap();
        let mut table = KeyedLimiter::<[Line; 2]>::with_slots(Overflow::Refuse);
        let mut now = kind * SECOND;
        let mut first_idle = u64::MAX;
        for (key, gap) in gaps.iter().enumerate() {
            now += gap;
            let at = Instant::from_nanos(now);
            let answer = table.check(at, hash(key as u64), 1, quota);
            assert_eq!(answer, KeyedAnswer::Granted);
            first_idle = first_idle.min(now + SECOND);
        }
        let free = Instant::from_nanos(first_idle);
        let early = Instant::from_nanos(first_idle - 1);
        for at in [Instant::from_nanos(now), early] {
            assert_eq!(table.check(at, hash(99), 1, quota), KeyedAnswer::Full(free));
        }
        assert_eq!(table.stats().refused, 2);
        // Those inside are answered as ever.
        assert!(matches!(
            table.check(early, hash(0), 1, quota),
            KeyedAnswer::NotBefore(_)
        ));
        assert_eq!(table.check(free, hash(99), 1, quota), KeyedAnswer::Granted);
    });
}

/// Who is evicted is who would have been idle first, and nobody else notices.
#[test]
fn eviction_forgets_the_smallest_debt() {
    let debts = Just((1..=8_u32).collect::<Vec<_>>()).prop_shuffle();
    check(200, debts, |debts| {
        let quota = Quota::per_second(10).unwrap();
        let mut table = KeyedLimiter::<[Line; 2]>::with_slots(Overflow::EvictNearestIdle);
        for &debt in &debts {
            let answer = table.check(Instant::ZERO, hash(u64::from(debt)), debt, quota);
            assert_eq!(answer, KeyedAnswer::Granted);
        }
        let answer = table.check(Instant::ZERO, hash(99), 9, quota);
        assert_eq!(answer, KeyedAnswer::Granted);
        assert_eq!(
            table.stats(),
            KeyedStats {
                refused: 0,
                evicted: 1
            }
        );
        assert_eq!(table.remaining(Instant::ZERO, hash(1), quota), 10);
        for debt in 2..=8 {
            let left = table.remaining(Instant::ZERO, hash(u64::from(debt)), quota);
            assert_eq!(left, 10 - debt);
        }
        assert_eq!(table.remaining(Instant::ZERO, hash(99), quota), 1);
    });
}

/// A clock that steps back locks neither old keys nor new ones, and gives nobody more.
#[test]
fn a_step_back_moves_every_key_along() {
    let inputs = (log_uniform(0, 1 << 60), log_uniform(0, 1 << 60), 0..SECOND);
    check(300, inputs, |(before, step, gap)| {
        let quota = Quota::per_second(2).unwrap();
        let mut table = KeyedLimiter::<[Line; 2]>::with_slots(Overflow::Refuse);
        let start = Instant::from_nanos(before);
        for key in 0..8 {
            assert_eq!(table.check(start, hash(key), 2, quota), KeyedAnswer::Granted);
        }
        let back = Instant::from_nanos(before.saturating_sub(step));
        let late = Duration::from_secs(1);
        for key in 0..8 {
            let KeyedAnswer::NotBefore(at) = table.check(back, hash(key), 1, quota) else {
                panic!("a step back refilled a bucket");
            };
            assert!(at.saturating_duration_since(back) <= quota.emission_interval() + late);
        }
        let then = back.saturating_add(Duration::from_nanos(gap) + late);
        let free = table.check(then.saturating_add(late), hash(99), 1, quota);
        assert_eq!(
            free,
            KeyedAnswer::Granted,
            "the slots of a stepped clock stay locked"
        );
    });
}

/// One `now` from anywhere, the end of the range included, and one from before.
fn steps() -> impl Strategy<Value = (Instant, Instant)> {
    (any_nanos(), any_nanos()).prop_map(|(one, other)| {
        let end = one.max(other).max(3 * SECOND);
        (
            Instant::from_nanos(end),
            Instant::from_nanos(one.min(other).min(end - 3 * SECOND)),
        )
    })
}

/// A slow quota, and one whose ticks end after 36 years.
fn slow_and_fast() -> [Quota; 2] {
    let fast = Quota::per_second(Quota::MAX_PER_SECOND).unwrap();
    [Quota::per_second(2).unwrap(), fast.burst(2).unwrap()]
}

/// Whether a quota is granted anything at all so late.
fn in_range(quota: Quota, now: Instant) -> bool {
    RateLimiter::new(quota).would_grant(now, 1) == Answer::Granted
}

#[test]
fn a_clock_that_steps_back_from_its_end_locks_nothing_for_longer_than_a_refill() {
    check(300, steps(), |(end, back)| {
        for quota in slow_and_fast() {
            let mut table = KeyedLimiter::<[Line; 2]>::with_slots(Overflow::Refuse);
            // Forgotten by the end: its slot is another's then.
            let _ = table.check(end.saturating_sub(Duration::from_secs(2)), hash(99), 1, quota);
            // Past the end of the range nothing is granted, and nothing owed.
            let owed: [u32; 8] = core::array::from_fn(|key| {
                let (key, n) = (key as u64, 1 + u32::from(key % 2 > 0));
                let granted = table.check(end, hash(key), n, quota) == KeyedAnswer::Granted;
                if granted { n } else { 0 }
            });
            let refilled = back.saturating_add(quota.refill_time() + KeyedLimiter::<[Line; 2]>::LATE);
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
    check(
        300,
        (policy, prop::collection::vec(op, 1..80)),
        |(policy, ops)| {
            let mut table = KeyedLimiter::<[Line; 4]>::with_slots(policy);
            for (what, nanos, key, n, quota) in ops {
                let now = Instant::from_nanos(nanos);
                let quota = quotas().get(quota).copied().unwrap_or(Quota::UNLIMITED);
                match what {
                    0 => {
                        let until = Instant::from_nanos(nanos.wrapping_add(u64::from(n)));
                        let _ = table.on_throttled(now, until, key, quota);
                    }
                    1 => table.give_back(now, Instant::from_nanos(nanos / 2), key, n, quota),
                    2 => table.reset(key),
                    _ => {
                        let n = n % 80;
                        let expected = table.would_grant(now, key, n, quota);
                        assert_eq!(table.clone().check(now, key, n, quota), expected);
                        if let KeyedAnswer::NotBefore(at) = table.check(now, key, n, quota) {
                            let again = table.check(at, key, n, quota);
                            assert_eq!(again, KeyedAnswer::Granted, "promised {at:?} at {now:?}");
                        }
                    }
                }
                assert!(table.remaining(now, key, quota) <= quota.capacity());
                assert!(table.active(now) <= 16);
            }
        },
    );
}

#[test]
fn storage_is_lines_of_any_kind() {
    let refused = KeyedLimiter::new(Vec::new(), Overflow::Refuse).unwrap_err();
    assert_eq!(refused.to_string(), "lines is 0, expected 1 to 4294967295");
    let mut memory = [Line::EMPTY; 6];
    assert!(KeyedLimiter::new(&mut memory[..], Overflow::Refuse).is_ok());
    assert!(KeyedLimiter::new(vec![Line::EMPTY; 8].into_boxed_slice(), Overflow::Refuse).is_ok());
    assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
    static TABLE: KeyedLimiter<[Line; 4]> = KeyedLimiter::with_slots(Overflow::Refuse);
    assert_eq!(TABLE.stats(), KeyedStats::default());
}

/// A hash of zero is a key like any other: no empty slot is mistaken for its own.
#[test]
fn the_hash_zero_is_a_key() {
    let quota = Quota::per_minute(2).unwrap();
    let mut table = KeyedLimiter::<[Line; 1]>::with_slots(Overflow::Refuse);
    for key in 1..3 {
        assert_eq!(
            table.check(Instant::ZERO, hash(key), 1, quota),
            KeyedAnswer::Granted
        );
    }
    assert_eq!(table.check(Instant::ZERO, 0, 2, quota), KeyedAnswer::Granted);
    // The slots before its own come free.
    table.reset(hash(1));
    table.reset(hash(2));
    assert_eq!(table.remaining(Instant::ZERO, 0, quota), 0);
    assert!(matches!(
        table.check(Instant::ZERO, 0, 1, quota),
        KeyedAnswer::NotBefore(_)
    ));
}

/// Numbers in a row as they are, without a hash, and such that differ in one bit.
#[test]
fn raw_numbers_are_keys_of_their_own() {
    let quota = Quota::per_minute(1).unwrap();
    let mut table = KeyedLimiter::new(vec![Line::EMPTY; 256], Overflow::Refuse).unwrap();
    let rows = (0..256)
        .chain((8..64).map(|bit| 1 << bit))
        .chain((8..64).map(|bit| 1 << bit | 1));
    for key in rows {
        assert_eq!(
            table.check(Instant::ZERO, key, 1, quota),
            KeyedAnswer::Granted,
            "{key:#x}"
        );
    }
}

#[test]
fn keys_hash_apart() {
    let hash = KeyHash::new(0);
    let mut seen: Vec<u64> = (0..20_000).map(|n| hash.number(n)).collect();
    seen.extend((0..20_000).map(|n| hash.text(&format!("user-{n}"))));
    seen.extend((0..40).map(|n| hash.bytes(&[0; 40][..n])));
    let subjects: Vec<u64> = (0..100).map(|n| hash.text(&format!("subject-{n}"))).collect();
    for &a in &subjects {
        seen.extend(subjects.iter().map(|&b| hash.pair(a, b)));
    }
    let (total, mut upper) = (seen.len(), seen.clone());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), total);
    // The 61 bits that a slot keeps, and the 32 that choose a bucket.
    upper.iter_mut().for_each(|hash| *hash >>= 24);
    upper.sort_unstable();
    upper.dedup();
    assert!(upper.len() + 3 >= total);
    assert_ne!(KeyHash::new(1).text("a"), KeyHash::new(2).text("a"));
}
