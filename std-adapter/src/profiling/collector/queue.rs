//! Events in memory: a bounded queue that recorders do not wait at.
//!
//! Sixteen lists behind sixteen locks. A thread has its own, takes the next one if that is taken, and
//! waits only if all are. Each lock is held for moving one event, or for swapping a full list for an
//! empty one. The order between threads is not kept; that within one thread is, mostly.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::shared::lock;
use crate::profiling::event::Event;
use crate::profiling::ingest::batch::size;
use crate::profiling::settings::Overflow;

pub(super) struct Queue {
    shards: [Shard; SHARDS],
    /// Events in the lists, and those that were taken out and are still in memory.
    events: AtomicU64,
    bytes: AtomicU64,
    most_events: u64,
    most_bytes: u64,
    overflow: Overflow,
    closed: AtomicBool,
    /// An empty list with memory, to be swapped for a full one.
    spare: Mutex<VecDeque<Event>>,
}

/// A list of its own cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<List>);

#[derive(Default)]
struct List {
    events: VecDeque<Event>,
    recorded: u64,
    dropped: u64,
}

/// What became of an event.
pub(super) enum Pushed {
    /// It is in. `wake` where it is time to empty the queue.
    In { wake: bool },
    /// It is counted as recorded and dropped.
    Dropped,
    /// It is not counted at all.
    Refused,
}

/// The counts of all lists at one moment.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) waiting: u64,
    pub(super) recorded: u64,
    pub(super) dropped: u64,
}

impl Queue {
    pub(super) fn new(most_events: u64, most_bytes: u64, overflow: Overflow) -> Self {
        Self {
            shards: Default::default(),
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            most_events,
            most_bytes,
            overflow,
            closed: AtomicBool::new(false),
            spare: Mutex::default(),
        }
    }

    /// Nothing comes in any more. What is in stays.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn push(&self, event: Event) -> Pushed {
        let bytes = bytes_of(&event);
        let mut list = self.list();
        // Asked under the lock: whoever empties the queue after closing it finds everything.
        if self.closed.load(Ordering::SeqCst) {
            return Pushed::Refused;
        }
        // Space is taken first and given back if it was too much, so that threads that come at the
        // same time do not all get the last place.
        let events = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if events > self.most_events || held > self.most_bytes {
            match self.overflow {
                Overflow::Refuse => {
                    self.release(1, bytes);
                    return Pushed::Refused;
                }
                Overflow::DropNewest => {
                    self.release(1, bytes);
                    list.recorded += 1;
                    list.dropped += 1;
                    return Pushed::Dropped;
                }
                Overflow::DropOldest => {
                    // Of this list: the oldest of all would mean all the locks.
                    let Some(oldest) = list.events.pop_front() else {
                        self.release(1, bytes);
                        list.recorded += 1;
                        list.dropped += 1;
                        return Pushed::Dropped;
                    };
                    self.release(1, bytes_of(&oldest));
                    list.dropped += 1;
                }
            }
        }
        list.recorded += 1;
        list.events.push_back(event);
        Pushed::In {
            wake: events == self.most_events / 2,
        }
    }

    /// Moves everything into `into`, for which the queue keeps the space until it is
    /// [released](Self::release).
    pub(super) fn take(&self, into: &mut Vec<Event>) {
        let mut spare = lock(&self.spare);
        for Shard(list) in &self.shards {
            std::mem::swap(&mut lock(list).events, &mut spare);
            // Outside of the list's lock; its memory serves the next one.
            into.extend(spare.drain(..));
            spare.shrink_to(SPARE);
        }
    }

    /// So much has left the memory.
    pub(super) fn release(&self, events: u64, bytes: u64) {
        self.events.fetch_sub(events, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether there is nothing in memory, as far as one look can tell.
    pub(super) fn is_empty(&self) -> bool {
        self.events.load(Ordering::SeqCst) == 0
    }

    /// The counts, all of the same moment.
    pub(super) fn tally(&self) -> Tally {
        let lists: Vec<MutexGuard<'_, List>> = self.shards.iter().map(|Shard(list)| lock(list)).collect();
        lists.iter().fold(Tally::default(), |sum, list| Tally {
            waiting: sum.waiting + u64::try_from(list.events.len()).unwrap_or(u64::MAX),
            recorded: sum.recorded + list.recorded,
            dropped: sum.dropped + list.dropped,
        })
    }

    /// A list that nobody uses just now, this thread's own if possible.
    fn list(&self) -> MutexGuard<'_, List> {
        let own = OWN.with(|own| {
            if own.get() == usize::MAX {
                own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
            }
            own.get()
        });
        let (before, from_own) = self.shards.split_at(own.min(SHARDS - 1));
        for Shard(list) in from_own.iter().chain(before) {
            match list.try_lock() {
                Ok(list) => return list,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let [first, ..] = from_own else {
            return lock(&self.shards[0].0);
        };
        lock(&first.0)
    }
}

pub(super) fn bytes_of(event: &Event) -> u64 {
    u64::try_from(size(event)).unwrap_or(u64::MAX)
}

/// Lists: more than threads that record at the same moment.
const SHARDS: usize = 16;

/// Events that an empty list has memory for at most.
const SPARE: usize = 8_192;

/// The list of the next thread that has none.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The list of this thread.
    static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
}
