//! The command line of `check`.

use std::path::PathBuf;

use clap::Args;
use crossbridge_std::config::Rate;

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file to check; else the one that would be used
    #[arg(value_name = "CONFIG")]
    pub(crate) file: Option<PathBuf>,

    /// Calls on each path: how soon a dead dependency is noticed, and a live one
    #[arg(long, value_name = "RATE", default_value = "10/s")]
    pub(crate) rate: Rate,
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge check fixtures/config/platform.yml
  crossbridge check fixtures/config/platform.yml --rate 200/s";
