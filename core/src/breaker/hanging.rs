//! How many admitted calls have been in flight for too long.
//!
//! A call that never comes back says nothing to a window of results: it would hold its caller, and
//! the next one, until somebody's timeout. So calls in flight are counted in slices by when they
//! were admitted, and a slice that falls out of the ring has hung.
//!
//! ```text
//!   admitted:   overdue │ s-7 │ s-6 │ … │ s-1 │ s │ now
//!                       ◀──── 8 slices of slow_call / 7 each ────▶
//! ```
//!
//! # Rules
//! - No call is called overdue before it has taken `slow_call`, and each is from 8/7 of it on.
//! - A result takes its call out, whatever it says. A permit that is dropped hangs.
//! - A clock that steps back moves the ring back.

use core::num::NonZeroU64;
use core::time::Duration;

use crate::time::{Instant, nanos};

/// The calls in flight of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct InFlight {
    /// When the newest slice began.
    began: Instant,
    /// Its number.
    slice: u32,
    overdue: u32,
    slices: [u32; SLICES],
}

const SLICES: usize = 8;

/// The width of a slice: the ring without the newest one is at least `slow_call`.
pub(super) const fn slice(slow_call: u64) -> NonZeroU64 {
    match NonZeroU64::new(slow_call.div_ceil(SLICES as u64 - 1)) {
        Some(width) => width,
        None => NonZeroU64::MIN,
    }
}

impl InFlight {
    #[cfg(target_has_atomic = "64")]
    pub(super) const WORDS: usize = 6;

    pub(super) const fn new(now: Instant) -> Self {
        Self {
            began: now,
            slice: 0,
            overdue: 0,
            slices: [0; SLICES],
        }
    }

    /// One more, right after [`advance`](Self::advance). The answer is where it is counted.
    pub(super) fn depart(&mut self) -> u32 {
        if let Some(calls) = self.slices.get_mut(self.slice as usize % SLICES) {
            *calls = calls.saturating_add(1);
        }
        self.slice
    }

    /// One fewer.
    pub(super) fn come_back(&mut self, slice: u32) {
        let in_ring = (self.slice.wrapping_sub(slice) as usize) < SLICES;
        let calls = match self.slices.get_mut(slice as usize % SLICES) {
            Some(calls) if in_ring => calls,
            Some(_) | None => &mut self.overdue,
        };
        *calls = calls.saturating_sub(1);
    }

    /// Lets slices fall out of the ring. The answer is how many calls are overdue.
    pub(super) fn advance(&mut self, now: Instant, width: NonZeroU64) -> u32 {
        let elapsed = nanos(now.saturating_duration_since(self.began));
        let passed = elapsed / width;
        for _ in 0..passed.min(SLICES as u64) {
            self.slice = self.slice.wrapping_add(1);
            if let Some(calls) = self.slices.get_mut(self.slice as usize % SLICES) {
                self.overdue = self.overdue.saturating_add(core::mem::take(calls));
            }
        }
        // The rest of them were empty. Numbers wrap.
        let rest = passed.saturating_sub(SLICES as u64);
        self.slice = self.slice.wrapping_add((rest & 0xFFFF_FFFF) as u32);
        self.began = now.saturating_sub(Duration::from_nanos(elapsed % width));
        self.overdue
    }

    /// When `limit` calls are overdue, if none of them comes back.
    pub(super) fn overdue_at(&self, limit: u32, width: NonZeroU64) -> Option<Instant> {
        let mut overdue = self.overdue;
        // From the oldest slice on, which falls out first.
        let oldest = (self.slice as usize).wrapping_add(1) % SLICES;
        let slices = self.slices.iter().cycle().skip(oldest);
        for (turn, &calls) in (1..=SLICES as u64).zip(slices) {
            overdue = overdue.saturating_add(calls);
            if overdue >= limit {
                let span = width.get().saturating_mul(turn);
                return Some(self.began.saturating_add(Duration::from_nanos(span)));
            }
        }
        None
    }

    pub(super) fn rebase(&mut self, step: Duration) {
        self.began = self.began.saturating_sub(step);
    }

    #[cfg(target_has_atomic = "64")]
    pub(super) const fn to_words(&self) -> [u64; Self::WORDS] {
        const fn pair(low: u32, high: u32) -> u64 {
            low as u64 | (high as u64) << 32
        }
        let [a, b, c, d, e, f, g, h] = self.slices;
        [
            self.began.as_nanos(),
            pair(self.slice, self.overdue),
            pair(a, b),
            pair(c, d),
            pair(e, f),
            pair(g, h),
        ]
    }

    #[cfg(target_has_atomic = "64")]
    pub(super) const fn from_words(words: [u64; Self::WORDS]) -> Self {
        const fn low(word: u64) -> u32 {
            (word & 0xFFFF_FFFF) as u32
        }
        const fn high(word: u64) -> u32 {
            (word >> 32) as u32
        }
        let [began, counts, a, b, c, d] = words;
        Self {
            began: Instant::from_nanos(began),
            slice: low(counts),
            overdue: high(counts),
            slices: [low(a), high(a), low(b), high(b), low(c), high(c), low(d), high(d)],
        }
    }
}
