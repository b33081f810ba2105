//! An answer as rows and columns, whatever it is written as.

use jiff::Timestamp;

/// What is shown.
#[derive(Debug)]
pub(super) struct Table {
    /// The question, as in the command.
    pub(super) question: &'static str,
    /// What the rows are: `test`, `endpoint`, …
    pub(super) of: &'static str,
    /// What it is, for people.
    pub(super) title: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// How many rows there would be without a limit.
    pub(super) total: usize,
}

/// A column: its name for programs and for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) key: &'static str,
    pub(super) head: &'static str,
}

/// A field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Count(u64),
    /// Milliseconds.
    Millis(Option<f64>),
    Ratio(Option<f64>),
    At(Option<Timestamp>),
    /// Durations in milliseconds, the oldest first.
    Trend(Vec<f64>),
}

impl Cell {
    /// Whether it stands to the right, as numbers do.
    pub(super) const fn is_number(&self) -> bool {
        match self {
            Self::Count(_) | Self::Millis(_) | Self::Ratio(_) => true,
            Self::Text(_) | Self::At(_) | Self::Trend(_) => false,
        }
    }
}
