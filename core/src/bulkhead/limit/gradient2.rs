//! Gradient2: the limit follows how much slower calls are than usual.
//!
//! For a dependency whose limit shows in its latency: a queue builds up in front of it long before
//! it drops anything.
//!
//! ```text
//!   long   = moving average over about 600 samples: the usual duration
//!   short  = the duration of this sample
//!   g      = clamp(1.5 · long / short, 0.5, 1)            1: no queue; less: one builds up
//!   limit' = 0.8 · limit + 0.2 · (g · limit + 4)          4: room to try for more
//! ```
//!
//! # Rules
//! - The average is the plain mean of the first ten samples, then an exponential one with the
//!   weight `2 / (long_window + 1)`.
//! - When the average is more than twice the sample it loses 5 %: after an overload it does not
//!   take six hundred samples to see that all is well again. The step that notices still uses the
//!   average as it was.
//! - While less than half of the limit is in flight the limit stays: idle callers prove nothing.
//! - A sample of zero counts as one nanosecond.
//!
//! Fixed point: the limit has 16 fractional bits, the average 32 bits below a nanosecond; every
//! division rounds down. Against the formula in floating point one step is within 2⁻¹⁴ of a call.
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::bulkhead::limit::{Sample, gradient2::Gradient2Config};
//!
//! let config = Gradient2Config::DEFAULT;
//! let mut state = config.start();
//! let usual = Sample { in_flight: 200, took: Duration::from_millis(20), dropped: false };
//! for _ in 0..400 {
//!     state = config.step(state, usual);
//! }
//! assert_eq!(state.limit(), 200); // as fast as ever: up to the top
//! for _ in 0..20 {
//!     state = config.step(state, Sample { took: Duration::from_millis(80), ..usual });
//! }
//! assert!(state.limit() < 60); // four times slower: a queue
//! ```
//!
//! Source: Netflix/concurrency-limits, `limit/Gradient2Limit.java` and
//! `limit/measurement/ExpAvgMeasurement.java`.

use super::{Sample, check_bounds};
use crate::time::nanos;
use crate::{ConfigError, PerMille};

/// The numbers of the formula. The defaults are in the table of [`limit`](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Gradient2Config {
    /// The limit before the first sample, within `min ..= max`.
    pub initial: u32,
    /// Never below, at least 1.
    pub min: u32,
    /// Never above.
    pub max: u32,
    /// How much slower than usual is still no queue, in thousandths: 1 000 to 10 000.
    pub tolerance: u16,
    /// How much of a step is taken, at least 1 thousandth.
    pub smoothing: PerMille,
    /// Calls that may queue at the dependency: what lets the limit grow.
    pub queue: u32,
    /// Samples that the usual duration is averaged over, at least 1.
    pub long_window: u16,
}

impl Gradient2Config {
    /// Netflix's defaults.
    pub const DEFAULT: Self = Self {
        initial: 20,
        min: 20,
        max: 200,
        tolerance: 1_500,
        smoothing: match PerMille::new(200) {
            Ok(share) => share,
            Err(_) => PerMille::ALL,
        },
        queue: 4,
        long_window: 600,
    };

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if let Err(refused) = check_bounds(self.initial, self.min, self.max) {
            return Err(refused);
        }
        if self.tolerance < 1_000 || self.tolerance > 10_000 {
            return Err(ConfigError::new(
                "tolerance",
                self.tolerance as u64,
                "1000 to 10000",
            ));
        }
        if self.smoothing.get() == 0 {
            return Err(ConfigError::new("smoothing", 0, "1 to 1000"));
        }
        if self.long_window == 0 {
            return Err(ConfigError::new("long_window", 0, "at least 1"));
        }
        Ok(())
    }

    /// The state before the first sample.
    #[must_use]
    pub const fn start(&self) -> Gradient2State {
        Gradient2State {
            limit: (self.initial as u64) << LIMIT_BITS,
            long: 0,
            sum: 0,
            samples: 0,
        }
    }

    /// The state after `sample`, pure.
    #[must_use]
    pub fn step(&self, state: Gradient2State, sample: Sample) -> Gradient2State {
        let short = u128::from(nanos(sample.took).max(1));
        let mut next = state;
        if state.samples < WARM_UP {
            next.samples += 1;
            next.sum += short;
            next.long = (next.sum << LONG_BITS) / u128::from(next.samples);
        } else {
            let window = u128::from(self.long_window);
            let kept = state.long * window.saturating_sub(1);
            next.long = (kept + (short << LONG_BITS) * 2) / (window + 1);
        }
        let long = next.long;
        if long > short << (LONG_BITS + 1) {
            next.long = long * 95 / 100;
        }
        if u64::from(sample.in_flight) << (LIMIT_BITS + 1) < state.limit {
            return next;
        }
        // long < 2^96 and tolerance < 2^14: the product stays below 2^110.
        let ratio = ((long * u128::from(self.tolerance)) >> (LONG_BITS - LIMIT_BITS)) / (short * 1_000);
        let gradient = u64::try_from(ratio).unwrap_or(ONE).clamp(ONE / 2, ONE);
        // limit < 2^48 and gradient <= 2^16: the product stays below 2^64.
        let aim = ((state.limit * gradient) >> LIMIT_BITS) + (u64::from(self.queue) << LIMIT_BITS);
        let share = u64::from(self.smoothing.get());
        let limit = ((1_000 - share) * state.limit + share * aim) / 1_000;
        let (min, max) = (
            u64::from(self.min) << LIMIT_BITS,
            u64::from(self.max) << LIMIT_BITS,
        );
        next.limit = limit.min(max).max(min);
        next
    }
}

/// What the algorithm has learnt, as a plain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gradient2State {
    /// The limit with 16 fractional bits: below 2^48.
    pub(super) limit: u64,
    /// The usual duration with 32 bits below a nanosecond: below 2^96.
    pub(super) long: u128,
    /// The first samples added up.
    pub(super) sum: u128,
    /// How many of the first samples there were.
    pub(super) samples: u8,
}

impl Gradient2State {
    /// Calls that may be in flight.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        // At most `max`, which is a `u32`.
        #[expect(clippy::cast_possible_truncation)]
        {
            (self.limit >> LIMIT_BITS) as u32
        }
    }

    /// The limit in 65 536ths of a call.
    #[must_use]
    pub const fn limit_fixed(&self) -> u64 {
        self.limit
    }

    /// The usual duration in 2^-32 of a nanosecond.
    #[must_use]
    pub const fn long_fixed(&self) -> u128 {
        self.long
    }
}

const LIMIT_BITS: u32 = 16;
const LONG_BITS: u32 = 32;
/// A gradient of one.
const ONE: u64 = 1 << LIMIT_BITS;
/// Samples of which the plain mean is taken (`new ExpAvgMeasurement(longWindow, 10)`).
pub(super) const WARM_UP: u8 = 10;
