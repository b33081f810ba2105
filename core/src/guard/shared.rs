//! The guard of many threads.

use rand_core::Rng;

use super::gates::{Gates, sealed::Sealed};
use super::{Call, CallState, GuardConfig, GuardSnapshot, Outcome, Policies};
use crate::ConfigError;
use crate::breaker::{self, BreakerState, Refused, Settled, SharedCircuit};
use crate::bulkhead::BulkheadConfig;
use crate::bulkhead::shared::{SharedBulkhead, SharedSlot};
use crate::event::{Event, Observer};
use crate::health::{Health, HealthChange, SharedMonitorState};
use crate::rate_limit::{Answer, SharedRateLimiter};
use crate::retry::{Bounds, Decision, Failure, Receipt, Retry, SharedRetryBudget, StopReason};
use crate::snapshot::{RestoreError, VERSION};
use crate::time::Instant;

/// The guard of one call path, shared by threads without a lock.
///
/// ```text
///   a call that goes well, beside loads:
///     bulkhead  + 1 ─▶ limiter  one compare-and-swap ─▶ …the attempt… ─▶ bulkhead  - 1
///     breaker, budget, health: nothing to write while they are closed, full and steady
/// ```
///
/// # Rules
/// - Those of the [module](super); each call is a machine of its own thread and the gates are
///   shared. Alone it answers like a [`Guard`](super::Guard).
/// - All or none under threads too: what a lost race took is given back. The permit of the limiter is
///   taken last, since it alone cannot be given back to the nanosecond.
/// - Each change of circuit and health is told once, by the thread that caused it.
/// - Three read-modify-writes for a call that goes well, five at most: the budget's where calls earn
///   something, the breaker's while its window holds failures.
///
/// The targets are those with 64-bit atomics; not for interrupt handlers, see
/// [`SharedBreaker`](crate::breaker::SharedBreaker).
///
/// ```
/// use crossbridge_core::draw::SplitMix64;
/// use crossbridge_core::guard::SharedGuard;
/// use crossbridge_core::testing::ManualClock;
/// use crossbridge_core::{FaultKind, GuardConfig};
///
/// static STORAGE: SharedGuard = match SharedGuard::new(GuardConfig::DEFAULT) {
///     Ok(guard) => guard,
///     Err(_) => panic!("the defaults are accepted"),
/// };
/// std::thread::scope(|scope| {
///     for seed in 0..4 {
///         scope.spawn(move || {
///             let clock = ManualClock::new();
///             let mut rng = SplitMix64::new(seed);
///             let answer = STORAGE.call(&clock, &mut &clock, &mut rng, |_| Ok::<_, FaultKind>(42));
///             assert_eq!(answer, Ok(42));
///         });
///     }
/// });
/// assert_eq!(STORAGE.in_flight(), 0);
/// ```
#[derive(Debug)]
pub struct SharedGuard<O = ()> {
    limiter: SharedRateLimiter,
    circuit: SharedCircuit,
    bulkhead: SharedBulkhead,
    budget: SharedRetryBudget,
    vitals: SharedMonitorState,
    policies: Policies,
    observer: O,
}

impl SharedGuard {
    /// A guard that tells nobody.
    ///
    /// # Errors
    /// The first policy that is refused.
    pub const fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        Self::with_observer(config, ())
    }
}

impl<O> SharedGuard<O> {
    /// A guard that tells `observer` what happens.
    ///
    /// # Errors
    /// The first policy that is refused.
    pub const fn with_observer(config: GuardConfig, observer: O) -> Result<Self, ConfigError>
    where
        O: Copy,
    {
        let policies = match Policies::new(config) {
            Ok(policies) => policies,
            Err(refused) => return Err(refused),
        };
        let bulkhead = match SharedBulkhead::new(BulkheadConfig {
            limit: policies.limit,
        }) {
            Ok(bulkhead) => bulkhead,
            Err(refused) => return Err(refused),
        };
        Ok(Self {
            limiter: SharedRateLimiter::new(policies.quota),
            circuit: SharedCircuit::new(&policies.breaker),
            bulkhead,
            budget: SharedRetryBudget::under(policies.budget),
            vitals: SharedMonitorState::new(),
            policies,
            observer,
        })
    }

    /// The policies it keeps.
    #[must_use]
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The state of its circuit, unless somebody changes it.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.circuit.state(&self.policies.breaker)
    }

    /// The health of its target, where it is watched.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.policies
            .health
            .as_ref()
            .map(|rules| self.vitals.health(rules))
    }

    /// Permits its limiter has at `now`, unless somebody takes them.
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
    pub fn in_flight(&self) -> u32 {
        self.bulkhead.in_flight()
    }

    /// The observer.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }
}

impl<O> SharedGuard<O> {
    /// The state at `now`, as [`Guard::snapshot`](super::Guard::snapshot) gives it. Taken while
    /// others go on, each machine is as it was at some instant meanwhile.
    pub fn snapshot(&self, now: Instant) -> GuardSnapshot {
        let policies = &self.policies;
        GuardSnapshot {
            version: VERSION,
            limiter: self.limiter.snapshot(now),
            breaker: self.circuit.snapshot(&policies.breaker, now),
            budget: self.budget.snapshot(now),
            health: policies
                .health
                .as_ref()
                .map(|rules| self.vitals.snapshot(rules, now)),
        }
    }

    /// The guard that was taken a snapshot of, shared or owned, at `now`.
    ///
    /// # Errors
    /// See [`Guard::restore`](super::Guard::restore).
    pub fn restore(
        policies: Policies,
        observer: O,
        from: &GuardSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        from.check(&policies)?;
        let bulkhead = BulkheadConfig {
            limit: policies.limit,
        };
        Ok(Self {
            limiter: SharedRateLimiter::restore(policies.quota, &from.limiter, now)?,
            circuit: SharedCircuit::restore(&policies.breaker, &from.breaker, now)?,
            bulkhead: SharedBulkhead::new(bulkhead).map_err(RestoreError::of)?,
            budget: SharedRetryBudget::restore_under(policies.budget, &from.budget, now)?,
            vitals: match (&policies.health, &from.health) {
                (Some(rules), Some(health)) => SharedMonitorState::restore(rules, health, now)?,
                _ => SharedMonitorState::new(),
            },
            policies,
            observer,
        })
    }
}

impl<O: Observer> SharedGuard<O> {
    /// Begins a call that should be over by `deadline`, or by the policy's own, whichever is
    /// earlier.
    #[inline]
    pub fn begin(&self, now: Instant, deadline: Option<Instant>) -> Call<&Self> {
        Call::new(self, self.begin_detached(now, deadline))
    }

    /// Begins a call that does not borrow the guard. Drive it with this guard and no other, and end
    /// each one that is given up with [`CallState::cancel`].
    #[inline]
    pub fn begin_detached(&self, now: Instant, deadline: Option<Instant>) -> CallState {
        self.budget.on_call(now);
        CallState::new(&self.policies, now, deadline)
    }

    /// Tells a change of the circuit.
    fn tell(&self, now: Instant) -> impl FnOnce(BreakerState, BreakerState) {
        move |from, to| self.observer.on_event(now, &Event::BreakerChanged { from, to })
    }

    /// Everything but the limiter's permit.
    fn take_slot(&self, now: Instant) -> Result<(breaker::Permit, SharedSlot), StopReason> {
        let rules = &self.policies.breaker;
        let refused = |refused: Refused| StopReason::Breaker {
            retry_at: refused.retry_at,
        };
        self.circuit.handle_timeout(rules, now, self.tell(now));
        self.circuit.has_room(rules, now).map_err(refused)?;
        // Asked before anything is taken: the probe that half opens a circuit should be sent.
        if let Err(refused) = by_limiter(self.limiter.would_grant(now, 1)) {
            self.limiter.note_step_back(now);
            return Err(refused);
        }
        let slot = self.bulkhead.try_acquire().ok_or(StopReason::Bulkhead)?;
        match self.circuit.admit(rules, now, self.tell(now)) {
            Ok(permit) => Ok((permit, slot)),
            Err(no) => {
                self.bulkhead.release(slot);
                Err(refused(no))
            }
        }
    }

    /// A real call is evidence for the target's health.
    #[inline]
    fn witness(&self, now: Instant, started: Instant, outcome: Outcome) {
        if let Some(rules) = &self.policies.health {
            let took = now.as_nanos().saturating_sub(started.as_nanos());
            let evidence = outcome.evidence(took >= self.policies.slow_call);
            if let Some(HealthChange { from, to, .. }) = self.vitals.observe(rules, now, evidence) {
                self.observer.on_event(now, &Event::HealthChanged { from, to });
            }
        }
    }
}

const fn by_limiter(answer: Answer) -> Result<(), StopReason> {
    match answer {
        Answer::Granted => Ok(()),
        Answer::NotBefore(at) => Err(StopReason::RateLimit { not_before: Some(at) }),
        Answer::Never => Err(StopReason::RateLimit { not_before: None }),
    }
}

impl<O> Sealed for &SharedGuard<O> {}

impl<O: Observer> Gates for &SharedGuard<O> {
    type Observer = O;

    #[inline]
    fn policies(&self) -> &Policies {
        &self.policies
    }

    #[inline]
    fn observer(&self) -> &O {
        &self.observer
    }

    fn admit(&mut self, now: Instant) -> Result<breaker::Permit, StopReason> {
        let (permit, slot) = self.take_slot(now)?;
        match by_limiter(self.limiter.check(now, 1)) {
            Ok(()) => {
                let _in_flight = slot;
                Ok(permit)
            }
            Err(faster) => {
                let rules = &self.policies.breaker;
                self.circuit
                    .settle(rules, now, permit, Settled::Neutral, self.tell(now));
                self.bulkhead.release(slot);
                Err(faster)
            }
        }
    }

    #[inline]
    fn admit_quickly(&mut self, now: Instant) -> Option<breaker::Permit> {
        let permit = self.circuit.admit_quickly(&self.policies.breaker, now)?;
        let slot = self.bulkhead.try_acquire()?;
        match self.limiter.check(now, 1) {
            Answer::Granted => Some(permit),
            Answer::NotBefore(_) | Answer::Never => {
                self.bulkhead.release(slot);
                None
            }
        }
    }

    #[inline]
    fn settle(&mut self, now: Instant, started: Instant, admitted: breaker::Permit, outcome: Outcome) {
        let rules = &self.policies.breaker;
        self.circuit
            .settle(rules, now, admitted, outcome.settled(), self.tell(now));
        self.bulkhead.release_lost();
        self.witness(now, started, outcome);
    }

    fn on_failure<R: Rng + ?Sized>(
        &mut self,
        now: Instant,
        retry: &mut Option<Retry>,
        failure: Failure,
        bounds: Bounds,
        rng: &mut R,
    ) -> Decision {
        let rules = &self.policies.retry;
        let retry = retry.get_or_insert_with(|| Retry::new(rules));
        retry.on_failure(now, failure, rules, bounds, &mut &self.budget, rng)
    }

    #[inline]
    fn on_first_success(&mut self) {
        self.budget.on_first_success();
    }

    #[inline]
    fn on_retry_success(&mut self, receipt: Receipt) {
        self.budget.on_retry_success(receipt);
    }

    #[inline]
    fn on_retry_failure(&mut self, receipt: Receipt) {
        self.budget.on_retry_failure(receipt);
    }

    #[inline]
    fn refund(&mut self, receipt: Receipt) {
        self.budget.refund(receipt);
    }

    #[inline]
    fn on_end(&mut self) {
        self.budget.on_end();
    }

    #[inline]
    fn release_lost(&mut self) {
        self.bulkhead.release_lost();
    }
}
