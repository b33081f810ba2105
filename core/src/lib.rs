//! Resilience state machines that know nothing about the outside.
//!
//! Rate limit, retry, retry budget, circuit breaker, bulkhead and health, each a pure state
//! machine, and a guard that puts them around one call. No allocation, no I/O, no clock, no
//! generator of its own: time, sleep and randomness are handed in, so that production, a
//! microcontroller and a replay in virtual time run the same decisions.
//!
//! ```text
//!                  now, deadline
//!                       │
//!    begin ──▶ ┌────────▼─────────────────────────────────────────────┐
//!              │ Guard   retry ▸ breaker ▸ rate limit ▸ bulkhead      │──▶ Event
//!              └────────┬───────────────────────────────▲─────────────┘     log, defmt, trace
//!                       │ Attempt(permit) | Wait | Done  │ on_outcome(permit, outcome)
//!                       ▼                                │
//!                  the caller sends it, or lets time pass
//! ```
//!
//! | module | question | for one owner | for threads |
//! |---|---|---|---|
//! | [`rate_limit`] | how often? | [`RateLimiter`], [`rate_limit::KeyedLimiter`], [`rate_limit::adaptive`] | `SharedRateLimiter`, `SharedKeyedLimiter`, `SharedAdaptiveLimiter` |
//! | [`retry`] | again, and when? | [`retry::Retry`], [`RetryPolicy`], [`retry::RetryBudget`] | `SharedRetryBudget` |
//! | [`breaker`] | at all, just now? | [`Breaker`], [`BreakerConfig`] | `SharedBreaker` |
//! | [`bulkhead`] | how many at once? | [`Bulkhead`], [`bulkhead::waiters`], [`bulkhead::limit`] | `SharedBulkhead`, `SharedAdaptiveBulkhead` |
//! | [`health`] | is it well? | [`Monitor`](health::Monitor), [`health::summary`], [`health::degraded`] | `SharedMonitor` |
//! | [`guard`] | all of it, for one call | [`Guard`], [`GuardConfig`] | `SharedGuard` |
//!
//! Behind both forms is one pure step: alone, a shared machine answers like the other. The shared
//! forms exist where the target has atomic words of 64 bits (of 32 for the plain bulkhead).
//!
//! | module | for all of them |
//! |---|---|
//! | [`fault`] | what went wrong? | [`Fault`], [`FaultKind`] |
//! | [`event`] | what happened? | [`Event`], [`Observer`] |
//! | [`time`], [`draw`] | when, and by chance? | [`Instant`], [`Clock`], [`Sleeper`] |
//!
//! # The contract of every machine
//! - `now` is the first argument, a generator the last. Questions take `&self` and change nothing.
//! - A refusal says why and, where there is one, the first instant at which asking again succeeds:
//!   refused one nanosecond earlier, admitted at the instant.
//! - Decisions are made in integers. No configuration that a constructor accepts, no `now` up to
//!   the end of `u64` and no order of calls makes a machine panic, wrap or overflow.
//! - The same configuration, inputs and generator give the same answers on every target.
//!
//! # Example
//! ```
//! use crossbridge_core::draw::SplitMix64;
//! use crossbridge_core::testing::ManualClock;
//! use crossbridge_core::{BreakerConfig, FaultKind, Guard, GuardConfig, Jitter, Quota, RetryPolicy};
//!
//! let quota = Quota::per_minute(30)?.burst(10)?;
//! let retry = RetryPolicy::STANDARD.attempts(3).jitter(Jitter::Full);
//! let mut guard = Guard::new(GuardConfig {
//!     quota,
//!     retry,
//!     breaker: BreakerConfig::DEFAULT,
//!     ..GuardConfig::DEFAULT
//! })?;
//!
//! let clock = ManualClock::new();
//! let (mut sleeper, mut rng) = (&clock, SplitMix64::new(7));
//! let answer = guard.call(&clock, &mut sleeper, &mut rng, |attempt| match attempt.number() {
//!     1 => Err(FaultKind::Transient), // a deadlock, say
//!     _ => Ok(42),
//! });
//! assert_eq!(answer, Ok(42));
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! # Features
//! None is on by default. `serde`, `log`, `defmt`, `embedded-time` as their names say; `testing`
//! adds a clock that tests move by hand.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod breaker;
pub mod bulkhead;
pub mod draw;
mod drive;
mod error;
pub mod event;
pub mod fault;
pub mod guard;
pub mod health;
pub mod rate_limit;
pub mod retry;
pub mod snapshot;
#[cfg(target_has_atomic = "32")]
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod time;
mod units;

#[cfg(target_has_atomic = "64")]
pub use breaker::SharedBreaker;
pub use breaker::{Breaker, BreakerConfig};
pub use bulkhead::{Bulkhead, BulkheadConfig};
pub use drive::CallError;
pub use error::ConfigError;
pub use event::{Event, Observer};
pub use fault::{Fault, FaultKind};
#[cfg(target_has_atomic = "64")]
pub use guard::SharedGuard;
pub use guard::{Guard, GuardConfig, OnLimit, Outcome, Step, Verdict};
#[cfg(target_has_atomic = "64")]
pub use rate_limit::SharedRateLimiter;
pub use rate_limit::{Quota, RateLimiter};
pub use retry::{BudgetConfig, Jitter, RetryPolicy, StopReason};
pub use time::{Clock, Instant, Sleeper};
pub use units::PerMille;
