//! What the collector's threads share behind one lock: the spool, and what is in hand.

use std::sync::Arc;

use super::account::Account;
use super::hand::Hand;
use super::queue::Queue;
use crate::logging::Category;
use crate::profiling::event::{Event, heap};
use crate::profiling::ingest::BATCH_EVENTS;
use crate::profiling::spool::{Appended, Sent, Spool, SpoolCounts, SpoolError, chain};

/// What a desk needs of a spool; a test has one in virtual time.
pub(super) trait Disk {
    /// Keeps as many of the first ones as there is room for.
    fn append_front(&mut self, events: &[Event]) -> Result<Appended, SpoolError>;
    fn counts(&mut self) -> Result<SpoolCounts, SpoolError>;
}

pub(super) struct Desk<D> {
    pub(super) spool: Option<D>,
    /// Taken out of the queue and not handed over yet; still in memory.
    hand: Hand,
    /// The same, on its way to the store: only without a spool. Shared with whoever sends it, for an
    /// attempt that has not ended at the end is not known to succeed.
    in_flight: Option<Arc<Vec<Event>>>,
    /// Given back at the end: nobody here keeps it.
    given_back: u64,
    handed_over: u64,
    /// Brought straight to the spool, in groups.
    pub(super) kept: u64,
    /// Without a spool: what the store has, and what it refuses.
    stored: u64,
    dead: u64,
    /// Whether the last append failed: a failure is logged once, not twenty times a second.
    failing: bool,
}

impl<D: Disk> Desk<D> {
    pub(super) fn new(spool: Option<D>) -> Self {
        Self {
            spool,
            hand: Hand::default(),
            in_flight: None,
            given_back: 0,
            handed_over: 0,
            kept: 0,
            stored: 0,
            dead: 0,
            failing: false,
        }
    }

    /// Takes what is in the queue, unless there is something in hand: what could not be written is
    /// tried again first, so that chunks that are nearly empty do not pile up here.
    pub(super) fn take(&mut self, queue: &Queue) {
        if self.hand.is_empty() {
            self.hand.take(queue);
        }
    }

    /// Brings a part of what is in hand into the spool, in one commit, or as much of it as there is room
    /// for; whether there was anything. In parts, so that others have the desk in between.
    pub(super) fn write_part(&mut self, queue: &Queue) -> Result<bool, SpoolError> {
        let part = self.hand.part(PART, queue);
        let Some(spool) = self.spool.as_mut().filter(|_| !part.is_empty()) else {
            return Ok(false);
        };
        let done = match spool.append_front(part) {
            Ok(Appended {
                done, lost_of_these, ..
            }) => {
                if lost_of_these > 0 {
                    queue.on_dropped();
                }
                done
            }
            Err(error) => {
                self.failing = tell(self.failing, &error);
                return Err(error);
            }
        };
        // Where only some fit, the next part says that it is full.
        self.failing &= done < part.len();
        let (events, bytes) = weight(part.get(..done).unwrap_or(part));
        self.handed_over += events;
        // Let go of first: whoever gets their room takes it at once.
        self.hand.drop_first(done);
        queue.release(events, bytes);
        Ok(true)
    }

    /// Brings what is in memory into the spool, as far as there is room: after the last write, which may
    /// have found it full.
    pub(super) fn write_rest(&mut self, queue: &Queue) {
        self.take(queue);
        // What is wrong was said by that write.
        while matches!(self.write_part(queue), Ok(true)) {}
    }

    /// Without a spool: the next events for the store. Nothing else is taken before they are
    /// [settled](Self::settle).
    pub(super) fn take_batch(&mut self, queue: &Queue) -> Arc<Vec<Event>> {
        self.take(queue);
        let batch = Arc::new(self.hand.take_part(BATCH_EVENTS, queue));
        self.in_flight = Some(Arc::clone(&batch));
        batch
    }

    /// Without a spool: what became of them.
    pub(super) fn settle(&mut self, queue: &Queue, batch: Arc<Vec<Event>>, sent: &Sent) {
        if self.in_flight.take().is_none() {
            // They were given back meanwhile.
            return;
        }
        let mut batch = Arc::unwrap_or_clone(batch);
        let rest = batch.split_off(sent.settled.min(batch.len()));
        let (events, bytes) = weight(&batch);
        drop(batch);
        if sent.shipped.refused > 0 {
            queue.on_dropped();
        }
        self.handed_over += events;
        self.dead += sent.shipped.refused;
        self.stored += events - sent.shipped.refused;
        self.hand.put_back(rest);
        queue.release(events, bytes);
    }

    /// Whether nothing is in hand.
    pub(super) fn is_clear(&self) -> bool {
        self.hand.is_empty()
    }

    /// Where everything is, at one moment.
    pub(super) fn account(&mut self, queue: &Queue) -> Account {
        let tally = queue.tally();
        let in_flight = self.in_flight.as_ref().map_or(0, |batch| count(batch.len()));
        let in_memory = tally.waiting + self.hand.len() + in_flight + self.given_back;
        let mut account = Account {
            accepted: in_memory + tally.dropped,
            in_memory,
            lost: tally.dropped,
            recorded: tally.recorded + self.kept,
            handed_over: self.handed_over + self.kept,
            dropped: tally.dropped,
            stored: self.stored,
            dead_lettered: self.dead,
            ..Account::default()
        };
        match self.spool.as_mut().map(Disk::counts) {
            // What was purged is nobody's any more.
            Some(Ok(counts)) => {
                account.accepted += counts.accepted - counts.purged;
                account.stored = counts.stored;
                account.spooled = counts.spooled;
                account.dead_lettered = counts.dead_letters;
                account.lost += counts.lost;
            }
            // A spool that cannot be read still has what it was given.
            Some(Err(_)) => {
                account.accepted += self.handed_over + self.kept;
                account.spooled = self.handed_over + self.kept;
            }
            None => account.accepted += self.handed_over,
        }
        account
    }

    /// What is still in memory, also what is in an attempt that has not ended: the store may get it
    /// all the same, and keeps one event per id.
    pub(super) fn take_rest(&mut self, queue: &Queue) -> Vec<Event> {
        self.hand.take(queue);
        let in_flight = self.in_flight.take();
        let mut rest = in_flight.map(Arc::unwrap_or_clone).unwrap_or_default();
        rest.extend(std::mem::take(&mut self.hand).into_rest());
        self.given_back += count(rest.len());
        rest
    }
}

impl Disk for Spool {
    fn append_front(&mut self, events: &[Event]) -> Result<Appended, SpoolError> {
        Self::append_front(self, events)
    }

    fn counts(&mut self) -> Result<SpoolCounts, SpoolError> {
        Self::counts(self)
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
    (count(events.len()), events.iter().map(heap::bytes).sum())
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

/// Events in one commit.
pub(super) const PART: usize = 4 * BATCH_EVENTS;
