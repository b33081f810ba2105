//! The port stored events are asked through: rows, narrow and in order.
//!
//! A reader never writes: it opens a file read-only, and a session whose transactions are. What a store
//! can do in its own way is filter and sort; what is made of the rows is the same for all of them, in
//! [`query`](crate::profiling::query). So a reader needs two questions, and memory for one row.
//!
//! | store | can be asked |
//! |---|---|
//! | SQLite, PostgreSQL | yes |
//! | InfluxDB, JSONL | no: [`OpenError::CannotBeAsked`] |

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::{StoreError, StoreUrl};
use crate::profiling::event::Status;

/// Answers questions about the events of a store.
pub trait EventReader {
    /// The ends of tests that the filter lets through, group by group. Within a group by time: those
    /// without a time first, then the oldest.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; rows may have been handed over before it.
    fn tests(
        &mut self,
        filter: &Filter,
        groups: Groups,
        each: &mut dyn FnMut(TestEnd),
    ) -> Result<(), StoreError>;

    /// The HTTP and API calls that the filter lets through, by method and endpoint, then by time.
    ///
    /// # Errors
    ///
    /// As [`tests`](Self::tests).
    fn calls(&mut self, filter: &Filter, each: &mut dyn FnMut(Call)) -> Result<(), StoreError>;
}

/// What the rows of tests are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Their `test_id`.
    Tests,
    /// Their `run_id`.
    Runs,
}

impl Groups {
    /// The column of that name, in every store.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Tests => "test_id",
            Self::Runs => "run_id",
        }
    }
}

/// Which events are meant; what is `None` excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this run alone.
    pub run: Option<String>,
    /// Not recorded before; this leaves out what does not say when it was recorded.
    pub since: Option<Timestamp>,
    /// Of tests whose id matches.
    pub test: Option<Pattern>,
}

/// A pattern for ids: `*` stands for any text, `?` for one character. Without either, a part of the id
/// is enough. Upper and lower case differ.
///
/// ```
/// use crossbridge_std::profiling::store::reader::Pattern;
///
/// assert_eq!(Pattern::new("checkout"), Pattern::new("*checkout*"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.contains(['*', '?']) {
            Self(text.to_owned())
        } else {
            Self(format!("*{text}*"))
        }
    }

    /// For SQLite's `GLOB`, where `[` begins a class of characters.
    #[cfg(feature = "sqlite")]
    pub(super) fn glob(&self) -> String {
        self.0.replace('[', "[[]")
    }

    /// For PostgreSQL's `LIKE`.
    #[cfg(feature = "postgres")]
    pub(super) fn like(&self) -> String {
        let mut like = String::new();
        for c in self.0.chars() {
            match c {
                '*' => like.push('%'),
                '?' => like.push('_'),
                '%' | '_' | '\\' => like.extend(['\\', c]),
                _ => like.push(c),
            }
        }
        like
    }
}

/// The end of one test in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct TestEnd {
    /// Which test.
    pub test_id: String,
    /// In which run.
    pub run_id: String,
    /// What ran it.
    pub framework: String,
    /// How it ended.
    pub status: Status,
    /// How long it took, where that was measured.
    pub duration_ms: Option<f64>,
    /// It needed more than one attempt, or its report calls it flaky.
    pub retried: bool,
    /// What was said about a failure: the first [`MESSAGE`] characters.
    pub message: Option<String>,
    /// When it was recorded, to the microsecond.
    pub created_at: Option<Timestamp>,
}

/// One HTTP or API call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `GET`, `POST`, …; empty where it is not known.
    pub method: String,
    /// The path or URL; empty where it is not known.
    pub endpoint: String,
    /// Answered with 400 or above, or `failed` in its metadata.
    pub failed: bool,
    /// How long it took, where that was measured.
    pub duration_ms: Option<f64>,
}

/// Why there is no reader.
#[derive(Debug)]
pub enum OpenError {
    /// Stores of that kind take events and give none back in order.
    CannotBeAsked(&'static str),
    /// The store said so.
    Store(StoreError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotBeAsked(kind) => write!(f, "a store of the kind `{kind}` cannot be asked"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::CannotBeAsked(_) => None,
            Self::Store(error) => error.source(),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A reader of the store, which has to be there already. PostgreSQL answers every question within
/// `timeout`; SQLite waits for a lock for so long.
///
/// # Errors
///
/// [`OpenError`].
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(unused_variables, reason = "there is nothing to wait for")
)]
pub fn open(url: &StoreUrl, timeout: Duration) -> Result<Box<dyn EventReader + Send>, OpenError> {
    match url {
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(path) => Ok(Box::new(super::SqliteReader::open(path, timeout)?)),
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(url) => Ok(Box::new(super::PostgresReader::open(url, timeout)?)),
        #[cfg(not(feature = "sqlite"))]
        StoreUrl::Sqlite(_) => Err(url.not_built().into()),
        #[cfg(not(feature = "postgres"))]
        StoreUrl::Postgres(_) => Err(url.not_built().into()),
        StoreUrl::Influx(_) | StoreUrl::Jsonl(_) => Err(OpenError::CannotBeAsked(url.kind())),
    }
}

/// Characters of a message that are read.
pub const MESSAGE: usize = 400;

#[cfg(all(test, feature = "sqlite", feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_in_the_words_of_each_store() {
        for (text, glob, like) in [
            ("cart", "*cart*", "%cart%"),
            ("test_*[a?]", "test_*[[]a?]", r"test\_%[a_]"),
            ("*100%\\", "*100%\\", r"%100\%\\"),
        ] {
            let pattern = Pattern::new(text);
            assert_eq!((pattern.glob().as_str(), pattern.like().as_str()), (glob, like));
        }
    }
}
