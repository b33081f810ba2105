//! The machine of one call.

use core::time::Duration;

use rand_core::Rng;

use super::{Admission, Guard, GuardConfig, OnLimit, Outcome, Verdict};
use crate::event::{Event, Observer};
use crate::fault::FaultKind;
use crate::retry::{Bounds, Decision, Failure, Receipt, Retry, StopReason, fits};
use crate::time::{Instant, LastSeen};

/// What to do next.
#[must_use]
#[derive(Debug)]
pub enum Step {
    /// Send an attempt, then report its outcome with the permit.
    Attempt(Permit),
    /// Poll again at this instant. Earlier is harmless.
    Wait {
        /// When.
        until: Instant,
    },
    /// The call is over. Further polls say the same.
    Done(Verdict),
}

/// The right to send one attempt. Report its outcome with it, or everything taken for it stays
/// taken.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    number: u32,
    started: Instant,
    timeout: Option<Duration>,
    admission: Admission,
}

impl Permit {
    /// The number of the attempt; 1 for the first.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How long the attempt may take: the policy's attempt timeout or what is left before the
    /// deadline, whichever is less. `None` where there is neither.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// When the attempt started.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }
}

/// One call under way, apart from its guard: see [`Guard::begin_detached`].
#[derive(Debug)]
pub struct CallState {
    phase: Phase,
    began: Instant,
    deadline: Option<Instant>,
    idempotent: bool,
    retry: Retry,
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
    /// An attempt has been handed out.
    InFlight { timeout_at: Option<Instant> },
    /// The last attempt failed and nobody has asked yet what follows: that takes a draw.
    Failed(Failure),
    /// Over.
    Done(Verdict),
}

impl CallState {
    pub(super) fn new(config: &GuardConfig, now: Instant, deadline: Option<Instant>) -> Self {
        let own = config.deadline.map(|span| now.saturating_add(span));
        let deadline = match (own, deadline) {
            (Some(own), Some(given)) => Some(own.min(given)),
            (one, other) => one.or(other),
        };
        Self {
            phase: Phase::Due { at: now },
            began: now,
            deadline,
            idempotent: config.idempotent,
            retry: Retry::new(&config.retry),
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

    /// When the call has to be over.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
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
    pub fn poll<O: Observer, R: Rng + ?Sized>(
        &mut self,
        guard: &mut Guard<O>,
        now: Instant,
        rng: &mut R,
    ) -> Step {
        self.observe(now);
        if let Phase::Failed(failure) = self.phase {
            self.decide(guard, now, failure, rng);
        }
        match self.phase {
            Phase::Due { at } if now < at => Step::Wait { until: at },
            Phase::Due { .. } => self.attempt(guard, now),
            // Only an outcome moves it on: past its timeout there is no instant to name.
            Phase::InFlight { timeout_at } => Step::Wait {
                until: timeout_at.filter(|&at| at > now).unwrap_or(Instant::MAX),
            },
            Phase::Done(verdict) => Step::Done(verdict),
            // `decide` leaves another phase behind.
            Phase::Failed(_) => Step::Wait { until: now },
        }
    }

    /// Reports what became of the attempt.
    pub fn on_outcome<O: Observer>(
        &mut self,
        guard: &mut Guard<O>,
        now: Instant,
        permit: Permit,
        outcome: Outcome,
    ) {
        self.observe(now);
        let took = now.saturating_duration_since(permit.started);
        let failure = match outcome {
            Outcome::Success | Outcome::Neutral => None,
            Outcome::Failure(failure) => Some(failure),
            Outcome::Lost => Some(Failure {
                kind: FaultKind::Unknown,
                retry_after: None,
            }),
        };
        let fault = failure.map(|failure| failure.kind);
        let number = permit.number;
        guard
            .observer
            .on_event(now, &Event::AttemptEnded { number, fault, took });
        guard.settle(now, permit.admission, outcome, took);
        let receipt = self.receipt.take();
        if let Some(failure) = failure {
            // The attempt was sent: what it cost is spent. A call that was given up meanwhile
            // stays over.
            if !matches!(self.phase, Phase::Done(_)) {
                self.fault = fault;
                self.phase = Phase::Failed(failure);
            }
            return;
        }
        let success = outcome == Outcome::Success;
        match receipt {
            Some(receipt) if success => guard.budget.on_retry_success(receipt),
            Some(receipt) => guard.budget.refund(receipt),
            None if success && number == 1 => guard.budget.on_first_success(),
            None => {}
        }
        let verdict = if success {
            Verdict::Succeeded
        } else {
            Verdict::Cancelled
        };
        self.end(guard, now, verdict);
    }

    /// Gives the call up. An attempt in flight is settled with its permit, by
    /// [`Outcome::Neutral`] or [`Outcome::Lost`].
    pub fn cancel<O: Observer>(&mut self, guard: &mut Guard<O>, now: Instant) {
        self.observe(now);
        self.end(guard, now, Verdict::Cancelled);
    }

    /// Admits the next attempt, or ends the call, or waits for a permit.
    fn attempt<O: Observer>(&mut self, guard: &mut Guard<O>, now: Instant) -> Step {
        if !fits(now, guard.config.retry.min_attempt, self.deadline) {
            return self.stop(guard, now, StopReason::Deadline);
        }
        let admission = match guard.admit(now) {
            Ok(admission) => admission,
            Err(StopReason::RateLimit { not_before: Some(at) })
                if guard.config.on_limit == OnLimit::Wait
                    && fits(at, guard.config.retry.min_attempt, self.deadline)
                    && !self.retry.too_late(at, &guard.config.retry) =>
            {
                self.phase = Phase::Due { at };
                guard
                    .observer
                    .on_event(now, &Event::WaitingForLimit { until: at });
                return Step::Wait { until: at };
            }
            Err(refused) => return self.stop(guard, now, refused),
        };
        self.attempts = self.attempts.saturating_add(1);
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        let timeout = match (guard.config.attempt_timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (one, other) => one.or(other),
        };
        self.phase = Phase::InFlight {
            timeout_at: timeout.map(|span| now.saturating_add(span)),
        };
        guard.observer.on_event(
            now,
            &Event::AttemptStarted {
                number: self.attempts,
            },
        );
        Step::Attempt(Permit {
            number: self.attempts,
            started: now,
            timeout,
            admission,
        })
    }

    /// Decides what follows a failure.
    fn decide<O: Observer, R: Rng + ?Sized>(
        &mut self,
        guard: &mut Guard<O>,
        now: Instant,
        failure: Failure,
        rng: &mut R,
    ) {
        let bounds = Bounds {
            deadline: self.deadline,
            idempotent: self.idempotent,
        };
        match self
            .retry
            .on_failure(now, failure, &guard.config.retry, bounds, &mut guard.budget, rng)
        {
            Decision::RetryAt(at, receipt) => {
                self.receipt = receipt;
                self.phase = Phase::Due { at };
                let number = self.attempts.saturating_add(1);
                guard.observer.on_event(
                    now,
                    &Event::RetryScheduled {
                        number,
                        at,
                        fault: failure.kind,
                    },
                );
            }
            Decision::Stop(reason) => {
                let _ = self.stop(guard, now, reason);
            }
        }
    }

    fn stop<O: Observer>(&mut self, guard: &mut Guard<O>, now: Instant, reason: StopReason) -> Step {
        let verdict = Verdict::Stopped {
            reason,
            fault: self.fault,
        };
        self.end(guard, now, verdict);
        Step::Done(verdict)
    }

    fn end<O: Observer>(&mut self, guard: &mut Guard<O>, now: Instant, verdict: Verdict) {
        if let Phase::Done(_) = self.phase {
            return;
        }
        // A retry that is paid for and not sent. One in flight is paid for until its outcome.
        if !matches!(self.phase, Phase::InFlight { .. })
            && let Some(receipt) = self.receipt.take()
        {
            guard.budget.refund(receipt);
        }
        self.phase = Phase::Done(verdict);
        let took = now.saturating_duration_since(self.began);
        guard.observer.on_event(
            now,
            &Event::CallEnded {
                verdict,
                attempts: self.attempts,
                took,
            },
        );
    }

    /// Keeps what is remembered in step with a clock that went back: see [`crate::time`].
    fn observe(&mut self, now: Instant) {
        let Some(step) = self.last_seen.observe(now) else {
            return;
        };
        self.began = self.began.saturating_sub(step);
        self.deadline = self.deadline.map(|deadline| deadline.saturating_sub(step));
        self.retry.rebase(step);
        match &mut self.phase {
            Phase::Due { at } | Phase::InFlight { timeout_at: Some(at) } => *at = at.saturating_sub(step),
            Phase::InFlight { timeout_at: None } | Phase::Failed(_) | Phase::Done(_) => {}
        }
    }
}

/// One call under way, together with its guard: see [`Guard::begin`].
///
/// Dropped before it is done, it is cancelled; an attempt still in flight is lost, and its slot in
/// the bulkhead free again.
#[derive(Debug)]
pub struct Call<'g, O: Observer = ()> {
    guard: &'g mut Guard<O>,
    state: CallState,
}

impl<'g, O: Observer> Call<'g, O> {
    pub(super) const fn new(guard: &'g mut Guard<O>, state: CallState) -> Self {
        Self { guard, state }
    }

    /// What to do at `now`. One draw per retry decision.
    pub fn poll<R: Rng + ?Sized>(&mut self, now: Instant, rng: &mut R) -> Step {
        self.state.poll(self.guard, now, rng)
    }

    /// Reports what became of the attempt.
    pub fn on_outcome(&mut self, now: Instant, permit: Permit, outcome: Outcome) {
        self.state.on_outcome(self.guard, now, permit, outcome);
    }

    /// The call apart from its guard, for questions.
    #[must_use]
    pub const fn state(&self) -> &CallState {
        &self.state
    }
}

impl<O: Observer> Drop for Call<'_, O> {
    fn drop(&mut self) {
        // Its permit can no longer be settled. Where it is a probe, the probe has a deadline.
        if let Phase::InFlight { .. } = self.state.phase {
            self.guard.bulkhead.release_lost();
        }
        let now = self.state.last_seen.last();
        self.state.cancel(self.guard, now);
    }
}
