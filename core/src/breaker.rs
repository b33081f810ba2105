//! Not now: a circuit breaker for one dependency.
//!
//! For callers of something that may be down: when too many calls fail, or hang, further ones are
//! refused at once, until a few probes have shown that it is back.
//!
//! ```text
//!              failure% or slow% over its threshold (window holds min_calls),
//!              enough failures in a row, or enough calls that hang
//!   Closed ───────────────────────────────────────────────────▶ Open { until }
//!      ▲                                                          │ admit at until or later
//!      │ enough probes succeeded                                  ▼
//!      ├──────────────────────────────── HalfOpen { probes, deadline }
//!      │                                                          │ too many probes failed,
//!   (slow start)         Open, for longer ◀───────────────────────┘ or a deadline passed
//! ```
//!
//! | form | for | state |
//! |---|---|---|
//! | [`Breaker`] | one owner | 232 bytes, everything |
//! | `Breaker<0>`, [`Breaker::of_calls`] | one owner, small memory | 64 bytes: no window of time, no hanging calls |
//! | [`SharedBreaker`], `SharedBreaker<0>` | threads | the same in atomic words |
//! | [`BreakerRules`] | what all of them go by | 112 bytes, which many circuits may share |
//!
//! # Rules
//! - Every [`Permit`] carries the generation it was admitted in. A result of an earlier one is
//!   over: it closes nothing, opens nothing, frees nothing.
//! - Both windows slide. Only a failure or a slow call trips, never a success. With `hanging_calls`
//!   so many calls that are out for longer than `slow_call` trip too, noticed by 8/7 of it.
//! - While half open at most `half_open_concurrent` probes are in flight and `half_open_calls` are
//!   made in all. The circuit closes or opens as soon as the outcome is settled. A probe and the
//!   whole state have deadlines: what has no result by then has failed. A state in which no
//!   probe failed and none is out has been left alone, which is no evidence: the next caller starts
//!   it anew, and `k` stays.
//! - The wait is `min(open_wait_max, open_wait * 2^k)` with equal jitter, or the server's hint where
//!   that is longer. `k` grows with each trip until the longest wait is reached, and shrinks by one
//!   for every `open_wait` the circuit stays closed (gRPC A50), so that one good probe does not
//!   forgive a flapping server.
//! - After closing, with `slow_start`, the admitted share grows from [`SLOW_START_SHARE`] to all. The
//!   state is `Closed` and the others are told when to ask again.
//! - A neutral result gives its place back and counts as nothing. A lost one (dropped, never
//!   reported) failed if it was a probe and is neutral otherwise.
//! - A refusal carries the first instant at which asking again is admitted, where there is one:
//!   refused a nanosecond earlier, admitted at it. Questions change nothing.
//! - A clock that steps back takes all deadlines with it: no wait grows by the step.
//!
//! # Defaults
//! | field | default | source |
//! |---|---|---|
//! | `mode` | auto | |
//! | `window` | the last 100 calls | resilience4j |
//! | `min_calls` | 20 | Hystrix |
//! | `failure_rate` | 50 % | resilience4j, Hystrix |
//! | `slow_rate`, `slow_call` | off, 60 s | resilience4j |
//! | `consecutive_failures` | off | |
//! | `hanging_calls` | off | asked of gobreaker (#91), in none |
//! | `open_wait` … `open_wait_max` | 5 s … 60 s | Polly; the platform's 60 s timeout |
//! | `half_open_concurrent` | 1 | Polly, gobreaker |
//! | `half_open_calls`, `half_open_successes` | 3, 2 | the platform's success threshold |
//! | `probe_timeout`, `half_open_timeout` | 30 s, 60 s | none has both |
//! | `slow_start` | off | Envoy |
//!
//! # Example
//! ```
//! use core::time::Duration;
//! use crossbridge_core::{Instant, breaker::{Breaker, BreakerConfig, BreakerState, Settled}};
//!
//! let config = BreakerConfig { consecutive_failures: Some(2), ..BreakerConfig::DEFAULT };
//! let mut breaker = Breaker::new(config)?;
//! let now = Instant::ZERO;
//! for _ in 0..2 {
//!     let permit = breaker.admit(now).expect("closed");
//!     breaker.settle(now, permit, Settled::Failure { retry_after: None });
//! }
//! let refused = breaker.admit(now).unwrap_err();
//! let until = refused.retry_at.expect("an open circuit says when");
//!
//! // Refused one nanosecond earlier, probed at the instant itself.
//! assert!(breaker.admit(Instant::from_nanos(until.as_nanos() - 1)).is_err());
//! let probe = breaker.admit(until).expect("half open");
//! assert_eq!(breaker.state(), BreakerState::HalfOpen);
//! breaker.settle(until, probe, Settled::Success);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! A server that hangs instead of failing:
//! ```
//! # use core::time::Duration;
//! # use crossbridge_core::{Instant, breaker::{Breaker, BreakerConfig, BreakerState}};
//! let mut breaker = Breaker::new(BreakerConfig {
//!     hanging_calls: Some(3),
//!     slow_call: Duration::from_secs(7),
//!     ..BreakerConfig::DEFAULT
//! })?;
//! let _hung = [(); 3].map(|()| breaker.admit(Instant::ZERO).expect("closed"));
//! // Nobody has reported anything, and the driver's loop knows when to look again.
//! let at = breaker.poll_at().expect("three are out");
//! assert_eq!(at, Instant::from_nanos(8_000_000_000));
//! breaker.handle_timeout(at);
//! assert_eq!(breaker.state(), BreakerState::Open);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

mod annex;
mod circuit;
mod closed;
mod config;
mod half_open;
mod hanging;
mod quick;
mod rules;
#[cfg(target_has_atomic = "64")]
mod shared;
mod slow_start;
mod snapshot;
#[cfg(test)]
mod tests;
mod window;

use core::time::Duration;

pub(crate) use circuit::Circuit;
pub use config::{BreakerConfig, BreakerMode, WindowKind};
pub use rules::BreakerRules;
#[cfg(target_has_atomic = "64")]
pub use shared::SharedBreaker;
#[cfg(target_has_atomic = "64")]
pub(crate) use shared::SharedCircuit;
pub use slow_start::SLOW_START_SHARE;
pub use snapshot::{BreakerSnapshot, StateSnapshot};
pub use window::{Counts, WindowSnapshot};

use crate::ConfigError;
use crate::time::Instant;

/// The state as its users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BreakerState {
    /// Calls go through; during a slow start a share of them.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes go through.
    HalfOpen,
}

impl BreakerState {
    /// The name in logs, traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What became of an admitted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Settled {
    /// It succeeded. Whether it was slow is for the breaker to find.
    Success,
    /// It failed, and the server may have said how long to stay away.
    Failure {
        /// The wait the server asked for.
        retry_after: Option<Duration>,
    },
    /// Neither: it was about the request, or it was cancelled before it was sent.
    Neutral,
    /// Nobody knows: dropped, or past its deadline without an answer.
    Lost,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Refused {
    /// Open, or half open with every probe taken, or closed and starting slowly.
    pub state: BreakerState,
    /// The first instant at which asking again is admitted, if nobody asks before. `None` where that
    /// depends on a probe's result, or on the mode.
    pub retry_at: Option<Instant>,
}

/// The right to send one call. Settle it: a permit that is dropped blocks its probe's place until
/// the probe's deadline, and counts as a call that hangs.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Permit {
    admitted_at: Instant,
    /// The generation above a mark: which probe it is, or among which calls in flight it is counted.
    /// One word, so that a permit travels in two registers.
    token: u64,
}

impl Permit {
    #[inline]
    const fn new(admitted_at: Instant, generation: u32, mark: u32) -> Self {
        Self {
            admitted_at,
            token: (generation as u64) << 32 | mark as u64,
        }
    }

    #[inline]
    const fn generation(&self) -> u32 {
        (self.token >> 32) as u32
    }

    #[inline]
    const fn mark(&self) -> u32 {
        (self.token & 0xFFFF_FFFF) as u32
    }

    /// Nanoseconds since it was admitted, by the caller's clock.
    #[inline]
    const fn took(&self, now: Instant) -> u64 {
        now.as_nanos().saturating_sub(self.admitted_at.as_nanos())
    }
}

/// A circuit breaker owned by one caller. See the [module](self) for the rules.
///
/// `Breaker` does everything. `Breaker<0>`, made by [`of_calls`](Breaker::of_calls), has no room for
/// windows of time and for hanging calls, and its state is 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Breaker<const ANNEX: usize = 1> {
    circuit: Circuit<ANNEX>,
    rules: BreakerRules,
}

impl Breaker {
    /// A closed circuit.
    ///
    /// # Errors
    /// See [`BreakerConfig::check`].
    pub const fn new(config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::closed(config)
    }
}

impl Breaker<0> {
    /// A closed circuit with a window of calls.
    ///
    /// ```
    /// use crossbridge_core::breaker::{Breaker, BreakerConfig};
    ///
    /// let mut small = Breaker::of_calls(BreakerConfig::DEFAULT)?;
    /// assert!(size_of_val(&small) + 128 < size_of::<Breaker>());
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// See [`BreakerConfig::check`]; and a window of time and `hanging_calls` are refused.
    pub const fn of_calls(config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::closed(config)
    }
}

impl<const ANNEX: usize> Breaker<ANNEX> {
    const fn closed(config: BreakerConfig) -> Result<Self, ConfigError> {
        let rules = match BreakerRules::new(config) {
            Ok(rules) => rules.fit(ANNEX),
            Err(refused) => Err(refused),
        };
        match rules {
            Ok(rules) => Ok(Self {
                circuit: Circuit::new(&rules),
                rules,
            }),
            Err(refused) => Err(refused),
        }
    }

    /// The state now. A question: an open circuit whose wait is over stays open until somebody is
    /// admitted.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.circuit.state(&self.rules)
    }

    /// What the window holds; nothing unless closed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.circuit.counts(&self.rules)
    }

    /// What [`admit`](Self::admit) would answer at `now`, without taking a probe's place.
    ///
    /// # Errors
    /// The refusal it would give.
    pub fn would_admit(&self, now: Instant) -> Result<(), Refused> {
        self.circuit.would_admit(&self.rules, now)
    }

    /// Asks to send a call at `now`.
    ///
    /// # Errors
    /// The circuit is open, or half open with every probe taken, or starts slowly and it is not yet
    /// this call's turn.
    #[inline]
    pub fn admit(&mut self, now: Instant) -> Result<Permit, Refused> {
        self.circuit.admit(&self.rules, now)
    }

    /// Reports what became of an admitted call.
    #[inline]
    pub fn settle(&mut self, now: Instant, permit: Permit, settled: Settled) {
        self.circuit.settle(&self.rules, now, permit, settled);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling. Early and repeated
    /// calls are harmless, and every other method calls it by itself.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.circuit.poll_at(&self.rules)
    }

    /// Lets deadlines that have passed take effect.
    #[inline]
    pub fn handle_timeout(&mut self, now: Instant) {
        self.circuit.handle_timeout(&self.rules, now);
    }
}
