//! Why a spool could not do something.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crossbridge_core::{Fault, FaultKind};

use crate::profiling::settings::Limits;
use crate::profiling::store::StoreError;

/// Why a spool could not do something.
#[derive(Debug)]
pub enum SpoolError {
    /// The file could not be used.
    File(StoreError),
    /// There is no room, and the policy is [`Overflow::Refuse`](crate::profiling::Overflow::Refuse).
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Events it holds.
        spooled: u64,
        /// Their text in bytes, about.
        bytes: u64,
        /// What it may hold.
        limits: Limits,
    },
    /// The file is damaged and cannot be put aside, for another process has it open.
    DamagedInUse {
        /// The file.
        path: PathBuf,
    },
    /// The system refused something around the file.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The same sentence: a spool is a file like a store.
            Self::File(error) => write!(f, "spool: {error}"),
            Self::NoRoom {
                path,
                spooled,
                bytes,
                limits,
            } => {
                write!(
                    f,
                    "spool: {}: full with {spooled} events, {bytes} bytes; expected at most {} events, \
                     {} bytes",
                    path.display(),
                    limits.events,
                    limits.bytes
                )
            }
            Self::DamagedInUse { path } => write!(
                f,
                "spool: {}: damaged, and another process has it open: it can be put aside once that has ended",
                path.display()
            ),
            Self::Io { doing, path, .. } => write!(f, "spool: {doing} {}", path.display()),
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::NoRoom { .. } | Self::DamagedInUse { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}

impl Fault for SpoolError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::File(error) => error.kind(),
            Self::NoRoom { .. } => FaultKind::Throttled,
            Self::DamagedInUse { .. } | Self::Io { .. } => FaultKind::Permanent,
        }
    }
}

impl From<StoreError> for SpoolError {
    fn from(error: StoreError) -> Self {
        Self::File(error)
    }
}
