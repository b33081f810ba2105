//! Why an input cannot be read any further.

use std::fmt;
use std::io;

use crossbridge_core::{Fault, FaultKind};

use super::detect::Found;
use super::encoding::Undecodable;
use super::tap::Position;
use crate::classify;

/// Why an input cannot be read (any further): which one, where and why.
#[derive(Debug)]
pub struct SourceError {
    /// What the caller calls the input.
    pub name: String,
    /// Where the trouble is, if it has a place.
    pub at: Option<Position>,
    /// What it is.
    pub problem: Problem,
    /// Of a report: how many complete tests came before. None of them was given out.
    pub complete_tests: Option<u64>,
}

impl SourceError {
    /// Whether there was simply nothing in the input.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.problem, Problem::Empty(_))
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(at) = self.at {
            write!(f, ":{at}")?;
        }
        write!(f, ": {}", self.problem)?;
        match self.complete_tests {
            Some(count) => write!(f, "; {count} complete tests before it, none of them taken over"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::Empty(_)
            | Problem::WrongKind(_)
            | Problem::Malformed(_)
            | Problem::Undecodable(_)
            | Problem::Truncated { .. }
            | Problem::CutOff(_)
            | Problem::Refused(_)
            | Problem::TooDeep { .. }
            | Problem::TooLong { .. } => None,
        }
    }
}

impl Fault for SourceError {
    fn kind(&self) -> FaultKind {
        match &self.problem {
            Problem::Io(error) => classify::io::error_kind(error.kind(), classify::io::Phase::Exchanging),
            Problem::Empty(_)
            | Problem::WrongKind(_)
            | Problem::Malformed(_)
            | Problem::Undecodable(_)
            | Problem::Truncated { .. }
            | Problem::CutOff(_)
            | Problem::Refused(_)
            | Problem::TooDeep { .. }
            | Problem::TooLong { .. } => FaultKind::Permanent,
        }
    }
}

/// What is wrong with an input.
#[derive(Debug)]
pub enum Problem {
    /// There is nothing in it; the text says what kind of nothing.
    Empty(&'static str),
    /// It is something else.
    WrongKind(Found),
    /// It is not well formed; what was found and expected.
    Malformed(String),
    /// It has bytes that are no text in its encoding, which is another than UTF-8.
    Undecodable(Box<Undecodable>),
    /// It ends too early.
    Truncated {
        /// The innermost open element, cut at 80 characters.
        open: String,
        /// Where that element began.
        since: Position,
    },
    /// It ends too early, in JSON; what was found there.
    CutOff(String),
    /// It asks for something that is never done, such as resolving entities.
    Refused(&'static str),
    /// Elements are nested too deep.
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// One piece of it is too long.
    TooLong {
        /// The longest piece that is read, in bytes.
        limit: u64,
    },
    /// The reader failed. The source says how.
    Io(io::Error),
}

impl Problem {
    /// Why an input could not be read.
    pub(super) fn of(error: io::Error) -> Self {
        match Undecodable::cause(&error) {
            Some(bad) => Self::Undecodable(Box::new(bad.clone())),
            None => Self::Io(error),
        }
    }

    /// Where it is, if it knows by itself.
    pub(super) const fn place(&self) -> Option<Position> {
        match self {
            Self::Undecodable(bad) => Some(bad.at),
            Self::Empty(_)
            | Self::WrongKind(_)
            | Self::Malformed(_)
            | Self::Truncated { .. }
            | Self::CutOff(_)
            | Self::Refused(_)
            | Self::TooDeep { .. }
            | Self::TooLong { .. }
            | Self::Io(_) => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(what) => write!(f, "empty: {what}"),
            Self::WrongKind(found) => write!(f, "found {found}, expected a test report or JSON lines"),
            Self::Malformed(reason) => f.write_str(reason),
            Self::Undecodable(bad) => bad.fmt(f),
            Self::Truncated { open, since } => {
                write!(f, "the file ends inside <{open}>, which began at {since}")
            }
            Self::CutOff(found) => write!(f, "{found}; the file ends inside the report"),
            Self::Refused(what) => write!(f, "refused: {what}"),
            Self::TooDeep { limit } => write!(f, "elements nested deeper than {limit}"),
            Self::TooLong { limit } => write!(f, "a tag or text of more than {limit} bytes"),
            Self::Io(_) => f.write_str("cannot be read"),
        }
    }
}
