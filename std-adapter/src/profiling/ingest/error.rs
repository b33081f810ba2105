//! Why an input did not get into the store as a whole.

use std::fmt;

use crossbridge_core::{CallError, Fault, FaultKind};

use super::{Counts, KeepError};
use crate::profiling::source::SourceError;
use crate::profiling::store::StoreError;

/// An input that is not in the store as a whole: what is, what is not, and why.
#[derive(Debug)]
pub struct IngestError {
    /// What was done until then. What it says is stored is stored for good.
    pub counts: Counts,
    /// What ended it.
    pub cause: Box<Cause>,
}

/// What ended an input.
#[derive(Debug)]
pub enum Cause {
    /// It cannot be read any further.
    Source(SourceError),
    /// The store could not be used, however often the guard tried, and there is no spool.
    Store(CallError<StoreError>),
    /// The spool takes nothing either.
    Spool {
        /// Why the spool does not.
        error: KeepError,
        /// Why the store did not; `None` where an event was to be kept that it refuses.
        store: Option<CallError<StoreError>>,
    },
}

impl Cause {
    /// What the store said last, where it is why the input ended.
    const fn store(&self) -> Option<&CallError<StoreError>> {
        match self {
            Self::Source(_) => None,
            Self::Store(error) => Some(error),
            Self::Spool { store, .. } => store.as_ref(),
        }
    }
}

impl IngestError {
    /// Whether what is counted as unwritten may be in the store after all: the last attempt was sent
    /// and its end is not known. Repeating the input settles it.
    #[must_use]
    pub fn uncertain(&self) -> bool {
        self.cause
            .store()
            .and_then(|error| error.last.as_ref())
            .is_some_and(|last| last.kind == FaultKind::Unknown)
    }
}

impl fmt::Display for IngestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.cause {
            Cause::Source(_) => f.write_str("the input cannot be read to its end: ")?,
            Cause::Store(_) => f.write_str("the store could not be used: ")?,
            Cause::Spool { store: Some(_), .. } => {
                f.write_str("neither the store nor the spool could be used: ")?;
            }
            Cause::Spool { store: None, .. } => f.write_str("the spool could not be used: ")?,
        }
        let (counts, unwritten) = (&self.counts, self.counts.unwritten());
        write!(
            f,
            "of {} events read, {} are stored",
            counts.read,
            counts.stored()
        )?;
        if counts.spooled > 0 {
            write!(f, ", {} are spooled", counts.spooled)?;
        }
        if counts.refused > 0 {
            write!(f, ", {} were refused", counts.refused)?;
        }
        match (unwritten, self.uncertain()) {
            (0, _) => Ok(()),
            (_, false) => write!(f, ", {unwritten} are not"),
            (_, true) => write!(f, ", of {unwritten} it is not known"),
        }
    }
}

impl std::error::Error for IngestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.cause {
            Cause::Source(error) => Some(error),
            Cause::Store(error) => Some(error),
            Cause::Spool { error, .. } => Some(error.as_ref()),
        }
    }
}

impl Fault for IngestError {
    fn kind(&self) -> FaultKind {
        match &*self.cause {
            Cause::Source(error) => error.kind(),
            Cause::Store(error) => error.kind(),
            Cause::Spool { .. } => FaultKind::Permanent,
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match &*self.cause {
            Cause::Source(error) => error.retry_after(),
            Cause::Store(error) => error.retry_after(),
            Cause::Spool { .. } => None,
        }
    }
}
