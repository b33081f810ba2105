//! The command line of `profile query`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::Format;
use crate::command::profile::query::Since;

/// `profile query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// What to ask
    #[arg(value_enum, default_value_t = Question::SlowTests)]
    pub(crate) question: Question,

    /// Which store: sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE [default:
    /// sqlite:.crossbridge/crossbridge.db, or in CROSSBRIDGE_HOME]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,

    /// Of this run alone
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,

    /// Not recorded before: a time ago (7d, 12h), a date or a time of RFC 3339, in UTC
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,

    /// Tests whose id has this in it; with * and ? the whole id
    #[arg(long, value_name = "PATTERN")]
    pub(crate) test: Option<String>,

    /// The most rows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,

    /// How many of the last durations are drawn
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) recent: u32,

    /// How long an answer may take: of PostgreSQL, or of SQLite to let us read
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) timeout: u32,

    /// How the answer is written
    #[arg(long, value_parser = formats(), default_value_t = Format::Text, display_order = 101)]
    pub(crate) format: Format,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Question {
    /// Tests by their median duration
    SlowTests,
    /// HTTP and API calls by their median duration
    SlowEndpoints,
    /// Tests that pass and fail, or take longer and shorter
    Flaky,
    /// Tests by how often they failed, and what was said the last time
    Failures,
    /// Runs, the latest first
    Runs,
}

/// The formats of this command.
fn formats() -> impl TypedValueParser<Value = Format> {
    let value = |name: &'static str, help| PossibleValue::new(name).help(help);
    PossibleValuesParser::new([
        value("text", "For people: a table"),
        value(
            "json",
            "For programs: one object on stdout, errors as objects on stderr",
        ),
        value(
            "csv",
            "For spreadsheets: texts that would be a formula have a ' in front",
        ),
    ])
    .map(|name| match name.as_str() {
        "json" => Format::Json,
        "csv" => Format::Csv,
        _ => Format::Text,
    })
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge profile query --store sqlite:events.db
  crossbridge profile query slow-endpoints --store postgres://ci@db/metrics --since 7d --limit 5
  crossbridge profile query flaky --test 'tests/test_cart.py::*' --format csv > flaky.csv

Words:
  median, p90  the duration that 50 and 90 per cent do not exceed
  variation    standard deviation over mean
  outliers     durations beyond 1.5 interquartile ranges from the quartiles, from 5 durations on
  flips        how often a test failed after it had passed, or the other way round
  retried      runs in which it needed more than one attempt

`flaky` lists tests that flipped, were retried, or have 5 durations and a variation of 0.5 or more.
A failed test is one in error or timed out too; a failed call has a status of 400 or above.

Exit codes:
  0  the answer is printed, rows or none
  2  a store of that kind cannot be asked (influxdb, jsonl)
  4  the store is not there or could not be read";
