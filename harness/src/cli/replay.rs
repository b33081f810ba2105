//! The command line of `replay`.

use std::path::PathBuf;

use clap::Args;
use crossbridge_harness::scenario::grid::Setting;

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Replaces the seed of the scenarios
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Run so many seeds, that of the scenario first, and report how the outcomes are spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) seeds: Option<u32>,

    /// Put a value into the scenario, as `clients.web.count=40`; a list makes a grid; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<Setting>,

    /// Write every event of the run as a line of JSON; with several scenarios, one after the other
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Write a page for a browser: one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write the timeline of one scenario, or the heat map of one grid, as a picture
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Write the same picture as PNG
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,

    /// Write the promises as JUnit XML: a suite per scenario or cell, a case per promise
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Run it on real servers as well, and compare: see below
    #[arg(long, conflicts_with_all = ["seeds", "trace", "html", "svg", "png", "junit"])]
    pub(crate) live: bool,
}

pub(super) const EXAMPLE: &str = r#"Example:
  crossbridge replay fixtures/scenarios/postgres-blip.yml
  crossbridge replay fixtures/scenarios/*.yml --format json --trace /tmp/trace.jsonl
  crossbridge replay fixtures/scenarios/postgres-blip.yml --seeds 100 --html /tmp/postgres-blip.html
  crossbridge replay fixtures/scenarios/*.yml --junit /tmp/promises.xml
  crossbridge replay fixtures/scenarios/live/postgres-refuse.yml --live

A scenario whose values are lists is a grid: every combination is run, and shown as a heat map of
outcomes and a table with the command of each cell. `--set` runs one of them, or makes a grid:
  crossbridge replay fixtures/scenarios/grids/metastable.yml
  crossbridge replay fixtures/scenarios/postgres-blip.yml --set 'clients.workers.count=[20, 40, 80]'

With `--seeds` every promise must hold under every seed. The first seed is the one of the scenario or of
`--seed`, the others follow from it; the trace, the timeline and the counts are those of the first.

With `--live` the same calls are also made by real clients, in real time, to a PostgreSQL, a Redis or an HTTP
server of their own behind a fault proxy; each dependency says with `live: postgres`, `redis` or `http` what it
is. Prediction and measurement are printed side by side. Exit code 1 where a number is outside its
tolerance, or a promise was broken in either; 4 where a server is not installed. With `--format json`:
  {"schema":1,"scenario":"...","seed":7,"verdict":"pass","comparison":[{"metric":"goodput","predicted":0.98,
   "measured":0.97,"difference":-0.01,"tolerance":0.03,"within":true},...],"servers":[...],"late_ms":{...},
   "prediction":{...as of replay...},"measurement":{...}}"#;
