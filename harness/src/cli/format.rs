//! `--format`.

use clap::ValueEnum;

/// How results and errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one object per result on stdout, errors as objects on stderr
    Json,
    /// For spreadsheets
    #[value(hide = true)]
    Csv,
}

impl Format {
    /// A format of every command.
    ///
    /// # Errors
    ///
    /// What to write instead of one that only some commands have.
    pub(super) fn of_every_command(self) -> Result<Self, &'static str> {
        match self {
            Self::Text | Self::Json => Ok(self),
            Self::Csv => Err("expected text or json; only `profile query` writes csv"),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Csv => "csv",
        })
    }
}
