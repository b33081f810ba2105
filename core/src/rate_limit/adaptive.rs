//! A rate that nobody published: found by asking for more until the server throttles.
//!
//! For services that answer 429 and do not say how much is allowed. The machine is told how each
//! request ended and says how fast the next ones may go; a [`RateLimiter`] then keeps that quota.
//!
//! ```text
//!   rate │            ╭── probes beyond
//!    max ┤╲      ╭────╯             ╲       ← where it was throttled last
//!        │ ╲   ╱     careful here    ╲
//!   beta ┤  ╲╱                        ╲╱
//!        └───┬─────────┬───────────────┬──▶ time       cubic; AIMD is a straight line upwards
//!        throttled     K           throttled
//! ```
//!
//! # Rules
//! - Until the first throttle there is no limit.
//! - Throttled at rate `m`, the smaller of what was sent and what was allowed: the rate becomes
//!   `beta * m`, and `m` is remembered.
//! - Each success: cubic takes `scale * (t - K)^3 + m` where `t` is the time since the throttle and
//!   `K = cbrt(m * (1 - beta) / scale)`, so that it starts at `beta * m`, lingers at `m` and then
//!   probes. AIMD adds `increase` for every half second that ends.
//! - Never more than twice what is really sent, measured every half second and smoothed: a rate
//!   that nobody uses proves nothing. Never below the floor.
//! - A clock that steps back takes everything back with it.
//!
//! | preset | beta | rises by | smoothing | floor | ceiling |
//! |---|---|---|---|---|---|
//! | [`AdaptiveConfig::AWS`] | 0.7 | cubic, scale 0.4 | 0.8 | 0.5/s | 10 000 000/s |
//! | [`AdaptiveConfig::AIMD`] | 0.5 | 1/s every half second | 0.8 | 0.5/s | 10 000 000/s |
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::rate_limit::adaptive::{Adaptive, AdaptiveConfig, Rate};
//! use crossbridge_core::{Instant, Quota, RateLimiter};
//!
//! let mut rate = Adaptive::new(Instant::ZERO, AdaptiveConfig::AWS)?;
//! let mut limiter = RateLimiter::new(Quota::UNLIMITED);
//! let mut now = Instant::ZERO;
//! for _ in 0..100 {
//!     now = now.saturating_add(Duration::from_millis(50)); // 20 a second
//!     rate.on_success(now);
//!     rate.apply(now, &mut limiter);
//! }
//! assert!(limiter.quota().is_unlimited());
//!
//! rate.on_throttled(now);
//! rate.apply(now, &mut limiter);
//! assert_eq!(rate.rate().map(Rate::whole), Some(13)); // seven tenths of 20, measured as 19.99
//! assert_eq!(limiter.quota().capacity(), 13);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! Threads that share one limit ask a [`SharedAdaptiveLimiter`], which is both in one, where the
//! target has 64-bit atomic words.
//!
//! # Sources
//! AWS SDK reference, adaptive retry mode: smithy-lang/smithy-rs
//! `rust-runtime/aws-smithy-runtime/src/client/retries/client_rate_limiter.rs`, whose table of
//! sending rates is a test here; RFC 9438 (CUBIC); Chiu and Jain, *Analysis of the Increase and
//! Decrease Algorithms* (1989).

mod cubic;
mod rate;
#[cfg(target_has_atomic = "64")]
mod shared;
mod snapshot;
mod state;

pub use rate::Rate;
#[cfg(target_has_atomic = "64")]
pub use shared::{AdaptiveLimiterSnapshot, SharedAdaptiveLimiter};
pub use snapshot::{AdaptiveSnapshot, ThrottledSnapshot};

use self::state::AdaptiveState;
use super::{Quota, RateLimiter};
use crate::time::Instant;
use crate::{ConfigError, PerMille};

/// How the rate rises again after a throttle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Rise {
    /// `scale * (t - K)^3`, in permits a second for seconds.
    Cubic {
        /// How steep: 0.4 with AWS and in RFC 9438.
        scale: PerMille,
    },
    /// A straight line: so much more for every half second that ends.
    Additive {
        /// How much more.
        increase: Rate,
    },
}

/// How a rate is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct AdaptiveConfig {
    /// How it rises.
    pub rise: Rise,
    /// What is left of the rate after a throttle: less than all of it.
    pub beta: PerMille,
    /// The weight of the newest half second in the measured rate.
    pub smoothing: PerMille,
    /// Never slower than this.
    pub floor: Rate,
    /// Never faster than this.
    pub ceiling: Rate,
}

impl AdaptiveConfig {
    /// The adaptive mode of the AWS SDKs. The numbers are theirs, the ceiling is ours.
    pub const AWS: Self = Self {
        rise: Rise::Cubic { scale: share(400) },
        beta: share(700),
        smoothing: share(800),
        floor: Rate::from_billionths(500_000_000),
        ceiling: Rate::MAX,
    };

    /// Additive increase, multiplicative decrease: half on a throttle, as in RFC 5681.
    pub const AIMD: Self = Self {
        rise: Rise::Additive {
            increase: Rate::per_second(1),
        },
        beta: share(500),
        ..Self::AWS
    };

    const fn validate(&self) -> Result<(), ConfigError> {
        if self.beta.get() == 1_000 {
            return Err(ConfigError::new("beta", 1_000, "less than 1000 per mille"));
        }
        if self.smoothing.get() == 0 {
            return Err(ConfigError::new("smoothing", 0, "more than 0"));
        }
        if self.floor.billionths() == 0 {
            return Err(ConfigError::new("floor", 0, "more than 0"));
        }
        if self.ceiling.billionths() < self.floor.billionths() {
            let found = self.ceiling.billionths();
            return Err(ConfigError::new("ceiling", found, "at least the floor"));
        }
        match self.rise {
            Rise::Cubic { scale } if scale.get() == 0 => Err(ConfigError::new("scale", 0, "more than 0")),
            Rise::Cubic { .. } | Rise::Additive { .. } => Ok(()),
        }
    }
}

const fn share(thousandths: u16) -> PerMille {
    match PerMille::new(thousandths) {
        Ok(share) => share,
        Err(_) => PerMille::ALL,
    }
}

/// Follows a server's unknown limit. See the [module](self) for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Adaptive {
    config: AdaptiveConfig,
    state: AdaptiveState,
}

impl Adaptive {
    /// No limit yet.
    ///
    /// # Errors
    /// A beta of all, a smoothing, scale or floor of zero, a ceiling below the floor.
    pub const fn new(now: Instant, config: AdaptiveConfig) -> Result<Self, ConfigError> {
        match config.validate() {
            Ok(()) => Ok(Self {
                config,
                state: AdaptiveState::new(now, &config),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// A request ended and was not throttled.
    pub fn on_success(&mut self, now: Instant) {
        self.state.on_success(&self.config, now);
    }

    /// A request was throttled: 429, "slow down", "too many connections".
    pub fn on_throttled(&mut self, now: Instant) {
        self.state.on_throttled(&self.config, now);
    }

    /// How fast requests may go; `None` is as fast as they like.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        self.state.rate()
    }

    /// How fast they went.
    #[must_use]
    pub const fn measured(&self) -> Rate {
        self.state.measured
    }

    /// The rate as a quota, with a second's worth at once and one permit at least.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.state.quota()
    }

    /// Gives the limiter the present quota, its used fraction kept.
    pub fn apply(&self, now: Instant, limiter: &mut RateLimiter) {
        self.state.apply(now, limiter);
    }
}
