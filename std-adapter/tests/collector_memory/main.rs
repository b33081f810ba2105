//! The heap of a collector whose store is down: what is counted is what is taken, and the bound holds, at
//! once and for [as long as one likes](soak).
#![cfg(all(feature = "sqlite", feature = "postgres", feature = "servers"))]

use std::time::Duration;

use crossbridge_core::{FaultKind, GuardConfig};
use crossbridge_std::profiling::collector::{Collector, Recorded};
use crossbridge_std::profiling::{CollectorSettings, EventStore, Limits, MemoryStore, SpoolPlace};
use peak_alloc::PeakAlloc;

mod events;
mod soak;

use events::{SHAPES, event};

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

#[test]
fn the_heap_keeps_the_bound_whatever_the_events_are() {
    for shape in 0..SHAPES {
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
