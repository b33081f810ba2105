//! A store in memory, which fails on demand.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crossbridge_core::FaultKind;

use super::{EventStore, StoreError, Trouble, Written};
use crate::profiling::event::Event;

/// Keeps events as long as it lives. For tests of what calls a store.
///
/// ```
/// use crossbridge_core::{Fault, FaultKind};
/// use crossbridge_std::profiling::{Event, EventStore, EventType, MemoryStore};
///
/// let mut store = MemoryStore::new();
/// store.fail_next([FaultKind::Transient]);
/// let batch = [Event::new("id", "run", "test", EventType::TestEnd)];
/// assert_eq!(store.write(&batch, None).unwrap_err().kind(), FaultKind::Transient);
/// assert_eq!(store.write(&batch, None)?.new, 1);
/// # Ok::<(), crossbridge_std::profiling::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    events: Vec<Event>,
    places: HashMap<String, usize>,
    failures: VecDeque<FaultKind>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next writes fail, one per kind. After [`FaultKind::Unknown`] the batch is stored
    /// all the same: that is the case a caller must be able to bear.
    pub fn fail_next(&mut self, kinds: impl IntoIterator<Item = FaultKind>) {
        self.failures.extend(kinds);
    }

    /// The events in the order they were stored.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    fn insert(&mut self, batch: &[Event]) -> Written {
        let mut written = Written::default();
        for event in batch {
            if self.places.contains_key(&event.event_id) {
                written.already_there += 1;
            } else {
                self.places.insert(event.event_id.clone(), self.events.len());
                self.events.push(event.clone());
                written.new += 1;
            }
        }
        written
    }
}

impl EventStore for MemoryStore {
    fn write(&mut self, batch: &[Event], _timeout: Option<Duration>) -> Result<Written, StoreError> {
        let Some(kind) = self.failures.pop_front() else {
            return Ok(self.insert(batch));
        };
        if kind == FaultKind::Unknown {
            self.insert(batch);
        }
        Err(StoreError {
            doing: "write",
            place: None,
            kind,
            trouble: Trouble::Scripted,
        })
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        Ok(self
            .places
            .get(event_id)
            .and_then(|&place| self.events.get(place))
            .cloned())
    }
}
