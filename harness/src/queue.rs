//! Virtual time: a queue of what happens when, and nothing else moves the clock.
//!
//! Nothing is ever put into the past, so the queue need not be a heap. It sorts by the digits in
//! which an instant differs from the present, base 256, and looks closer only at what comes next.
//!
//! ```text
//!   level 2   ├──────┼──────┼──■■──┼  65 536 ns a slot      put: the highest digit that differs
//!   level 1       ├──┼■─┼──┤            256 ns a slot            from the base says level and slot
//!   level 0     ├┼■┼┼┤                    1 ns a slot      take: the first slot of the lowest level
//!   run         ■■■■                                             in use: sorted if it is short, else
//!   now         ▲                                                spread over the levels below
//! ```
//!
//! # Rules
//! - At the same time, the order is that in which things were put in. Two things at one instant are
//!   always in one slot or both in the run; a slot is spread from its front to its back, and sorted by a
//!   sort that is stable.
//! - Everything until `run_until` is in the run, and everything later in the slots.
//! - Each thing is moved at most once for each level: 8 times at worst, twice for timers of a second
//!   among 100 000 others.
//!
//! Sources: Varghese and Lauck, *Hashed and Hierarchical Timing Wheels* (1987); Ahuja, Mehlhorn,
//! Orlin and Tarjan, *Faster Algorithms for the Shortest Path Problem* (1990) for the radix heap;
//! Tang, Goh and Thng, *Ladder Queue* (2005) for sorting only what is short and next.

use std::collections::VecDeque;

use crossbridge_core::Instant;

/// Things to come, in the order of their time; at the same time, in the order they were put in.
#[derive(Debug)]
pub struct Queue<T> {
    now: Instant,
    /// What comes next, in order.
    run: VecDeque<Entry<T>>,
    /// In nanoseconds.
    run_until: u64,
    /// From where the digits in the slots are seen, in nanoseconds: never later than now.
    base: u64,
    /// `LEVELS` times `SLOTS`, level by level.
    slots: Vec<Vec<Entry<T>>>,
    /// Which slots of a level are in use, a bit each.
    used: [Bits; LEVELS],
    /// The slot that is being spread.
    spread: Vec<Entry<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    at: u64,
    what: T,
}

/// Bits of a digit.
const DIGIT: u32 = 8;
const SLOTS: usize = 1 << DIGIT;
/// Digits of an instant.
const LEVELS: usize = 64_usize.div_ceil(DIGIT as usize);
/// So many in a slot are sorted and not spread.
const SHORT: usize = 32;
/// A run of more than this gives half of it back to the slots, so that what is put into it is not moved far.
const LONG: usize = 4 * SHORT;
/// Room for so many things is kept in a slot that is empty.
const KEPT: usize = 256;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            now: Instant::ZERO,
            run: VecDeque::new(),
            run_until: 0,
            base: 0,
            slots: std::iter::repeat_with(Vec::new).take(LEVELS * SLOTS).collect(),
            used: [Bits::NONE; LEVELS],
            spread: Vec::new(),
        }
    }
}

impl<T: Copy> Queue<T> {
    /// The present: the time of what was taken out last.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Puts `what` in at `at`; a time that has passed is now.
    #[expect(
        clippy::inline_always,
        reason = "what is handed over in memory is read back in another width: 4 % of a run"
    )]
    #[inline(always)]
    pub fn put(&mut self, at: Instant, what: T) {
        let at = at.max(self.now).as_nanos();
        let entry = Entry { at, what };
        if at > self.run_until {
            self.place(entry);
        } else {
            self.join(entry);
        }
    }

    /// Takes the next thing out and moves the clock to it, where that is before `end`.
    pub fn take_before(&mut self, end: Instant) -> Option<T> {
        while self.run.is_empty() {
            self.refill(end)?;
        }
        let next = self.run.pop_front_if(|next| next.at < end.as_nanos())?;
        self.now = Instant::from_nanos(next.at);
        Some(next.what)
    }

    /// Makes the first slot the run, or at least a shorter one the first; `None` where nothing is
    /// before `end`.
    fn refill(&mut self, end: Instant) -> Option<()> {
        let (level, slot) = self
            .used
            .iter()
            .zip(0_u32..)
            .find_map(|(used, level)| Some((level, used.first()?)))?;
        let entries = self.slots.get_mut(index(level, slot))?;
        let short = level == 0 || entries.len() <= SHORT;
        if short && level > 0 {
            entries.sort_by_key(|entry| entry.at);
        }
        let first = if short {
            entries.first()?.at
        } else {
            entries.iter().map(|entry| entry.at).min()?
        };
        if first >= end.as_nanos() {
            return None;
        }
        self.base = first;
        self.used.get_mut(level as usize)?.clear(slot);
        if short {
            self.run_until = first | ((1 << (level * DIGIT)) - 1);
            self.run.extend(entries.iter().copied());
            entries.clear();
            if entries.capacity() > KEPT {
                *entries = Vec::new();
            }
            return Some(());
        }
        // The emptied list takes the place of the full one, so that little memory is given back and
        // asked for again.
        let mut spread = std::mem::take(&mut self.spread);
        std::mem::swap(&mut spread, entries);
        // Without `drain`, whose entries go through an option: 3 % of a run.
        for entry in &spread {
            self.place(*entry);
        }
        spread.clear();
        // Large ones are rare, and would in time be in every slot.
        if spread.capacity() <= KEPT {
            self.spread = spread;
        }
        Some(())
    }

    /// Where an instant beyond the run belongs, seen from the base.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a digit, and one of so many levels"
    )]
    #[inline]
    fn place(&mut self, entry: Entry<T>) {
        // What is at the base itself is in the lowest level, too.
        let level = ((entry.at ^ self.base) | 1).ilog2() / DIGIT;
        let slot = (entry.at >> (level * DIGIT)) as usize % SLOTS;
        if let (Some(used), Some(entries)) = (
            self.used.get_mut(level as usize),
            self.slots.get_mut(index(level, slot)),
        ) {
            used.set(slot);
            entries.push(entry);
        }
    }

    /// Into the run, after everything at the same time.
    #[cold]
    fn join(&mut self, entry: Entry<T>) {
        let place = self.run.partition_point(|other| other.at <= entry.at);
        self.run.insert(place, entry);
        if self.run.len() > LONG {
            self.shorten();
        }
    }

    /// Gives the later half of the run back to the slots; what is at one time stays together.
    fn shorten(&mut self) {
        let Some(middle) = self.run.get(self.run.len() / 2).map(|entry| entry.at) else {
            return;
        };
        let mut cut = self.run.partition_point(|entry| entry.at < middle);
        if cut == 0 {
            cut = self.run.partition_point(|entry| entry.at <= middle);
        }
        let Some(first) = self.run.get(cut).map(|entry| entry.at) else {
            return;
        };
        self.run_until = first - 1;
        for entry in self.run.split_off(cut) {
            self.place(entry);
        }
    }
}

/// The number of a slot among all of them.
const fn index(level: u32, slot: usize) -> usize {
    level as usize * SLOTS + slot
}

/// A bit for each slot of a level.
#[derive(Clone, Copy, Debug)]
struct Bits([u64; SLOTS / 64]);

impl Bits {
    const NONE: Self = Self([0; SLOTS / 64]);

    /// The lowest bit that is set.
    fn first(&self) -> Option<usize> {
        let (word, number) = self.0.iter().zip(0..).find(|(word, _)| **word != 0)?;
        Some(number * 64 + word.trailing_zeros() as usize)
    }

    fn set(&mut self, bit: usize) {
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    fn clear(&mut self, bit: usize) {
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word &= !(1 << (bit % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use crossbridge_core::draw::{SplitMix64, inclusive};

    use super::*;

    #[test]
    fn ties_come_out_in_the_order_they_went_in() {
        let mut queue = Queue::default();
        let at = Instant::from_nanos;
        for (when, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            queue.put(at(when), what);
        }
        let order: String = std::iter::from_fn(|| queue.take_before(Instant::MAX)).collect();
        assert_eq!(order, "abcd");
        assert_eq!(queue.now(), at(5));
    }

    #[test]
    fn nothing_is_taken_at_the_end_and_the_past_is_now() {
        let mut queue = Queue::default();
        queue.put(Instant::from_nanos(10), 1);
        assert_eq!(queue.take_before(Instant::from_nanos(10)), None);
        assert_eq!(queue.take_before(Instant::from_nanos(11)), Some(1));
        queue.put(Instant::from_nanos(3), 2);
        assert_eq!(queue.take_before(Instant::from_nanos(11)), Some(2));
        assert_eq!(queue.now(), Instant::from_nanos(10));
    }

    /// Far from everything else, two things are a run with much room between them. Thousands that are put
    /// there go back into the slots, and come out as from a heap.
    #[test]
    fn a_run_that_grows_long_keeps_the_order() {
        for (seed, room) in (0..20).flat_map(|seed| [3, 1_000, 1 << 39].map(|room| (seed, room))) {
            let mut rng = SplitMix64::new(seed);
            let (mut queue, mut heap) = (Queue::default(), BinaryHeap::new());
            let (first, last) = (1_u64 << 40, (1 << 40) + room);
            for (at, number) in [(first, 0), (last, 1)] {
                queue.put(Instant::from_nanos(at), number);
                heap.push(Reverse((at, number)));
            }
            let mut number = 2;
            while let Some(Reverse((at, expected))) = heap.pop() {
                assert_eq!(
                    queue.take_before(Instant::MAX),
                    Some(expected),
                    "seed {seed}, room {room}"
                );
                assert_eq!(queue.now().as_nanos(), at, "seed {seed}, room {room}");
                while number < 2_000 && inclusive(0, 19, &mut rng) > 0 {
                    let at = inclusive(at, last, &mut rng);
                    queue.put(Instant::from_nanos(at), number);
                    heap.push(Reverse((at, number)));
                    number += 1;
                }
            }
            assert_eq!(queue.take_before(Instant::MAX), None);
        }
    }

    /// Beside a heap of (time, number): the same things in the same order, from the next nanosecond
    /// to the end of time, with many ties.
    #[test]
    fn the_order_is_that_of_a_heap() {
        for seed in 0..200 {
            let mut rng = SplitMix64::new(seed);
            let (mut queue, mut heap) = (Queue::default(), BinaryHeap::new());
            let mut number = 0_u64;
            for _ in 0..2_000 {
                if inclusive(0, 9, &mut rng) < 6 {
                    let ahead = match inclusive(0, 3, &mut rng) {
                        0 => inclusive(0, 3, &mut rng),
                        1 => 1 << inclusive(0, 40, &mut rng),
                        2 => inclusive(0, 5_000_000_000, &mut rng),
                        _ => inclusive(0, u64::MAX, &mut rng) >> inclusive(0, 63, &mut rng),
                    };
                    let at = queue.now().as_nanos().saturating_add(ahead);
                    queue.put(Instant::from_nanos(at), number);
                    heap.push(Reverse((at, number)));
                    number += 1;
                } else {
                    let expected = heap.pop().map(|Reverse((at, number))| (number, at));
                    // The end of time is never before the end.
                    let expected = expected.filter(|&(_, at)| at < u64::MAX);
                    let taken = queue.take_before(Instant::MAX);
                    let taken = taken.map(|number| (number, queue.now().as_nanos()));
                    assert_eq!(taken, expected, "seed {seed}");
                    if taken.is_none() {
                        break;
                    }
                }
            }
        }
    }
}
