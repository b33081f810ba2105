//! When a client calls.

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;

use crate::distribution::Distribution;

/// When a client makes its calls.
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

impl Arrivals {
    /// When client `index` of `count` makes its first call.
    pub fn first(self, index: u32, count: u32, rng: &mut SplitMix64) -> Instant {
        let nanos = match self {
            Self::Every(period) | Self::Closed { think: period } => stagger(period, index, count),
            Self::Poisson(mean) => Distribution::Exponential(mean).sample(rng),
        };
        Instant::from_nanos(nanos)
    }

    /// When the next call follows one that began at `began`; `None` while that depends on its end.
    pub fn after_begin(self, began: Instant, rng: &mut SplitMix64) -> Option<Instant> {
        let nanos = match self {
            Self::Every(period) => period,
            Self::Poisson(mean) => Distribution::Exponential(mean).sample(rng),
            Self::Closed { .. } => return None,
        };
        Some(Instant::from_nanos(began.as_nanos().saturating_add(nanos)))
    }

    /// When the next call follows one that ended at `ended`; `None` where calls do not wait.
    #[must_use]
    pub const fn after_end(self, ended: Instant) -> Option<Instant> {
        match self {
            Self::Closed { think } => Some(Instant::from_nanos(ended.as_nanos().saturating_add(think))),
            Self::Every(_) | Self::Poisson(_) => None,
        }
    }
}

/// The `index`-th of `count` even steps through `period`.
fn stagger(period: u64, index: u32, count: u32) -> u64 {
    let step = u128::from(period) * u128::from(index) / u128::from(count.max(1));
    u64::try_from(step).unwrap_or(u64::MAX)
}
