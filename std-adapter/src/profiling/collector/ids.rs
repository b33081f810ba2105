//! Ids for events that are recorded without one: those of different events would all be the same.

use std::sync::atomic::{AtomicU64, Ordering};

use rand_core::Rng as _;

use crate::profiling::event::Event;
use crate::profiling::identity::{Fingerprint, event_id};

/// The ids of one collector.
pub(super) struct Ids {
    /// Drawn, so that no other collector has the same ones.
    nonce: Fingerprint,
    given: AtomicU64,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut rng = crate::entropy::generator();
        let nonce = [rng.next_u64(), rng.next_u64()].map(u64::to_be_bytes);
        Self {
            nonce: Fingerprint::of(nonce.as_flattened()),
            given: AtomicU64::new(0),
        }
    }

    /// Gives the event an id, if it has none.
    pub(super) fn name(&self, event: &mut Event) {
        if event.event_id.is_empty() {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            event.event_id = event_id(&event.run_id, self.nonce, number, &[]);
        }
    }
}
