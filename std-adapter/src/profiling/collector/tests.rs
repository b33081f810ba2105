//! A collector with a store that does as it is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbridge_core::{FaultKind, GuardConfig, RetryPolicy};
use tempfile::TempDir;

use super::hand::Hand;
use super::queue::{Level, Pushed, Queue};
use super::shared::lock;
use super::{Account, Collector, NotDurable, NotKept, Recorded};
use crate::profiling::store::{StoreError, Trouble};
use crate::profiling::{
    CollectorSettings, Durability, Event, EventStore, EventType, Limits, MemoryStore, Overflow, Sampling,
    SpoolPlace, Written,
};

mod answers;
mod virtual_time;
mod world;

/// A store that threads share, which can be down and has tests it never takes.
#[derive(Clone, Default)]
struct Shop {
    memory: Arc<Mutex<MemoryStore>>,
    down: Arc<AtomicBool>,
}

impl Shop {
    fn down() -> Self {
        let shop = Self::default();
        shop.down.store(true, Ordering::SeqCst);
        shop
    }

    fn ids(&self) -> Vec<String> {
        let memory = lock(&self.memory);
        let mut ids: Vec<_> = memory
            .events()
            .iter()
            .map(|event| event.event_id.clone())
            .collect();
        ids.sort();
        ids
    }
}

impl EventStore for Shop {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        let refuse = |kind| {
            let mut failing = MemoryStore::new();
            failing.fail_next([kind]);
            failing.write(&[], None)
        };
        if self.down.load(Ordering::SeqCst) {
            return refuse(FaultKind::NotSent);
        }
        if batch.iter().any(|event| event.test_id == "poison") {
            return refuse(FaultKind::Permanent);
        }
        lock(&self.memory).write(batch, timeout)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        lock(&self.memory).count()
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        lock(&self.memory).get(event_id)
    }
}

const POLICIES: GuardConfig = GuardConfig {
    retry: RetryPolicy::NEVER,
    idempotent: true,
    ..GuardConfig::DEFAULT
};

/// Nothing in these tests takes as long; a loaded machine may.
const LONG: Duration = Duration::from_secs(60);

fn event(number: usize) -> Event {
    Event::new(
        format!("e{number:05}"),
        "run",
        format!("test {number}"),
        EventType::TestEnd,
    )
}

fn start(directory: &TempDir, settings: CollectorSettings, limits: Limits, shop: &Shop) -> Collector {
    let place = SpoolPlace::new(directory.path(), "s", limits);
    let shop = shop.clone();
    Collector::start(settings, place, POLICIES, move |_| Ok(shop.clone())).unwrap()
}

fn balanced(account: Account) -> Account {
    assert!(account.balance(), "{account:?}");
    account
}

#[test]
fn what_is_recorded_by_many_threads_is_stored_once() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let collector = &collector;
            scope.spawn(move || {
                for number in 0..1_000 {
                    assert_eq!(
                        collector.record(event(thread * 1_000 + number)),
                        Recorded::Accepted
                    );
                    if number % 250 == 0 {
                        balanced(collector.account());
                    }
                }
            });
        }
    });
    let flushed = collector.flush(LONG);
    assert_eq!(flushed.durable, Ok(()));
    let account = balanced(flushed.account);
    assert_eq!(
        (account.stored, account.spooled, account.in_memory),
        (4_000, 0, 0)
    );
    let ended = collector.shutdown(LONG);
    assert_eq!((balanced(ended.account).recorded, ended.left.len()), (4_000, 0));
    let expected: Vec<_> = (0..4_000).map(|number| event(number).event_id).collect();
    assert_eq!(shop.ids(), expected);
}

#[test]
fn while_the_store_is_down_everything_is_in_the_spool_and_then_in_the_store() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::down());
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    for number in 0..100 {
        assert_eq!(collector.record(event(number)), Recorded::Accepted);
    }
    collector.record_durable(event(100), LONG).unwrap();
    let account = balanced(collector.account());
    assert_eq!((account.stored, account.spooled, account.in_memory), (0, 101, 0));
    let ended = collector.shutdown(LONG);
    assert_eq!((balanced(ended.account).spooled, ended.left.len()), (101, 0));

    shop.down.store(false, Ordering::SeqCst);
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    let account = balanced(collector.flush(LONG).account);
    assert_eq!((account.stored, account.spooled, account.accepted), (101, 0, 101));
    assert_eq!(shop.ids().len(), 101);
}

#[test]
fn poisoned_events_become_dead_letters_and_hold_nobody_up() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    for number in 0..50 {
        let mut event = event(number);
        if number % 20 == 3 {
            "poison".clone_into(&mut event.test_id);
        }
        assert_eq!(collector.record(event), Recorded::Accepted);
    }
    let account = balanced(collector.flush(LONG).account);
    assert_eq!(
        (account.stored, account.dead_lettered, account.spooled),
        (47, 3, 0)
    );
}

#[test]
fn a_full_spool_leaves_events_in_memory_and_a_full_memory_refuses() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::down());
    let settings = CollectorSettings {
        queue_events: 20,
        ..CollectorSettings::DEFAULT
    };
    let limits = Limits {
        events: 10,
        ..Limits::DEFAULT
    };
    let collector = start(&directory, settings, limits, &shop);
    for number in 0..10 {
        collector.record_durable(event(number), LONG).unwrap();
    }
    let late = collector.record_durable(event(10), LONG).unwrap_err();
    assert!(
        matches!(&late, NotDurable::InMemory(reason) if reason.contains("full with 10 events")),
        "{late}"
    );
    for number in 11..30 {
        assert_eq!(collector.record(event(number)), Recorded::Accepted);
    }
    assert_eq!(collector.record(event(30)), Recorded::Refused);
    let account = balanced(collector.account());
    assert_eq!(
        (account.accepted, account.spooled, account.in_memory),
        (30, 10, 20)
    );
    let ended = collector.shutdown(LONG);
    assert_eq!((balanced(ended.account).spooled, ended.left.len()), (10, 20));
}

/// What is in memory at the end goes into the spool as that gets room, not back to whoever ends it.
#[test]
fn a_full_spool_makes_room_at_the_end() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::down());
    let limits = Limits {
        events: 10,
        ..Limits::DEFAULT
    };
    let collector = start(&directory, CollectorSettings::DEFAULT, limits, &shop);
    for number in 0..35 {
        assert_eq!(collector.record(event(number)), Recorded::Accepted);
    }
    let flushed = collector.flush(LONG);
    assert!(
        matches!(flushed.durable, Err(NotDurable::InMemory(_))),
        "{flushed:?}"
    );
    let account = balanced(flushed.account);
    // As many as there is room for, though all of them are one part.
    assert_eq!((account.spooled, account.in_memory), (10, 25));
    shop.down.store(false, Ordering::SeqCst);
    let ended = collector.shutdown(LONG);
    assert_eq!((balanced(ended.account).stored, ended.left.len()), (35, 0));
    assert_eq!(shop.ids().len(), 35);
}

#[test]
fn without_a_spool_the_store_is_what_is_waited_for() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let settings = CollectorSettings {
        durability: Durability::Memory,
        ..CollectorSettings::DEFAULT
    };
    let collector = start(&directory, settings.clone(), Limits::DEFAULT, &shop);
    let mut poison = event(1);
    "poison".clone_into(&mut poison.test_id);
    assert_eq!(collector.record(poison), Recorded::Accepted);
    balanced(collector.flush(LONG).account);
    collector.record_durable(event(0), LONG).unwrap();
    assert_eq!(shop.ids(), ["e00000"]);
    let account = balanced(collector.flush(LONG).account);
    assert_eq!(
        (account.stored, account.dead_lettered, account.in_memory),
        (1, 1, 0)
    );
    let _ = collector.shutdown(LONG);

    shop.down.store(true, Ordering::SeqCst);
    let collector = start(&directory, settings, Limits::DEFAULT, &shop);
    assert_eq!(collector.record(event(2)), Recorded::Accepted);
    let late = collector.record_durable(event(3), LONG).unwrap_err();
    assert!(matches!(late, NotDurable::InMemory(_)), "{late}");
    balanced(collector.account());
    let ended = collector.shutdown(LONG);
    assert_eq!((ended.account.in_memory, ended.left.len()), (2, 2));
    assert!(!directory.path().join("spool").exists());
}

#[test]
fn whole_tests_are_sampled() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let settings = CollectorSettings {
        sampling: Sampling::new(crossbridge_core::PerMille::HALF, 7),
        ..CollectorSettings::DEFAULT
    };
    let collector = start(&directory, settings, Limits::DEFAULT, &shop);
    let mut taken = 0;
    for test in 0..100 {
        let of_this_test = (0..3).filter(|part| {
            let event = Event::new(
                format!("{test}.{part}"),
                "r",
                test.to_string(),
                EventType::StepEnd,
            );
            collector.record(event) == Recorded::Accepted
        });
        let count = of_this_test.count();
        assert!(count == 0 || count == 3, "{test}: {count}");
        taken += count;
    }
    let account = balanced(collector.flush(LONG).account);
    assert_eq!(account.stored, u64::try_from(taken).unwrap());
    assert!((90..210).contains(&taken), "{taken}");
}

#[test]
fn nothing_is_taken_after_the_end() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    assert_eq!(collector.record(event(0)), Recorded::Accepted);
    let ended = collector.shutdown(LONG);
    assert_eq!((balanced(ended.account).stored, ended.left.len()), (1, 0));
    assert_eq!(collector.record(event(1)), Recorded::Refused);
    assert_eq!(collector.record_durable(event(1), LONG), Err(NotDurable::NoRoom));
    assert!(matches!(collector.keep(group("late", 2)), Err(NotKept::Closed)));
    // Nobody is left who could do anything, and nothing is left to do.
    assert_eq!(collector.flush(Duration::MAX).durable, Ok(()));
    let again = collector.shutdown(Duration::MAX);
    assert_eq!((again.account, again.left.len()), (ended.account, 0));
}

#[test]
fn the_queue_keeps_its_bounds_and_its_books() {
    for (overflow, left, dropped) in [
        (Overflow::Refuse, "e00000 e00001 e00002", 0),
        (Overflow::DropNewest, "e00000 e00001 e00002", 2),
        (Overflow::DropOldest, "e00002 e00003 e00004", 2),
    ] {
        let queue = Queue::new(3, 1 << 20, overflow);
        for number in 0..5 {
            let pushed = queue.push(event(number));
            let full = number >= 3;
            match overflow {
                Overflow::Refuse => assert_eq!(matches!(pushed, Pushed::Refused), full),
                Overflow::DropNewest => assert_eq!(matches!(pushed, Pushed::Dropped), full),
                Overflow::DropOldest => assert!(matches!(pushed, Pushed::In { .. })),
            }
            let tally = queue.tally();
            assert_eq!(tally.recorded, tally.waiting + tally.dropped);
        }
        assert_eq!(queue.tally().dropped, dropped);
        let mut hand = Hand::default();
        hand.take(&queue);
        let out = hand.take_part(usize::MAX, &queue);
        let ids: Vec<_> = out.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids.join(" "), left);
        // Taken out they still take space, until they have left the memory.
        if overflow == Overflow::Refuse {
            assert!(matches!(queue.push(event(9)), Pushed::Refused));
        }
        let (events, bytes) = super::desk::weight(&out);
        queue.release(events, bytes);
        assert_eq!(queue.level(), Level::Empty);
        assert!(matches!(queue.push(event(9)), Pushed::In { .. }));
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_one_that_is_down() {
    let directory = TempDir::new().unwrap();
    let place = SpoolPlace::new(directory.path(), "s", Limits::DEFAULT);
    let settings = CollectorSettings::DEFAULT;
    let collector = Collector::start(settings, place, POLICIES, |_| {
        let mut failing = MemoryStore::new();
        failing.fail_next([FaultKind::Permanent]);
        let error = failing.write(&[], None).unwrap_err();
        assert!(matches!(error.trouble, Trouble::Scripted));
        Err::<MemoryStore, _>(error)
    })
    .unwrap();
    collector.record_durable(event(0), LONG).unwrap();
    let ended = collector.shutdown(LONG);
    assert_eq!(balanced(ended.account).spooled, 1);
}

/// `count` events of a group that no other has.
fn group(name: &str, count: usize) -> Vec<Event> {
    (0..count)
        .map(|number| Event::new(format!("{name}-{number}"), "run", "test", EventType::TestEnd))
        .collect()
}

#[test]
fn a_group_is_kept_as_a_whole_or_not_at_all() {
    for overflow in [Overflow::Refuse, Overflow::DropNewest] {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            events: 5,
            overflow,
            ..Limits::DEFAULT
        };
        let shop = Shop::down();
        let store = shop.clone();
        let collector = Collector::start(
            CollectorSettings::DEFAULT,
            SpoolPlace::new(directory.path(), "events", limits),
            GuardConfig::DEFAULT,
            move |_| Ok(store.clone()),
        )
        .unwrap();
        assert_eq!(collector.keep(group("a", 3)).unwrap().events, 3);
        assert!(collector.keep(group("b", 3)).unwrap_err().is_full());
        assert_eq!(collector.keep(group("c", 2)).unwrap().events, 2);
        let account = collector.account();
        assert!(account.balance(), "{account:?}");
        assert_eq!((account.spooled, account.in_memory, account.lost), (5, 0, 0));
        assert_eq!((account.recorded, account.handed_over), (5, 5));
        let _ = collector.shutdown(Duration::ZERO);
    }
}

#[test]
fn groups_of_many_threads_share_commits_and_are_all_kept() {
    const THREADS: usize = 8;
    const GROUPS: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::default();
    let store = shop.clone();
    let collector = Collector::start(
        CollectorSettings::DEFAULT,
        SpoolPlace::new(directory.path(), "events", Limits::DEFAULT),
        GuardConfig::DEFAULT,
        move |_| Ok(store.clone()),
    )
    .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let collector = &collector;
            scope.spawn(move || {
                for number in 0..GROUPS {
                    let kept = collector.keep(group(&format!("{thread}-{number}"), 3)).unwrap();
                    assert_eq!(kept.events, 3);
                }
            });
        }
    });
    let ended = collector.shutdown(Duration::from_secs(60));
    assert!(ended.account.balance(), "{ended:?}");
    assert_eq!(ended.account.stored, 3 * 8 * 20);
    let mut ids = shop.ids();
    ids.dedup();
    assert_eq!(ids.len(), 3 * THREADS * GROUPS);
}
