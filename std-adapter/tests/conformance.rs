//! One suite per port, run on every backend, the one in memory first.

use crossbridge_std::profiling::{Event, EventStore, EventType, MemoryStore, Millis, Seconds, Written};
use serde_json::json;

#[cfg(feature = "sqlite")]
use crossbridge_std::profiling::SqliteStore;

/// Runs a check on an empty store of every kind.
fn on_every_store(check: impl Fn(&mut dyn EventStore)) {
    check(&mut MemoryStore::new());
    #[cfg(feature = "sqlite")]
    {
        let directory = tempfile::tempdir().unwrap();
        check(&mut SqliteStore::open(directory.path().join("events.db"), None).unwrap());
    }
}

fn event(id: &str) -> Event {
    Event::new(id, "run", "test", EventType::TestEnd)
}

#[test]
fn an_empty_batch_is_nothing() {
    on_every_store(|store| {
        assert_eq!(
            store.write(&[], None).unwrap(),
            Written {
                new: 0,
                already_there: 0
            }
        );
        assert_eq!(store.count().unwrap(), 0);
        assert_eq!(store.get("a").unwrap(), None);
    });
}

#[test]
fn everything_of_an_event_comes_back() {
    let mut full = event("full");
    full.framework = "pytest".to_owned();
    full.step_name = Some("log in\0\n\"'); DROP TABLE profiling_events; -- ü".to_owned());
    full.start_time = Some(Seconds::new(12.345).unwrap());
    full.end_time = Some(Seconds::new(1_763_745_600.123_456).unwrap());
    full.duration_ms = Some(Millis::new(250.125).unwrap());
    full.created_at = Some("2026-11-21T16:53:04.026751123Z".parse().unwrap());
    full.metadata = json!({"status": "passed", "n": [1, 2.5, null, {"a": true}], "big": u64::MAX})
        .as_object()
        .cloned()
        .unwrap();
    let mut zero = event("zero");
    zero.start_time = Some(Seconds::ZERO);
    zero.duration_ms = Some(Millis::ZERO);
    let bare = event("bare");
    on_every_store(|store| {
        let batch = [full.clone(), zero.clone(), bare.clone()];
        assert_eq!(
            store.write(&batch, None).unwrap(),
            Written {
                new: 3,
                already_there: 0
            }
        );
        for event in &batch {
            assert_eq!(store.get(&event.event_id).unwrap().as_ref(), Some(event));
        }
    });
}

#[test]
fn every_type_of_event_is_kept() {
    on_every_store(|store| {
        let batch: Vec<_> = EventType::ALL
            .into_iter()
            .map(|kind| Event::new(kind.as_str(), "run", "test", kind))
            .collect();
        assert_eq!(store.write(&batch, None).unwrap().new, 17);
        for kind in EventType::ALL {
            assert_eq!(
                store.get(kind.as_str()).unwrap().map(|event| event.event_type),
                Some(kind)
            );
        }
    });
}

#[test]
fn writing_again_stores_once() {
    on_every_store(|store| {
        let batch = [event("a"), event("b")];
        assert_eq!(
            store.write(&batch, None).unwrap(),
            Written {
                new: 2,
                already_there: 0
            }
        );
        assert_eq!(
            store.write(&batch, None).unwrap(),
            Written {
                new: 0,
                already_there: 2
            }
        );
        let more = [event("b"), event("c"), event("c")];
        assert_eq!(
            store.write(&more, None).unwrap(),
            Written {
                new: 1,
                already_there: 2
            }
        );
        assert_eq!(store.count().unwrap(), 3);
    });
}

#[test]
fn the_first_of_two_events_with_one_id_stays() {
    on_every_store(|store| {
        let mut other = event("a");
        other.test_id = "another test".to_owned();
        store.write(&[event("a"), other.clone()], None).unwrap();
        store.write(&[other], None).unwrap();
        assert_eq!(store.get("a").unwrap(), Some(event("a")));
    });
}

#[test]
fn a_timeout_of_any_size_is_borne() {
    use std::time::Duration;
    on_every_store(|store| {
        for (number, timeout) in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX]
            .into_iter()
            .enumerate()
        {
            assert_eq!(
                store
                    .write(&[event(&number.to_string())], Some(timeout))
                    .unwrap()
                    .new,
                1
            );
        }
    });
}

#[test]
fn a_large_batch_is_one_batch() {
    on_every_store(|store| {
        let batch: Vec<_> = (0..3_000)
            .map(|number| event(&format!("event {number}")))
            .collect();
        assert_eq!(store.write(&batch, None).unwrap().new, 3_000);
        assert_eq!(store.count().unwrap(), 3_000);
    });
}
