//! One cache line of keys, and the two lines in which a key may be.

use core::hint::select_unpredictable;

use super::time::Seen;
use super::{KeyedAnswer, Overflow};
use crate::rate_limit::gcra::{self, Tat};
use crate::time::Instant;

/// Keys a line holds: 16 bytes each.
pub(super) const SLOTS: usize = 4;

/// The storage of a table: four keys in one cache line of 64 bytes, aligned so that looking
/// through it touches no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(align(64))]
pub struct Line {
    /// 61 bits of a key's hash. The lowest three say what a tick is: the fraction bits of `tat`.
    keys: [u64; SLOTS],
    /// When the key's bucket is full again.
    tats: [u64; SLOTS],
}

impl Line {
    /// A line that holds nothing.
    pub const EMPTY: Self = Self {
        keys: [NOBODY; SLOTS],
        tats: [0; SLOTS],
    };

    /// Where this word is among the keys, [`SLOTS`] if nowhere.
    #[inline]
    fn slot_of(&self, stored: u64) -> usize {
        let mut found = SLOTS;
        for (slot, key) in self.keys.iter().enumerate() {
            found = select_unpredictable(*key == stored, slot, found);
        }
        found
    }
}

/// What a line holds of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) tat: u64,
}

impl Entry {
    pub(super) const EMPTY: Self = Self { key: NOBODY, tat: 0 };

    pub(super) const fn new(key: u64, tat: Tat, shift: u32) -> Self {
        Self {
            key: (key & !SHIFT_BITS) | (shift as u64 & SHIFT_BITS),
            tat: tat.0,
        }
    }

    const fn shift(self) -> u32 {
        (self.key & SHIFT_BITS) as u32
    }

    /// Its instant in ticks with so many fraction bits.
    #[inline]
    pub(super) const fn tat(self, shift: u32) -> Tat {
        if self.shift() == shift {
            Tat(self.tat)
        } else {
            Tat(gcra::rescale(self.tat, self.shift(), shift))
        }
    }

    /// Whether this is the mixed key's.
    pub(super) const fn is_of(self, key: u64) -> bool {
        self.key & !SHIFT_BITS == key && self.key != NOBODY
    }

    /// What the mixed key owes by this slot; nothing if it is another's.
    #[cfg(target_has_atomic = "64")]
    pub(super) const fn tat_of(self, key: u64, shift: u32) -> Tat {
        if self.is_of(key) { self.tat(shift) } else { Tat(0) }
    }

    pub(super) const fn is_idle(self, now: Instant) -> bool {
        self.tat <= gcra::ticks(now, self.shift())
    }

    /// What it is once what it owes has moved back with the clock.
    pub(super) const fn moved(self, seen: Seen) -> Self {
        if !seen.moves() {
            return self;
        }
        let shift = self.shift();
        let owed = self.tat.saturating_sub(gcra::ticks(seen.was, shift));
        if owed == 0 {
            return Self::EMPTY;
        }
        Self {
            key: self.key,
            tat: gcra::ticks(seen.at, shift).saturating_add(owed),
        }
    }

    pub(super) const fn idle_at(self) -> Instant {
        gcra::instant(self.tat, self.shift())
    }
}

/// A slot of the table: which line, and which of its four.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) slot: usize,
}

/// Where a new key may go.
#[derive(Clone, Copy)]
pub(super) enum Room {
    /// This slot is free.
    Idle(At),
    /// The key in the first slot can go to the second: then there is room here, or one such step
    /// nearer to here.
    Move(At, At),
    /// Of its slots this one comes free first, and when.
    Taken(At, Instant),
    /// The storage lends out no line.
    Nowhere,
}

impl Room {
    /// What a key that is granted something is told, if it needs this room.
    pub(super) const fn would_be(self, seen: Seen, overflow: Overflow) -> KeyedAnswer {
        match (self, overflow) {
            (Self::Taken(_, until), Overflow::Refuse) => KeyedAnswer::Full(seen.moved(until)),
            (Self::Idle(_) | Self::Move(..) | Self::Taken(..), _) => KeyedAnswer::Granted,
            (Self::Nowhere, _) => KeyedAnswer::Never,
        }
    }
}

/// What the key that is stored as this word owes, to be changed in place. `None` also where it is
/// stored with other ticks.
///
/// Four comparisons without a branch, for nobody can guess in which slot a key is. That it is in
/// its first line is a good guess.
#[inline]
pub(super) fn same_ticks(lines: &mut [Line], stored: u64) -> Option<&mut u64> {
    let first = first(stored, lines.len());
    let (mut line, mut slot) = (first, lines.get(first)?.slot_of(stored));
    if slot == SLOTS {
        line = second(stored, first, lines.len());
        slot = lines.get(line)?.slot_of(stored);
    }
    lines.get_mut(line)?.tats.get_mut(slot)
}

/// The slot at a place.
#[inline]
pub(super) fn get(lines: &[Line], at: At) -> Entry {
    let slot = lines.get(at.line).map(|line| Entry {
        key: line.keys[at.slot % SLOTS],
        tat: line.tats[at.slot % SLOTS],
    });
    slot.unwrap_or(Entry::EMPTY)
}

#[inline]
pub(super) fn put(lines: &mut [Line], at: At, new: Entry) {
    if let Some(line) = lines.get_mut(at.line) {
        line.keys[at.slot % SLOTS] = new.key;
        line.tats[at.slot % SLOTS] = new.tat;
    }
}

/// Moves what every key owes back with the clock.
#[cold]
pub(super) fn move_back(lines: &mut [Line], seen: Seen) {
    for line in lines {
        for (key, tat) in line.keys.iter_mut().zip(&mut line.tats) {
            let moved = Entry { key: *key, tat: *tat }.moved(seen);
            (*key, *tat) = (moved.key, moved.tat);
        }
    }
}

/// Lines that can be looked through, of one owner or shared.
pub(super) trait Table {
    /// How many lines there are.
    fn lines(&self) -> usize;

    /// The slots of a line; `None` beyond the last one.
    fn line(&self, at: usize) -> Option<[Entry; SLOTS]>;

    /// The slots of a line and where they are.
    fn slots(&self, line: usize) -> impl Iterator<Item = (At, Entry)> + '_ {
        let slots = self.line(line).into_iter().flatten().enumerate();
        slots.map(move |(slot, stored)| (At { line, slot }, stored))
    }
}

impl Table for [Line] {
    fn lines(&self) -> usize {
        self.len()
    }

    fn line(&self, at: usize) -> Option<[Entry; SLOTS]> {
        let line = self.get(at)?;
        let mut slots = [Entry::EMPTY; SLOTS];
        for (slot, (&key, &tat)) in slots.iter_mut().zip(line.keys.iter().zip(&line.tats)) {
            *slot = Entry { key, tat };
        }
        Some(slots)
    }
}

/// Where the mixed key is.
pub(super) fn find(table: &(impl Table + ?Sized), key: u64) -> Option<At> {
    let homes = homes(key, table.lines());
    let mut all = homes.into_iter().flat_map(|line| table.slots(line));
    all.find(|(_, slot)| slot.is_of(key)).map(|(at, _)| at)
}

/// Where a new key goes: into its first line if it can, where it is found soonest, else into its
/// second, else where a key of these two can be moved away in at most two steps.
#[cold]
pub(super) fn room(table: &(impl Table + ?Sized), key: u64, now: Instant) -> Room {
    let homes = homes(key, table.lines());
    if let Some(at) = homes.into_iter().find_map(|line| idle_slot(table, line, now)) {
        return Room::Idle(at);
    }
    let residents = || homes.into_iter().flat_map(|line| table.slots(line));
    let away = |(from, slot): (At, Entry)| other_home(slot.key, from, table.lines());
    let step = |(from, slot): (At, Entry)| {
        let to = idle_slot(table, away((from, slot)), now)?;
        Some(Room::Move(from, to))
    };
    let mut neighbours = residents().flat_map(|resident| table.slots(away(resident)));
    let moved = residents().find_map(step).or_else(|| neighbours.find_map(step));
    moved.unwrap_or_else(|| match residents().min_by_key(|(_, slot)| slot.idle_at()) {
        // Threads share the table: another one let go of it since the first look.
        Some((at, slot)) if slot.is_idle(now) => Room::Idle(at),
        Some((at, slot)) => Room::Taken(at, slot.idle_at()),
        None => Room::Nowhere,
    })
}

/// The slot of a line that has been idle for longest.
fn idle_slot(table: &(impl Table + ?Sized), line: usize, now: Instant) -> Option<At> {
    let idle = table.slots(line).filter(|(_, slot)| slot.is_idle(now));
    idle.min_by_key(|(_, slot)| slot.idle_at()).map(|(at, _)| at)
}

/// The line of a key that it is not in now.
pub(super) const fn other_home(key: u64, now_in: At, lines: usize) -> usize {
    let [first, second] = homes(key, lines);
    if now_in.line == first { second } else { first }
}

/// The two lines of a key. There is no second one in a table of one line, and nothing in it.
const fn homes(key: u64, lines: usize) -> [usize; 2] {
    let first = first(key, lines);
    [first, second(key, first, lines)]
}

/// From the upper half of the mixed key. The constructor allows less than 2^32 lines, so that the
/// product fits.
#[inline]
pub(super) const fn first(key: u64, lines: usize) -> usize {
    ((key >> 32).wrapping_mul(lines as u64) >> 32) as usize
}

/// From the lower half, all lines but the first one.
#[inline]
pub(super) const fn second(key: u64, first: usize, lines: usize) -> usize {
    let others = (lines as u64).saturating_sub(1);
    let at = ((key & 0xFFFF_FFF8).wrapping_mul(others) >> 32) as usize;
    if at < first { at } else { at + 1 }
}

/// Spreads hashes that are only numbers in a row, over the lines and away from the three bits that
/// a slot does not keep.
#[inline]
pub(super) const fn mix(key: u64) -> u64 {
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)) & !SHIFT_BITS
}

/// The bits of a key's word that say what a tick is.
pub(super) const SHIFT_BITS: u64 = 0b111;

/// A slot that nobody ever had: a tick has four fraction bits at most.
pub(super) const NOBODY: u64 = 0b111;

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// Two full lines of which another thread empties the second once so many have been read.
    struct LetGoAfter {
        reads: Cell<u32>,
    }

    impl Table for LetGoAfter {
        fn lines(&self) -> usize {
            2
        }

        fn line(&self, at: usize) -> Option<[Entry; SLOTS]> {
            let left = self.reads.get();
            self.reads.set(left.saturating_sub(1));
            let taken = Entry::new(mix(7), Tat(1_000), 0);
            Some(if at == 1 && left == 0 {
                [Entry::EMPTY; SLOTS]
            } else {
                [taken; SLOTS]
            })
        }
    }

    /// A caller that is told to come back at an instant that has passed would spin.
    #[test]
    fn a_slot_that_comes_free_during_the_search_is_no_refusal() {
        let now = Instant::from_nanos(500);
        let mut refused = 0;
        for reads in 0..200 {
            let table = LetGoAfter {
                reads: Cell::new(reads),
            };
            if let Room::Taken(_, until) = room(&table, mix(1), now) {
                assert!(until > now, "after {reads} reads: {until:?}");
                refused += 1;
            }
        }
        assert!((1..200).contains(&refused), "{refused}");
    }
}
