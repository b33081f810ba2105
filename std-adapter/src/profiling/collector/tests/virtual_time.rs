//! A collector through good and bad days, in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbridge_core::Instant;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use super::world::{ModelSpool, Store, Weather, World};
use crate::profiling::{CollectorSettings, Durability, Overflow};

/// What happens to a collector.
#[derive(Clone, Debug)]
enum Op {
    Record(u16),
    Pass(Duration),
    Flush(Duration),
    Store(Weather),
    /// How long a commit takes.
    Disk(Duration),
    Broken(bool),
    Barred(bool),
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn any_op() -> impl Strategy<Value = Op> {
    let weather = prop_oneof![
        Just(Weather::Up),
        Just(Weather::Up),
        Just(Weather::Down),
        Just(Weather::Hangs),
        Just(Weather::Half),
        Just(Weather::Forgets),
    ];
    prop_oneof![
        8 => (0..120_u16).prop_map(Op::Record),
        6 => millis(0..300).prop_map(Op::Pass),
        1 => millis(0..60_000).prop_map(Op::Pass),
        2 => millis(0..20_000).prop_map(Op::Flush),
        2 => weather.prop_map(Op::Store),
        1 => millis(0..50).prop_map(Op::Disk),
        1 => millis(0..2_000).prop_map(Op::Disk),
        1 => any::<bool>().prop_map(Op::Broken),
        1 => any::<bool>().prop_map(Op::Barred),
    ]
}

fn any_settings() -> impl Strategy<Value = CollectorSettings> {
    let durability = prop_oneof![3 => Just(Durability::Spool), 1 => Just(Durability::Memory)];
    let overflow = prop_oneof![
        3 => Just(Overflow::Refuse),
        1 => Just(Overflow::DropOldest),
        1 => Just(Overflow::DropNewest),
    ];
    (durability, overflow, 1..600_u64, 12..20_u32, millis(0..400)).prop_map(
        |(durability, overflow, queue_events, size, at_risk)| CollectorSettings {
            durability,
            overflow,
            queue_events,
            queue_bytes: 1 << size,
            at_risk,
            ..CollectorSettings::DEFAULT
        },
    )
}

/// One life: what happens, then a shutdown; after that somebody else ships what is spooled.
fn live(settings: CollectorSettings, room: usize, ops: Vec<Op>, deadline: Duration) {
    let spool = (settings.durability == Durability::Spool).then(|| ModelSpool::new(room));
    let forgets = ops.iter().any(|op| matches!(op, Op::Store(Weather::Forgets)));
    let refuses = settings.overflow == Overflow::Refuse;
    let mut world = World::new(settings, spool, Store::default());
    for op in ops {
        match op {
            Op::Record(events) => {
                for _ in 0..events {
                    let accepted = world.record();
                    assert!(accepted || refuses);
                }
            }
            Op::Pass(span) => world.pass(span),
            Op::Flush(deadline) => world.flush(deadline),
            Op::Store(weather) => world.weather = weather,
            Op::Disk(span) => world.write_takes = span,
            Op::Broken(broken) => world.break_disk(broken),
            Op::Barred(barred) => world.barred = barred,
        }
    }
    world.shut_down(deadline);
    let (accepted, lost) = (world.accepted.len(), world.account().lost);
    assert!(lost == 0 || !refuses);
    let (left, spool, mut store) = world.take_apart();
    if let Some(spool) = spool {
        let mut next = World::new(CollectorSettings::DEFAULT, Some(spool.handed_on()), store);
        next.pass(Duration::from_secs(5));
        assert_eq!(next.account().spooled, 0);
        store = next.take_apart().2;
    }
    let times: u32 = store.has.values().copied().max().unwrap_or_default();
    assert!(times <= 1 || forgets, "stored {times} times");
    let kept: BTreeSet<u32> = left
        .iter()
        .chain(store.has.keys())
        .chain(&store.refused)
        .copied()
        .collect();
    assert_eq!(kept.len(), accepted - usize::try_from(lost).unwrap());
}

#[test]
fn the_books_balance_and_deadlines_hold_whatever_happens() {
    let seed = match ProptestConfig::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => 20_261_122,
    };
    let mut config = ProptestConfig {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 256;
    }
    let inputs = (
        any_settings(),
        0..2_000_usize,
        prop::collection::vec(any_op(), 0..60),
        millis(0..40_000),
    );
    let run = TestRunner::new(config).run(&inputs, |(settings, room, ops, deadline)| {
        live(settings, room, ops, deadline);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

/// A flush waits for what it is about, and for nothing else.
#[test]
fn a_flush_takes_a_commit_and_a_batch_and_does_not_wait_for_a_store_that_is_down() {
    for (durability, up, down) in [
        // A commit takes 1 ms, a batch 5.
        (Durability::Spool, (true, 6), (true, 1)),
        (Durability::Memory, (true, 5), (false, 0)),
    ] {
        let settings = CollectorSettings {
            durability,
            ..CollectorSettings::DEFAULT
        };
        let spool = (durability == Durability::Spool).then(|| ModelSpool::new(1_000));
        let mut world = World::new(settings, spool, Store::default());
        for (weather, (durable, took)) in [(Weather::Up, up), (Weather::Down, down), (Weather::Up, up)] {
            world.weather = weather;
            world.record();
            // Long enough to find that the store is down, or back.
            world.pass(Duration::from_secs(5));
            world.record();
            world.flush(Duration::from_secs(10));
            world.pass(Duration::from_secs(10));
            let expected = (durable, Duration::from_millis(took));
            assert_eq!(world.flushed.pop(), Some(expected), "{durability:?}, {weather:?}");
        }
    }
}

/// A part is larger than the spool: then it goes there in smaller ones.
#[test]
fn a_spool_smaller_than_the_memory_is_a_bottleneck_and_no_dead_end() {
    let mut world = World::new(
        CollectorSettings::DEFAULT,
        Some(ModelSpool::new(100)),
        Store::default(),
    );
    world.weather = Weather::Down;
    for _ in 0..1_000 {
        assert!(world.record());
    }
    world.pass(Duration::from_secs(1));
    let account = world.account();
    assert_eq!((account.spooled, account.in_memory), (100, 900));
    world.weather = Weather::Up;
    world.pass(Duration::from_secs(5));
    let account = world.account();
    assert_eq!((account.spooled, account.in_memory), (0, 0));
}

/// As fast as it takes them, with the default settings, for an hour.
#[test]
fn an_hour_of_full_load_with_the_store_down_stays_within_its_memory_and_then_arrives_once() {
    const ROOM: usize = 100_000;
    let settings = CollectorSettings::DEFAULT;
    let (bound, at_risk) = (settings.queue_bytes, settings.at_risk);
    let mut world = World::new(settings, Some(ModelSpool::new(ROOM)), Store::default());
    world.weather = Weather::Down;
    let hour = Instant::ZERO.saturating_add(Duration::from_secs(3_600));
    let mut refused = 0_u64;
    while world.now < hour {
        // Until it is refused: whenever there is room, it is taken.
        while world.record() {}
        refused += 1;
        world.pass(at_risk / 2);
    }
    let account = world.account();
    assert_eq!((account.lost, account.stored), (0, 0));
    assert!(account.spooled > 90_000, "{account:?}");
    assert!(account.in_memory > 50_000 && refused > 70_000, "{account:?}");
    assert!((bound / 10 * 9..=bound).contains(&world.most_bytes));

    world.weather = Weather::Up;
    world.pass(Duration::from_secs(120));
    let account = world.account();
    assert_eq!((account.spooled, account.in_memory, account.lost), (0, 0, 0));
    world.shut_down(Duration::from_secs(1));
    let accepted = world.accepted.len();
    let (left, _, store) = world.take_apart();
    assert!(left.is_empty());
    assert!(store.has.values().all(|times| *times == 1));
    assert_eq!(store.has.len() + store.refused.len(), accepted);
}
