//! Ours beside the crates people use today, in one run on one machine.
//!
//! ```text
//! cargo run --release -p crossbridge-benches --features peers --bin side-by-side -- --filter gcra
//! ```
//!
//! How it measures, and why: the page of the `lab` module.

mod breaker;
mod floors;
mod guard;
mod keyed;
mod lab;
mod rate_limit;
mod report;
mod retry;
mod shared;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

use lab::compete;
use report::{Judged, Report};

/// Times the core and its peers in turns.
#[derive(Parser)]
struct Arguments {
    /// Only rows whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// How often each contestant has its turn.
    #[arg(long, default_value_t = 101, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn is, in microseconds.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    slice: u64,
    /// A line about machine, compiler and date, for the report.
    #[arg(long)]
    about: Option<String>,
    /// Where to write the result as data.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the tables.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let wanted = |id: &str| {
        let part = arguments.filter.as_deref();
        part.is_none_or(|part| id.contains(part))
    };
    let mut rows = floors::rows();
    rows.extend(rate_limit::rows()?);
    rows.extend(shared::rows()?);
    rows.extend(keyed::rows(wanted)?);
    rows.extend(retry::rows()?);
    rows.extend(breaker::rows()?);
    rows.extend(guard::rows()?);
    rows.retain(|row| wanted(row.id));
    let rounds = usize::try_from(arguments.rounds)?;
    let rows = rows
        .iter_mut()
        .map(|row| {
            let taken = compete(row, rounds, arguments.slice * 1_000);
            Judged::new(row, taken)
        })
        .collect();
    let report = Report {
        about: arguments.about,
        rounds,
        rows,
    };
    let tables = report.markdown();
    if let Some(file) = arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if let Some(file) = arguments.markdown {
        std::fs::write(file, &tables)?;
    }
    #[expect(clippy::print_stdout, reason = "a program for people")]
    {
        print!("{tables}");
    }
    Ok(())
}
