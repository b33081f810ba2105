//! The command line of `record`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Logs, one JSON object per line
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,

    /// The scenario to write; other files go beside it
    #[arg(short, long, value_name = "SCENARIO")]
    pub(crate) output: PathBuf,

    /// How many processes the log is of: the calls are dealt out among so many guards
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) clients: u32,

    /// What becomes of the service times
    #[arg(long, value_enum, default_value_t = ServiceTimes::Replayed)]
    pub(crate) service_times: ServiceTimes,
}

/// What becomes of the service times of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceTimes {
    /// Drawn from those in the log
    Replayed,
    /// Drawn from the lognormal distribution with their median and 99th percentile
    Fitted,
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge record logs/crossbridge.log -o incident/friday.yml --config crossbridge.yml
  crossbridge replay incident/friday.yml --config other.yml

Exit codes:
  0  the scenario is written; lines that cannot be read are listed on stderr as
     file:line: reason, the first 20, and counted
  3  a log cannot be read, or nothing in it is about a path of the configuration
  4  the scenario or a file beside it cannot be written";
