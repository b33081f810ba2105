//! Threads that record as fast as it takes, and what they were told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbridge_core::{Clock as _, Sleeper as _};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::collector::{Collector, Recorded};
use crossbridge_std::sleeper::ThreadSleeper;
use hdrhistogram::Histogram;

use crate::events::{SHAPES, event};

pub(super) const THREADS: usize = 4;

pub(super) struct Producers {
    threads: [Producer; THREADS],
    ended: AtomicBool,
}

struct Producer {
    accepted: AtomicU64,
    refused: AtomicU64,
    /// What `record` took where it accepted, in nanoseconds.
    took: Mutex<Histogram<u64>>,
}

impl Producers {
    pub(super) fn new() -> Self {
        let producer = |_| Producer {
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            took: Mutex::new(Histogram::new_with_bounds(1, LONGEST, 2).unwrap()),
        };
        Self {
            threads: std::array::from_fn(producer),
            ended: AtomicBool::new(false),
        }
    }

    /// Records until it is told to end; what is refused is tried again, so the numbers of what is
    /// accepted have no gaps.
    pub(super) fn run(&self, collector: &Collector, thread: usize) {
        let Some(own) = self.threads.get(thread) else {
            return;
        };
        let (clock, name) = (SystemClock::new(), u64::try_from(thread).unwrap());
        let mut number = 0;
        while !self.ended() {
            let event = event(number % SHAPES, name, number);
            let began = clock.now();
            let recorded = collector.record(event);
            let took = clock.now().saturating_duration_since(began);
            if recorded == Recorded::Accepted {
                lock(&own.took).saturating_record(u64::try_from(took.as_nanos()).unwrap_or(LONGEST));
                number += 1;
                own.accepted.store(number, Ordering::SeqCst);
            } else {
                assert_eq!(recorded, Recorded::Refused);
                own.refused.fetch_add(1, Ordering::SeqCst);
                ThreadSleeper.sleep(Duration::from_millis(1));
            }
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Ends everybody once it is dropped.
    pub(super) fn end_when_dropped(&self) -> impl Drop + '_ {
        struct Ending<'p>(&'p AtomicBool);
        impl Drop for Ending<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        Ending(&self.ended)
    }

    /// How many events were accepted, as far as their threads know.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted_by_thread().iter().sum()
    }

    pub(super) fn accepted_by_thread(&self) -> [u64; THREADS] {
        self.threads
            .each_ref()
            .map(|own| own.accepted.load(Ordering::SeqCst))
    }

    /// How often an event was refused.
    pub(super) fn refused(&self) -> u64 {
        self.threads
            .iter()
            .map(|own| own.refused.load(Ordering::SeqCst))
            .sum()
    }

    /// What `record` took where it accepted since this was asked last, in nanoseconds.
    pub(super) fn take_spans(&self) -> Histogram<u64> {
        let mut all = Histogram::new_with_bounds(1, LONGEST, 2).unwrap();
        for own in &self.threads {
            let mut took = lock(&own.took);
            all.add(&*took).unwrap();
            took.reset();
        }
        all
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A minute in nanoseconds: whatever takes longer counts as that.
const LONGEST: u64 = 60_000_000_000;
