//! A line that threads share: each slot is claimed, changed and let go.
//!
//! ```text
//!   word of the key   61 bits of the hash, and what the slot is now
//!                     ├─ 0 to 4   fraction bits of a tick
//!                     ├─ 6        claimed: somebody changes it
//!                     └─ 7        nobody's (with a hash of zero)
//!
//!   claim   key ──compare-and-swap──▶ key, claimed      one thread at a time from here on
//!   change  tat ◀── new
//!   let go  key ◀── new key and ticks
//!
//!   read    tat ─▶ key ─▶ tat again     neither claimed nor changed: they belong together
//! ```
//!
//! # Rules
//! - Only who has claimed a slot writes to it. It does not wait for anything meanwhile.
//! - A claimed slot still shows whose it was, so that a request for that key waits for the outcome.
//! - A reader that saw a new `tat` sees the claim that came before, or what came after it: the
//!   stores release and the loads acquire in that order.

use crate::sync::atomic::{AtomicU64, spin_loop};
use core::hint::select_unpredictable;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::line::{At, Entry, NOBODY, SHIFT_BITS, SLOTS, Table, first, second};

/// The storage of a [`SharedKeyedLimiter`](super::SharedKeyedLimiter): four keys in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub struct SharedLine {
    keys: [AtomicU64; SLOTS],
    tats: [AtomicU64; SLOTS],
}

impl SharedLine {
    /// A line that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keys: [const { AtomicU64::new(NOBODY) }; SLOTS],
            tats: [const { AtomicU64::new(0) }; SLOTS],
        }
    }

    /// Empties it, while nobody else has it.
    pub(super) fn clear(&self) {
        for (key, tat) in self.keys.iter().zip(&self.tats) {
            tat.store(0, Release);
            key.store(NOBODY, Release);
        }
    }

    /// Where this word is among the keys, [`SLOTS`] if nowhere.
    #[inline]
    fn slot_of(&self, stored: u64) -> usize {
        let mut found = SLOTS;
        for (slot, key) in self.keys.iter().enumerate() {
            found = select_unpredictable(key.load(Relaxed) == stored, slot, found);
        }
        found
    }

    /// All its slots.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.keys
            .iter()
            .zip(&self.tats)
            .map(|(key, tat)| Cell { key, tat })
    }

    fn cell(&self, slot: usize) -> Cell<'_> {
        Cell {
            key: &self.keys[slot % SLOTS],
            tat: &self.tats[slot % SLOTS],
        }
    }
}

impl Default for SharedLine {
    fn default() -> Self {
        Self::new()
    }
}

/// A slot that others may change at any time.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    key: &'a AtomicU64,
    tat: &'a AtomicU64,
}

impl<'a> Cell<'a> {
    /// An instant that may be anybody's.
    #[inline]
    pub(super) fn tat(self) -> u64 {
        self.tat.load(Acquire)
    }

    /// Whether an instant read before belongs to this word.
    #[inline]
    pub(super) fn still(self, stored: u64, tat: u64) -> bool {
        self.key.load(Acquire) == stored && self.tat.load(Relaxed) == tat
    }

    /// Key and instant as they were at one moment, once nobody has it claimed.
    pub(super) fn read(self) -> Entry {
        loop {
            let (key, tat) = (self.key.load(Relaxed), self.tat());
            if !is_claimed(key) && self.still(key, tat) {
                return Entry { key, tat };
            }
            spin_loop();
        }
    }

    /// Claims it, unless somebody else has.
    pub(super) fn try_claim(self) -> Option<Claimed<'a>> {
        let key = self.key.load(Acquire);
        if is_claimed(key) { None } else { self.claim(key) }
    }

    /// Claims it, once nobody else has.
    pub(super) fn claim_any(self) -> Claimed<'a> {
        loop {
            match self.try_claim() {
                Some(claimed) => return claimed,
                None => spin_loop(),
            }
        }
    }

    /// Claims it if this is what it shows.
    #[inline]
    pub(super) fn claim(self, stored: u64) -> Option<Claimed<'a>> {
        let claimed = (stored & !SHIFT_BITS) | CLAIMED;
        let won = self.key.compare_exchange(stored, claimed, Acquire, Relaxed);
        won.is_ok().then_some(Claimed { cell: self, stored })
    }
}

/// A slot that nobody else changes until it is let go. Not let go by itself: nothing between the
/// two can panic, and forgetting it is a mistake that every test would hang on.
#[must_use = "let it go, or everybody waits for it"]
pub(super) struct Claimed<'a> {
    cell: Cell<'a>,
    stored: u64,
}

impl Claimed<'_> {
    /// What was there when it was claimed.
    #[inline]
    pub(super) fn slot(&self) -> Entry {
        Entry {
            key: self.stored,
            tat: self.cell.tat.load(Relaxed),
        }
    }

    /// Changes it and lets it go.
    #[inline]
    pub(super) fn put(self, new: Entry) {
        self.cell.tat.store(new.tat, Release);
        self.cell.key.store(new.key, Release);
    }

    /// Lets it go as it was.
    #[inline]
    pub(super) fn leave(self) {
        self.cell.key.store(self.stored, Release);
    }
}

/// The slot that shows this word, in the first line or the second.
#[inline]
pub(super) fn same_ticks(lines: &[SharedLine], stored: u64) -> Option<Cell<'_>> {
    let at = first(stored, lines.len());
    let mut line = lines.get(at)?;
    let mut slot = line.slot_of(stored);
    if slot == SLOTS {
        line = lines.get(second(stored, at, lines.len()))?;
        slot = line.slot_of(stored);
    }
    (slot < SLOTS).then(|| line.cell(slot))
}

/// The slot of the key, claimed. A key that is being moved to its other line may be missed.
pub(super) fn claim(lines: &[SharedLine], key: u64) -> Option<Claimed<'_>> {
    let at = first(key, lines.len());
    let homes = [at, second(key, at, lines.len())];
    'again: loop {
        for line in homes.into_iter().filter_map(|line| lines.get(line)) {
            for slot in 0..SLOTS {
                let cell = line.cell(slot);
                let stored = cell.key.load(Acquire);
                if stored & !SHIFT_BITS != key || stored == NOBODY {
                    continue;
                }
                if !is_claimed(stored)
                    && let Some(claimed) = cell.claim(stored)
                {
                    return Some(claimed);
                }
                spin_loop();
                continue 'again;
            }
        }
        return None;
    }
}

/// The slot at a place.
pub(super) fn cell(lines: &[SharedLine], at: At) -> Option<Cell<'_>> {
    lines.get(at.line).map(|line| line.cell(at.slot))
}

impl Table for [SharedLine] {
    fn lines(&self) -> usize {
        self.len()
    }

    fn line(&self, at: usize) -> Option<[Entry; SLOTS]> {
        let line = self.get(at)?;
        let mut slots = [Entry::EMPTY; SLOTS];
        for (at, slot) in slots.iter_mut().enumerate() {
            *slot = line.cell(at).read();
        }
        Some(slots)
    }
}

const fn is_claimed(key: u64) -> bool {
    key & SHIFT_BITS == CLAIMED
}

const CLAIMED: u64 = 0b110;
