//! State taken out and put back: across a restart, a failover, or into a replay.
//!
//! A machine's `snapshot(now)` is a plain value with a version; `restore(config, &snapshot, now)`
//! makes the machine again, under the same configuration or another that fits. Instants are kept as
//! spans from `now`, so that the clock of the next process may start where it likes.
//!
//! # Rules
//! - The restored machine answers every further input as the old one would have. (Spans that reach
//!   back beyond the origin of the new clock are cut there: a bucket of a window may be held for one
//!   width longer.)
//! - A snapshot of another version, or one that no machine could have made, is refused with the
//!   field, what it holds and what it may hold. Nothing is guessed.
//! - Permits and receipts are not part of it: what was in flight when the state was taken is lost,
//!   and the deadlines of probes say so in time.

use core::fmt;
use core::time::Duration;

use crate::ConfigError;
use crate::time::Instant;

/// The version that is written and understood.
pub const VERSION: u32 = 1;

/// Why a snapshot was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct RestoreError {
    /// The field at fault.
    pub field: &'static str,
    /// What it holds.
    pub found: u64,
    /// What it may hold.
    pub expected: &'static str,
}

impl RestoreError {
    /// `Ok` where the condition holds.
    pub(crate) const fn unless(
        holds: bool,
        field: &'static str,
        found: u64,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self {
                field,
                found,
                expected,
            })
        }
    }

    /// What a configuration in a snapshot, or one that it is restored under, is refused for.
    pub(crate) const fn of(refused: ConfigError) -> Self {
        Self {
            field: refused.field,
            found: refused.found,
            expected: refused.expected,
        }
    }

    /// `Ok` for the version that is understood.
    pub(crate) const fn check_version(version: u32) -> Result<(), Self> {
        Self::unless(version == VERSION, "version", version as u64, "1")
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "snapshot: {} is {}, expected {}",
            self.field, self.found, self.expected
        )
    }
}

impl core::error::Error for RestoreError {}

/// From an instant to come to the span that is left at `now`.
pub(crate) fn left(until: Instant, now: Instant) -> Duration {
    until.saturating_duration_since(now)
}

/// From an instant that has passed to the span since.
pub(crate) fn since(then: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(then)
}
