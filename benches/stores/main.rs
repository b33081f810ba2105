//! The stores beside bare clients: rows per second, all in turns in one run, on a server of its own.
//!
//! ```text
//! cargo run --release -p crossbridge-benches --features stores --bin stores
//! cargo run --release -p crossbridge-benches --features stores --bin stores -- influxdb
//! ```
//!
//! PostgreSQL with its defaults (`fsync` and `synchronous_commit` on), over loopback, all into the same
//! table with the same key and indexes, which is emptied before each turn. What is compared is a median
//! over the turns; the events are made before the clock starts.
//!
//! InfluxDB with its defaults, too: beside the very lines that our store sends, made before the clock
//! starts and posted over a bare socket; a database of its own for each turn.

mod influx_points;
mod postgres_rows;

use std::error::Error;
use std::time::Duration;

use crossbridge_core::Clock as _;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::{Event, EventType, Millis, Seconds};
use crossbridge_std::servers::{InfluxDb, Postgres};

use influx_points::Points;
use postgres_rows::Contestants;

/// Ways to get events into one server; the first one is ours.
pub(crate) trait Side {
    fn names(&self) -> Vec<&'static str>;

    /// Makes room for the turn; how many events it has.
    fn prepare(&mut self, place: usize) -> Result<usize, Box<dyn Error>>;

    fn run(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>>;

    /// Every event is there once.
    fn verify(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>>;
}

/// How often each has its turn.
const ROUNDS: usize = 7;

/// Events of a turn; of a slow one, fewer, for it takes as long.
const EVENTS: usize = 40_000;
const SLOW_EVENTS: usize = 2_000;

/// Events of a batch: as `ingest` writes them.
const BATCH: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let events = events();
    if wants("postgres") {
        let server = Postgres::start()?;
        turns(&mut Contestants::connect(&server, &events)?)?;
    }
    if wants("influxdb") {
        let server = InfluxDb::start()?;
        turns(&mut Points::connect(&server, &events)?)?;
    }
    Ok(())
}

/// Each in its turn, round by round.
fn turns(side: &mut dyn Side) -> Result<(), Box<dyn Error>> {
    let mut spans = vec![Vec::new(); side.names().len()];
    let clock = SystemClock::new();
    for _ in 0..ROUNDS {
        for (place, spans) in spans.iter_mut().enumerate() {
            let count = side.prepare(place)?;
            let started = clock.now();
            side.run(place, count)?;
            let took = clock.now().saturating_duration_since(started);
            side.verify(place, count)?;
            spans.push(per_second(count, took));
        }
    }
    report(&side.names(), &spans)
}

/// Rows per second.
fn per_second(count: usize, took: Duration) -> u64 {
    let rows = u128::try_from(count).unwrap_or(u128::MAX) * 1_000_000;
    u64::try_from(rows / took.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// Medians, and ours divided by each. The first one is ours.
fn report(names: &[&str], spans: &[Vec<u64>]) -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;

    let medians: Vec<_> = spans
        .iter()
        .map(|spans| {
            let mut sorted = spans.clone();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).copied().unwrap_or(0).max(1)
        })
        .collect();
    let ours = medians.first().copied().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| way | rows/s, median of {ROUNDS} | lowest | highest | ours / it |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|")?;
    for ((name, spans), median) in names.iter().zip(spans).zip(&medians) {
        let (low, high) = (spans.iter().min().unwrap_or(&0), spans.iter().max().unwrap_or(&0));
        let hundredths = ours.saturating_mul(100) / median;
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        writeln!(out, "| {name} | {median} | {low} | {high} | {whole}.{rest:02} |")?;
    }
    Ok(())
}

/// Events as a run of tests makes them, some 230 bytes each.
fn events() -> Vec<Event> {
    (0..EVENTS)
        .map(|number| {
            let id = format!("30e76e67-0000-8007-a7e7-{number:012x}");
            let test = format!("tests/test_checkout.py::test_total[{}]", number % 500);
            let kind = if number % 2 == 0 {
                EventType::TestEnd
            } else {
                EventType::StepEnd
            };
            let mut event = Event::new(id, "2c7cf4f5-3c5e-4b6f-9f3f-0b7f7f3f2a11", test, kind);
            let seconds = u32::try_from(number).unwrap_or(0);
            event.framework = "pytest".to_owned();
            event.step_name = Some("call".to_owned());
            event.start_time = Seconds::new(f64::from(seconds) * 0.013).ok();
            event.duration_ms = Millis::new(f64::from(seconds % 1_000) + 0.125).ok();
            event.created_at = "2026-11-21T16:53:04.026751Z".parse().ok();
            event.metadata.insert("status".to_owned(), "passed".into());
            event.metadata.insert("attempts".to_owned(), 1.into());
            event.metadata.insert("worker".to_owned(), "gw3".into());
            event
        })
        .collect()
}
