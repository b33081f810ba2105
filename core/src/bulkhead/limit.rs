//! How high the limit is: fixed, or found by what the calls show.
//!
//! Nobody knows how many calls at once a dependency takes, and the number changes with its load.
//! An adaptive limit starts from a guess and moves with every settled call: up while calls come
//! back as fast as ever, down when they are dropped or get slower.
//!
//! ```text
//!                       in flight, how long it took, dropped?
//!                                     │
//!   limit ──▶ step(limit, sample) ────┴──▶ limit'          a pure function, integers only
//!     ▲                                      │
//!     └──────────────────────────────────────┘
//!
//!   Aimd        ╱╲  ╱╲  ╱╲     one more per call under load, a tenth less on a drop
//!              ╱  ╲╱  ╲╱  ╲
//!   Gradient2  ╭───────╮ ╭──   follows the ratio of the usual to the present duration
//!              ╯       ╰─╯
//! ```
//!
//! # Rules
//! - [`LimitConfig::Fixed`] never moves.
//! - [`LimitConfig::Aimd`]: a dropped call, or one slower than `timeout`, multiplies the limit by
//!   `backoff`, rounded down; any other adds one if at least half of the limit was in use.
//! - [`LimitConfig::Gradient2`]: see [`gradient2`]. It reacts to durations alone, drops included.
//! - A call that says nothing about the dependency (neutral) is no sample.
//! - The limit stays within `min ..= max`; a lower one takes nothing away from calls in flight.
//!
//! | field | default | source |
//! |---|---|---|
//! | `initial`, `min`, `max` | 20, 20, 200 | Netflix concurrency-limits `AIMDLimit`, `Gradient2Limit` |
//! | `backoff`, `timeout` | 90 %, 5 s | `AIMDLimit.java` |
//! | `tolerance`, `smoothing`, `queue`, `long_window` | 1.5, 20 %, 4, 600 | `Gradient2Limit.java` |
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::bulkhead::limit::{AimdConfig, Limit, LimitConfig, Sample};
//!
//! let mut limit = Limit::new(LimitConfig::Aimd(AimdConfig::DEFAULT))?;
//! assert_eq!(limit.get(), 20);
//! let fast = Sample { in_flight: 10, took: Duration::from_millis(20), dropped: false };
//! limit.on_sample(fast); // half of the limit is in use
//! assert_eq!(limit.get(), 21);
//! limit.on_sample(Sample { in_flight: 9, ..fast }); // too few to learn from
//! assert_eq!(limit.get(), 21);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! Source: Netflix/concurrency-limits, `limit/{AIMDLimit,Gradient2Limit}.java`.

pub mod gradient2;
mod snapshot;
#[cfg(target_has_atomic = "64")]
mod words;

use core::time::Duration;

use self::gradient2::{Gradient2Config, Gradient2State};
pub use self::snapshot::LimitSnapshot;
#[cfg(target_has_atomic = "64")]
pub(super) use self::words::LIMIT_WORDS;
use crate::{ConfigError, PerMille};

/// Which algorithm decides the limit, and from which numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LimitConfig {
    /// Always this many, at least 1.
    Fixed(u32),
    /// Additive increase, multiplicative decrease.
    Aimd(AimdConfig),
    /// By the gradient of the durations.
    Gradient2(Gradient2Config),
}

impl LimitConfig {
    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Fixed(0) => Err(ConfigError::new("limit", 0, "at least 1")),
            Self::Fixed(_) => Ok(()),
            Self::Aimd(config) => config.check(),
            Self::Gradient2(config) => config.check(),
        }
    }
}

/// One more per call under load, a share of it on a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AimdConfig {
    /// The limit before the first sample, within `min ..= max`.
    pub initial: u32,
    /// Never below, at least 1.
    pub min: u32,
    /// Never above.
    pub max: u32,
    /// What is left of the limit after a drop, 500 to 999 thousandths.
    pub backoff: PerMille,
    /// A call that took longer counts as dropped; more than zero.
    pub timeout: Duration,
}

impl AimdConfig {
    /// The defaults in the [table](self).
    pub const DEFAULT: Self = Self {
        initial: 20,
        min: 20,
        max: 200,
        backoff: match PerMille::new(900) {
            Ok(share) => share,
            Err(_) => PerMille::HALF,
        },
        timeout: Duration::from_secs(5),
    };

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if let Err(refused) = check_bounds(self.initial, self.min, self.max) {
            return Err(refused);
        }
        if self.backoff.get() < 500 || self.backoff.get() > 999 {
            return Err(ConfigError::new(
                "backoff",
                self.backoff.get() as u64,
                "500 to 999",
            ));
        }
        if self.timeout.is_zero() {
            return Err(ConfigError::new("timeout", 0, "more than 0"));
        }
        Ok(())
    }

    /// The limit after `sample`, pure.
    #[must_use]
    pub fn step(&self, limit: u32, sample: Sample) -> u32 {
        let moved = if sample.dropped || sample.took > self.timeout {
            let kept = u64::from(limit) * u64::from(self.backoff.get()) / 1_000;
            u32::try_from(kept).unwrap_or(limit)
        } else if u64::from(sample.in_flight) * 2 >= u64::from(limit) {
            limit.saturating_add(1)
        } else {
            limit
        };
        moved.min(self.max).max(self.min)
    }
}

/// What one settled call showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sample {
    /// Calls in flight when it started, itself included.
    pub in_flight: u32,
    /// How long it took.
    pub took: Duration,
    /// Whether it ran into a timeout or was refused for overload.
    pub dropped: bool,
}

/// A limit and what it has learnt. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limit(Algorithm);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Algorithm {
    Fixed(u32),
    Aimd(AimdConfig, u32),
    Gradient2(Gradient2Config, Gradient2State),
}

impl Limit {
    /// The limit that `config` starts with.
    ///
    /// # Errors
    /// See [`LimitConfig::check`].
    pub const fn new(config: LimitConfig) -> Result<Self, ConfigError> {
        if let Err(refused) = config.check() {
            return Err(refused);
        }
        Ok(Self(match config {
            LimitConfig::Fixed(limit) => Algorithm::Fixed(limit),
            LimitConfig::Aimd(config) => Algorithm::Aimd(config, config.initial),
            LimitConfig::Gradient2(config) => Algorithm::Gradient2(config, config.start()),
        }))
    }

    /// Calls that may be in flight, at least 1.
    #[must_use]
    pub const fn get(&self) -> u32 {
        match &self.0 {
            Algorithm::Fixed(limit) | Algorithm::Aimd(_, limit) => *limit,
            Algorithm::Gradient2(_, state) => state.limit(),
        }
    }

    /// Learns from a settled call.
    pub fn on_sample(&mut self, sample: Sample) {
        match &mut self.0 {
            Algorithm::Fixed(_) => {}
            Algorithm::Aimd(config, limit) => *limit = config.step(*limit, sample),
            Algorithm::Gradient2(config, state) => *state = config.step(*state, sample),
        }
    }
}

/// What both adaptive algorithms ask of their bounds.
const fn check_bounds(initial: u32, min: u32, max: u32) -> Result<(), ConfigError> {
    if min == 0 {
        return Err(ConfigError::new("min", 0, "at least 1"));
    }
    if max < min {
        return Err(ConfigError::new("max", max as u64, "at least min"));
    }
    if initial < min || initial > max {
        return Err(ConfigError::new("initial", initial as u64, "min to max"));
    }
    Ok(())
}
