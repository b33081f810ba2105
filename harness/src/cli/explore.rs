//! The command line of `explore`.

use std::path::PathBuf;

use clap::Args;

/// `explore`.
#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// The scenario whose clients, nodes and policies are explored
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// How many runs
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) runs: u64,

    /// The seed of the first run; the next has the next [default: the scenario's]
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Write the smallest failing runs as scenarios into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) threads: Option<u32>,
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge explore fixtures/scenarios/postgres-blip.yml --runs 500 --save /tmp/found
  crossbridge replay /tmp/found/*.yml

Exit codes:
  0  everything held in every run
  1  a rule was broken; the smallest run that breaks it is printed, and saved with --save
  3  the scenario is invalid, or no run of it could be finished";
