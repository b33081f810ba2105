//! The command line of `compare`.

use std::path::PathBuf;

use clap::Args;

/// `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// A configuration whose policies replace the scenario's; may be repeated
    #[arg(long = "policy", value_name = "FILE", required = true)]
    pub(crate) policies: Vec<PathBuf>,

    /// Replaces the seed of the scenario
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Write a page for a browser: the lanes of all policies over one time axis
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge compare fixtures/scenarios/postgres-blip.yml \\
      --policy fixtures/config/platform.yml --policy fixtures/config/crossbridge.yml --html /tmp/compared.html

Exit codes:
  0  every promise of the scenario was kept under every policy
  1  one was not";
