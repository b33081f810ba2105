//! Stores a test report in SQLite, each event once, under the policies of `crossbridge.yml`.
//!
//! ```text
//! cargo run -p crossbridge-std --example ingest_report -- fixtures/profiling/pytest/pytest-xunit2.xml events.db
//! sqlite3 events.db "select status, count(*) from tests group by status"
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Write as _};

use crossbridge_core::Guard;
use crossbridge_std::profiling::{Ingest, Options, SqliteStore, source};
use crossbridge_std::{clock::SystemClock, config::Config, entropy, sleeper::ThreadSleeper};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(report), Some(database)) = (arguments.next(), arguments.next()) else {
        return Err("expected two arguments: a report and a database file".into());
    };
    let config = Config::load(None)?; // the defaults, where there is no crossbridge.yml
    let mut guard = Guard::new(config.path("profiling_storage")?.guard)?;
    let mut store = SqliteStore::open(database, None)?;

    let mut source = source::open(BufReader::new(File::open(&report)?), Options::named(report))?;
    let (clock, mut rng) = (SystemClock::new(), entropy::generator());
    let mut ingest = Ingest::new(&mut store, &mut guard);
    let counts = ingest.run(&mut source, &clock, &mut ThreadSleeper, &mut rng, |_notice| {})?;

    let flaky = source.summary().flaky;
    let (new, there) = (counts.new, counts.already_there);
    writeln!(
        io::stdout(),
        "{new} new events, {there} already there; {flaky} flaky tests"
    )?;
    Ok(())
}
