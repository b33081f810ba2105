//! The command line of `schema`.

use clap::{Args, ValueEnum};

/// `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of which file
    #[arg(value_enum, value_name = "FILE", default_value_t = SchemaOf::Config)]
    pub(crate) of: SchemaOf,
}

/// Of which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// crossbridge.yml
    Config,
    /// What `replay` reads
    Scenario,
}

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge schema > crossbridge.schema.json
  crossbridge schema scenario > scenario.schema.json

The first line of a file then says where its schema is:
  # yaml-language-server: $schema=./crossbridge.schema.json

A schema knows keys, types, names and ranges. What two values say together is for `crossbridge check`.";
