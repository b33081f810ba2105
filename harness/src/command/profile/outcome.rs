//! What became of the files, as data.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crossbridge_core::CallError;
use crossbridge_std::profiling::{Counts, Event, Rejected, SourceError, StoreError, Summary, Warning};

use super::target::Target;

/// What became of the command.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) store: Target,
    /// Attempts to open the store.
    pub(super) opening: Counts,
    /// One per file of the command line, in its order.
    pub(super) files: Vec<FileOutcome>,
    /// Why the store could not be used any longer.
    pub(super) unusable: Option<Unusable>,
}

impl Outcome {
    /// Everything together, opening included.
    pub(super) fn totals(&self) -> Counts {
        let mut totals = self.opening;
        for file in &self.files {
            totals += file.counts;
        }
        totals
    }

    /// Whether everything that was asked for is stored.
    pub(super) fn complete(&self) -> bool {
        self.unusable.is_none() && self.files.iter().all(|file| file.word() == "stored")
    }
}

/// What became of a file.
#[derive(Debug)]
pub(super) struct FileOutcome {
    pub(super) name: String,
    /// What is in it, as far as it was read.
    pub(super) summary: Option<Summary>,
    pub(super) counts: Counts,
    pub(super) rejected: First<Rejected>,
    pub(super) warnings: First<Warning>,
    pub(super) refused: First<RefusedEvent>,
    pub(super) end: End,
}

/// How the reading of a file ended.
#[derive(Debug)]
pub(super) enum End {
    /// At its end.
    Whole,
    /// Before its end, or before its beginning.
    Broken(SourceError),
    /// It cannot be opened.
    NoFile(io::Error),
    /// The store could not be used.
    Unfinished {
        /// Whether what was not confirmed may be stored after all.
        uncertain: bool,
    },
    /// It was not its turn yet.
    NotRead,
}

impl FileOutcome {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            name: path.display().to_string(),
            summary: None,
            counts: Counts::default(),
            rejected: First::default(),
            warnings: First::default(),
            refused: First::default(),
            end: End::NotRead,
        }
    }

    /// What became of it, in a word that programs can rely on.
    pub(super) fn word(&self) -> &'static str {
        match &self.end {
            End::Whole if self.counts.rejected + self.counts.refused > 0 => "partly_stored",
            End::Whole => "stored",
            End::Broken(error) if error.is_empty() => "empty",
            End::Broken(_) => "invalid",
            End::NoFile(_) => "unreadable",
            End::Unfinished { .. } => "unfinished",
            End::NotRead => "not_read",
        }
    }

    /// How many notices were counted and not told.
    pub(super) fn left_out(&self) -> Vec<String> {
        [
            (self.rejected.left_out(), "lines that are no events"),
            (self.warnings.left_out(), "warnings"),
            (self.refused.left_out(), "events that the store refuses"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{}: and {count} more {what}", self.name))
        .collect()
    }
}

/// The first few of many.
#[derive(Debug)]
pub(super) struct First<T> {
    pub(super) items: Vec<T>,
    total: u64,
}

impl<T> Default for First<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            total: 0,
        }
    }
}

impl<T> First<T> {
    /// Counts one more; whether it is among the first, which are kept.
    pub(super) fn push(&mut self, item: impl FnOnce() -> T) -> bool {
        self.total += 1;
        let first = self.items.len() < MOST;
        if first {
            self.items.push(item());
        }
        first
    }

    fn left_out(&self) -> u64 {
        let told = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        self.total.saturating_sub(told)
    }
}

/// How many of a kind are told one by one: more is not read by anybody.
const MOST: usize = 20;

/// An event that the store will never take.
#[derive(Debug)]
pub(super) struct RefusedEvent {
    pub(super) event_id: String,
    pub(super) test_id: String,
    pub(super) reason: String,
}

impl RefusedEvent {
    pub(super) fn new(event: &Event, reason: &StoreError) -> Self {
        Self {
            event_id: event.event_id.clone(),
            test_id: event.test_id.clone(),
            reason: chain(reason),
        }
    }
}

impl fmt::Display for RefusedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            event_id,
            test_id,
            reason,
        } = self;
        write!(f, "event {event_id} of `{test_id}` refused: {reason}")
    }
}

/// Why there is no store.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Its folder cannot be made.
    Folder(PathBuf, io::Error),
    /// It failed, however often it was tried.
    Store(CallError<StoreError>),
}

/// An error and what is behind it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
