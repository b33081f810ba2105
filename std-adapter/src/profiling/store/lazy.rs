//! A store that is opened when it is first needed.

use std::fmt;
use std::time::Duration;

use super::{EventStore, StoreError, UNNAMED, Written};
use crate::profiling::event::Event;

/// A store that is opened by the first call, so that opening is part of an attempt: a guard repeats
/// it, and a store that cannot be opened is one that cannot be used.
///
/// ```
/// use crossbridge_std::profiling::{EventStore, LazyStore, MemoryStore};
///
/// let mut store = LazyStore::new(|_timeout| Ok(MemoryStore::new()));
/// assert!(!store.is_open());
/// assert_eq!(store.write(&[], None)?.new, 0);
/// assert!(store.is_open());
/// # Ok::<(), crossbridge_std::profiling::StoreError>(())
/// ```
pub struct LazyStore<F, S> {
    open: F,
    store: Option<S>,
}

impl<F, S> fmt::Debug for LazyStore<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyStore")
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl<F, S> LazyStore<F, S> {
    /// Opens by `open`, which is handed the timeout of the attempt.
    pub const fn new(open: F) -> Self {
        Self { open, store: None }
    }

    /// Whether it was needed already, and could be opened.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.store.is_some()
    }
}

impl<F, S> LazyStore<F, S>
where
    F: FnMut(Option<Duration>) -> Result<S, StoreError>,
    S: EventStore,
{
    fn opened(&mut self, timeout: Option<Duration>) -> Result<&mut S, StoreError> {
        match &mut self.store {
            Some(store) => Ok(store),
            empty => Ok(empty.insert((self.open)(timeout)?)),
        }
    }
}

impl<F, S> EventStore for LazyStore<F, S>
where
    F: FnMut(Option<Duration>) -> Result<S, StoreError>,
    S: EventStore,
{
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        self.opened(timeout)?.write(batch, timeout)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.opened(None)?.count()
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        self.opened(None)?.get(event_id)
    }

    fn check(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        self.opened(timeout)?.check(timeout)
    }

    fn name(&self) -> &str {
        self.store.as_ref().map_or(UNNAMED, EventStore::name)
    }
}
