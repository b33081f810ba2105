//! What the collector's threads share behind one lock: the spool, and what is in hand.

use super::queue::{Queue, bytes_of};
use crate::logging::Category;
use crate::profiling::event::Event;
use crate::profiling::ingest::BATCH_EVENTS;
use crate::profiling::spool::{Spool, SpoolError, chain};

pub(super) struct Desk {
    pub(super) spool: Option<Spool>,
    /// Taken out of the queue and not handed over yet; still in memory.
    pub(super) in_hand: Vec<Event>,
    /// The same, in the hands of the shipper: only without a spool.
    pub(super) in_flight: u64,
    pub(super) handed_over: u64,
    /// Brought straight to the spool, in groups.
    pub(super) kept: u64,
    /// Without a spool: what the store has, and what it refuses.
    pub(super) stored: u64,
    pub(super) dead: u64,
    /// Whether the last append failed: a failure is logged once, not twenty times a second.
    failing: bool,
}

impl Desk {
    pub(super) const fn new(spool: Option<Spool>) -> Self {
        Self {
            spool,
            in_hand: Vec::new(),
            in_flight: 0,
            handed_over: 0,
            kept: 0,
            stored: 0,
            dead: 0,
            failing: false,
        }
    }

    /// Brings everything in memory into the spool.
    pub(super) fn hand_over(&mut self, queue: &Queue) -> Result<(), SpoolError> {
        let Some(spool) = &mut self.spool else {
            return Ok(());
        };
        queue.take(&mut self.in_hand);
        // In parts: one that fits must not wait for room for all of them.
        while !self.in_hand.is_empty() {
            let most = self.in_hand.len().min(PART);
            let part = self.in_hand.get(..most).unwrap_or_default();
            if let Err(error) = spool.append(part) {
                self.failing = tell(self.failing, &error);
                return Err(error);
            }
            self.failing = false;
            let (events, bytes) = weight(part);
            queue.release(events, bytes);
            self.handed_over += events;
            self.in_hand.drain(..most);
        }
        Ok(())
    }
}

/// Logs the first of several failures.
fn tell(failing: bool, error: &SpoolError) -> bool {
    if !failing {
        log::error!(
            target: Category::Persistence.target(),
            reason = chain(error);
            "the spool takes nothing, events stay in memory"
        );
    }
    true
}

/// How many events, and how many bytes they take.
pub(super) fn weight(events: &[Event]) -> (u64, u64) {
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    (count, events.iter().map(bytes_of).sum())
}

/// Events in one commit.
const PART: usize = 4 * BATCH_EVENTS;
