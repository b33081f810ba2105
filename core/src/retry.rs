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
//! - `give_up_after` counts from the first failure, the deadline from wherever the caller says. Both
//!   are asked again when the retry is due: [`Retry::too_late`], [`RetryRules::fits`].
//!
//! | | default | range |
//! |---|---|---|
//! | policy | [`RetryPolicy::DEFAULT`]: 3 attempts, 500 ms, doubled up to 5 s, full jitter | see there |
//! | longest hint | 60 s | at most a day |
//! | give up after | never | any span |
//! | least attempt | 1 ns | any span |
//! | budget | none: retries are free | [`BudgetConfig`] |
//! | deadline, idempotent | none, no | [`Bounds`] |
//!
//! # Example
//! [`RetryRules::call`] is the whole loop for blocking code, [`Retry`] the machine inside it for
//! any other.
//!
//! ```
//! use crossbridge_core::draw::SplitMix64;
//! use crossbridge_core::retry::{RetryBudget, RetryRules};
//! use crossbridge_core::testing::ManualClock;
//! use crossbridge_core::{BudgetConfig, Clock, FaultKind, RetryPolicy};
//!
//! let rules = RetryRules::new(RetryPolicy::DEFAULT)?;
//! let mut budget = RetryBudget::new(BudgetConfig::AWS)?;
//! let (clock, mut rng) = (ManualClock::new(), SplitMix64::new(7));
//! let mut sleeper = &clock; // sleeping moves the clock
//!
//! let answer = rules.paid_by(&mut budget).call(&clock, &mut sleeper, &mut rng, |attempt| {
//!     if attempt.number() < 2 { Err(FaultKind::Transient) } else { Ok("rows") }
//! });
//! assert_eq!(answer, Ok("rows"));
//! assert!(clock.now().as_nanos() <= 500_000_000); // one delay, with full jitter
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

pub mod backoff;
pub mod budget;
mod call;
mod policy;
mod rules;
mod stop;
#[cfg(test)]
mod tests;

use core::time::Duration;

use rand_core::Rng;

pub use backoff::{Backoff, Jitter};
#[cfg(target_has_atomic = "64")]
pub use budget::SharedRetryBudget;
pub(crate) use budget::Tokens;
pub use budget::{
    Budget, BudgetConfig, BudgetRules, BudgetSnapshot, Concurrency, Receipt, Reserve, RetryBudget,
};
pub use call::{Attempt, Retrying};
pub use policy::RetryPolicy;
pub use rules::RetryRules;
pub use stop::StopReason;

use crate::fault::FaultKind;
use crate::time::{Instant, nanos};

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
/// use crossbridge_core::retry::{Bounds, Decision, Failure, Retry, RetryRules};
/// use crossbridge_core::{BudgetConfig, FaultKind, Instant, Jitter, RetryPolicy, StopReason, retry::RetryBudget};
///
/// let rules = RetryRules::new(RetryPolicy::DEFAULT.attempts(2).jitter(Jitter::None))?;
/// let mut budget = RetryBudget::new(BudgetConfig::UNLIMITED)?;
/// let mut retry = Retry::new(&rules);
/// let reset = Failure { kind: FaultKind::Transient, retry_after: None };
/// let now = Instant::from_nanos(0);
///
/// let first = retry.on_failure(now, reset, &rules, Bounds::default(), &mut budget, &mut SplitMix64::new(1));
/// assert!(matches!(first, Decision::RetryAt(at, _) if at == now.saturating_add(Duration::from_millis(500))));
/// let second = retry.on_failure(now, reset, &rules, Bounds::default(), &mut budget, &mut SplitMix64::new(1));
/// assert_eq!(second, Decision::Stop(StopReason::AttemptsExhausted));
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Retry {
    first_failure: Instant,
    backoff: Backoff,
    failures: u32,
}

impl Retry {
    /// Before the first attempt.
    #[must_use]
    pub const fn new(rules: &RetryRules) -> Self {
        Self {
            first_failure: Instant::ZERO,
            backoff: Backoff::new(rules),
            failures: 0,
        }
    }

    /// Attempts that failed so far.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// An attempt failed at `now`. One draw, unless the jitter is `None` or the call stops before
    /// a delay is needed.
    pub fn on_failure<B: Budget + ?Sized, R: Rng + ?Sized>(
        &mut self,
        now: Instant,
        failure: Failure,
        rules: &RetryRules,
        bounds: Bounds,
        budget: &mut B,
        rng: &mut R,
    ) -> Decision {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            self.first_failure = now;
        }
        match failure.kind {
            FaultKind::Permanent => return Decision::Stop(StopReason::Permanent),
            FaultKind::Overloaded if !rules.retry_exhausted => {
                return Decision::Stop(StopReason::Overloaded);
            }
            FaultKind::Unknown if !bounds.idempotent => return Decision::Stop(StopReason::NotIdempotent),
            FaultKind::NotSent
            | FaultKind::Transient
            | FaultKind::Throttled
            | FaultKind::Unknown
            | FaultKind::Overloaded => {}
        }
        if self.failures >= rules.attempts {
            return Decision::Stop(StopReason::AttemptsExhausted);
        }
        let hint = match failure.retry_after {
            None => 0,
            Some(asked) => match nanos(asked) {
                long if long > rules.max_hint => return Decision::Stop(StopReason::HintTooLong { asked }),
                bearable => bearable,
            },
        };
        let throttled = failure.kind == FaultKind::Throttled;
        let delay = self.backoff.next_nanos(rules, throttled, rng);
        // Never shorter for the hint. Delays end at a day: the sum does not overflow.
        let delay = delay.max(hint.min(delay.saturating_add(MAX_HINT_EXTRA)));
        let at = now.saturating_add_nanos(delay);
        if self.too_late(at, rules) {
            return Decision::Stop(StopReason::GaveUp);
        }
        if !rules.fits(at, bounds.deadline) {
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

    /// Whether a retry that starts at `at` starts later than `give_up_after` allows. Ask again
    /// when it is due: whoever drives the call may come late.
    #[must_use]
    pub const fn too_late(&self, at: Instant, rules: &RetryRules) -> bool {
        let end = self.first_failure.as_nanos().saturating_add(rules.give_up_after);
        self.failures > 0 && at.as_nanos() > end
    }

    /// The clock stepped back: see [`crate::time`].
    pub(crate) fn rebase(&mut self, step: Duration) {
        self.first_failure = self.first_failure.saturating_sub(step);
    }
}

/// A hint adds at most this to a delay, in nanoseconds (`aws-smithy-runtime`,
/// `strategy/standard.rs`).
const MAX_HINT_EXTRA: u64 = 5_000_000_000;
