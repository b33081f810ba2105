//! The stores beside bare clients: rows per second, all in turns in one run; and what the way to them needs
//! of memory.
//!
//! ```text
//! cargo run --release -p crossbridge-benches --features stores --bin stores -- postgres
//! ```
//!
//! | argument | what is measured |
//! |---|---|
//! | `postgres` | rows per second, on a server of its own with its defaults (`fsync`, `synchronous_commit`), over loopback |
//! | `influxdb` | points per second beside the very lines that our store sends, made before the clock starts; a database for each turn |
//! | `sqlite` | rows per second, a new file in each turn, write-ahead log and `synchronous = FULL` |
//! | `down SECONDS` | memory of a collector under full load whose store is down |
//! | `many EVENTS STORE` | JSON lines through `ingest`: how long, and how much memory |
//!
//! Rows go into the same tables with the same keys and indexes, empty before each turn. What is compared
//! is a median over the turns; the events are made before the clock starts.

mod down;
mod influx_points;
mod many;
mod postgres_rows;
mod sqlite_rows;
mod workload;

use std::error::Error;

use crossbridge_core::Clock as _;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::servers::{InfluxDb, Postgres};

use workload::{events, per_second};

/// How often each has its turn.
const ROUNDS: usize = 7;

/// Events of a turn; of a slow one, fewer, for it takes as long.
const EVENTS: usize = 40_000;
const SLOW_EVENTS: usize = 2_000;

/// Events of a batch: as `ingest` writes them.
const BATCH: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] | ["postgres"] => {
            let server = Postgres::start()?;
            in_turns(&mut postgres_rows::Ways::connect(&server, &events(EVENTS))?)
        }
        ["influxdb"] => {
            let server = InfluxDb::start()?;
            in_turns(&mut influx_points::Points::connect(&server, &events(EVENTS))?)
        }
        ["sqlite"] => in_turns(&mut sqlite_rows::Ways::new(events(EVENTS))?),
        ["down", seconds] => down::run(seconds.parse()?),
        ["many", count, store] => many::run(count.parse()?, store),
        _ => Err("expected `postgres`, `influxdb`, `sqlite`, `down SECONDS` or `many EVENTS STORE`".into()),
    }
}

/// Ways to write the same events, which have their turns one after the other. The first one is ours.
trait InTurns {
    fn names(&self) -> Vec<&'static str>;

    /// Gets ready; how many events the turn has.
    fn prepare(&mut self, place: usize) -> Result<usize, Box<dyn Error>>;

    /// What is timed.
    fn run(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>>;

    /// Every event is there once.
    fn verify(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>>;
}

fn in_turns(ways: &mut dyn InTurns) -> Result<(), Box<dyn Error>> {
    let names = ways.names();
    let mut spans = vec![Vec::new(); names.len()];
    let clock = SystemClock::new();
    for _ in 0..ROUNDS {
        for (place, spans) in spans.iter_mut().enumerate() {
            let count = ways.prepare(place)?;
            let started = clock.now();
            ways.run(place, count)?;
            let took = clock.now().saturating_duration_since(started);
            ways.verify(place, count)?;
            spans.push(per_second(count, took));
        }
    }
    report(&names, &spans)
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
