//! The machine of one call.
//!
//! ```text
//!   begin ──▶ Due { at } ──▶ InFlight { timeout_at } ──▶ Failed ──▶ Due, for a retry
//!              ▲ │   │                │                    │
//!     a permit │ │   │ refused,       │ success            │ no retry
//!     is later └─┘   ▼ no time        ▼                    ▼
//!                   Done          Succeeded               Done        cancelled in any: Done
//! ```
//!
//! [`CallState`] stands apart from its guard; [`Call`] holds the guard for as long as it lasts.

mod bound;

use core::time::Duration;

use rand_core::Rng;

use super::gates::Gates;
use super::{OnLimit, Outcome, Permit, Policies, Step, Verdict};
use crate::breaker;
use crate::event::{Event, Observer};
use crate::fault::FaultKind;
use crate::retry::{Bounds, Decision, Failure, Receipt, Retry, StopReason};
use crate::time::{Instant, LastSeen};

pub use bound::Call;

/// One call under way, apart from its guard: see [`Guard::begin_detached`](super::Guard::begin_detached).
#[derive(Debug)]
pub struct CallState {
    phase: Phase,
    began: Instant,
    /// [`Instant::MAX`] where there is none.
    deadline: Instant,
    idempotent: bool,
    /// Of use from the first failure on.
    retry: Option<Retry>,
    /// What the attempt due or in flight has cost the retry budget.
    receipt: Option<Receipt>,
    attempts: u32,
    fault: Option<FaultKind>,
    last_seen: LastSeen,
}

/// Where the call is; each variant holds what exists only then.
#[derive(Debug)]
enum Phase {
    /// The next attempt is due at this instant.
    Due { at: Instant },
    /// An attempt has been handed out. [`Instant::MAX`] where it has no timeout.
    InFlight { timeout_at: Instant },
    /// The last attempt failed and nobody has asked yet what follows: that takes a draw.
    Failed(Failure),
    /// Over, with success. Apart, since to copy a verdict costs more than the rest of the poll.
    Succeeded,
    /// Over, without.
    Done(Verdict),
}

impl CallState {
    #[inline]
    pub(super) fn new(policies: &Policies, now: Instant, deadline: Option<Instant>) -> Self {
        let own = now.saturating_add_nanos(policies.deadline);
        Self {
            phase: Phase::Due { at: now },
            began: now,
            deadline: own.min(deadline.unwrap_or(Instant::MAX)),
            idempotent: policies.idempotent,
            retry: None,
            receipt: None,
            attempts: 0,
            fault: None,
            last_seen: LastSeen::at(now),
        }
    }

    /// Attempts sent so far.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the call has to be over. The end of the clock's range is no deadline.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.deadline {
            Instant::MAX => None,
            deadline => Some(deadline),
        }
    }

    /// When the call began.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Declares, for this call only, whether doing it twice is the same as doing it once.
    pub const fn set_idempotent(&mut self, idempotent: bool) {
        self.idempotent = idempotent;
    }

    /// What to do at `now`. One draw per retry decision.
    ///
    /// `guard` is the one it was begun with: `&mut Guard`, or `&SharedGuard`.
    #[inline]
    pub fn poll<G: Gates, R: Rng + ?Sized>(&mut self, mut guard: G, now: Instant, rng: &mut R) -> Step {
        self.step(&mut guard, now, rng)
    }

    // Inlined, the state of a call that goes well stays in registers.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(clippy::inline_always, reason = "half of a call's time")
    )]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn step<G: Gates, R: Rng + ?Sized>(&mut self, gates: &mut G, now: Instant, rng: &mut R) -> Step {
        if let Phase::Succeeded = self.phase {
            return Step::Done(Verdict::Succeeded);
        }
        if SHORT_WAY
            && self.is_first_attempt(now)
            && gates.policies().fits(now, self.deadline)
            && let Some(admitted) = gates.admit_quickly(now)
        {
            self.last_seen = LastSeen::at(now);
            return self.send(gates, now, admitted);
        }
        self.step_otherwise(gates, now, rng)
    }

    /// Whether nothing has happened yet, and now something may.
    #[inline]
    fn is_first_attempt(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Due { at } if now >= at)
            && self.attempts == 0
            && now >= self.last_seen.last()
    }

    /// Whatever is not a first attempt that every gate admits.
    #[cold]
    fn step_otherwise<G: Gates, R: Rng + ?Sized>(
        &mut self,
        gates: &mut G,
        now: Instant,
        rng: &mut R,
    ) -> Step {
        self.observe(now);
        if let Phase::Failed(failure) = self.phase {
            self.decide(gates, now, failure, rng);
        }
        match self.phase {
            Phase::Due { at } if now < at => Step::Wait { until: at },
            Phase::Due { .. } => self.attempt(gates, now),
            // Only an outcome moves it on: past its timeout there is no instant to name.
            Phase::InFlight { timeout_at } if timeout_at > now => Step::Wait { until: timeout_at },
            Phase::InFlight { .. } => Step::Wait { until: Instant::MAX },
            Phase::Succeeded => Step::Done(Verdict::Succeeded),
            Phase::Done(verdict) => Step::Done(verdict),
            // `decide` leaves another phase behind.
            Phase::Failed(_) => Step::Wait { until: now },
        }
    }

    /// Reports what became of the attempt.
    #[inline]
    pub fn on_outcome<G: Gates>(&mut self, mut guard: G, now: Instant, permit: Permit, outcome: Outcome) {
        self.settle(&mut guard, now, permit, outcome);
    }

    #[inline]
    fn settle<G: Gates>(&mut self, gates: &mut G, now: Instant, permit: Permit, outcome: Outcome) {
        self.observe(now);
        let number = permit.number;
        let failure = outcome.failure();
        gates.observer().on_event(
            now,
            &Event::AttemptEnded {
                number,
                fault: failure.map(|failure| failure.kind),
                took: now.saturating_duration_since(permit.started),
            },
        );
        gates.settle(now, permit.started, permit.admitted, outcome);
        if outcome == Outcome::Success && number == 1 && matches!(self.phase, Phase::InFlight { .. }) {
            gates.on_first_success();
            return self.over(gates, now, Verdict::Succeeded);
        }
        self.book(gates, now, number, outcome);
    }

    /// Every outcome but success at once.
    #[cold]
    fn book<G: Gates>(&mut self, gates: &mut G, now: Instant, number: u32, outcome: Outcome) {
        let receipt = self.receipt.take();
        if let Some(failure) = outcome.failure() {
            // The attempt was sent: what it cost is spent. A call that was given up meanwhile
            // stays over.
            if let Some(receipt) = receipt {
                gates.on_retry_failure(receipt);
            }
            if !self.is_over() {
                self.fault = Some(failure.kind);
                self.phase = Phase::Failed(failure);
            }
            return;
        }
        let success = outcome == Outcome::Success;
        match receipt {
            Some(receipt) if success => gates.on_retry_success(receipt),
            Some(receipt) => gates.refund(receipt),
            None if success && number == 1 => gates.on_first_success(),
            None => {}
        }
        let verdict = if success {
            Verdict::Succeeded
        } else {
            Verdict::Cancelled
        };
        self.end(gates, now, verdict);
    }

    /// Gives the call up. An attempt in flight is settled with its permit, by
    /// [`Outcome::Neutral`] or [`Outcome::Lost`].
    pub fn cancel<G: Gates>(&mut self, mut guard: G, now: Instant) {
        self.observe(now);
        self.end(&mut guard, now, Verdict::Cancelled);
    }

    /// Its permit is gone and can no longer be settled.
    pub(super) fn abandon<G: Gates>(&mut self, gates: &mut G) {
        if let Phase::InFlight { .. } = self.phase {
            gates.release_lost();
        }
        let now = self.last_seen.last();
        self.end(gates, now, Verdict::Cancelled);
    }

    /// Whether it needs no [`abandon`](Self::abandon).
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Done(_))
    }

    /// Admits the next attempt, or ends the call, or waits for a permit.
    fn attempt<G: Gates>(&mut self, gates: &mut G, now: Instant) -> Step {
        let policies = gates.policies();
        if !policies.fits(now, self.deadline) {
            return self.stop(gates, now, StopReason::Deadline);
        }
        if self.too_late(now, policies) {
            // It was due in time and is polled too late.
            return self.stop(gates, now, StopReason::GaveUp);
        }
        match gates.admit(now) {
            Ok(admitted) => self.send(gates, now, admitted),
            Err(refused) => self.on_refusal(gates, now, refused),
        }
    }

    /// Whether an attempt at `at` is later than the policy tries again.
    fn too_late(&self, at: Instant, policies: &Policies) -> bool {
        let retry = self.retry.as_ref();
        retry.is_some_and(|retry| retry.too_late(at, &policies.retry))
    }

    /// Hands an admitted attempt out.
    #[inline]
    fn send<G: Gates>(&mut self, gates: &mut G, now: Instant, admitted: breaker::Permit) -> Step {
        let timeout_at = now.saturating_add_nanos(gates.policies().attempt_timeout);
        let ends = timeout_at.min(self.deadline);
        // A policy has at most 1 000.
        self.attempts = self.attempts.saturating_add(1);
        self.phase = Phase::InFlight { timeout_at: ends };
        let number = self.attempts;
        gates.observer().on_event(now, &Event::AttemptStarted { number });
        Step::Attempt(Permit {
            number,
            started: now,
            ends,
            admitted,
        })
    }

    /// A gate said no.
    #[cold]
    fn on_refusal<G: Gates>(&mut self, gates: &mut G, now: Instant, refused: StopReason) -> Step {
        let policies = gates.policies();
        if let StopReason::RateLimit { not_before: Some(at) } = refused
            && policies.on_limit == OnLimit::Wait
            && policies.fits(at, self.deadline)
            && !self.too_late(at, policies)
        {
            self.phase = Phase::Due { at };
            gates
                .observer()
                .on_event(now, &Event::WaitingForLimit { until: at });
            return Step::Wait { until: at };
        }
        self.stop(gates, now, refused)
    }

    /// Decides what follows a failure.
    fn decide<G: Gates, R: Rng + ?Sized>(
        &mut self,
        gates: &mut G,
        now: Instant,
        failure: Failure,
        rng: &mut R,
    ) {
        let bounds = Bounds {
            deadline: self.deadline(),
            idempotent: self.idempotent,
        };
        match gates.on_failure(now, &mut self.retry, failure, bounds, rng) {
            Decision::RetryAt(at, receipt) => {
                self.receipt = receipt;
                self.phase = Phase::Due { at };
                let number = self.attempts.saturating_add(1);
                let fault = failure.kind;
                gates
                    .observer()
                    .on_event(now, &Event::RetryScheduled { number, at, fault });
            }
            Decision::Stop(reason) => {
                let _ = self.stop(gates, now, reason);
            }
        }
    }

    #[cold]
    fn stop<G: Gates>(&mut self, gates: &mut G, now: Instant, reason: StopReason) -> Step {
        let verdict = Verdict::Stopped {
            reason,
            fault: self.fault,
        };
        self.end(gates, now, verdict);
        Step::Done(verdict)
    }

    fn end<G: Gates>(&mut self, gates: &mut G, now: Instant, verdict: Verdict) {
        if self.is_over() {
            return;
        }
        // A retry that is paid for and not sent. One in flight is paid for until its outcome.
        if !matches!(self.phase, Phase::InFlight { .. })
            && let Some(receipt) = self.receipt.take()
        {
            gates.refund(receipt);
        }
        self.over(gates, now, verdict);
    }

    #[inline]
    fn over<G: Gates>(&mut self, gates: &mut G, now: Instant, verdict: Verdict) {
        self.phase = match verdict {
            Verdict::Succeeded => Phase::Succeeded,
            Verdict::Stopped { .. } | Verdict::Cancelled => Phase::Done(verdict),
        };
        gates.on_end();
        gates.observer().on_event(
            now,
            &Event::CallEnded {
                verdict,
                attempts: self.attempts,
                took: now.saturating_duration_since(self.began),
            },
        );
    }

    #[inline]
    fn observe(&mut self, now: Instant) {
        if let Some(step) = self.last_seen.observe(now) {
            self.rebase(step);
        }
    }

    /// Keeps what is remembered in step with a clock that went back: see [`crate::time`].
    #[cold]
    fn rebase(&mut self, step: Duration) {
        self.began = self.began.saturating_sub(step);
        if let Some(retry) = &mut self.retry {
            retry.rebase(step);
        }
        let back = |at: &mut Instant| {
            if *at != Instant::MAX {
                *at = at.saturating_sub(step);
            }
        };
        back(&mut self.deadline);
        match &mut self.phase {
            Phase::Due { at } | Phase::InFlight { timeout_at: at } => back(at),
            Phase::Failed(_) | Phase::Succeeded | Phase::Done(_) => {}
        }
    }
}

/// Whether a first attempt that every gate admits has a way of its own: for speed. Small targets have
/// flash to save, and the long way says the same.
const SHORT_WAY: bool = cfg!(target_pointer_width = "64");
