//! How a key gets into the table, and out of the way of others: behind its door.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::SharedKeyedLimiter;
use crate::rate_limit::keyed::line::{At, Entry, Room, other_home, room};
use crate::rate_limit::keyed::shared_line::{Cell, Claimed, SharedLine, cell, claim};
use crate::rate_limit::keyed::{KeyedAnswer, KeyedStats, Overflow};
use crate::sync::atomic::{AtomicU64, spin_loop};
use crate::time::Instant;

/// What only new keys read and write: apart, for the others shall not notice.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Changes {
    /// Shut while a key of this share is put in, so that no key is put in twice.
    doors: [AtomicU64; DOORS],
    /// Keys moved to their other line. Who looked for one meanwhile looks again.
    moves: AtomicU64,
    /// When the last of the keys that lost their slots to others became idle, in the table's time.
    forgotten: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
}

impl Changes {
    pub(super) const fn new() -> Self {
        Self {
            doors: [const { AtomicU64::new(OPEN) }; DOORS],
            moves: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub(super) fn stats(&self) -> KeyedStats {
        KeyedStats {
            refused: self.refused.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
        }
    }

    /// A key without a slot.
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Which keys have been moved: a look between two equal ones missed none.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Acquire)
    }

    /// When the last of the keys that lost their slots became idle.
    pub(super) fn forgotten(&self) -> Instant {
        Instant::from_nanos(self.forgotten.load(Acquire))
    }

    fn forget(&self, until: Instant) {
        if self.forgotten.load(Relaxed) < until.as_nanos() {
            self.forgotten.fetch_max(until.as_nanos(), Release);
        }
    }

    fn door(&self, key: u64) -> Option<&AtomicU64> {
        self.doors.get((key >> SHARE) as usize)
    }
}

impl<S: AsRef<[SharedLine]>> SharedKeyedLimiter<S> {
    /// Puts a key in that was not found, and does `then` with its slot: which is another thread's by
    /// now if that was faster.
    pub(super) fn insert(
        &self,
        key: u64,
        now: Instant,
        then: impl Fn(Claimed<'_>) -> KeyedAnswer,
    ) -> KeyedAnswer {
        let Some(door) = self.changes.door(key) else {
            return KeyedAnswer::Never;
        };
        enter(door);
        let answer = match self.claim_or_take(key, now) {
            Ok(claimed) => then(claimed),
            Err(refusal) => refusal,
        };
        leave(door);
        answer
    }

    /// Behind the door: the slot of the key, or one that is made free for it.
    fn claim_or_take(&self, key: u64, now: Instant) -> Result<Claimed<'_>, KeyedAnswer> {
        let lines = self.lines.as_ref();
        loop {
            let moves = self.changes.moves();
            if let Some(claimed) = claim(lines, key) {
                return Ok(claimed);
            }
            if self.changes.moves() != moves {
                // It may have been moved past the look.
                continue;
            }
            // Keys that owed something until later than this late `now` have lost their slots, and
            // this one may be among them.
            let forgotten = self.changes.forgotten();
            if now < forgotten {
                return Err(KeyedAnswer::NotBefore(forgotten));
            }
            match room(lines, key, now) {
                Room::Idle(at) => {
                    if let Some(claimed) = self.claim_idle(at, now) {
                        return Ok(claimed);
                    }
                }
                Room::Move(from, to) => self.relocate(from, to, now),
                Room::Taken(_, until) if self.overflow == Overflow::Refuse => {
                    self.changes.count_refused();
                    return Err(KeyedAnswer::Full(until));
                }
                Room::Taken(at, _) => {
                    if let Some(claimed) = cell(lines, at).and_then(Cell::try_claim) {
                        self.changes.evicted.fetch_add(1, Relaxed);
                        return Ok(claimed);
                    }
                }
                Room::Nowhere => return Err(KeyedAnswer::Never),
            }
        }
    }

    /// The slot here, if it is still idle and nobody else claims it. Whose it was is forgotten.
    fn claim_idle(&self, at: At, now: Instant) -> Option<Claimed<'_>> {
        let claimed = cell(self.lines.as_ref(), at)?.try_claim()?;
        let slot = claimed.slot();
        if !slot.is_idle(now) {
            claimed.leave();
            return None;
        }
        self.changes.forget(slot.idle_at());
        Some(claimed)
    }

    /// Moves the key in one slot to the other, its other line, if both are still what they were.
    fn relocate(&self, from: At, to: At, now: Instant) {
        let lines = self.lines.as_ref();
        let Some(source) = cell(lines, from).and_then(Cell::try_claim) else {
            return;
        };
        let slot = source.slot();
        let wanted = !slot.is_idle(now) && other_home(slot.key, from, lines.len()) == to.line;
        // Two claims at once: whoever waited for the second might wait for somebody who waits for
        // the first.
        let target = if wanted { self.claim_idle(to, now) } else { None };
        let Some(target) = target else {
            return source.leave();
        };
        // In both places, counted, in the new one only: who finds the old one empty sees the count.
        target.put(slot);
        self.changes.moves.fetch_add(1, AcqRel);
        source.put(Entry::EMPTY);
    }

    /// Moves what every key owes back with the clock. Nobody puts a key in meanwhile or moves one.
    ///
    /// A thread that saw the table's time before it ended may still charge a slot that was moved.
    /// It counts as an empty bucket then: a refill later at most its key goes on.
    #[cold]
    pub(super) fn move_back(&self, now: Instant) {
        self.changes.doors.iter().for_each(enter);
        let seen = self.time.peek(now);
        // Else somebody else has done it.
        if seen.moves() {
            for cell in self.lines.as_ref().iter().flat_map(SharedLine::cells) {
                let claimed = cell.claim_any();
                let moved = claimed.slot().moved(seen);
                claimed.put(moved);
            }
            let forgotten = seen.moved(self.changes.forgotten());
            self.changes.forgotten.store(forgotten.as_nanos(), Release);
            self.time.restart(seen.at);
        }
        self.changes.doors.iter().for_each(leave);
    }
}

fn enter(door: &AtomicU64) {
    while door.compare_exchange_weak(OPEN, SHUT, Acquire, Relaxed).is_err() {
        spin_loop();
    }
}

fn leave(door: &AtomicU64) {
    door.store(OPEN, Release);
}

/// Doors, one for each value of the upper bits of the mixed key.
const DOORS: usize = 64;
const SHARE: u32 = u64::BITS - DOORS.ilog2();

const OPEN: u64 = 0;
const SHUT: u64 = 1;
