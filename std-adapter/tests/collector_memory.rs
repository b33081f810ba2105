//! The heap of a collector whose store is down: what is counted is what is taken, and the bound holds.
#![cfg(feature = "sqlite")]

use std::time::Duration;

use crossbridge_core::{FaultKind, GuardConfig};
use crossbridge_std::profiling::collector::{Collector, Recorded};
use crossbridge_std::profiling::{
    CollectorSettings, Event, EventStore, EventType, Limits, MemoryStore, Millis, SpoolPlace,
};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};

/// What Rust takes of the heap. SQLite, which is C, is not in it.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const BOUND: usize = 24 << 20;

/// What lies outside of the bound: room in lists and in a commit, and a batch for the store.
/// `CollectorSettings::queue_bytes` says so.
const BESIDE: usize = 9 << 20;

const THREADS: u64 = 4;

/// Events in the spool, which then is full.
const SPOOLED: u64 = 200;

/// Events of all sorts: what is counted wrongly for one of them shows.
fn event(shape: u32, thread: u64, number: u64) -> Event {
    let id = format!("{thread}-{number}");
    let mut event = Event::new(
        id,
        "1f0c2f9e-0000-4000-8000-000000000000",
        "test",
        EventType::HttpRequest,
    );
    match shape {
        // Nothing but what every event has.
        0 => {}
        // As a reporter of a browser test makes them.
        1 => {
            event.test_id = format!("tests/test_{thread}.py::case[{}]", number % 13);
            event.duration_ms = Millis::new(250.125).ok();
            event.metadata.insert("status", "passed".into());
            event.metadata.insert("status_code", 200.into());
        }
        // Texts with more room than they use.
        2 => {
            event.test_id = String::with_capacity(300);
            event.test_id.push_str("test");
            event.step_name = Some(String::with_capacity(1));
        }
        // Maps in lists in maps.
        3 => {
            let step = json!({"name": "click", "at": {"x": 1, "y": [2, 3, null]}});
            event.metadata.insert("steps", vec![step; 8].into());
        }
        // Many entries.
        _ => {
            let entries = (0..60).map(|entry| (format!("header {entry}"), Value::from(entry)));
            event.metadata.extend(entries);
        }
    }
    event
}

#[test]
fn the_heap_keeps_the_bound_whatever_the_events_are() {
    for shape in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            events: SPOOLED,
            ..Limits::DEFAULT
        };
        let settings = CollectorSettings {
            queue_bytes: u64::try_from(BOUND).unwrap(),
            ..CollectorSettings::DEFAULT
        };
        let before = HEAP.current_usage();
        let place = SpoolPlace::new(directory.path(), "memory", limits);
        let collector = Collector::start(settings, place, GuardConfig::DEFAULT, |_| {
            let mut down = MemoryStore::new();
            down.fail_next([FaultKind::NotSent]);
            down.write(&[], None)?;
            Ok(down)
        })
        .unwrap();
        // The spool is full before the first one is recorded, so all of them stay in memory.
        let spooled = (0..SPOOLED).map(|number| event(shape, THREADS, number));
        collector.keep(spooled.collect()).unwrap();
        HEAP.reset_peak_usage();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let collector = &collector;
                scope.spawn(move || {
                    let mut numbers = 0..;
                    while let Some(number) = numbers.next()
                        && collector.record(event(shape, thread, number)) == Recorded::Accepted
                    {
                    }
                });
            }
        });
        let (now, peak) = (HEAP.current_usage() - before, HEAP.peak_usage() - before);
        let account = collector.account();
        assert!(account.balance(), "{account:?}");
        assert!(peak <= BOUND + BESIDE, "shape {shape}: {peak} bytes, {account:?}");
        // Not so little either that the bound is another one than was asked for.
        assert!(now >= BOUND / 5 * 3, "shape {shape}: {now} bytes, {account:?}");
        let ended = collector.shutdown(Duration::ZERO);
        assert_eq!(u64::try_from(ended.left.len()), Ok(account.in_memory));
    }
}
