//! Events in memory: a bounded queue that recorders do not wait at.
//!
//! Sixteen lists behind sixteen locks. A thread has its own, takes the next one if that is taken, and
//! waits only if all are. Each lock is held for moving one event, or for taking a list away. The order
//! between threads is not kept; that within one thread is, mostly.
//!
//! A list is a row of chunks of 64 events that never grow or move, so what it takes is what its events
//! [take](heap) and two chunks that are not full: 0.5 MiB for all of the lists. Chunks that are empty
//! are used again, 1.8 MiB of them at most: after thousands of small blocks were given back, a large
//! one can take the allocator 20 µs.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::shared::lock;
use crate::profiling::event::{Event, heap};
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
    /// How often events were dropped after they had been taken.
    drops: AtomicU64,
    /// Chunks that are empty.
    spare: Mutex<Vec<Chunk>>,
}

/// A list of its own cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<List>);

/// Events side by side, [`CHUNK`] at most.
pub(super) type Chunk = VecDeque<Event>;

#[derive(Default)]
struct List {
    chunks: VecDeque<Chunk>,
    waiting: u64,
    recorded: u64,
    dropped: u64,
}

impl List {
    fn push(&mut self, event: Event, spare: &Mutex<Vec<Chunk>>) {
        self.waiting += 1;
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push_back(event),
            Some(_) | None => {
                // Nobody waits here either.
                let found = spare.try_lock().ok().and_then(|mut spare| spare.pop());
                let mut chunk = found.unwrap_or_else(|| Chunk::with_capacity(CHUNK));
                chunk.push_back(event);
                self.chunks.push_back(chunk);
            }
        }
    }

    fn pop(&mut self) -> Option<Event> {
        let chunk = self.chunks.front_mut()?;
        let event = chunk.pop_front()?;
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        self.waiting -= 1;
        Some(event)
    }
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

/// How much is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing.
    Empty,
    /// Less than half of what may be.
    Low,
    /// Half of it or more, by number or by size.
    High,
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
            drops: AtomicU64::new(0),
            spare: Mutex::default(),
        }
    }

    /// Nothing comes in any more. What is in stays.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Events were dropped after they had been taken, here or on their way.
    pub(super) fn on_dropped(&self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }

    /// How often that has happened. Whoever finds the same number after a sync as before he recorded
    /// an event knows that it was not among them.
    pub(super) fn drops(&self) -> u64 {
        self.drops.load(Ordering::SeqCst)
    }

    pub(super) fn push(&self, event: Event) -> Pushed {
        let bytes = heap::bytes(&event);
        let mut list = self.list();
        // Asked under the lock: whoever empties the queue after closing it finds everything.
        if self.closed.load(Ordering::SeqCst) {
            return Pushed::Refused;
        }
        // Space is taken first and given back if it was too much, so that threads that come at the
        // same time do not all get the last place.
        let events = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let (mut events_now, mut held_now) = (events, held);
        while events_now > self.most_events || held_now > self.most_bytes {
            // The oldest of this list: the oldest of all would mean all the locks.
            let oldest = match self.overflow {
                Overflow::Refuse => {
                    self.release(1, bytes);
                    return Pushed::Refused;
                }
                Overflow::DropNewest => None,
                Overflow::DropOldest => list.pop(),
            };
            list.dropped += 1;
            let Some(oldest) = oldest else {
                self.release(1, bytes);
                list.recorded += 1;
                return Pushed::Dropped;
            };
            self.on_dropped();
            let freed = heap::bytes(&oldest);
            self.release(1, freed);
            events_now -= 1;
            held_now -= freed;
        }
        list.recorded += 1;
        list.push(event, &self.spare);
        // Whoever crosses the half, and nobody else.
        let (half_events, half_bytes) = self.half();
        Pushed::In {
            wake: events == half_events || (held - bytes < half_bytes && held >= half_bytes),
        }
    }

    /// Moves everything into `into`, for which the queue keeps the space until it is
    /// [released](Self::release).
    pub(super) fn take(&self, into: &mut VecDeque<Chunk>) {
        for Shard(list) in &self.shards {
            let mut list = lock(list);
            into.append(&mut list.chunks);
            list.waiting = 0;
        }
    }

    /// Takes back a chunk that is empty.
    pub(super) fn recycle(&self, chunk: Chunk) {
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE {
            spare.push(chunk);
        }
    }

    /// So much has left the memory.
    pub(super) fn release(&self, events: u64, bytes: u64) {
        self.events.fetch_sub(events, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How much is in memory, as far as one look can tell.
    pub(super) fn level(&self) -> Level {
        let (half_events, half_bytes) = self.half();
        match self.events.load(Ordering::SeqCst) {
            0 => Level::Empty,
            events if events >= half_events || self.bytes.load(Ordering::SeqCst) >= half_bytes => Level::High,
            _ => Level::Low,
        }
    }

    fn half(&self) -> (u64, u64) {
        (self.most_events.div_ceil(2), self.most_bytes.div_ceil(2))
    }

    /// The counts, all of the same moment.
    pub(super) fn tally(&self) -> Tally {
        let lists: Vec<MutexGuard<'_, List>> = self.shards.iter().map(|Shard(list)| lock(list)).collect();
        lists.iter().fold(Tally::default(), |sum, list| Tally {
            waiting: sum.waiting + list.waiting,
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

/// Lists: more than threads that record at the same moment.
const SHARDS: usize = 16;

/// Events in a chunk: few enough to be let go of half empty, many enough to be allocated rarely.
const CHUNK: usize = 64;

/// Empty chunks that are kept.
const SPARE: usize = 128;

/// The list of the next thread that has none.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The list of this thread.
    static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
}
