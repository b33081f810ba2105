//! Not now: a circuit breaker for one dependency.
//!
//! For callers of something that may be down: when too many calls fail, further ones are refused
//! at once, until a few probes have shown that it is back.
//!
//! ```text
//!              failure% or slow% over its threshold (window holds min_calls),
//!              or enough failures in a row
//!   Closed ───────────────────────────────────────────────────▶ Open { until }
//!      ▲                                                          │ admit at until or later
//!      │ enough probes succeeded                                  ▼
//!      └──────────────────────────────── HalfOpen { probes, deadline }
//!                                                                 │ too many probes failed,
//!                         Open, for longer ◀──────────────────────┘ or a deadline passed
//! ```
//!
//! # Rules
//! - Every [`Permit`] carries the generation it was admitted in. A result of an earlier one is
//!   over: it closes nothing, opens nothing, frees nothing.
//! - While half open at most `half_open_concurrent` probes are in flight and `half_open_calls` are
//!   made in all. The circuit closes or opens as soon as the outcome is settled. A probe and the
//!   whole state have deadlines: what has no result by then has failed.
//! - Only a failure or a slow call trips, never a success.
//! - The wait is `min(open_wait_max, open_wait * 2^k)` with equal jitter. `k` grows with each trip
//!   until the longest wait is reached, and shrinks by one for every `open_wait` the circuit stays closed (gRPC A50), so that one good
//!   probe does not forgive a flapping server.
//! - A neutral result gives its place back and counts as nothing. A lost one (dropped, never
//!   reported) failed if it was a probe and is neutral otherwise.
//!
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

mod config;
mod half_open;
mod snapshot;
#[cfg(test)]
mod tests;
mod window;

use core::num::NonZeroU64;
use core::time::Duration;

pub use config::{BreakerConfig, BreakerMode, WindowKind};
pub use snapshot::{BreakerSnapshot, StateSnapshot};
pub use window::{Counts, WindowSnapshot};

use crate::ConfigError;
use crate::draw::{self, SplitMix64};
use crate::time::{Instant, LastSeen, nanos};
use half_open::{HalfOpen, Verdict};
use window::Window;

/// The state as its users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BreakerState {
    /// Calls go through.
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
pub struct Refused {
    /// Open, or half open with every probe taken.
    pub state: BreakerState,
    /// The first instant at which asking again is admitted. `None` where that depends on a probe's
    /// result, or on the mode.
    pub retry_at: Option<Instant>,
}

/// The right to send one call. Settle it: a permit that is dropped blocks its probe's place until
/// the probe's deadline.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Permit {
    generation: u32,
    admitted_at: Instant,
    probe: Option<half_open::Ticket>,
}

/// A circuit breaker owned by one caller. See the [module](self) for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Counts the changes of state; a permit of another generation decides nothing.
    generation: u32,
    /// The exponent of the next open wait.
    level: u8,
    /// `config.slow_call` in nanoseconds: compared at every result.
    slow_call: u64,
    last_seen: LastSeen,
}

/// Each variant holds what exists only in that state, its deadline included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Closed {
        since: Instant,
        failures_in_a_row: u32,
        window: Window,
    },
    Open {
        until: Instant,
    },
    HalfOpen(HalfOpen),
}

impl Breaker {
    /// A closed circuit.
    ///
    /// # Errors
    /// See [`BreakerConfig::check`].
    pub const fn new(config: BreakerConfig) -> Result<Self, ConfigError> {
        match config.check() {
            Ok(()) => Ok(Self {
                config,
                state: State::closed(&config, Instant::ZERO),
                generation: 0,
                level: 0,
                slow_call: nanos(config.slow_call),
                last_seen: LastSeen::new(),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// The state now. A question: an open circuit whose wait is over stays open until somebody is
    /// admitted.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        match (self.config.mode, &self.state) {
            (BreakerMode::ForcedOpen, _) | (_, State::Open { .. }) => BreakerState::Open,
            (_, State::Closed { .. }) => BreakerState::Closed,
            (_, State::HalfOpen(_)) => BreakerState::HalfOpen,
        }
    }

    /// What the window holds; nothing unless closed.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        match &self.state {
            State::Closed { window, .. } => window.counts(),
            State::Open { .. } | State::HalfOpen(_) => Counts {
                calls: 0,
                failed: 0,
                slow: 0,
            },
        }
    }

    /// What [`admit`](Self::admit) would answer at `now`, without taking a probe's place.
    ///
    /// # Errors
    /// The refusal it would give.
    pub fn would_admit(&self, now: Instant) -> Result<(), Refused> {
        match &self.state {
            State::Closed { .. } if self.config.mode == BreakerMode::Auto => Ok(()),
            // Off the hot path, so that there is one place that decides.
            State::Closed { .. } | State::Open { .. } | State::HalfOpen(_) => {
                self.clone().admit(now).map(|_unused: Permit| ())
            }
        }
    }

    /// The same right after [`handle_timeout`](Self::handle_timeout) at the same `now`, without a
    /// copy: the guard asks before every attempt.
    #[inline]
    pub(crate) fn has_room(&self, now: Instant) -> Result<(), Refused> {
        match (self.config.mode, &self.state) {
            (BreakerMode::ForcedOpen, _) => Err(Refused {
                state: BreakerState::Open,
                retry_at: None,
            }),
            (BreakerMode::Auto, State::Open { until }) if now < *until => Err(Refused {
                state: BreakerState::Open,
                retry_at: Some(*until),
            }),
            (BreakerMode::Auto, State::HalfOpen(half_open)) if !half_open.has_room(&self.config) => {
                Err(Refused {
                    state: BreakerState::HalfOpen,
                    retry_at: None,
                })
            }
            (BreakerMode::Auto | BreakerMode::Disabled | BreakerMode::MetricsOnly, _) => Ok(()),
        }
    }

    /// Asks to send a call at `now`.
    ///
    /// # Errors
    /// The circuit is open, or half open with every probe taken.
    #[inline]
    pub fn admit(&mut self, now: Instant) -> Result<Permit, Refused> {
        if let (BreakerMode::Auto, State::Closed { .. }) = (self.config.mode, &self.state) {
            self.handle_timeout(now);
            return Ok(self.permit(now, None));
        }
        self.admit_unless_closed(now)
    }

    #[cold]
    fn admit_unless_closed(&mut self, now: Instant) -> Result<Permit, Refused> {
        match self.config.mode {
            BreakerMode::Disabled => return Ok(self.permit(now, None)),
            BreakerMode::ForcedOpen => {
                return Err(Refused {
                    state: BreakerState::Open,
                    retry_at: None,
                });
            }
            BreakerMode::Auto | BreakerMode::MetricsOnly => {}
        }
        self.handle_timeout(now);
        let refused = match &mut self.state {
            State::Closed { .. } => return Ok(self.permit(now, None)),
            State::Open { until } if now < *until => Refused {
                state: BreakerState::Open,
                retry_at: Some(*until),
            },
            State::Open { .. } => {
                let mut half_open = HalfOpen::new(now, &self.config);
                let ticket = half_open.admit(now, &self.config);
                self.become_state(State::HalfOpen(half_open));
                return Ok(self.permit(now, ticket));
            }
            State::HalfOpen(half_open) => match half_open.admit(now, &self.config) {
                Some(ticket) => return Ok(self.permit(now, Some(ticket))),
                None => Refused {
                    state: BreakerState::HalfOpen,
                    retry_at: None,
                },
            },
        };
        if self.config.mode == BreakerMode::MetricsOnly {
            // Let through, and of no generation there ever is: its result decides nothing.
            return Ok(Permit {
                generation: self.generation.wrapping_sub(1),
                admitted_at: now,
                probe: None,
            });
        }
        Err(refused)
    }

    /// Reports what became of an admitted call.
    #[inline]
    pub fn settle(&mut self, now: Instant, permit: Permit, settled: Settled) {
        let took = now.as_nanos().saturating_sub(permit.admitted_at.as_nanos());
        if self.config.mode == BreakerMode::Auto
            && permit.generation == self.generation
            && settled == Settled::Success
            && took < self.slow_call
            && let State::Closed {
                failures_in_a_row,
                window: Window::Calls(window),
                ..
            } = &mut self.state
        {
            *failures_in_a_row = 0;
            window.record_good();
            self.handle_timeout(now);
            return;
        }
        self.settle_otherwise(now, permit, settled);
    }

    /// Whatever is not a quick success of a closed circuit.
    #[cold]
    fn settle_otherwise(&mut self, now: Instant, permit: Permit, settled: Settled) {
        if self.config.mode == BreakerMode::Disabled {
            return;
        }
        self.handle_timeout(now);
        if permit.generation != self.generation {
            return;
        }
        let took = now.as_nanos().saturating_sub(permit.admitted_at.as_nanos());
        let slow = took >= self.slow_call;
        // Where slowness cannot trip, a slow success is a success.
        let too_slow = slow && self.config.slow_rate.is_some();
        let (failed, hint) = match settled {
            Settled::Success => (false, None),
            Settled::Failure { retry_after } => (true, retry_after),
            Settled::Neutral => {
                if let (State::HalfOpen(half_open), Some(ticket)) = (&mut self.state, permit.probe) {
                    half_open.give_back(ticket);
                }
                return;
            }
            Settled::Lost if permit.probe.is_some() => (true, None),
            Settled::Lost => return,
        };
        match &mut self.state {
            State::Closed {
                failures_in_a_row,
                window,
                ..
            } => {
                *failures_in_a_row = if failed {
                    failures_in_a_row.saturating_add(1)
                } else {
                    0
                };
                window.record(now, failed, slow);
                let (in_a_row, counts) = (*failures_in_a_row, window.counts());
                if (failed || too_slow) && self.trips(in_a_row, counts) {
                    self.open(now, hint);
                }
            }
            State::HalfOpen(half_open) => {
                // A slow probe is no proof of health.
                let failed = failed || too_slow;
                let Some(ticket) = permit.probe else { return };
                let verdict = half_open.settle(ticket, failed, &self.config);
                self.conclude(now, verdict, hint);
            }
            // The generation changes with the state: a permit of this one was not given.
            State::Open { .. } => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling. Early and repeated
    /// calls are harmless, and every other method calls it by itself.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        match &self.state {
            State::HalfOpen(half_open) => Some(half_open.deadline()),
            State::Closed { .. } | State::Open { .. } => None,
        }
    }

    /// Lets deadlines that have passed take effect.
    #[inline]
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(step) = self.last_seen.observe(now) {
            self.rebase(step);
        }
        if let State::HalfOpen(_) = self.state {
            self.expire(now);
        }
    }

    #[cold]
    fn expire(&mut self, now: Instant) {
        if let State::HalfOpen(half_open) = &mut self.state {
            let verdict = half_open.expire(now, &self.config);
            self.conclude(now, verdict, None);
        }
    }

    fn trips(&self, failures_in_a_row: u32, counts: Counts) -> bool {
        let in_a_row = self
            .config
            .consecutive_failures
            .is_some_and(|limit| failures_in_a_row >= limit);
        let enough = counts.calls >= self.config.min_calls;
        let failing = self
            .config
            .failure_rate
            .is_some_and(|share| share.reached_by(counts.failed, counts.calls));
        let slow = self
            .config
            .slow_rate
            .is_some_and(|share| share.reached_by(counts.slow, counts.calls));
        in_a_row || (enough && (failing || slow))
    }

    fn conclude(&mut self, now: Instant, verdict: Verdict, hint: Option<Duration>) {
        match verdict {
            Verdict::Undecided => {}
            Verdict::Close => self.become_state(State::closed(&self.config, now)),
            Verdict::Open => self.open(now, hint),
        }
    }

    fn open(&mut self, now: Instant, hint: Option<Duration>) {
        self.forgive(now);
        let whole = self.open_wait();
        // Half of it by chance. A function of the seed and the generation, so that the same history
        // yields the same waits.
        let mut rng = SplitMix64::new(self.config.jitter_seed.wrapping_add(u64::from(self.generation)));
        let wait = Duration::from_nanos(draw::inclusive(whole - whole / 2, whole, &mut rng));
        let wait = hint.map_or(wait, |asked| wait.max(asked.min(self.config.open_wait_max)));
        // Past the longest wait there is nothing to grow for, only to come down from.
        if whole < nanos(self.config.open_wait_max) {
            self.level = self.level.saturating_add(1);
        }
        self.become_state(State::Open {
            until: now.saturating_add(wait),
        });
    }

    /// Takes one doubling off for every `open_wait` the circuit has stayed closed.
    fn forgive(&mut self, now: Instant) {
        if let State::Closed { since, .. } = &mut self.state {
            // The constructor refuses a wait of zero.
            let step = NonZeroU64::new(nanos(self.config.open_wait)).unwrap_or(NonZeroU64::MIN);
            let closed_for = nanos(now.saturating_duration_since(*since));
            let healthy = u8::try_from(closed_for / step).unwrap_or(u8::MAX);
            self.level = self.level.saturating_sub(healthy);
            *since = now.saturating_sub(Duration::from_nanos(closed_for % step));
        }
    }

    /// `min(open_wait_max, open_wait * 2^level)` in nanoseconds. The level stops growing where the
    /// product passes the maximum, which is at most a day: below 2^47.
    fn open_wait(&self) -> u64 {
        let doubled = nanos(self.config.open_wait).saturating_mul(1 << self.level.min(MAX_LEVEL));
        doubled.min(nanos(self.config.open_wait_max))
    }

    const fn permit(&self, now: Instant, probe: Option<half_open::Ticket>) -> Permit {
        Permit {
            generation: self.generation,
            admitted_at: now,
            probe,
        }
    }

    fn become_state(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
    }

    #[cold]
    fn rebase(&mut self, step: Duration) {
        match &mut self.state {
            State::Closed { since, window, .. } => {
                *since = since.saturating_sub(step);
                window.rebase(step);
            }
            State::Open { until } => *until = until.saturating_sub(step),
            State::HalfOpen(half_open) => half_open.rebase(step),
        }
    }
}

impl State {
    const fn closed(config: &BreakerConfig, now: Instant) -> Self {
        Self::Closed {
            since: now,
            failures_in_a_row: 0,
            window: Window::new(config.window, now),
        }
    }
}

/// 2^47 ns are more than a day: no wait is doubled more often.
const MAX_LEVEL: u8 = 47;
