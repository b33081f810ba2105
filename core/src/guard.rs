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
//! - A retry that is polled late is asked again whether it still fits the deadline and
//!   `give_up_after`.
//!
//! # Forms
//! | form | for | gates |
//! |---|---|---|
//! | [`Guard`] | one owner | its own |
//! | [`Guard::under`] | one owner of many under the same policies | its own; the [`Policies`] lent, from flash or an `Rc` |
//! | [`Guard::of_calls`] | the same in less memory | a breaker whose window is of calls: 160 bytes in all |
//! | `SharedGuard` | threads, where there are 64-bit atomic words | shared; each call is its thread's own |
//!
//! All of them are taken out and put back by one [`GuardSnapshot`].
//!
//! # Defaults
//! Those of [`GuardConfig::DEFAULT`]:
//!
//! | policy | default |
//! |---|---|
//! | `retry` | [`RetryPolicy::STANDARD`](crate::RetryPolicy::STANDARD): three attempts |
//! | `breaker` | [`BreakerConfig::DEFAULT`](crate::BreakerConfig::DEFAULT) |
//! | `quota`, `bulkhead`, `budget` | no limit |
//! | `health`, `deadline`, `attempt_timeout` | none |
//! | `on_limit` | refuse |
//! | `idempotent` | no |
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
mod gates;
mod owned;
mod policies;
#[cfg(target_has_atomic = "64")]
mod shared;
mod snapshot;
mod step;
#[cfg(test)]
mod tests;

pub use call::{Call, CallState};
pub use config::{GuardConfig, OnLimit};
pub use gates::Gates;
pub use owned::Guard;
pub use policies::Policies;
#[cfg(target_has_atomic = "64")]
pub use shared::SharedGuard;
pub use snapshot::GuardSnapshot;
pub use step::{Permit, Step};

use crate::breaker::Settled;
use crate::fault::{Fault, FaultKind};
use crate::health::ProbeResult;
use crate::retry::{Failure, StopReason};

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
    #[inline]
    pub fn of<T, E: Fault>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(error) => Self::Failure(Failure {
                kind: error.kind(),
                retry_after: error.retry_after(),
            }),
        }
    }

    /// What a retry makes of it: lost is unknown.
    const fn failure(self) -> Option<Failure> {
        match self {
            Self::Success | Self::Neutral => None,
            Self::Failure(failure) => Some(failure),
            Self::Lost => Some(Failure {
                kind: FaultKind::Unknown,
                retry_after: None,
            }),
        }
    }

    /// What a breaker makes of it.
    const fn settled(self) -> Settled {
        match self {
            Self::Success => Settled::Success,
            Self::Failure(failure) if failure.kind.blames_server() => Settled::Failure {
                retry_after: failure.retry_after,
            },
            Self::Failure(_) | Self::Neutral => Settled::Neutral,
            Self::Lost => Settled::Lost,
        }
    }

    /// The evidence it is for the target's health.
    const fn evidence(self, slow: bool) -> ProbeResult {
        match self {
            Self::Success if slow => ProbeResult::SlowPass,
            Self::Success => ProbeResult::Pass,
            Self::Failure(failure) => match failure.kind {
                // It answers, if only to say no.
                FaultKind::Permanent => ProbeResult::Pass,
                FaultKind::Throttled => ProbeResult::SlowPass,
                FaultKind::NotSent | FaultKind::Transient | FaultKind::Unknown | FaultKind::Overloaded => {
                    ProbeResult::Fail
                }
            },
            Self::Neutral | Self::Lost => ProbeResult::Inconclusive,
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
