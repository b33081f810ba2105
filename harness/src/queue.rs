//! Virtual time: a queue of what happens when, and nothing else moves the clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crossbridge_core::Instant;

/// Things to come, in the order of their time; at the same time, in the order they were put in.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    /// Breaks ties, so that the order is total and the same everywhere.
    next: u64,
    now: Instant,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
            now: Instant::ZERO,
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
        let entry = Entry {
            at: at.max(self.now),
            sequence: self.next,
            what,
        };
        self.next += 1;
        self.heap.push(Reverse(entry));
    }

    /// Takes the next thing out and moves the clock to it, where that is before `end`.
    pub fn take_before(&mut self, end: Instant) -> Option<T> {
        if self.heap.peek()?.0.at >= end {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.what)
    }
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    sequence: u64,
    what: T,
}

impl<T> Entry<T> {
    const fn key(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
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
}
