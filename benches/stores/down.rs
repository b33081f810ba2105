//! The memory of a collector under full load whose store is down: four threads that record as fast as it
//! takes, a bound of 64 MiB in memory, a spool on disk that is bounded too.

use std::error::Error;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbridge_core::{Clock as _, FaultKind, GuardConfig, Sleeper as _};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::collector::{Collector, Recorded};
use crossbridge_std::profiling::{CollectorSettings, Event, EventStore, Limits, MemoryStore, SpoolPlace};
use crossbridge_std::sleeper::ThreadSleeper;

use crate::workload::{events, memory};

const THREADS: usize = 4;

/// How often it is looked at.
const LOOKS: u64 = 10;

/// So many seconds of load.
pub(crate) fn run(seconds: u64) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let directory = tempfile::tempdir()?;
    let place = SpoolPlace::new(directory.path(), "down", Limits::DEFAULT);
    let settings = CollectorSettings::DEFAULT;
    let bound = settings.queue_bytes >> 20;
    let collector = Collector::start(settings, place, GuardConfig::DEFAULT, |_| {
        let mut down = MemoryStore::new();
        down.fail_next([FaultKind::NotSent]);
        down.write(&[], None)?;
        Ok(down)
    })?;
    let patterns = events(1_000);
    let (clock, ended) = (SystemClock::new(), AtomicBool::new(false));
    writeln!(
        out,
        "memory before the first event: {} MiB; the queue's bound: {bound} MiB",
        memory("VmRSS")
    )?;
    writeln!(out, "| s | accepted | in memory | spooled | lost | RSS, MiB |")?;
    writeln!(out, "|--:|--:|--:|--:|--:|--:|")?;
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        for thread in 0..THREADS {
            let (collector, patterns, ended) = (&collector, &patterns, &ended);
            scope.spawn(move || load(collector, patterns, thread, ended));
        }
        let started = clock.now();
        for look in 1..=LOOKS {
            let at = started.saturating_add(Duration::from_millis(seconds * 1_000 / LOOKS * look));
            ThreadSleeper.sleep(at.saturating_duration_since(clock.now()));
            let account = collector.account();
            let line = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} |",
                clock.now().saturating_duration_since(started).as_secs(),
                account.accepted,
                account.in_memory,
                account.spooled,
                account.lost,
                memory("VmRSS"),
            );
            if look == LOOKS || line.is_err() {
                ended.store(true, Ordering::Relaxed);
            }
            line?;
        }
        Ok(())
    })?;
    let ended = collector.shutdown(Duration::from_secs(30));
    writeln!(
        out,
        "highest: {} MiB; balanced: {}; left in memory: {}",
        memory("VmHWM"),
        ended.account.balance(),
        ended.left.len()
    )?;
    Ok(())
}

/// Records until it is told to end; what is refused is tried again.
fn load(collector: &Collector, patterns: &[Event], thread: usize, ended: &AtomicBool) {
    'events: for number in 0_u64.. {
        for pattern in patterns {
            let mut event = pattern.clone();
            event.event_id = format!("{thread} {number} {}", pattern.event_id);
            while collector.record(event.clone()) != Recorded::Accepted {
                if ended.load(Ordering::Relaxed) {
                    break 'events;
                }
                ThreadSleeper.sleep(Duration::from_millis(1));
            }
            if ended.load(Ordering::Relaxed) {
                break 'events;
            }
        }
    }
}
