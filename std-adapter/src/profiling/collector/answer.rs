//! What a collector says: what became of events, and why not more.

use std::fmt;

use crossbridge_core::ConfigError;

use super::account::Account;
use crate::profiling::event::Event;
use crate::profiling::spool::SpoolError;

/// What became of an event.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is on its way.
    Accepted,
    /// Its test is not one of those that are recorded.
    SampledOut,
    /// There is no room, or the collector was shut down. It is not counted as accepted.
    Refused,
    /// There is no room, and it was dropped: accepted and lost.
    Lost,
}

/// Why an event is not known to be on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDurable {
    /// There is no room for it, or the collector was shut down: it is nowhere.
    NoRoom,
    /// Others were dropped or refused meanwhile, and it may have been one of them: as
    /// [`Overflow`](crate::profiling::Overflow) says, or by the store where there is no spool. To record
    /// it again under its id is harmless.
    PerhapsDropped,
    /// It is in memory, and stays there until the spool can be used again. The text says why not.
    InMemory(String),
    /// It was not written in time; it is in memory or on disk.
    TooLate,
}

impl fmt::Display for NotDurable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("no room for another event"),
            Self::PerhapsDropped => f.write_str("events were dropped meanwhile, perhaps this one"),
            Self::InMemory(reason) => write!(f, "in memory only: {reason}"),
            Self::TooLate => f.write_str("not on disk before the deadline"),
        }
    }
}

impl std::error::Error for NotDurable {}

/// What [`keep`](super::Collector::keep) has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Events that are on disk now.
    pub events: u64,
    /// Events whose test is not one of those that are recorded.
    pub sampled_out: u64,
}

/// Why [`keep`](super::Collector::keep) has kept nothing.
#[derive(Debug)]
pub enum NotKept {
    /// The spool is full, or cannot be used.
    Spool(SpoolError),
    /// The collector was set up without a spool ([`Durability::Memory`](crate::profiling::Durability::Memory)).
    NoSpool,
    /// The collector was shut down.
    Closed,
}

impl NotKept {
    /// Whether there was no room: the same may be kept later.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Spool(SpoolError::NoRoom { .. }))
    }

    /// Whether there would be no room for so many events, of so many bytes, in an empty spool either.
    #[must_use]
    pub fn is_never(&self, events: usize, bytes: usize) -> bool {
        let more = |number: usize, most: u64| u64::try_from(number).is_ok_and(|number| number > most);
        match self {
            Self::Spool(SpoolError::NoRoom { limits, .. }) => {
                more(events, limits.events) || more(bytes, limits.bytes)
            }
            Self::Spool(_) | Self::NoSpool | Self::Closed => false,
        }
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The same sentence: it begins with the spool.
            Self::Spool(error) => write!(f, "{error}"),
            Self::NoSpool => f.write_str("the collector has no spool"),
            Self::Closed => f.write_str("the collector was shut down"),
        }
    }
}

impl std::error::Error for NotKept {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Spool(error) => error.source(),
            Self::NoSpool | Self::Closed => None,
        }
    }
}

/// What a flush found.
#[derive(Clone, Debug)]
pub struct Flushed {
    /// What is where.
    pub account: Account,
    /// Whether everything recorded before the flush is at least in the spool, but for what was dropped
    /// for want of room: see [`Account::lost`].
    pub durable: Result<(), NotDurable>,
}

/// What a collector leaves.
#[derive(Debug)]
pub struct Ended {
    /// What was where at the end.
    pub account: Account,
    /// Events that neither the spool nor the store could take, and without a spool those of an attempt
    /// that has not ended: the store may get them all the same.
    pub left: Vec<Event>,
}

/// Why a collector does not start.
#[derive(Debug)]
pub enum StartError {
    /// The spool cannot be opened.
    Spool(SpoolError),
    /// The guard refuses its policies.
    Policies(ConfigError),
    /// The system has no thread for it.
    Thread(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spool(_) => "the collector has no spool",
            Self::Policies(_) => "the policies of the collector's store are refused",
            Self::Thread(_) => "the collector has no thread",
        })
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Spool(error) => Some(error),
            Self::Policies(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}
