//! A bulkhead for many threads: one word, no lock, nobody waits.
//!
//! For callers on many threads or in interrupts that share one dependency and rather fail at once
//! than wait. Who wants to wait in line takes [`waiters`](super::waiters) behind a lock.
//!
//! ```text
//!   try_acquire(&self) ──▶ in flight < limit ? ──yes, compare-and-swap──▶ SharedSlot
//!                             ▲        └──no───▶ None                        │
//!                             └── in flight - 1 ◀──────── release(&self) ────┘
//! ```
//!
//! # Rules
//! - Exact: never more slots out than the limit at the moment of the swap, whatever the threads do,
//!   and a slot given back can be taken again at once.
//! - What was done under a slot is seen by the thread that takes it next (acquire, release).
//! - [`set_limit`](SharedBulkhead::set_limit) never blocks: with a lower limit calls in flight keep
//!   their slots, and new ones are refused until enough have come back.
//! - A lost race is tried again after a pause; some thread has always succeeded, so that all together progress.
//!
//! There are no defaults: a limit is chosen per dependency. Exists where the target has 32-bit
//! atomic words.
//!
//! ```
//! use crossbridge_core::BulkheadConfig;
//! use crossbridge_core::bulkhead::shared::SharedBulkhead;
//!
//! static DATABASE: SharedBulkhead = match SharedBulkhead::new(BulkheadConfig { limit: 2 }) {
//!     Ok(bulkhead) => bulkhead,
//!     Err(_) => panic!("the limit is at least 1"),
//! };
//! let first = DATABASE.try_acquire().expect("two are free");
//! let _second = DATABASE.try_acquire().expect("one is free");
//! assert!(DATABASE.try_acquire().is_none());
//! DATABASE.release(first);
//! assert_eq!(DATABASE.in_flight(), 1);
//! ```
//!
//! Source: the counting semaphore (Dijkstra, EWD 74), its non-blocking half.

use core::sync::atomic::Ordering;

use super::BulkheadConfig;
use crate::ConfigError;
use crate::sync::{atomic::AtomicU32, back_off};

/// The right to be in flight. Not `Copy`: it is given back once, to the bulkhead it came from.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SharedSlot(());

/// A bulkhead shared by reference. See the [module](self).
#[derive(Debug)]
pub struct SharedBulkhead {
    limit: AtomicU32,
    in_flight: AtomicU32,
}

impl SharedBulkhead {
    /// An empty bulkhead.
    ///
    /// # Errors
    /// A limit of zero.
    pub const fn new(config: BulkheadConfig) -> Result<Self, ConfigError> {
        match config.check() {
            Ok(()) => Ok(Self {
                limit: AtomicU32::new(config.limit),
                in_flight: AtomicU32::new(0),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Calls that may be in flight.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes a slot, where one is free.
    pub fn try_acquire(&self) -> Option<SharedSlot> {
        let mut seen = self.in_flight.load(Ordering::Relaxed);
        while seen < self.limit() {
            // Below a limit that is a `u32`: one more fits.
            let taken =
                self.in_flight
                    .compare_exchange_weak(seen, seen + 1, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                return Some(SharedSlot(()));
            }
            back_off();
            seen = self.in_flight.load(Ordering::Relaxed);
        }
        None
    }

    /// Gives a slot back.
    pub fn release(&self, slot: SharedSlot) {
        let SharedSlot(()) = slot;
        self.release_lost();
    }

    /// Gives back the slot of a call that is gone, and its slot with it.
    pub(crate) fn release_lost(&self) {
        let mut seen = self.in_flight.load(Ordering::Relaxed);
        // A slot of another bulkhead must not make the count wrap.
        while let Some(less) = seen.checked_sub(1) {
            let given =
                self.in_flight
                    .compare_exchange_weak(seen, less, Ordering::Release, Ordering::Relaxed);
            if given.is_ok() {
                return;
            }
            back_off();
            seen = self.in_flight.load(Ordering::Relaxed);
        }
    }

    /// Changes the limit from now on.
    ///
    /// # Errors
    /// A limit of zero; it stays as it was.
    pub fn set_limit(&self, config: BulkheadConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.limit.store(config.limit, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    /// Four threads, three slots: never a fourth out at once, and all of them back in the end.
    #[test]
    fn exact_under_threads() {
        let bulkhead = SharedBulkhead::new(BulkheadConfig { limit: 3 }).unwrap();
        let (inside, granted) = (AtomicU32::new(0), AtomicUsize::new(0));
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for turn in 0..20_000_u32 {
                        let Some(slot) = bulkhead.try_acquire() else {
                            continue;
                        };
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        granted.fetch_add(1, Ordering::Relaxed);
                        if turn % 64 == 0 {
                            thread::yield_now();
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                        bulkhead.release(slot);
                    }
                });
            }
        });
        assert_eq!(bulkhead.in_flight(), 0);
        assert!(granted.into_inner() > 0);
    }

    /// As many as the limit get one when everybody asks once, whoever wins.
    #[test]
    fn a_race_for_the_last_slots_leaves_none_unused() {
        for _ in 0..200 {
            let bulkhead = SharedBulkhead::new(BulkheadConfig { limit: 2 }).unwrap();
            let start = Barrier::new(3);
            let winners: u32 = thread::scope(|scope| {
                let threads = [(); 3].map(|()| {
                    scope.spawn(|| {
                        start.wait();
                        u32::from(bulkhead.try_acquire().is_some())
                    })
                });
                threads.map(|thread| thread.join().unwrap()).iter().sum()
            });
            assert_eq!((winners, bulkhead.in_flight()), (2, 2));
        }
    }

    #[test]
    fn a_lower_limit_takes_nothing_away() {
        let bulkhead = SharedBulkhead::new(BulkheadConfig { limit: 2 }).unwrap();
        let slots = [(); 2].map(|()| bulkhead.try_acquire().unwrap());
        bulkhead.set_limit(BulkheadConfig { limit: 1 }).unwrap();
        assert!(bulkhead.set_limit(BulkheadConfig { limit: 0 }).is_err());
        assert_eq!((bulkhead.in_flight(), bulkhead.limit()), (2, 1));
        let [first, second] = slots;
        bulkhead.release(first);
        assert!(bulkhead.try_acquire().is_none());
        bulkhead.release(second);
        assert!(bulkhead.try_acquire().is_some());
    }

    #[test]
    fn a_foreign_slot_does_not_make_the_count_wrap() {
        let mine = SharedBulkhead::new(BulkheadConfig { limit: 1 }).unwrap();
        let other = SharedBulkhead::new(BulkheadConfig { limit: 1 }).unwrap();
        mine.release(other.try_acquire().unwrap());
        assert_eq!(mine.in_flight(), 0);
        assert!(mine.try_acquire().is_some());
    }
}
