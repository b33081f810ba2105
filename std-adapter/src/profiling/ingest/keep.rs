//! What takes events that the store cannot take now.

use crate::profiling::event::Event;
use crate::profiling::store::StoreError;

/// Keeps what a store cannot take, durably: a spool.
pub trait Keep {
    /// Keeps the events until the store is back. Once it returns, they survive a crash. The number
    /// is that of events dropped for want of room, of these or earlier ones.
    ///
    /// # Errors
    /// None of them is kept.
    fn keep(&mut self, events: &[Event]) -> Result<u64, KeepError>;

    /// Keeps an event that the store will never take, beside the reason.
    ///
    /// # Errors
    /// It is not kept.
    fn bury(&mut self, event: &Event, reason: &StoreError) -> Result<(), KeepError>;
}

/// Why events are not kept.
pub type KeepError = Box<dyn std::error::Error + Send + Sync>;
