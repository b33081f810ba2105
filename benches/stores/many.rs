//! Many events through `ingest`, from lines that are made while they are read: how long it takes, and how
//! much memory.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufReader, Read, Write as _};

use crossbridge_core::{Clock as _, Guard, GuardConfig};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::store::StoreUrl;
use crossbridge_std::profiling::{EventStore as _, Ingest, Options, source};
use crossbridge_std::servers::Postgres;
use crossbridge_std::sleeper::ThreadSleeper;

use crate::workload::{memory, per_second};

/// So many into a store of this kind.
pub(crate) fn run(count: u64, store: &str) -> Result<(), Box<dyn Error>> {
    if !matches!(store, "postgres" | "sqlite") {
        return Err(format!("store `{store}`, expected `postgres` or `sqlite`").into());
    }
    let folder = tempfile::tempdir()?;
    let server = (store == "postgres").then(Postgres::start).transpose()?;
    let url = match &server {
        Some(server) => server.url("postgres"),
        None => format!("sqlite:{}", folder.path().join("events.db").display()),
    };
    let url: StoreUrl = url.parse()?;
    let mut store = url.open(None)?;
    let mut guard = Guard::new(GuardConfig {
        idempotent: true,
        ..GuardConfig::DEFAULT
    })?;
    let clock = SystemClock::new();
    let lines = BufReader::new(Lines::new(count));
    let mut source = source::open(lines, Options::named("many.jsonl"))?;
    let mut rng = crossbridge_std::entropy::generator();
    let before = memory("VmRSS");
    let started = clock.now();
    let counts = Ingest::new(&mut *store, &mut guard).run(
        &mut source,
        &clock,
        &mut ThreadSleeper,
        &mut rng,
        |_| {},
    )?;
    let took = clock.now().saturating_duration_since(started);
    if (counts.new, store.count()?) != (count, count) {
        return Err(format!("{counts:?}, expected {count} new events").into());
    }
    writeln!(
        std::io::stdout(),
        "{count} events into {}: {:.1} s, {} events/s; memory {before} MiB before, {} MiB at its highest",
        url.kind(),
        took.as_secs_f64(),
        per_second(usize::try_from(count)?, took),
        memory("VmHWM"),
    )?;
    Ok(())
}

/// Lines of JSON, as a run of tests makes them.
struct Lines {
    left: std::ops::Range<u64>,
    text: String,
    read: usize,
}

impl Lines {
    const fn new(count: u64) -> Self {
        Self {
            left: 0..count,
            text: String::new(),
            read: 0,
        }
    }

    /// The next hundred, or none.
    fn fill(&mut self) {
        self.text.clear();
        self.read = 0;
        for number in self.left.by_ref().take(100) {
            // Writing to a `String` does not fail.
            let _ = writeln!(
                self.text,
                "{{\"event_id\":\"30e76e67-0000-8007-a7e7-{number:012x}\",\
                 \"run_id\":\"2c7cf4f5-3c5e-4b6f-9f3f-0b7f7f3f2a11\",\
                 \"test_id\":\"tests/test_checkout.py::test_total[{}]\",\"event_type\":\"step_end\",\
                 \"framework\":\"pytest\",\"step_name\":\"call\",\"duration_ms\":{}.125,\
                 \"created_at\":\"2026-11-21T16:53:04.026751Z\",\
                 \"metadata\":{{\"status\":\"passed\",\"worker\":\"gw3\"}}}}",
                number % 500,
                number % 1_000,
            );
        }
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.text.len() {
            self.fill();
        }
        let mut rest = self.text.as_bytes().get(self.read..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}
