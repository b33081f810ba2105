//! How long `Collector::record` takes, with four threads and the spool on.
//!
//! ```text
//!   cargo run --release -p crossbridge-std --example record_latency
//! ```
//!
//! The store is down throughout, so everything ends in the spool. Each thread pauses after a hundred
//! events as a test would; without that it measures how fast memory is full. That makes up to 80 000
//! events a second: a disk that is slower, or a build without `--release`, fills the memory all the
//! same, and then events are refused.

use std::time::Duration;

use crossbridge_core::{Clock, FaultKind, GuardConfig, Sleeper};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::collector::{Collector, Recorded};
use crossbridge_std::profiling::{
    CollectorSettings, Event, EventStore, EventType, Limits, MemoryStore, Millis, SpoolPlace,
};
use crossbridge_std::sleeper::ThreadSleeper;

const THREADS: usize = 4;
const EVENTS: usize = 50_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let place = SpoolPlace::new(directory.path(), "latency", Limits::DEFAULT);
    let collector = Collector::start(CollectorSettings::DEFAULT, place, GuardConfig::DEFAULT, |_| {
        let mut down = MemoryStore::new();
        down.fail_next([FaultKind::NotSent]);
        down.write(&[], None)?;
        Ok(down)
    })?;
    let clock = SystemClock::new();
    let mut spans: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let collector = &collector;
                    move || record(collector, clock, thread)
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    });
    spans.sort_unstable();
    let at = |share: usize| {
        spans
            .get(spans.len() * share / 1_000)
            .copied()
            .unwrap_or_default()
    };
    let mut empty: Vec<u64> = (0..10_000).map(|_| nanos(clock.now(), clock.now())).collect();
    empty.sort_unstable();
    let account = collector.flush(Duration::from_secs(60)).account;
    let report = format!(
        "record, {THREADS} threads, {} events: median {} ns, p90 {} ns, p99 {} ns, p99.9 {} ns; \
         two readings of the clock alone {} ns\nrefused: {}\n{account:?}\nbalanced: {}\n",
        spans.len(),
        at(500),
        at(900),
        at(990),
        at(999),
        empty.get(5_000).copied().unwrap_or_default(),
        spans
            .len()
            .saturating_sub(usize::try_from(account.recorded).unwrap_or(usize::MAX)),
        account.balance(),
    );
    std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes())?;
    Ok(())
}

fn record(collector: &Collector, clock: SystemClock, thread: usize) -> Vec<u64> {
    let mut spans = Vec::with_capacity(EVENTS);
    for number in 0..EVENTS {
        let mut event = Event::new(
            format!("{thread}-{number}"),
            "1f0c2f9e-0000-4000-8000-000000000000",
            format!("tests/test_{thread}.py::case[{}]", number % 13),
            EventType::HttpRequest,
        );
        event.duration_ms = Millis::new(250.125).ok();
        event.metadata.insert("status", "passed".into());
        event.metadata.insert("status_code", 200.into());
        let before = clock.now();
        let recorded = collector.record(event);
        spans.push(nanos(before, clock.now()));
        if recorded != Recorded::Accepted || number % 100 == 99 {
            ThreadSleeper.sleep(Duration::from_millis(5));
        }
    }
    spans
}

fn nanos(before: crossbridge_core::Instant, after: crossbridge_core::Instant) -> u64 {
    after.as_nanos().saturating_sub(before.as_nanos())
}
