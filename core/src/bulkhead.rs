//! How many at once: bulkheads.
//!
//! A dependency that hangs should cost the caller a few slots, not all of its threads. A call
//! takes a slot and gives it back when it is settled; with every slot taken a new call is refused
//! at once.
//!
//! ```text
//!   try_acquire ──▶ in flight < limit ? ──yes──▶ Slot ──▶ release(Slot)
//!                                     └──no───▶ None
//! ```
//!
//! | machine | for |
//! |---|---|
//! | [`Bulkhead`] | one owner, a fixed limit, nobody waits |
//! | [`SharedBulkhead`](shared::SharedBulkhead) | many threads, one word, nobody waits |
//! | [`SharedAdaptiveBulkhead`](adaptive::SharedAdaptiveBulkhead) | many threads, any [`limit`], nobody waits |
//! | [`WaitingBulkhead`](waiters::WaitingBulkhead) | a line of waiters with deadlines, any [`limit`] |
//!
//! `SharedBulkhead` exists where the target has 32-bit atomic words, `SharedAdaptiveBulkhead` where
//! it has 64-bit ones. There is no default limit other than [`BulkheadConfig::UNLIMITED`]: it
//! belongs to the dependency.
//!
//! ```
//! use crossbridge_core::{Bulkhead, BulkheadConfig};
//!
//! let mut bulkhead = Bulkhead::new(BulkheadConfig { limit: 1 })?;
//! let slot = bulkhead.try_acquire().expect("one slot is free");
//! assert!(bulkhead.try_acquire().is_none());
//! bulkhead.release(slot);
//! assert!(bulkhead.try_acquire().is_some());
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! Source: Nygard, *Release It!* (the bulkhead); Netflix/concurrency-limits (limits that move).

#[cfg(target_has_atomic = "64")]
pub mod adaptive;
pub mod limit;
#[cfg(target_has_atomic = "32")]
pub mod shared;
mod snapshot;
#[cfg(test)]
mod tests;
pub mod waiters;

pub use self::snapshot::BulkheadSnapshot;
use crate::ConfigError;

/// How many calls may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BulkheadConfig {
    /// Calls in flight at once, at least 1.
    pub limit: u32,
}

impl BulkheadConfig {
    /// No limit.
    pub const UNLIMITED: Self = Self { limit: u32::MAX };

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// A limit of zero.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.limit == 0 {
            return Err(ConfigError::new("limit", 0, "at least 1"));
        }
        Ok(())
    }
}

/// The right to be in flight. Not `Copy`: it is given back once.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot(());

/// A bulkhead owned by one caller. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bulkhead {
    limit: u32,
    in_flight: u32,
}

impl Bulkhead {
    /// An empty bulkhead.
    ///
    /// # Errors
    /// A limit of zero.
    pub const fn new(config: BulkheadConfig) -> Result<Self, ConfigError> {
        match config.check() {
            Ok(()) => Ok(Self {
                limit: config.limit,
                in_flight: 0,
            }),
            Err(refused) => Err(refused),
        }
    }

    /// Calls in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether [`try_acquire`](Self::try_acquire) would give a slot.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.in_flight < self.limit
    }

    /// Takes a slot, where one is free.
    pub fn try_acquire(&mut self) -> Option<Slot> {
        if !self.has_room() {
            return None;
        }
        self.in_flight += 1;
        Some(Slot(()))
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: Slot) {
        let Slot(()) = slot;
        self.release_lost();
    }

    /// Gives back the slot of a call that is gone, and its slot with it.
    pub(crate) const fn release_lost(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}
