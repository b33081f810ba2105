//! The book of one guard.

use crossbridge_core::time::nanos;
use crossbridge_core::{Event, FaultKind, GuardConfig, Verdict};

use super::calls::{Calls, Ended};
use super::circuit::CircuitBook;
use super::tokens::{QuotaBook, TokenBook};
use super::{Doubts, Rule, Seen};
use crate::invariants::elapsed::Elapsed;

/// Everything known of one guard from its events.
#[derive(Debug)]
pub(super) struct GuardBook {
    config: GuardConfig,
    clock: Elapsed,
    calls: Calls,
    quota: QuotaBook,
    tokens: TokenBook,
    circuit: CircuitBook,
    attempts: u64,
    ended: u64,
    succeeded: u64,
}

/// A server's hint may lengthen a delay by so much: the retry's own bound.
const MOST_FOR_A_HINT: u64 = 5_000_000_000;

impl GuardBook {
    pub(super) fn new(config: &GuardConfig) -> Self {
        Self {
            config: *config,
            clock: Elapsed::default(),
            calls: Calls::default(),
            quota: QuotaBook::new(config.quota),
            tokens: TokenBook::new(config.budget),
            circuit: CircuitBook::new(config.breaker),
            attempts: 0,
            ended: 0,
            succeeded: 0,
        }
    }

    /// The guard begins anew. Its owner's calls were cancelled, and say so themselves.
    pub(super) fn restart(&mut self) {
        self.quota = QuotaBook::new(self.config.quota);
        self.tokens = TokenBook::new(self.config.budget);
        self.circuit = CircuitBook::new(self.config.breaker);
    }

    pub(super) const fn attempts(&self) -> u64 {
        self.attempts
    }

    pub(super) const fn ended(&self) -> u64 {
        self.ended
    }

    pub(super) const fn succeeded(&self) -> u64 {
        self.succeeded
    }

    pub(super) fn under_way(&self) -> u64 {
        self.calls.len()
    }

    pub(super) fn on_event(&mut self, seen: &Seen<'_>) -> Doubts {
        let mut doubts = Doubts::new();
        let now = self.clock.read(seen.local);
        match *seen.event {
            // Told in the course of somebody's call, and not about it.
            Event::BreakerChanged { from, to } => {
                doubts.extend(self.circuit.on_change(from, to, now));
                return doubts;
            }
            Event::HealthChanged { .. } => return doubts,
            Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::RetryScheduled { .. }
            | Event::WaitingForLimit { .. }
            | Event::CallEnded { .. } => {}
        }
        if self.calls.meet(seen.call, seen.local) {
            self.tokens.on_call(now);
        }
        match *seen.event {
            Event::AttemptStarted { number } => self.on_start(seen.call, number, now, &mut doubts),
            Event::AttemptEnded { number, fault, .. } => {
                self.on_attempt_end(seen.call, (number, fault), now, &mut doubts);
            }
            Event::RetryScheduled { number, at, fault } => {
                let delay = nanos(at.saturating_duration_since(seen.local));
                self.on_schedule(seen.call, (number, delay, fault), now, &mut doubts);
            }
            Event::CallEnded {
                verdict, attempts, ..
            } => self.on_end(seen.call, verdict, attempts, &mut doubts),
            Event::WaitingForLimit { .. } | Event::BreakerChanged { .. } | Event::HealthChanged { .. } => {}
        }
        doubts
    }

    fn on_start(&mut self, call: u64, number: u32, now: u64, doubts: &mut Doubts) {
        self.attempts += 1;
        let (took, wrong) = self.calls.start(call, number);
        doubts.extend(wrong.map(|found| (Rule::Accounting, found)));
        if let Some(deadline) = self.config.deadline
            && took >= nanos(deadline)
        {
            let found = format!("attempt {number} {took} ns after the begin, the deadline is {deadline:?}");
            doubts.push((Rule::Deadline, found));
        }
        doubts.extend(self.quota.take(now).map(|found| (Rule::Quota, found)));
        let (in_flight, limit) = (self.calls.in_flight(), self.config.bulkhead.limit);
        if in_flight > u64::from(limit) {
            let found = format!("{in_flight} attempts in flight, the limit is {limit}");
            doubts.push((Rule::Bulkhead, found));
        }
        doubts.extend(self.circuit.on_start(call, number, now));
    }

    fn on_attempt_end(
        &mut self,
        call: u64,
        (number, fault): (u32, Option<FaultKind>),
        now: u64,
        doubts: &mut Doubts,
    ) {
        let (paid, wrong) = self.calls.settle(call, number);
        doubts.extend(wrong.map(|found| (Rule::Accounting, found)));
        self.circuit.on_end(call, number, fault, now);
        if fault.is_none() {
            self.tokens.on_success(number, paid);
        }
    }

    fn on_schedule(
        &mut self,
        call: u64,
        (number, delay, fault): (u32, u64, FaultKind),
        now: u64,
        doubts: &mut Doubts,
    ) {
        let cap = nanos(self.config.retry.max_delay).saturating_add(MOST_FOR_A_HINT);
        if delay > cap {
            let found = format!("{delay} ns until attempt {number}, at most {cap} ns");
            doubts.push((Rule::Delay, found));
        }
        // A request that never left put no load on the server, and its first retry is free.
        let free = number == 2 && fault == FaultKind::NotSent;
        let (cost, wrong) = if free {
            (0, None)
        } else {
            self.tokens.pay(now, fault)
        };
        doubts.extend(wrong.map(|found| (Rule::Budget, found)));
        self.calls.schedule(call, if free { None } else { Some(cost) });
    }

    fn on_end(&mut self, call: u64, verdict: Verdict, attempts: u32, doubts: &mut Doubts) {
        self.ended += 1;
        self.succeeded += u64::from(verdict == Verdict::Succeeded);
        let Ended { unused, wrong } = self.calls.end(call, attempts);
        doubts.extend(wrong.map(|found| (Rule::Accounting, found)));
        if let Some(cost) = unused {
            self.tokens.refund(cost);
        }
    }
}
