//! A machine of several words, shared by threads without unsafe code.
//!
//! A limiter's state is one word, and a compare-and-swap changes it. A breaker's is several, which
//! have to change as one. [`Sequenced`] keeps them as atomic words behind a sequence number: who
//! changes them makes it odd, who only reads looks whether it stayed the same.
//!
//! ```text
//!   read:    seq even? ─▶ words ─▶ seq the same? ──yes──▶ a state that was there as a whole
//!              ▲                        └──no── again
//!   update:  seq even ──compare-and-swap──▶ odd ─▶ words ─▶ pure step ─▶ changed words ─▶ seq + 1, even
//! ```
//!
//! # Rules
//! - The step is the one of the exclusive form, on a copy: what was decided is stored whole.
//! - Updates exclude each other for as long as the step takes, some ten nanoseconds. A thread that
//!   meets another's update waits for it. So the hot paths of the machines are reads: they update only
//!   where something changes.
//! - Not for interrupt handlers: one that interrupts an update on its own core would spin for ever.
//!   There the exclusive forms are used, behind a critical section.
//!
//! Source: Boehm, *Can Seqlocks Get Along With Programming Language Memory Models?* (2012).

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::atomic::{AtomicU64, fence, spin_loop};
use super::back_off;

/// `N` words that change as one.
#[derive(Debug)]
pub(crate) struct Sequenced<const N: usize> {
    /// Odd while somebody updates.
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> Sequenced<N> {
    /// These words to begin with.
    pub(crate) const fn new(initial: [u64; N]) -> Self {
        let mut words = [const { AtomicU64::new(0) }; N];
        let mut at = 0;
        while at < N {
            words[at] = AtomicU64::new(initial[at]);
            at += 1;
        }
        Self {
            sequence: AtomicU64::new(0),
            words,
        }
    }

    /// All words, as they were at one instant.
    #[inline]
    pub(crate) fn read(&self) -> [u64; N] {
        loop {
            let before = self.sequence.load(Acquire);
            let words = self.load();
            // The words are read before the number is looked at again.
            fence(Acquire);
            if before & 1 == 0 && self.sequence.load(Relaxed) == before {
                return words;
            }
            spin_loop();
        }
    }

    /// One word as it is now: for a question that the word alone answers.
    #[inline]
    pub(crate) fn word<const AT: usize>(&self) -> u64 {
        const { assert!(AT < N, "there is such a word") };
        self.words[AT].load(Acquire)
    }

    /// Replaces the words by what `step` makes of them, and returns what it says. `step` must not
    /// panic, and must not come back here.
    pub(crate) fn update<T>(&self, step: impl FnOnce(&mut [u64; N]) -> T) -> T {
        let locked = self.lock();
        let before = self.load();
        let mut words = before;
        let answer = step(&mut words);
        for ((word, old), new) in self.words.iter().zip(before).zip(words) {
            if new != old {
                word.store(new, Release);
            }
        }
        self.sequence.store(locked.wrapping_add(1), Release);
        answer
    }

    /// The odd number that keeps others out.
    #[inline]
    fn lock(&self) -> u64 {
        loop {
            let even = self.sequence.load(Relaxed) & !1;
            let odd = even | 1;
            if self
                .sequence
                .compare_exchange_weak(even, odd, Acquire, Relaxed)
                .is_ok()
            {
                // Whoever sees a word that is stored from here on sees the odd number as well: the
                // words are stored with Release.
                return odd;
            }
            back_off();
        }
    }

    #[inline]
    fn load(&self) -> [u64; N] {
        let mut words = [0; N];
        for (copy, word) in words.iter_mut().zip(&self.words) {
            *copy = word.load(Relaxed);
        }
        words
    }
}

// Not with a model's atomics, which exist only inside one.
#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    /// Readers and writers at once: every reader sees words that belong together, and no update is
    /// lost.
    #[test]
    fn words_change_as_one() {
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        let shared = Sequenced::new([0_u64, 0, 0]);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        shared.update(|words| {
                            words[0] += 1;
                            words[1] += 2;
                            words[2] = words[0] + words[1];
                        });
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..rounds {
                    let [one, two, sum] = shared.read();
                    assert_eq!((two, sum), (2 * one, 3 * one));
                }
            });
        });
        assert_eq!(shared.read(), [2 * rounds, 4 * rounds, 6 * rounds]);
    }
}
