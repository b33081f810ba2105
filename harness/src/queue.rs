//! Virtual time: a queue of what happens when, and nothing else moves the clock.
//!
//! Nothing is ever put into the past, so the queue need not be a heap. It sorts by the digits in
//! which an instant differs from the present, base 64, and looks closer only at what comes next.
//!
//! ```text
//!   level 2   ├──────┼──────┼──■■──┼   4 096 ns a slot      put: the highest digit that differs
//!   level 1       ├──┼■─┼──┤             64 ns a slot            from now says level and slot
//!   level 0     ├┼■┼┼┤                    1 ns a slot      take: the first slot of the lowest level
//!   now           ■■■                                            in use, spread over the levels below
//! ```
//!
//! # Rules
//! - At the same time, the order is that in which things were put in. Two things at one instant are
//!   always in one slot, and a slot is spread from its front to its back.
//! - Each thing is moved at most once for each level: 11 times at worst, 3 or 4 times for timers of a
//!   second among 100 000 others.
//!
//! Sources: Varghese and Lauck, *Hashed and Hierarchical Timing Wheels* (1987); Ahuja, Mehlhorn,
//! Orlin and Tarjan, *Faster Algorithms for the Shortest Path Problem* (1990) for the radix heap.

use std::collections::VecDeque;

use crossbridge_core::Instant;

/// Things to come, in the order of their time; at the same time, in the order they were put in.
#[derive(Debug)]
pub struct Queue<T> {
    now: Instant,
    /// What happens now.
    ready: VecDeque<T>,
    /// `LEVELS` times `SLOTS`, level by level.
    slots: Vec<Vec<Entry<T>>>,
    /// Which slots of a level are in use, a bit each.
    used: [u64; LEVELS],
    /// The slot that is being spread.
    spread: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    what: T,
}

/// Bits of a digit.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// Room for so many things is kept in a slot that is empty.
const KEPT: usize = 256;
/// Digits of an instant.
const LEVELS: usize = 64_usize.div_ceil(DIGIT as usize);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            now: Instant::ZERO,
            ready: VecDeque::new(),
            slots: std::iter::repeat_with(Vec::new).take(LEVELS * SLOTS).collect(),
            used: [0; LEVELS],
            spread: Vec::new(),
        }
    }
}

impl<T> Queue<T> {
    /// The present: the time of what was taken out last.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Puts `what` in at `at`; a time that has passed is now.
    pub fn put(&mut self, at: Instant, what: T) {
        if at <= self.now {
            self.ready.push_back(what);
        } else {
            self.place(Entry { at, what });
        }
    }

    /// Takes the next thing out and moves the clock to it, where that is before `end`.
    pub fn take_before(&mut self, end: Instant) -> Option<T> {
        if self.now >= end {
            return None;
        }
        if let Some(what) = self.ready.pop_front() {
            return Some(what);
        }
        let level = self.used.iter().position(|&used| used != 0)?;
        let slot = self.used[level].trailing_zeros() as usize;
        let entries = &mut self.slots[level * SLOTS + slot];
        let first = entries.iter().map(|entry| entry.at).min()?;
        if first >= end {
            return None;
        }
        self.now = first;
        self.used[level] &= !(1 << slot);
        if entries.len() == 1 {
            return entries.pop().map(|entry| entry.what);
        }
        // The emptied list takes the place of the full one, so that little memory is given back and
        // asked for again.
        let mut spread = std::mem::take(&mut self.spread);
        std::mem::swap(&mut spread, entries);
        for entry in spread.drain(..) {
            self.put(entry.at, entry.what);
        }
        // Large ones are rare, and would in time be in every slot.
        if spread.capacity() <= KEPT {
            self.spread = spread;
        }
        self.ready.pop_front()
    }

    /// Where an instant to come belongs, seen from now.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a digit, and one of so many levels"
    )]
    fn place(&mut self, entry: Entry<T>) {
        let at = entry.at.as_nanos();
        let level = (at ^ self.now.as_nanos()).ilog2() / DIGIT;
        let slot = (at >> (level * DIGIT) & (SLOTS as u64 - 1)) as usize;
        let level = level as usize;
        self.used[level] |= 1 << slot;
        self.slots[level * SLOTS + slot].push(entry);
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
