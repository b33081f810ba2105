//! Answers on the worst of days: what is said to be kept is kept, and what is not is handed back.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::super::signals::Next;
use super::*;

/// A store that says when a batch has come, and does not answer until it is let go.
struct Stuck {
    come: Sender<()>,
    go: Arc<Mutex<Receiver<()>>>,
}

impl EventStore for Stuck {
    fn write(&mut self, _: &[Event], _: Option<Duration>) -> Result<Written, StoreError> {
        let _ = self.come.send(());
        // Until the other end is dropped.
        let _ = lock(&self.go).recv();
        MemoryStore::new().write(&[], None)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn get(&mut self, _: &str) -> Result<Option<Event>, StoreError> {
        Ok(None)
    }
}

/// With such a store, and both ends of it.
fn start_stuck(
    directory: &TempDir,
    durability: Durability,
    limits: Limits,
) -> (Collector, Receiver<()>, Sender<()>) {
    let ((come, has_come), (let_go, go)) = (channel(), channel());
    let go = Arc::new(Mutex::new(go));
    let settings = CollectorSettings {
        durability,
        ..CollectorSettings::DEFAULT
    };
    let place = SpoolPlace::new(directory.path(), "s", limits);
    let collector = Collector::start(settings, place, POLICIES, move |_| {
        Ok(Stuck {
            come: come.clone(),
            go: Arc::clone(&go),
        })
    });
    (collector.unwrap(), has_come, let_go)
}

#[test]
fn without_a_spool_a_batch_whose_attempt_does_not_end_is_handed_back() {
    let directory = TempDir::new().unwrap();
    let (collector, has_come, let_go) = start_stuck(&directory, Durability::Memory, Limits::DEFAULT);
    assert_eq!(collector.record(event(0)), Recorded::Accepted);
    has_come.recv().unwrap();
    assert_eq!(collector.record(event(1)), Recorded::Accepted);
    let ended = collector.shutdown(Duration::ZERO);
    assert_eq!(balanced(ended.account).in_memory, 2);
    let ids: Vec<_> = ended.left.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(ids, ["e00000", "e00001"]);
    drop(let_go);
}

#[test]
fn an_event_that_a_full_spool_drops_is_not_said_to_be_durable() {
    for (overflow, answer) in [
        (Overflow::DropNewest, Err(NotDurable::PerhapsDropped)),
        (Overflow::DropOldest, Ok(())),
    ] {
        let (directory, shop) = (TempDir::new().unwrap(), Shop::down());
        let limits = Limits {
            events: 5,
            overflow,
            ..Limits::DEFAULT
        };
        let collector = start(&directory, CollectorSettings::DEFAULT, limits, &shop);
        for number in 0..5 {
            collector.record_durable(event(number), LONG).unwrap();
        }
        assert_eq!(collector.record_durable(event(5), LONG), answer, "{overflow:?}");
        let account = balanced(collector.account());
        assert_eq!((account.spooled, account.lost), (5, 1));
    }
}

#[test]
fn without_a_spool_an_event_that_the_store_refuses_is_not_said_to_be_durable() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let settings = CollectorSettings {
        durability: Durability::Memory,
        ..CollectorSettings::DEFAULT
    };
    let collector = start(&directory, settings, Limits::DEFAULT, &shop);
    let mut poison = event(0);
    "poison".clone_into(&mut poison.test_id);
    let refused = collector.record_durable(poison, LONG);
    assert_eq!(refused, Err(NotDurable::PerhapsDropped));
    assert_eq!(collector.record_durable(event(1), LONG), Ok(()));
}

#[test]
fn what_a_full_spool_has_no_room_for_at_the_end_follows_what_the_store_takes() {
    let directory = TempDir::new().unwrap();
    let limits = Limits {
        events: 10,
        ..Limits::DEFAULT
    };
    let (collector, has_come, let_go) = start_stuck(&directory, Durability::Spool, limits);
    assert_eq!(collector.keep(group("first", 10)).unwrap().events, 10);
    has_come.recv().unwrap();
    for number in 0..8 {
        assert_eq!(collector.record(event(number)), Recorded::Accepted);
    }
    let ended = std::thread::scope(|scope| {
        let ender = scope.spawn(|| collector.shutdown(LONG));
        // The scribe has found the spool full, and gone.
        let far = collector.shared.after(LONG);
        let gone = collector.shared.next(|signals, _| {
            if signals.closing && signals.unanswered().is_none() {
                Next::Do(())
            } else {
                Next::WaitUntil(far)
            }
        });
        assert_eq!(gone, Some(()));
        drop(let_go);
        ender.join().unwrap()
    });
    assert_eq!((balanced(ended.account).stored, ended.left.len()), (18, 0));
}

#[test]
fn whoever_cannot_reach_the_store_does_not_keep_others_from_shipping() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let cut_off = start(
        &directory,
        CollectorSettings::DEFAULT,
        Limits::DEFAULT,
        &Shop::down(),
    );
    cut_off.record_durable(event(0), LONG).unwrap();
    let account = balanced(cut_off.flush(LONG).account);
    assert_eq!((account.stored, account.spooled), (0, 1));
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    collector.record_durable(event(1), LONG).unwrap();
    let account = balanced(collector.flush(Duration::from_secs(20)).account);
    assert_eq!((account.stored, account.spooled), (2, 0));
    assert_eq!(shop.ids(), ["e00000", "e00001"]);
}

#[test]
fn events_without_an_id_are_not_taken_for_one_another() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    for _ in 0..2 {
        let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
        let nameless = || Event::new("", "run", "test", EventType::TestEnd);
        assert_eq!(collector.record(nameless()), Recorded::Accepted);
        collector.record_durable(nameless(), LONG).unwrap();
        assert_eq!(collector.keep(vec![nameless(), nameless()]).unwrap().events, 2);
        let _ = collector.shutdown(LONG);
    }
    let mut ids = shop.ids();
    ids.dedup();
    assert_eq!(ids.len(), 8);
}

#[test]
fn whoever_records_while_it_is_shut_down_loses_nothing_that_was_accepted() {
    let (directory, shop) = (TempDir::new().unwrap(), Shop::default());
    let collector = start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
    let accepted = std::thread::scope(|scope| {
        let recorders: Vec<_> = (0..4)
            .map(|thread| {
                let collector = &collector;
                scope.spawn(move || {
                    let numbers = thread * 10_000..;
                    let all = numbers.map(|number| collector.record(event(number)));
                    // It ends when the collector does: there is room for all of them.
                    all.take(10_000)
                        .take_while(|recorded| *recorded == Recorded::Accepted)
                        .count()
                })
            })
            .collect();
        let enders = [(); 2].map(|()| scope.spawn(|| collector.shutdown(LONG)));
        for ender in enders {
            assert_eq!(ender.join().unwrap().left, []);
        }
        let counts = recorders.into_iter().map(|recorder| recorder.join().unwrap());
        counts.sum::<usize>()
    });
    assert_eq!(
        balanced(collector.account()).recorded,
        u64::try_from(accepted).unwrap()
    );
    assert_eq!(shop.ids().len(), accepted);
}

#[test]
fn a_spool_that_somebody_has_deleted_keeps_nothing_and_says_so() {
    for another in [false, true] {
        let (directory, shop) = (TempDir::new().unwrap(), Shop::down());
        let start = || start(&directory, CollectorSettings::DEFAULT, Limits::DEFAULT, &shop);
        let collector = start();
        collector.record_durable(event(0), LONG).unwrap();
        std::fs::remove_dir_all(directory.path().join("spool")).unwrap();
        // Another one of its name, for whoever has come later.
        let later = another.then(start);
        let late = collector.record_durable(event(1), LONG).unwrap_err();
        assert!(
            matches!(&late, NotDurable::InMemory(reason) if reason.starts_with("spool: append to ")),
            "{late}"
        );
        let ended = collector.shutdown(LONG);
        assert_eq!((balanced(ended.account).in_memory, ended.left.len()), (1, 1));
        if let Some(later) = later {
            later.record_durable(event(2), LONG).unwrap();
        }
    }
}
