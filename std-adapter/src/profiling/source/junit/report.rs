//! A report in compact form: what is kept of it while it is read.

use jiff::Timestamp;

use crate::profiling::event::{Millis, Status};
use crate::profiling::identity::Fingerprint;
use crate::profiling::source::Position;
use crate::profiling::source::warnings::Warnings;

/// A report read to its end.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) cases: Vec<Case>,
    pub(super) suites: Vec<Suite>,
    pub(super) warnings: Warnings,
    /// Whether anything in the file says that pytest wrote it.
    pub(super) pytest: bool,
    /// What the attributes of the outermost suites say, added up.
    pub(super) declared: Declared,
    /// `<failure>`, `<error>` and `<skipped>` elements of tests.
    pub(super) elements: [u64; 3],
    /// Where the root element is.
    pub(super) root_at: Option<Position>,
    pub(super) fingerprint: Option<Fingerprint>,
}

/// A suite: what its tests inherit.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) timestamp: Option<Timestamp>,
    /// Whether it, or a suite around it, has said how many tests there are.
    pub(super) counted: bool,
}

/// One `<testcase>`.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Number of the element in the file, from 0.
    pub(super) index: u64,
    pub(super) at: Position,
    pub(super) suite: Option<usize>,
    pub(super) classname: String,
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u64>,
    pub(super) failures: u64,
    pub(super) errors: u64,
    pub(super) skip: Option<Skip>,
    /// How it ended by its attributes, unless it passed.
    pub(super) said: Option<Status>,
    /// Its own attempt.
    pub(super) attempt: Attempt,
    /// Attempts before its own.
    pub(super) before: Vec<Attempt>,
    /// Attempts after its own.
    pub(super) after: Vec<Attempt>,
}

/// Why a test counts as not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    Skipped,
    /// pytest: it ran and failed, as expected.
    Xfailed,
}

impl Case {
    /// All of its elements were read: without one that says how it ended, the attributes do.
    pub(super) fn end(&mut self) {
        if self.failures + self.errors > 0 || self.skip.is_some() {
            return;
        }
        self.failures += u64::from(self.said == Some(Status::Failed));
        self.errors += u64::from(self.said == Some(Status::Error));
        self.skip = (self.said == Some(Status::Skipped)).then_some(Skip::Skipped);
    }
}

/// What is known of one attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    pub(super) time: Option<Millis>,
    pub(super) timestamp: Option<Timestamp>,
    /// The first line, at most [`MAX_MESSAGE`](crate::profiling::source::text::MAX_MESSAGE) characters.
    pub(super) message: Option<String>,
    pub(super) error_type: Option<String>,
}

/// How an attempt ended that another one followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The file tells only that it was repeated.
    #[default]
    Untold,
    Failed,
    Error,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Untold => "rerun",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

/// The attributes that count tests; `None` when no suite has them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    pub(super) tests: Option<u64>,
    pub(super) failures: Option<u64>,
    pub(super) errors: Option<u64>,
    pub(super) skipped: Option<u64>,
}

impl Declared {
    pub(super) const fn any(&self) -> bool {
        self.tests.is_some() || self.failures.is_some() || self.errors.is_some() || self.skipped.is_some()
    }

    pub(super) fn add(&mut self, other: Self) {
        let sum = |mine: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *mine = Some(mine.unwrap_or(0).saturating_add(more));
            }
        };
        sum(&mut self.tests, other.tests);
        sum(&mut self.failures, other.failures);
        sum(&mut self.errors, other.errors);
        sum(&mut self.skipped, other.skipped);
    }
}
