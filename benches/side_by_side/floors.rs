//! What the decisions cost at least: a few lines each, without edge cases.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::lab::{Contestant, Kind, Row, Target};

/// Time for those who take a number: a microsecond later at each reading.
#[derive(Default)]
pub(crate) struct Steps(u64);

impl Steps {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 += 1_000;
        self.0
    }
}

/// The generic cell rate algorithm for one owner.
pub(crate) struct RawGcra {
    pub(crate) tat: u64,
    pub(crate) interval: u64,
    pub(crate) tolerance: u64,
}

impl RawGcra {
    /// A permit a microsecond, ten at once.
    pub(crate) const ROOM: Self = Self {
        tat: 0,
        interval: 1_000,
        tolerance: 10_000,
    };

    /// Empty at the origin: the next permit is there two seconds later.
    pub(crate) const EMPTY: Self = Self {
        tat: 60_000_000_000,
        interval: 2_000_000_000,
        tolerance: 60_000_000_000,
    };

    #[inline]
    pub(crate) const fn check(&mut self, now: u64) -> bool {
        let base = if self.tat > now { self.tat } else { now };
        let next = base + self.interval;
        if next - now > self.tolerance {
            return false;
        }
        self.tat = next;
        true
    }
}

/// The same in an atomic word.
pub(crate) struct AtomicGcra {
    tat: AtomicU64,
    interval: u64,
    tolerance: u64,
}

impl AtomicGcra {
    pub(crate) const fn new(raw: &RawGcra) -> Self {
        Self {
            tat: AtomicU64::new(raw.tat),
            interval: raw.interval,
            tolerance: raw.tolerance,
        }
    }

    #[inline]
    pub(crate) fn check(&self, now: u64) -> bool {
        let mut seen = self.tat.load(Relaxed);
        loop {
            let next = seen.max(now) + self.interval;
            if next - now > self.tolerance {
                return false;
            }
            match self.tat.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(found) => seen = found,
            }
        }
    }
}

/// A closed circuit that keeps the last 64 outcomes in a word and looks at them after a failure.
#[derive(Default)]
pub(crate) struct RawBreaker {
    window: u64,
    generation: u32,
    open: bool,
}

impl RawBreaker {
    #[inline]
    pub(crate) const fn call(&mut self, failed: bool) -> bool {
        if self.open {
            return false;
        }
        let generation = self.generation;
        self.window = (self.window << 1) | failed as u64;
        if failed && self.window.count_ones() >= 32 {
            self.open = true;
            self.generation = generation.wrapping_add(1);
        }
        true
    }
}

/// One call through a limit, a circuit, a bulkhead and a budget.
pub(crate) struct RawGuard {
    pub(crate) limit: RawGcra,
    pub(crate) breaker: RawBreaker,
    pub(crate) in_flight: u32,
    pub(crate) tokens: u32,
    pub(crate) deadline: u64,
}

impl RawGuard {
    #[inline]
    pub(crate) fn call(&mut self, now: u64) -> bool {
        let until = now + self.deadline;
        if !self.limit.check(now) || self.in_flight >= 64 {
            return false;
        }
        // The attempt goes here: what was taken for it is seen to be taken.
        self.in_flight += 1;
        black_box(&mut *self);
        self.in_flight -= 1;
        self.tokens = (self.tokens + 1).min(500);
        self.breaker.call(false) && now < until
    }
}

/// The floors among themselves, and the two clocks that everybody else's figure contains.
pub(crate) fn rows() -> Vec<Row> {
    let (mut steps, mut raw) = (Steps::default(), RawGcra::ROOM);
    let (mut atomic_steps, atomic) = (Steps::default(), AtomicGcra::new(&RawGcra::ROOM));
    let word = AtomicU64::new(0);
    let (counter, looped) = (AtomicU64::new(0), AtomicU64::new(0));
    vec![Row {
        id: "floors",
        what: "what the machine does for nothing",
        target: Target::None,
        contestants: vec![
            Contestant::new(Kind::Context, "closure", 2, || black_box(1) + 1),
            Contestant::new(Kind::Context, "relaxed load", 0, move || word.load(Relaxed)),
            Contestant::new(Kind::Context, "fetch_add", 1, move || {
                u64::from(counter.fetch_add(1, Relaxed) < u64::MAX)
            }),
            Contestant::new(Kind::Context, "CAS loop", 1, move || add_by_cas(&looped)),
            Contestant::new(Kind::Context, "Instant::now", 1, || {
                #[expect(clippy::disallowed_methods, reason = "what reading the clock costs")]
                let now = std::time::Instant::now();
                u64::from(black_box(now) >= now)
            }),
            Contestant::new(Kind::Context, "GCRA, one owner", 1, move || {
                u64::from(raw.check(steps.next()))
            }),
            Contestant::new(Kind::Context, "GCRA, atomic word", 1, move || {
                u64::from(atomic.check(atomic_steps.next()))
            }),
        ],
    }]
}

/// Adds one the way a shared decision has to: by compare and swap.
pub(crate) fn add_by_cas(word: &AtomicU64) -> u64 {
    let mut seen = word.load(Relaxed);
    while let Err(found) = word.compare_exchange_weak(seen, seen + 1, Relaxed, Relaxed) {
        seen = found;
    }
    1
}
