//! One protected call: limiter, breaker, bulkhead, budget, retry and health behind one door.
//!
//! For every call path (saving profiling events, asking an AI provider, starting a test runner)
//! there is one guard, built from its policies. Each call is a small machine that says what to do
//! next; it neither sends, nor waits, nor reads a clock.
//!
//! ```text
//!   begin ──▶ poll ──▶ Attempt(permit) ── the caller sends it ──▶ on_outcome ─┐
//!              ▲ │                                                            │
//!              │ ├──▶ Wait { until }  ── the caller lets time pass ──────────▶│
//!              │ └──▶ Done(verdict)                                           │
//!              └──────────────────────────────────────────────────────────────┘
//!
//!   inside:  deadline > retry > breaker > rate limit > bulkhead > attempt timeout
//! ```
//!
//! # Rules
//! - Every attempt, retries included, is admitted by breaker, limiter and bulkhead together: all of
//!   them or none. What was taken for an attempt that is not sent is given back.
//! - A refusal by breaker or bulkhead ends the call; one by the limiter ends it or waits, as
//!   [`OnLimit`] says. None of them is retried.
//! - A [`Permit`] is settled once: success, failure, neutral or lost.
//! - Every call ends with exactly one verdict.
//!
//! [`Guard::call`] is the whole loop for blocking code. By hand, in any other loop:
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::draw::SplitMix64;
//! use crossbridge_core::{FaultKind, Guard, GuardConfig, Instant, Outcome, RetryPolicy, Step, Verdict};
//!
//! let mut guard = Guard::new(GuardConfig { retry: RetryPolicy::QUICK, ..GuardConfig::DEFAULT })?;
//! let mut rng = SplitMix64::new(7);
//! let mut now = Instant::ZERO;
//!
//! let mut call = guard.begin(now, None);
//! let verdict = loop {
//!     match call.poll(now, &mut rng) {
//!         Step::Attempt(permit) if permit.number() == 1 => {
//!             call.on_outcome(now, permit, Outcome::failed(FaultKind::NotSent));
//!         }
//!         Step::Attempt(permit) => call.on_outcome(now, permit, Outcome::Success),
//!         Step::Wait { until } => now = until,
//!         Step::Done(verdict) => break verdict,
//!     }
//! };
//! assert_eq!(verdict, Verdict::Succeeded);
//! assert!(now <= Instant::from_nanos(100_000_000)); // one retry, at most 100 ms later
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

mod call;
mod config;
#[cfg(test)]
mod tests;

use core::time::Duration;

pub use call::{Call, CallState, Permit, Step};
pub use config::{GuardConfig, OnLimit};

use crate::ConfigError;
use crate::breaker::{self, Breaker, BreakerState};
use crate::bulkhead::{self, Bulkhead};
use crate::event::{Event, Observer};
use crate::fault::{Fault, FaultKind};
use crate::health::{Health, Monitor, ProbeResult};
use crate::rate_limit::{Answer, RateLimiter};
use crate::retry::{Failure, RetryBudget, StopReason};
use crate::time::Instant;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// It succeeded.
    Success,
    /// It failed.
    Failure(Failure),
    /// It was cancelled before it said anything: it gives everything back and counts as nothing.
    Neutral,
    /// Nobody knows: dropped without an answer.
    Lost,
}

impl Outcome {
    /// A failure of this kind, without a hint from the server.
    #[must_use]
    pub const fn failed(kind: FaultKind) -> Self {
        Self::Failure(Failure {
            kind,
            retry_after: None,
        })
    }

    /// The outcome a result stands for.
    pub fn of<T, E: Fault>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(error) => Self::Failure(Failure {
                kind: error.kind(),
                retry_after: error.retry_after(),
            }),
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Verdict {
    /// With success.
    Succeeded,
    /// Without.
    Stopped {
        /// Why no further attempt was made.
        reason: StopReason,
        /// What the last attempt met; `None` when none was sent.
        fault: Option<FaultKind>,
    },
    /// The caller took the call back.
    Cancelled,
}

/// The guard of one call path, owned by one caller. See the [module](self) for the rules.
#[derive(Clone, Debug)]
pub struct Guard<O = ()> {
    config: GuardConfig,
    limiter: RateLimiter,
    breaker: Breaker,
    bulkhead: Bulkhead,
    budget: RetryBudget,
    monitor: Option<Monitor>,
    observer: O,
}

/// What the three gates hand out for one attempt.
#[derive(Debug)]
struct Admission {
    breaker: breaker::Permit,
    slot: bulkhead::Slot,
}

impl Guard {
    /// A guard that tells nobody.
    ///
    /// # Errors
    /// The first policy that is refused.
    pub const fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        Self::with_observer(config, ())
    }
}

impl<O> Guard<O> {
    /// A guard that tells `observer` what happens.
    ///
    /// # Errors
    /// The first policy that is refused.
    pub const fn with_observer(config: GuardConfig, observer: O) -> Result<Self, ConfigError>
    where
        O: Copy,
    {
        if let Err(refused) = config.retry.check() {
            return Err(refused);
        }
        let breaker = match Breaker::new(config.breaker) {
            Ok(breaker) => breaker,
            Err(refused) => return Err(refused),
        };
        let bulkhead = match Bulkhead::new(config.bulkhead) {
            Ok(bulkhead) => bulkhead,
            Err(refused) => return Err(refused),
        };
        let budget = match RetryBudget::new(config.budget) {
            Ok(budget) => budget,
            Err(refused) => return Err(refused),
        };
        let monitor = match config.health {
            None => None,
            Some(health) => match Monitor::new(health) {
                Ok(monitor) => Some(monitor),
                Err(refused) => return Err(refused),
            },
        };
        let limiter = RateLimiter::new(config.quota);
        Ok(Self {
            config,
            limiter,
            breaker,
            bulkhead,
            budget,
            monitor,
            observer,
        })
    }

    /// The policies it keeps.
    #[must_use]
    pub const fn config(&self) -> &GuardConfig {
        &self.config
    }

    /// The state of its circuit.
    #[must_use]
    pub const fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// The health of its target, where it is watched.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.monitor.as_ref().map(Monitor::health)
    }

    /// Permits its limiter has at `now`.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        self.limiter.remaining(now)
    }

    /// Tokens its retry budget has at `now`.
    #[must_use]
    pub fn budget_tokens(&self, now: Instant) -> u32 {
        self.budget.tokens(now)
    }

    /// Attempts in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.bulkhead.in_flight()
    }

    /// The observer.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }
}

impl<O: Observer> Guard<O> {
    /// Begins a call that should be over by `deadline`, or by the policy's own, whichever is
    /// earlier.
    pub fn begin(&mut self, now: Instant, deadline: Option<Instant>) -> Call<'_, O> {
        let state = self.begin_detached(now, deadline);
        Call::new(self, state)
    }

    /// Begins a call that does not borrow the guard, so that many can be under way at once in one
    /// thread. Drive it with this guard and no other, and end each one that is given up with
    /// [`CallState::cancel`].
    pub fn begin_detached(&mut self, now: Instant, deadline: Option<Instant>) -> CallState {
        self.budget.on_call(now);
        CallState::new(&self.config, now, deadline)
    }

    /// Asks breaker, limiter and bulkhead for one attempt: all of them or none.
    ///
    /// The breaker is asked first and taken from last: the probe that half opens a circuit is one
    /// that will be sent.
    fn admit(&mut self, now: Instant) -> Result<Admission, StopReason> {
        let before = self.breaker.state();
        self.breaker.handle_timeout(now);
        self.report_breaker(now, before);
        let refused_by_breaker = |refused: breaker::Refused| StopReason::Breaker {
            retry_at: refused.retry_at,
        };
        self.breaker.has_room(now).map_err(refused_by_breaker)?;
        match self.limiter.check(now, 1) {
            Answer::Granted => {}
            Answer::NotBefore(at) => return Err(StopReason::RateLimit { not_before: Some(at) }),
            Answer::Never => return Err(StopReason::RateLimit { not_before: None }),
        }
        let Some(slot) = self.bulkhead.try_acquire() else {
            self.limiter.refund(1);
            return Err(StopReason::Bulkhead);
        };
        let before = self.breaker.state();
        match self.breaker.admit(now) {
            Ok(permit) => {
                self.report_breaker(now, before);
                Ok(Admission {
                    breaker: permit,
                    slot,
                })
            }
            // It has just said yes; if it ever said no, nothing would be kept.
            Err(refused) => {
                self.limiter.refund(1);
                self.bulkhead.release(slot);
                Err(refused_by_breaker(refused))
            }
        }
    }

    /// Books what became of an attempt with everybody who gave something for it.
    fn settle(&mut self, now: Instant, admission: Admission, outcome: Outcome, took: Duration) {
        let settled = match outcome {
            Outcome::Success => breaker::Settled::Success,
            Outcome::Failure(failure) if failure.kind.blames_server() => breaker::Settled::Failure {
                retry_after: failure.retry_after,
            },
            Outcome::Failure(_) | Outcome::Neutral => breaker::Settled::Neutral,
            Outcome::Lost => breaker::Settled::Lost,
        };
        let before = self.breaker.state();
        self.breaker.settle(now, admission.breaker, settled);
        self.report_breaker(now, before);
        self.bulkhead.release(admission.slot);
        self.witness(now, outcome, took);
    }

    /// Real calls are evidence for the target's health.
    fn witness(&mut self, now: Instant, outcome: Outcome, took: Duration) {
        let Some(monitor) = &mut self.monitor else { return };
        let slow = took >= self.config.breaker.slow_call;
        let result = match outcome {
            Outcome::Success if slow => ProbeResult::SlowPass,
            Outcome::Success => ProbeResult::Pass,
            Outcome::Failure(failure) => match failure.kind {
                // It answers, if only to say no.
                FaultKind::Permanent => ProbeResult::Pass,
                FaultKind::Throttled => ProbeResult::SlowPass,
                FaultKind::NotSent | FaultKind::Transient | FaultKind::Unknown | FaultKind::Overloaded => {
                    ProbeResult::Fail
                }
            },
            Outcome::Neutral | Outcome::Lost => ProbeResult::Inconclusive,
        };
        let from = monitor.health();
        monitor.observe(now, result);
        let to = monitor.health();
        if from != to {
            self.observer.on_event(now, &Event::HealthChanged { from, to });
        }
    }

    fn report_breaker(&self, now: Instant, from: BreakerState) {
        let to = self.breaker.state();
        if from != to {
            self.observer.on_event(now, &Event::BreakerChanged { from, to });
        }
    }
}
