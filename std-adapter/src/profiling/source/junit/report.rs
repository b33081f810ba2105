//! A report in compact form: what is kept of it while it is read.

use jiff::Timestamp;

use crate::profiling::event::{Millis, Status};
use crate::profiling::identity::Fingerprint;
use crate::profiling::source::Position;
use crate::profiling::source::warnings::Warnings;
use crate::profiling::source::xml::Mark;

/// A report read to its end.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) cases: Vec<Case>,
    pub(super) suites: Vec<Suite>,
    /// Names of tests and files.
    pub(super) texts: Texts,
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

/// Texts, one behind the other: a million short ones are one block of memory.
#[derive(Debug, Default)]
pub(super) struct Texts(String);

/// A part of [`Texts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Texts {
    /// Keeps the parts as one text.
    pub(super) fn add(&mut self, parts: &[&str]) -> Span {
        let start = self.0.len();
        self.0.extend(parts.iter().copied());
        let end = self.0.len();
        Span { start, end }
    }

    pub(super) fn get(&self, span: Span) -> &str {
        self.0.get(span.start..span.end).unwrap_or_default()
    }
}

/// A suite: what its tests inherit.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) timestamp: Option<Timestamp>,
    /// Whether it, or a suite around it, has said how many tests there are.
    pub(super) counted: bool,
}

/// One `<testcase>`, and later one test: the element of its last attempt.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// Number of the element in the file, from 0.
    pub(super) index: u64,
    /// Where it begins.
    pub(super) at: Mark,
    pub(super) suite: Option<usize>,
    /// `classname::name`, or the name alone.
    pub(super) id: Span,
    /// Bytes of the class in `id`.
    pub(super) class: usize,
    pub(super) file: Option<Span>,
    pub(super) line: Option<u64>,
    pub(super) failures: u64,
    pub(super) errors: u64,
    pub(super) skip: Option<Skip>,
    /// How it ended by its attributes, unless it passed.
    pub(super) said: Option<Status>,
    pub(super) time: Option<Millis>,
    pub(super) timestamp: Option<Timestamp>,
    /// Which of the tests of this suite, class and name, from 1.
    pub(super) occurrence: u64,
    /// What most tests do not have.
    pub(super) more: Option<Box<More>>,
}

/// What only tests have that did not pass at once.
#[derive(Debug, Default)]
pub(super) struct More {
    /// As in an [`Attempt`].
    pub(super) message: Option<String>,
    pub(super) error_type: Option<String>,
    /// Attempts in elements before this one.
    pub(super) earlier: Vec<Case>,
    /// Attempts in this element, before its own.
    pub(super) before: Vec<Attempt>,
    /// And after its own.
    pub(super) after: Vec<Attempt>,
    /// What broke in teardown after the test had failed already.
    pub(super) teardown: Option<String>,
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

    pub(super) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Its class, and its name.
    pub(super) fn names<'t>(&self, texts: &'t Texts) -> (&'t str, &'t str) {
        let id = texts.get(self.id);
        let (class, name) = id.split_at_checked(self.class).unwrap_or(("", id));
        (
            class,
            name.strip_prefix(SEPARATOR)
                .filter(|_| !class.is_empty())
                .unwrap_or(name),
        )
    }
}

/// What stands between the class and the name of a test in its id.
pub(super) const SEPARATOR: &str = "::";

/// What is known of one attempt.
#[derive(Debug, Default)]
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
