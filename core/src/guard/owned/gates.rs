//! What a call asks of an owned guard.

use core::borrow::Borrow;

use rand_core::Rng;

use super::Guard;
use crate::breaker::{self, BreakerState};
use crate::event::{Event, Observer};
use crate::fault::FaultKind;
use crate::guard::gates::{Gates, sealed::Sealed};
use crate::guard::{Outcome, Policies};
use crate::health::HealthChange;
use crate::rate_limit::Answer;
use crate::retry::{Bounds, Budget, BudgetRules, Decision, Failure, Receipt, Retry, StopReason, Tokens};
use crate::time::Instant;

impl<O: Observer, P: Borrow<Policies>, const ANNEX: usize> Guard<O, P, ANNEX> {
    /// One permit of the limiter.
    fn take_permit(&mut self, now: Instant) -> Result<(), StopReason> {
        match self.level.take(&self.policies.borrow().quota, now) {
            Answer::Granted => Ok(()),
            Answer::NotBefore(at) => Err(StopReason::RateLimit { not_before: Some(at) }),
            Answer::Never => Err(StopReason::RateLimit { not_before: None }),
        }
    }

    /// Somebody else was here.
    #[cfg(test)]
    pub(in crate::guard) fn spend_permits(&mut self, now: Instant, n: u32) {
        for _ in 0..n {
            let _ = self.level.take(&self.policies.borrow().quota, now);
        }
    }

    /// Lets the breaker's deadlines that have passed take effect.
    #[inline]
    fn turn_breaker(&mut self, now: Instant) {
        let rules = &self.policies.borrow().breaker;
        let before = self.circuit.state(rules);
        self.circuit.handle_timeout(rules, now);
        self.report_breaker(now, before);
    }

    #[inline]
    fn report_breaker(&self, now: Instant, from: BreakerState) {
        let to = self.breaker_state();
        if from != to {
            self.observer.on_event(now, &Event::BreakerChanged { from, to });
        }
    }

    /// A real call is evidence for the target's health.
    #[inline]
    fn witness(&mut self, now: Instant, started: Instant, outcome: Outcome) {
        let policies = self.policies.borrow();
        // The rules first: they are at hand, and of what is not watched the state need not be read.
        if let Some(rules) = &policies.health
            && let Some(vitals) = &mut self.vitals
        {
            let took = now.as_nanos().saturating_sub(started.as_nanos());
            let evidence = outcome.evidence(took >= policies.slow_call);
            if let Some(HealthChange { from, to, .. }) = vitals.observe(rules, now, evidence) {
                self.observer.on_event(now, &Event::HealthChanged { from, to });
            }
        }
    }
}

impl<O, P, const ANNEX: usize> Sealed for &mut Guard<O, P, ANNEX> {}

impl<O: Observer, P: Borrow<Policies>, const ANNEX: usize> Gates for &mut Guard<O, P, ANNEX> {
    type Observer = O;

    #[inline]
    fn policies(&self) -> &Policies {
        self.policies.borrow()
    }

    #[inline]
    fn observer(&self) -> &O {
        &self.observer
    }

    /// The breaker is asked first and taken from last: the probe that half opens a circuit is one
    /// that will be sent.
    fn admit(&mut self, now: Instant) -> Result<breaker::Permit, StopReason> {
        self.turn_breaker(now);
        if let Err(refused) = self.circuit.has_room(&self.policies.borrow().breaker, now) {
            return Err(StopReason::Breaker {
                retry_at: refused.retry_at,
            });
        }
        self.take_permit(now)?;
        let policies = self.policies.borrow();
        if self.in_flight >= policies.limit {
            self.level.refund(&policies.quota);
            return Err(StopReason::Bulkhead);
        }
        let before = self.circuit.state(&policies.breaker);
        match self.circuit.admit(&policies.breaker, now) {
            Ok(permit) => {
                self.in_flight += 1;
                self.report_breaker(now, before);
                Ok(permit)
            }
            // It has just said yes; if it ever said no, nothing would be kept.
            Err(refused) => {
                self.level.refund(&policies.quota);
                Err(StopReason::Breaker {
                    retry_at: refused.retry_at,
                })
            }
        }
    }

    #[inline]
    fn admit_quickly(&mut self, now: Instant) -> Option<breaker::Permit> {
        let policies = self.policies.borrow();
        let level = self.level.take_quickly(&policies.quota, now)?;
        if self.in_flight >= policies.limit {
            return None;
        }
        let permit = self.circuit.admit_quickly(&policies.breaker, now)?;
        self.level = level;
        self.in_flight += 1;
        Some(permit)
    }

    #[inline]
    fn settle(&mut self, now: Instant, started: Instant, admitted: breaker::Permit, outcome: Outcome) {
        let rules = &self.policies.borrow().breaker;
        let before = self.circuit.state(rules);
        self.circuit.settle(rules, now, admitted, outcome.settled());
        self.report_breaker(now, before);
        self.release_lost();
        self.witness(now, started, outcome);
    }

    #[inline]
    fn on_failure<R: Rng + ?Sized>(
        &mut self,
        now: Instant,
        retry: &mut Option<Retry>,
        failure: Failure,
        bounds: Bounds,
        rng: &mut R,
    ) -> Decision {
        let policies = self.policies.borrow();
        let mut purse = Purse {
            tokens: &mut self.tokens,
            rules: &policies.budget,
        };
        let retry = retry.get_or_insert_with(|| Retry::new(&policies.retry));
        retry.on_failure(now, failure, &policies.retry, bounds, &mut purse, rng)
    }

    #[inline]
    fn on_first_success(&mut self) {
        self.tokens.on_first_success(&self.policies.borrow().budget);
    }

    #[inline]
    fn on_retry_success(&mut self, receipt: Receipt) {
        self.tokens
            .on_retry_success(&self.policies.borrow().budget, receipt);
    }

    #[inline]
    fn on_retry_failure(&mut self, receipt: Receipt) {
        self.tokens
            .on_retry_failure(&self.policies.borrow().budget, receipt);
    }

    #[inline]
    fn refund(&mut self, receipt: Receipt) {
        self.tokens.refund(&self.policies.borrow().budget, receipt);
    }

    #[inline]
    fn on_end(&mut self) {
        self.tokens.on_end(&self.policies.borrow().budget);
    }

    #[inline]
    fn release_lost(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// Where an owned guard's retries are paid from.
struct Purse<'g> {
    tokens: &'g mut Tokens,
    rules: &'g BudgetRules,
}

impl Budget for Purse<'_> {
    fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        self.tokens.withdraw(self.rules, now, kind)
    }
}
