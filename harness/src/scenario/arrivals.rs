//! When a client calls.

use std::sync::Arc;

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;

use crate::distribution::Distribution;

/// When a client makes its calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// At a steady pace, in nanoseconds. The clients of a group take turns: each begins a share of
    /// the period after the one before.
    Every(u64),
    /// Independently of one another (a Poisson process), with this mean distance in nanoseconds.
    Poisson(f64),
    /// One call at a time: the next begins this many nanoseconds after the last one ended.
    Closed {
        /// Between two calls.
        think: u64,
    },
    /// Several at once, for all clients of the group at the same instants.
    Burst {
        /// Calls at once.
        size: u32,
        /// Nanoseconds from the begin to the first.
        at: u64,
        /// Nanoseconds from one to the next; `None` where there is only one.
        every: Option<u64>,
    },
    /// At these nanoseconds of the run, in order. The clients of a group take turns.
    Trace(Arc<[u64]>),
}

/// Which client of its group one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Arrivals {
    /// When the client at `place` makes its first call; `None` where it makes none.
    pub fn first(&self, place: Place, rng: &mut SplitMix64) -> Option<Instant> {
        match *self {
            Self::Every(period) | Self::Closed { think: period } => {
                let step = u128::from(period) * u128::from(place.index) / u128::from(place.count.max(1));
                Some(Instant::from_nanos(u64::try_from(step).unwrap_or(u64::MAX)))
            }
            Self::Poisson(_) | Self::Burst { .. } | Self::Trace(_) => {
                self.after_begin(Instant::ZERO, place, 0, rng)
            }
        }
    }

    /// When the next call follows one that began at `began` and was the last of `made`; `None` while
    /// that depends on its end, and where there is no further one.
    pub fn after_begin(
        &self,
        began: Instant,
        place: Place,
        made: u64,
        rng: &mut SplitMix64,
    ) -> Option<Instant> {
        let from_began = |span: u64| Instant::from_nanos(began.as_nanos().saturating_add(span));
        match self {
            Self::Every(period) => Some(from_began(*period)),
            Self::Poisson(mean) => Some(from_began(Distribution::Exponential(*mean).sample(rng))),
            Self::Closed { .. } => None,
            Self::Burst { size, at, every } => {
                let round = made / u64::from((*size).max(1));
                let every = if round == 0 { 0 } else { (*every)? };
                Some(Instant::from_nanos(
                    at.saturating_add(every.saturating_mul(round)),
                ))
            }
            Self::Trace(at) => {
                let line = made
                    .saturating_mul(u64::from(place.count))
                    .saturating_add(u64::from(place.index));
                let nanos = at.get(usize::try_from(line).ok()?)?;
                Some(Instant::from_nanos(*nanos))
            }
        }
    }

    /// When the next call follows one that ended at `ended`; `None` where calls do not wait.
    #[must_use]
    pub const fn after_end(&self, ended: Instant) -> Option<Instant> {
        match self {
            Self::Closed { think } => Some(Instant::from_nanos(ended.as_nanos().saturating_add(*think))),
            Self::Every(_) | Self::Poisson(_) | Self::Burst { .. } | Self::Trace(_) => None,
        }
    }

    /// Calls one of `count` clients makes in this many nanoseconds, about; `None` where that depends
    /// on how long they take.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "about")]
    pub fn expected(&self, duration: u64, count: u32) -> Option<f64> {
        let duration = duration as f64;
        match self {
            Self::Every(period) => Some(duration / (*period).max(1) as f64),
            Self::Poisson(mean) => Some(duration / mean.max(1.0)),
            Self::Closed { .. } => None,
            Self::Burst { size, every, .. } => {
                let rounds = every.map_or(1.0, |every| 1.0 + duration / every.max(1) as f64);
                Some(f64::from(*size) * rounds)
            }
            Self::Trace(at) => Some(at.len() as f64 / f64::from(count.max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instants of the first calls of one client.
    fn calls(arrivals: &Arrivals, place: Place) -> Vec<u64> {
        let mut rng = SplitMix64::new(1);
        let mut next = arrivals.first(place, &mut rng);
        let mut calls = Vec::new();
        while let Some(at) = next
            && calls.len() < 5
        {
            calls.push(at.as_nanos());
            let made = calls.len() as u64;
            next = arrivals.after_begin(at, place, made, &mut rng);
        }
        calls
    }

    #[test]
    fn bursts_come_at_once_and_again() {
        let place = Place { index: 1, count: 2 };
        let burst = |every| Arrivals::Burst {
            size: 2,
            at: 7,
            every,
        };
        assert_eq!(calls(&burst(Some(10)), place), [7, 7, 17, 17, 27]);
        assert_eq!(calls(&burst(None), place), [7, 7]);
    }

    #[test]
    fn the_lines_of_a_trace_go_round() {
        let trace = Arrivals::Trace([1, 2, 3, 5, 8].into());
        assert_eq!(calls(&trace, Place { index: 0, count: 2 }), [1, 3, 8]);
        assert_eq!(calls(&trace, Place { index: 1, count: 2 }), [2, 5]);
        assert!(calls(&trace, Place { index: 5, count: 9 }).is_empty());
    }

    #[test]
    fn a_steady_pace_is_staggered() {
        let every = Arrivals::Every(10);
        assert_eq!(calls(&every, Place { index: 1, count: 2 }), [5, 15, 25, 35, 45]);
    }
}
