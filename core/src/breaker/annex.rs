//! What only some configurations have to remember.
//!
//! The buckets of a window of time and the slices of calls in flight are larger than everything
//! else. A circuit therefore has room for an annex or has none, by its type: `Breaker<0>` takes 64
//! bytes beside its rules.

use core::time::Duration;

use super::hanging::InFlight;
use super::window::{BUCKETS, Counts};
use crate::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Annex {
    pub(super) buckets: [Counts; BUCKETS],
    pub(super) in_flight: InFlight,
    /// What one circuit adds to the seed of the rules it shares with others.
    pub(super) jitter_seed: u64,
}

impl Annex {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            buckets: [Counts::NONE; BUCKETS],
            in_flight: InFlight::new(now),
            jitter_seed: 0,
        }
    }

    /// As new, for the same circuit.
    pub(super) fn clear(&mut self, now: Instant) {
        *self = Self {
            jitter_seed: self.jitter_seed,
            ..Self::new(now)
        };
    }

    pub(super) fn rebase(&mut self, step: Duration) {
        self.in_flight.rebase(step);
    }
}

/// The buckets, where there are any.
pub(super) fn buckets(annex: &mut [Annex]) -> &mut [Counts] {
    match annex {
        [annex, ..] => &mut annex.buckets,
        [] => &mut [],
    }
}
