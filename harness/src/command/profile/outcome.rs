//! What became of the files, as data.

use std::fmt;
use std::io;
use std::path::Path;

use crossbridge_core::CallError;
use crossbridge_std::profiling::ingest::KeepError;
use crossbridge_std::profiling::store::chain;
use crossbridge_std::profiling::{
    Counts, Event, Notice, Rejected, SourceError, StoreError, Summary, Warning,
};

use super::shipping::Shipping;
use super::target::Target;

/// What became of the command.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) store: Target,
    /// One per file of the command line, in its order.
    pub(super) files: Vec<FileOutcome>,
    /// Why neither store nor spool could be used any longer.
    pub(super) unusable: Option<Box<Unusable>>,
    /// What became of the spool at the end.
    pub(super) shipping: Shipping,
}

impl Outcome {
    /// Everything together.
    pub(super) fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for file in &self.files {
            totals += file.counts;
        }
        totals.attempts += self.shipping.shipped.attempts;
        totals.retries += self.shipping.shipped.retries;
        totals
    }

    /// Whether everything that was asked for is stored.
    pub(super) fn complete(&self) -> bool {
        self.unusable.is_none() && self.files.iter().all(|file| self.word(file) == "stored")
    }

    /// Whether what waits in the spool is none of these files, and another process ships it.
    pub(super) fn is_left_to_others(&self) -> bool {
        let Shipping { elsewhere, spool, .. } = &self.shipping;
        *elsewhere && spool.is_none() && self.totals().spooled == 0
    }

    /// What became of a file, in a word that programs can rely on.
    pub(super) fn word(&self, file: &FileOutcome) -> &'static str {
        match &file.end {
            End::Whole if file.counts.spooled > 0 && !self.shipping.is_empty() => "spooled",
            End::Whole if file.counts.read == 0 && file.counts.rejected > 0 => "invalid",
            End::Whole if file.counts.rejected + file.counts.refused > 0 => "partly_stored",
            End::Whole => "stored",
            End::Broken(error) if error.is_empty() => "empty",
            End::Broken(_) => "invalid",
            End::NoFile(_) => "unreadable",
            End::Unfinished { .. } => "unfinished",
            End::NotRead => "not_read",
        }
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

    /// Takes note of what is told about it; the line for a person, if it is one of the first.
    pub(super) fn line(&mut self, notice: &Notice<'_>) -> Option<String> {
        match notice {
            Notice::Rejected(rejected) => {
                let first = self.rejected.push(|| (*rejected).clone());
                first.then(|| format!("{}:{rejected}", self.name))
            }
            Notice::Warning(warning) => {
                let first = self.warnings.push(|| (*warning).clone());
                first.then(|| format!("{}:{}: warning: {}", self.name, warning.at, warning.text))
            }
            Notice::Refused(event, reason) => {
                let refused = RefusedEvent::new(event, reason);
                let line = format!("{}: {refused}", self.name);
                self.refused.push(|| refused).then_some(line)
            }
            Notice::Stored(_) | Notice::Spooled(_) => None,
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

/// Why events could neither be stored nor kept.
#[derive(Debug)]
pub(super) struct Unusable {
    /// What the store said, however often it was tried.
    pub(super) store: Option<CallError<StoreError>>,
    /// What the spool said.
    pub(super) spool: Option<KeepError>,
}
