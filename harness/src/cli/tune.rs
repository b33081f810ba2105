//! The command line of `tune`.

use std::path::PathBuf;

use clap::Args;
use crossbridge_harness::tune::Objective;

/// `tune`.
#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// What is wanted
    #[arg(long, value_name = "OBJECTIVE", default_value = Objective::DEFAULT)]
    pub(crate) objective: String,

    /// A key and its values; else attempts, first delay, and what the path has of a budget and a breaker
    #[arg(long, value_name = "KEY=A,B,C")]
    pub(crate) vary: Vec<String>,

    /// The call path, where the scenario has several
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Replaces the first seed
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Runs of each setting, under the seeds that `replay --seeds` has
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) seeds: u32,

    /// Runs at the same time [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) jobs: Option<u32>,
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge tune fixtures/scenarios/postgres-blip.yml --objective 'least amplification with promises'
  crossbridge tune fixtures/scenarios/postgres-blip.yml \\
      --objective 'most goodput(30s..60s) with amplification <= 1.1 and recovery_time <= 10s' \\
      --vary retry.max_attempts=2,3,4 --vary breaker.open_wait=500ms,1s,5s

Keys:
  retry.max_attempts     breaker.failure_rate           bulkhead.limit
  retry.base_delay       breaker.min_calls              deadline
  retry.max_delay        breaker.consecutive_failures   attempt_timeout
  budget.ratio           breaker.open_wait
  budget.min_per_second  breaker.open_wait_max
  budget.burst

An objective is least or most, a number of the result, and conditions: expectations as in a scenario,
or promises for all of the scenario's own.";
