//! Try again: how often, when, and when to stop.
//!
//! For one call that may fail for a reason that passes. The machine is told each failure and
//! answers with the instant of the next attempt, or with why there is none.
//!
//! ```text
//!   failure { kind, hint } ──▶ kind retried? ─▶ attempts left? ─▶ hint bearable? ─▶ fits give_up_after
//!                                                                          and the deadline? ─▶ budget pays?
//!                     no, at any of them ──▶ Stop(reason)       yes to all ──▶ RetryAt(instant)
//! ```
//!
//! # Rules
//! - What is retried is decided by the [kind of the fault](crate::fault), never by its text.
//! - The delay is that of [`backoff`]. A server's hint `h` makes it `clamp(h, d, d + 5 s)`: a hint
//!   never shortens a delay, and a longer one than `max_hint` stops the call and is returned
//!   (AWS SDK retry 2.1).
//! - Nothing sleeps past the deadline, and nothing is started that cannot finish: with less than
//!   `min_attempt` left after the delay the call stops at once.
//! - The [`budget`] is asked last, before the wait. A first retry of a request that never left
//!   costs nothing.

pub mod backoff;
pub mod budget;
mod policy;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

use rand_core::Rng;

pub use backoff::{Backoff, Jitter};
pub use budget::{BudgetConfig, BudgetSnapshot, Receipt, RetryBudget};
pub use policy::RetryPolicy;

use crate::fault::FaultKind;
use crate::time::Instant;

/// Why a call ended without success.
///
/// [`by_guard`](Self::by_guard) tells the guard's own refusals from what the dependency answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum StopReason {
    /// Every attempt the policy allows was made.
    AttemptsExhausted,
    /// Asking again would get the same answer.
    Permanent,
    /// The request was sent, no answer came, and the call is not declared idempotent.
    NotIdempotent,
    /// A layer below already retried and gave up.
    Overloaded,
    /// The server asked for a longer wait than the policy bears.
    HintTooLong {
        /// What it asked for.
        asked: Duration,
    },
    /// The next attempt would be later than `give_up_after` allows.
    GaveUp,
    /// The next attempt could not finish before the deadline.
    Deadline,
    /// The retry budget is empty.
    Budget,
    /// The circuit is open.
    Breaker {
        /// When it admits a probe, where that is known.
        retry_at: Option<Instant>,
    },
    /// The rate limiter has no permit, and the call does not wait for one.
    RateLimit {
        /// When there is one, if there ever is.
        not_before: Option<Instant>,
    },
    /// Every slot of the bulkhead is taken.
    Bulkhead,
}

impl StopReason {
    /// The name in logs, traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Permanent => "permanent",
            Self::NotIdempotent => "not_idempotent",
            Self::Overloaded => "overloaded",
            Self::HintTooLong { .. } => "hint_too_long",
            Self::GaveUp => "gave_up",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
            Self::Breaker { .. } => "breaker",
            Self::RateLimit { .. } => "rate_limit",
            Self::Bulkhead => "bulkhead",
        }
    }

    /// Whether the guard ended the call by its own decision, rather than by the dependency's last
    /// answer.
    #[must_use]
    pub const fn by_guard(self) -> bool {
        match self {
            Self::Deadline
            | Self::Budget
            | Self::Breaker { .. }
            | Self::RateLimit { .. }
            | Self::Bulkhead => true,
            Self::AttemptsExhausted
            | Self::Permanent
            | Self::NotIdempotent
            | Self::Overloaded
            | Self::HintTooLong { .. }
            | Self::GaveUp => false,
        }
    }
}

impl StopReason {
    /// What the layer above should make of it. Retries multiply: `k` layers of three attempts are
    /// `3^k` requests. What a guard gave up on is therefore [`FaultKind::Overloaded`] for the
    /// guard above, which leaves it alone.
    #[must_use]
    pub const fn fault_above(self) -> FaultKind {
        match self {
            Self::Permanent => FaultKind::Permanent,
            Self::NotIdempotent => FaultKind::Unknown,
            Self::AttemptsExhausted
            | Self::Overloaded
            | Self::HintTooLong { .. }
            | Self::GaveUp
            | Self::Deadline
            | Self::Budget
            | Self::Breaker { .. }
            | Self::RateLimit { .. }
            | Self::Bulkhead => FaultKind::Overloaded,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttemptsExhausted => f.write_str("every attempt was made"),
            Self::Permanent => f.write_str("the fault is permanent"),
            Self::NotIdempotent => f.write_str("it may have taken effect, and is not idempotent"),
            Self::Overloaded => f.write_str("a layer below already gave up"),
            Self::HintTooLong { asked } => write!(f, "the server asked for a wait of {asked:?}"),
            Self::GaveUp => f.write_str("the time for retries is over"),
            Self::Deadline => f.write_str("the deadline leaves no time"),
            Self::Budget => f.write_str("the retry budget is empty"),
            Self::Breaker { retry_at: Some(at) } => write!(f, "the circuit is open until {at}"),
            Self::Breaker { retry_at: None } => f.write_str("the circuit is not closed"),
            Self::RateLimit { not_before: Some(at) } => write!(f, "the rate limit has no permit until {at}"),
            Self::RateLimit { not_before: None } => f.write_str("the rate limit never has that many permits"),
            Self::Bulkhead => f.write_str("every slot of the bulkhead is taken"),
        }
    }
}

/// A failed attempt, as the machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// What went wrong.
    pub kind: FaultKind,
    /// How long the server asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// What to do after a failure.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// Attempt again at this instant; the receipt is what that costs.
    RetryAt(Instant, Option<Receipt>),
    /// Do not.
    Stop(StopReason),
}

/// What bounds a call besides its policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bounds {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
}

/// The retries of one call. See the [module](self) for the rules.
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::draw::SplitMix64;
/// use crossbridge_core::retry::{Bounds, Decision, Failure, Retry};
/// use crossbridge_core::{BudgetConfig, FaultKind, Instant, Jitter, RetryPolicy, StopReason, retry::RetryBudget};
///
/// let policy = RetryPolicy::DEFAULT.attempts(2).jitter(Jitter::None);
/// let mut budget = RetryBudget::new(BudgetConfig::UNLIMITED)?;
/// let mut retry = Retry::new(&policy);
/// let reset = Failure { kind: FaultKind::Transient, retry_after: None };
/// let now = Instant::from_nanos(0);
///
/// let first = retry.on_failure(now, reset, &policy, Bounds::default(), &mut budget, &mut SplitMix64::new(1));
/// assert!(matches!(first, Decision::RetryAt(at, _) if at == now.saturating_add(Duration::from_millis(500))));
/// let second = retry.on_failure(now, reset, &policy, Bounds::default(), &mut budget, &mut SplitMix64::new(1));
/// assert_eq!(second, Decision::Stop(StopReason::AttemptsExhausted));
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Retry {
    failures: u32,
    first_failure: Instant,
    backoff: Backoff,
}

impl Retry {
    /// Before the first attempt.
    #[must_use]
    pub const fn new(policy: &RetryPolicy) -> Self {
        Self {
            failures: 0,
            first_failure: Instant::ZERO,
            backoff: Backoff::new(policy),
        }
    }

    /// Attempts that failed so far.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// An attempt failed at `now`. One draw, unless the jitter is `None` or the call stops before
    /// a delay is needed.
    pub fn on_failure<R: Rng + ?Sized>(
        &mut self,
        now: Instant,
        failure: Failure,
        policy: &RetryPolicy,
        bounds: Bounds,
        budget: &mut RetryBudget,
        rng: &mut R,
    ) -> Decision {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            self.first_failure = now;
        }
        match failure.kind {
            FaultKind::Permanent => return Decision::Stop(StopReason::Permanent),
            FaultKind::Overloaded if !policy.retry_exhausted => {
                return Decision::Stop(StopReason::Overloaded);
            }
            FaultKind::Unknown if !bounds.idempotent => return Decision::Stop(StopReason::NotIdempotent),
            FaultKind::NotSent
            | FaultKind::Transient
            | FaultKind::Throttled
            | FaultKind::Unknown
            | FaultKind::Overloaded => {}
        }
        if self.failures >= policy.attempts {
            return Decision::Stop(StopReason::AttemptsExhausted);
        }
        if let Some(asked) = failure.retry_after.filter(|&asked| asked > policy.max_hint) {
            return Decision::Stop(StopReason::HintTooLong { asked });
        }
        let throttled = failure.kind == FaultKind::Throttled;
        let delay = self.backoff.next_delay(policy, throttled, rng);
        let delay = failure.retry_after.map_or(delay, |asked| {
            delay.max(asked.min(delay.saturating_add(MAX_HINT_EXTRA)))
        });
        let at = now.saturating_add(delay);
        if self.too_late(at, policy) {
            return Decision::Stop(StopReason::GaveUp);
        }
        if !fits(at, policy.min_attempt, bounds.deadline) {
            return Decision::Stop(StopReason::Deadline);
        }
        // A request that never left put no load on the server.
        if failure.kind == FaultKind::NotSent && self.failures == 1 {
            return Decision::RetryAt(at, None);
        }
        match budget.withdraw(now, failure.kind) {
            Some(receipt) => Decision::RetryAt(at, Some(receipt)),
            None => Decision::Stop(StopReason::Budget),
        }
    }

    /// Whether a retry at `at` would start later than `give_up_after` allows.
    pub(crate) fn too_late(&self, at: Instant, policy: &RetryPolicy) -> bool {
        let limit = policy.give_up_after.filter(|_| self.failures > 0);
        limit.is_some_and(|span| at > self.first_failure.saturating_add(span))
    }

    /// The clock stepped back: see [`crate::time`].
    pub(crate) fn rebase(&mut self, step: Duration) {
        self.first_failure = self.first_failure.saturating_sub(step);
    }
}

/// Whether an attempt that starts at `at` has its least time before the deadline.
pub(crate) fn fits(at: Instant, min_attempt: Duration, deadline: Option<Instant>) -> bool {
    let least = min_attempt.max(Duration::from_nanos(1));
    deadline.is_none_or(|deadline| deadline.saturating_duration_since(at) >= least)
}

/// A hint adds at most this to a delay (`aws-smithy-runtime`, `strategy/standard.rs`).
const MAX_HINT_EXTRA: Duration = Duration::from_secs(5);
