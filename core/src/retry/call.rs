//! Retrying alone: the blocking loop for whoever needs no guard.
//!
//! ```text
//!   attempt 1 ──ok──▶ value                                        nothing else was done
//!      │ failed                                                    from here on out of line
//!      ▼
//!   decide ──Stop(reason)──▶ CallError
//!      ▲ │ RetryAt(at)
//!      │ └─▶ sleep until at ──▶ still in time? ──no──▶ the price is given back, CallError
//!      │                            │ yes
//!      └────── failed ──────── attempt n ──ok──▶ value
//! ```
//!
//! # Rules
//! - A call that succeeds at once costs what the call costs: no clock is read and nothing is drawn.
//!   With a [`Budget`] the clock is read once, for budgets earn by time.
//! - The first attempt is always made, even past the deadline.
//! - Whoever comes late from the sleep is judged again: past `give_up_after` or the deadline nothing
//!   is sent, and what the retry cost is given back.
//! - A clock that steps back lengthens no wait: see [`crate::time`].
//! - A call that panics is over for its budget.

use core::time::Duration;

use rand_core::Rng;

use super::{Bounds, Budget, Decision, Failure, Retry, RetryBudget, RetryRules, StopReason};
use crate::drive::CallError;
use crate::fault::Fault;
use crate::time::{Clock, Instant, LastSeen, Sleeper};

/// One attempt, as the closure is handed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Attempt {
    number: u32,
    deadline: Option<Instant>,
}

impl Attempt {
    /// Its number; 1 for the first.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// When the caller stops waiting.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Calls that are retried by the same rules, within bounds and at a budget's expense: see
/// [`RetryRules::within`] and [`RetryRules::paid_by`].
#[derive(Debug)]
pub struct Retrying<'r, B: Budget = &'r mut RetryBudget> {
    rules: &'r RetryRules,
    bounds: Bounds,
    budget: Option<B>,
}

impl RetryRules {
    /// Calls `attempt` until it succeeds or the rules say stop, sleeping in between.
    ///
    /// # Errors
    /// The last error, with the number of attempts, the time slept and the reason.
    ///
    /// ```
    /// use crossbridge_core::draw::SplitMix64;
    /// use crossbridge_core::retry::RetryRules;
    /// use crossbridge_core::testing::ManualClock;
    /// use crossbridge_core::{Clock, FaultKind, Jitter, RetryPolicy};
    ///
    /// let rules = RetryRules::new(RetryPolicy::DEFAULT.jitter(Jitter::None))?;
    /// let clock = ManualClock::new();
    /// let mut sleeper = &clock; // sleeping moves the clock
    ///
    /// let answer = rules.call(&clock, &mut sleeper, &mut SplitMix64::new(7), |attempt| {
    ///     if attempt.number() < 3 { Err(FaultKind::Transient) } else { Ok("rows") }
    /// });
    /// assert_eq!(answer, Ok("rows"));
    /// assert_eq!(clock.now().as_nanos(), 1_500_000_000); // half a second, and a second
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    #[inline]
    pub fn call<T, E, C, S, R, F>(
        &self,
        clock: &C,
        sleeper: &mut S,
        rng: &mut R,
        attempt: F,
    ) -> Result<T, CallError<E>>
    where
        E: Fault,
        C: Clock + ?Sized,
        S: Sleeper + ?Sized,
        R: Rng + ?Sized,
        F: FnMut(Attempt) -> Result<T, E>,
    {
        self.within(Bounds::default()).call(clock, sleeper, rng, attempt)
    }

    /// Calls that have a deadline, or may be repeated when nobody knows what became of them.
    ///
    /// ```
    /// use core::time::Duration;
    /// use crossbridge_core::draw::SplitMix64;
    /// use crossbridge_core::retry::{Bounds, RetryRules};
    /// use crossbridge_core::testing::ManualClock;
    /// use crossbridge_core::{Clock, FaultKind, Jitter, RetryPolicy, StopReason};
    ///
    /// let rules = RetryRules::new(RetryPolicy::DEFAULT.jitter(Jitter::None))?;
    /// let clock = ManualClock::new();
    /// let deadline = clock.now().saturating_add(Duration::from_secs(1));
    /// let bounds = Bounds { deadline: Some(deadline), idempotent: true };
    /// let answer: Result<(), _> = rules
    ///     .within(bounds)
    ///     .call(&clock, &mut &clock, &mut SplitMix64::new(7), |_| Err(FaultKind::Unknown));
    /// let error = answer.unwrap_err();
    /// // The second retry would be due at 1.5 s.
    /// assert_eq!((error.reason, error.attempts), (StopReason::Deadline, 2));
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn within(&self, bounds: Bounds) -> Retrying<'_> {
        Retrying {
            rules: self,
            bounds,
            budget: None,
        }
    }

    /// Calls whose retries this budget pays for: `&mut budget`, or `&shared`.
    #[inline]
    #[must_use]
    pub const fn paid_by<B: Budget>(&self, budget: B) -> Retrying<'_, B> {
        Retrying {
            rules: self,
            bounds: Bounds {
                deadline: None,
                idempotent: false,
            },
            budget: Some(budget),
        }
    }
}

impl<'r, B: Budget> Retrying<'r, B> {
    /// The same within other bounds.
    #[inline]
    #[must_use]
    pub fn within(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same, paid for by another budget.
    #[inline]
    #[must_use]
    pub fn paid_by<P: Budget>(self, budget: P) -> Retrying<'r, P> {
        Retrying {
            rules: self.rules,
            bounds: self.bounds,
            budget: Some(budget),
        }
    }

    /// [`RetryRules::call`] within these bounds, at this budget's expense.
    ///
    /// # Errors
    /// The last error, with the number of attempts, the time slept and the reason.
    #[inline]
    pub fn call<T, E, C, S, R, F>(
        &mut self,
        clock: &C,
        sleeper: &mut S,
        rng: &mut R,
        mut attempt: F,
    ) -> Result<T, CallError<E>>
    where
        E: Fault,
        C: Clock + ?Sized,
        S: Sleeper + ?Sized,
        R: Rng + ?Sized,
        F: FnMut(Attempt) -> Result<T, E>,
    {
        let mut account = Account(self.budget.as_mut());
        if let Account(Some(budget)) = &mut account {
            budget.on_call(clock.now());
        }
        let first = Attempt {
            number: 1,
            deadline: self.bounds.deadline,
        };
        match attempt(first) {
            Ok(value) => {
                account.0.on_first_success();
                Ok(value)
            }
            Err(error) => {
                let under_way = UnderWay {
                    clock,
                    sleeper,
                    rules: self.rules,
                    retry: Retry::new(self.rules),
                    bounds: self.bounds,
                    due: Instant::ZERO,
                    last_seen: LastSeen::new(),
                    slept: Duration::ZERO,
                };
                under_way.again(&mut account.0, rng, attempt, error)
            }
        }
    }
}

/// A budget that is told when the call is over, if by a panic.
struct Account<B: Budget>(Option<B>);

impl<B: Budget> Drop for Account<B> {
    #[inline]
    fn drop(&mut self) {
        self.0.on_end();
    }
}

/// A call whose first attempt failed.
struct UnderWay<'c, C: ?Sized, S: ?Sized> {
    clock: &'c C,
    sleeper: &'c mut S,
    rules: &'c RetryRules,
    retry: Retry,
    bounds: Bounds,
    /// When the next attempt is.
    due: Instant,
    last_seen: LastSeen,
    slept: Duration,
}

impl<C: Clock + ?Sized, S: Sleeper + ?Sized> UnderWay<'_, C, S> {
    /// Everything after the first failure.
    #[cold]
    #[inline(never)]
    fn again<T, E, B, R, F>(
        mut self,
        budget: &mut B,
        rng: &mut R,
        mut attempt: F,
        mut last: E,
    ) -> Result<T, CallError<E>>
    where
        E: Fault,
        B: Budget,
        R: Rng + ?Sized,
        F: FnMut(Attempt) -> Result<T, E>,
    {
        let reason = loop {
            let failure = Failure {
                kind: last.kind(),
                retry_after: last.retry_after(),
            };
            let now = self.now();
            let decision = self
                .retry
                .on_failure(now, failure, self.rules, self.bounds, budget, rng);
            let receipt = match decision {
                Decision::RetryAt(at, receipt) => {
                    self.due = at;
                    receipt
                }
                Decision::Stop(reason) => break reason,
            };
            if let Err(late) = self.wait() {
                receipt.into_iter().for_each(|receipt| budget.refund(receipt));
                break late;
            }
            let next = Attempt {
                number: self.retry.failures().saturating_add(1),
                deadline: self.bounds.deadline,
            };
            match attempt(next) {
                Ok(value) => {
                    receipt
                        .into_iter()
                        .for_each(|receipt| budget.on_retry_success(receipt));
                    return Ok(value);
                }
                Err(error) => {
                    receipt
                        .into_iter()
                        .for_each(|receipt| budget.on_retry_failure(receipt));
                    last = error;
                }
            }
        };
        Err(CallError {
            last: Some(last),
            reason,
            attempts: self.retry.failures(),
            slept: self.slept,
        })
    }

    /// Sleeps until the next attempt is due. A sleeper may return early, and late: then `Err` says
    /// what it is too late for.
    fn wait(&mut self) -> Result<(), StopReason> {
        let mut now = self.now();
        while now < self.due {
            let wait = self.due.saturating_duration_since(now);
            self.slept = self.slept.saturating_add(wait);
            self.sleeper.sleep(wait);
            now = self.now();
        }
        if self.retry.too_late(now, self.rules) {
            return Err(StopReason::GaveUp);
        }
        if !self.rules.fits(now, self.bounds.deadline) {
            return Err(StopReason::Deadline);
        }
        Ok(())
    }

    /// The present. What is remembered moves back with a clock that went back.
    fn now(&mut self) -> Instant {
        let now = self.clock.now();
        if let Some(step) = self.last_seen.observe(now) {
            self.retry.rebase(step);
            self.due = self.due.saturating_sub(step);
            self.bounds.deadline = self.bounds.deadline.map(|deadline| deadline.saturating_sub(step));
        }
        now
    }
}
