//! The whole guard under many calls at once, in any order, with a clock that goes anywhere.

use core::cell::RefCell;
use core::time::Duration;

use crossbridge_core::breaker::BreakerConfig;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{CallState, Permit};
use crossbridge_core::health::MonitorConfig;
use crossbridge_core::retry::Failure;
use crossbridge_core::{
    BudgetConfig, BulkheadConfig, Event, FaultKind, Guard, GuardConfig, Instant, Observer, OnLimit, Outcome,
    Quota, RetryPolicy, Step, StopReason, Verdict,
};
use proptest::prelude::*;

use crate::{any_nanos, any_span, check, log_uniform};

/// Writes down everything it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder(pub(crate) RefCell<Vec<Event>>);

impl Observer for Recorder {
    fn on_event(&self, _: Instant, event: &Event) {
        self.0.borrow_mut().push(*event);
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Wait(u64),
    Jump(u64),
    Begin(Option<u64>, bool),
    Poll(usize),
    Outcome(usize, Outcome),
    Cancel(usize),
}

pub(crate) fn any_outcome() -> impl Strategy<Value = Outcome> + Clone {
    let kind = prop::sample::select(FaultKind::ALL.to_vec());
    let hint = prop::option::weighted(0.2, any_span(0, 100_000_000_000));
    let failure =
        (kind, hint).prop_map(|(kind, retry_after)| Outcome::Failure(Failure { kind, retry_after }));
    prop_oneof![2 => Just(Outcome::Success), 6 => failure, 1 => Just(Outcome::Neutral), 1 => Just(Outcome::Lost)]
}

pub(crate) fn ops(jumps: bool) -> impl Strategy<Value = Vec<Op>> {
    let index = any::<usize>;
    let deadline = prop::option::of(log_uniform(0, 10_000_000_000));
    let jump = if jumps {
        any_nanos().boxed()
    } else {
        log_uniform(0, 4_000_000_000).boxed()
    };
    let op = prop_oneof![
        5 => log_uniform(0, 2_000_000_000).prop_map(Op::Wait),
        1 => jump.prop_map(Op::Jump),
        4 => (deadline, any::<bool>()).prop_map(|(deadline, idempotent)| Op::Begin(deadline, idempotent)),
        10 => index().prop_map(Op::Poll),
        8 => (index(), any_outcome()).prop_map(|(index, outcome)| Op::Outcome(index, outcome)),
        1 => index().prop_map(Op::Cancel),
    ];
    prop::collection::vec(op, 1..150)
}

pub(crate) fn any_config() -> impl Strategy<Value = GuardConfig> {
    let quota = prop_oneof![
        Just(Quota::UNLIMITED),
        (1..6_u32, 1..5_u32).prop_map(|(rate, burst)| Quota::per_second(rate).unwrap().burst(burst).unwrap()),
    ];
    let waits = any::<bool>().prop_map(|wait| if wait { OnLimit::Wait } else { OnLimit::Refuse });
    let limits = (
        1..4_u32,
        prop::option::of(any_span(1, 20_000_000_000)),
        prop::option::of(any_span(1, 5_000_000_000)),
    );
    let retry = (
        crate::backoff::any_policy(),
        1..5_u32,
        any_span(0, 5_000_000_000),
        any_span(0, 500_000_000),
    );
    (
        quota,
        waits,
        limits,
        retry,
        crate::breaker::small_config(),
        any::<bool>(),
    )
        .prop_map(
            |(quota, on_limit, (limit, deadline, attempt_timeout), retry, breaker, health)| {
                let (policy, attempts, longest, min_attempt) = retry;
                let retry = RetryPolicy {
                    attempts,
                    base_delay: policy.base_delay.min(longest),
                    throttled_base_delay: policy.throttled_base_delay.min(longest),
                    max_delay: policy.max_delay.min(longest),
                    min_attempt,
                    ..policy
                };
                GuardConfig {
                    quota,
                    on_limit,
                    retry,
                    // Nothing is earned, so that the account can be checked at the end.
                    budget: BudgetConfig {
                        deposit_on_first_success: 0,
                        ..BudgetConfig::AWS
                    },
                    breaker: BreakerConfig {
                        failure_rate: breaker.failure_rate.filter(|_| health),
                        ..breaker
                    },
                    bulkhead: BulkheadConfig { limit },
                    health: health.then_some(MonitorConfig::DEFAULT),
                    deadline,
                    attempt_timeout,
                    idempotent: false,
                }
            },
        )
}

/// A call, and what the test knows about it.
struct Tracked {
    call: CallState,
    permit: Option<Permit>,
    verdict: Option<Verdict>,
}

struct World<'r> {
    guard: Guard<&'r Recorder>,
    recorder: &'r Recorder,
    config: GuardConfig,
    rng: SplitMix64,
    calls: Vec<Tracked>,
    now: Instant,
}

impl<'r> World<'r> {
    fn new(config: GuardConfig, recorder: &'r Recorder, seed: u64, now: u64) -> Self {
        Self {
            guard: Guard::with_observer(config, recorder).expect("accepted"),
            recorder,
            config,
            rng: SplitMix64::new(seed),
            calls: Vec::new(),
            now: Instant::from_nanos(now),
        }
    }

    fn apply(&mut self, op: Op) {
        let len = self.calls.len().max(1);
        match op {
            Op::Wait(span) => self.now = self.now.saturating_add(Duration::from_nanos(span)),
            Op::Jump(to) => self.now = Instant::from_nanos(to),
            Op::Begin(deadline, idempotent) => {
                let deadline = deadline.map(|span| self.now.saturating_add(Duration::from_nanos(span)));
                let mut call = self.guard.begin_detached(self.now, deadline);
                call.set_idempotent(idempotent);
                self.calls.push(Tracked {
                    call,
                    permit: None,
                    verdict: None,
                });
            }
            Op::Poll(index) => self.poll(index % len),
            Op::Outcome(index, outcome) => self.report(index % len, outcome),
            Op::Cancel(index) => {
                if let Some(tracked) = self.calls.get_mut(index % len) {
                    tracked.call.cancel(&mut self.guard, self.now);
                }
            }
        }
        let limit = self.config.bulkhead.limit;
        let in_flight = self
            .calls
            .iter()
            .filter(|tracked| tracked.permit.is_some())
            .count();
        assert_eq!(usize::try_from(self.guard.in_flight()).unwrap(), in_flight);
        assert!(self.guard.in_flight() <= limit);
        assert!(self.guard.budget_tokens(self.now) <= self.config.budget.capacity);
    }

    fn poll(&mut self, index: usize) {
        let Some(tracked) = self.calls.get_mut(index) else {
            return;
        };
        let (remaining, in_flight) = (self.guard.remaining(self.now), self.guard.in_flight());
        let tokens = self.guard.budget_tokens(self.now);
        let attempts = tracked.call.attempts();
        let step = tracked.call.poll(&mut self.guard, self.now, &mut self.rng);
        if !matches!(step, Step::Attempt(_)) {
            // All or none: without an attempt nothing is taken.
            assert_eq!(self.guard.remaining(self.now), remaining);
            assert_eq!(self.guard.in_flight(), in_flight);
            assert_eq!(tracked.call.attempts(), attempts);
        }
        match step {
            Step::Attempt(permit) => {
                assert!(tracked.verdict.is_none() && tracked.permit.is_none());
                assert_eq!(permit.number(), attempts + 1);
                assert!(permit.number() <= self.config.retry.attempts);
                if let Some(deadline) = tracked.call.deadline() {
                    let left = deadline.saturating_duration_since(self.now);
                    assert!(!left.is_zero() && left >= self.config.retry.min_attempt);
                    assert!(permit.timeout().is_some_and(|timeout| timeout <= left));
                }
                tracked.permit = Some(permit);
            }
            Step::Wait { until } => {
                assert!(until > self.now || tracked.permit.is_some());
                if let Some(deadline) = tracked.call.deadline().filter(|_| tracked.permit.is_none()) {
                    assert!(until < deadline, "it would sleep past its deadline");
                }
            }
            Step::Done(verdict) => {
                assert!(
                    tracked.verdict.is_none_or(|before| before == verdict),
                    "it ended twice"
                );
                if let Verdict::Stopped {
                    reason: StopReason::Breaker { .. } | StopReason::RateLimit { .. } | StopReason::Bulkhead,
                    ..
                } = verdict
                {
                    assert!(
                        self.guard.budget_tokens(self.now) >= tokens,
                        "a retry that was not sent has a price"
                    );
                }
                tracked.verdict = Some(verdict);
            }
        }
    }

    fn report(&mut self, index: usize, outcome: Outcome) {
        let Some(tracked) = self.calls.get_mut(index) else {
            return;
        };
        if let Some(permit) = tracked.permit.take() {
            tracked
                .call
                .on_outcome(&mut self.guard, self.now, permit, outcome);
        }
    }

    /// Everything comes back, and everybody goes home.
    fn finish(mut self, outcome: Outcome) {
        for index in 0..self.calls.len() {
            self.report(index, outcome);
            self.calls[index].call.cancel(&mut self.guard, self.now);
            self.poll(index);
            assert!(self.calls[index].verdict.is_some(), "a cancelled call is over");
        }
        assert_eq!(self.guard.in_flight(), 0);
        let events = self.recorder.0.borrow();
        let ended = events
            .iter()
            .filter(|event| matches!(event, Event::CallEnded { .. }))
            .count();
        assert_eq!(ended, self.calls.len(), "each call ends once");
        let count = |which: fn(&Event) -> bool| events.iter().filter(|event| which(event)).count();
        let started = count(|event| matches!(event, Event::AttemptStarted { .. }));
        assert_eq!(
            started,
            count(|event| matches!(event, Event::AttemptEnded { .. }))
        );
    }
}

/// A guard and its callers from beginning to end. The fuzzer tells stories as well.
pub(crate) fn story(config: GuardConfig, ops: Vec<Op>, last: Outcome, seed: u64, start: u64) {
    let recorder = Recorder::default();
    let mut world = World::new(config, &recorder, seed, start);
    for op in ops {
        world.apply(op);
    }
    world.finish(last);
}

#[test]
fn many_calls_at_once_each_end_once_and_leave_nothing_behind() {
    let inputs = (any_config(), ops(false), any_outcome(), any::<u64>());
    check(800, inputs, |(config, ops, last, seed)| {
        story(config, ops, last, seed, 2_000_000_000);
    });
}

#[test]
fn any_now_and_any_order_end_every_call() {
    let inputs = (any_config(), ops(true), any_outcome(), any::<u64>(), any_nanos());
    check(500, inputs, |(config, ops, last, seed, start)| {
        story(config, ops, last, seed, start);
    });
}

/// Tokens are missing only for retries that were sent and failed.
#[test]
fn the_budget_pays_for_retries_that_were_sent_and_failed() {
    // Every retry has a price: nothing fails before it is sent.
    let sent = any_outcome().prop_map(|outcome| match outcome {
        Outcome::Failure(Failure {
            kind: FaultKind::NotSent | FaultKind::Throttled,
            retry_after,
        }) => Outcome::Failure(Failure {
            kind: FaultKind::Transient,
            retry_after,
        }),
        other @ (Outcome::Success | Outcome::Failure(_) | Outcome::Neutral | Outcome::Lost) => other,
    });
    let ops = ops(false).prop_flat_map(move |ops| {
        let outcomes = prop::collection::vec(sent.clone(), ops.len());
        (Just(ops), outcomes)
    });
    check(
        400,
        (any_config(), ops, any::<u64>()),
        |(config, (ops, outcomes), seed)| {
            let recorder = Recorder::default();
            let mut world = World::new(config, &recorder, seed, 2_000_000_000);
            let mut spent = 0;
            for (op, outcome) in ops.into_iter().zip(outcomes) {
                let Op::Outcome(index, _) = op else {
                    world.apply(op);
                    continue;
                };
                let index = index % world.calls.len().max(1);
                let sent = world.calls.get(index).and_then(|tracked| tracked.permit.as_ref());
                let failed = matches!(outcome, Outcome::Failure(_) | Outcome::Lost);
                if failed && sent.is_some_and(|permit| permit.number() > 1) {
                    spent += config.budget.retry_cost;
                }
                world.report(index, outcome);
            }
            for index in 0..world.calls.len() {
                world.report(index, Outcome::Neutral);
                world.calls[index].call.cancel(&mut world.guard, world.now);
            }
            assert_eq!(
                world.guard.budget_tokens(world.now) + spent,
                config.budget.capacity
            );
        },
    );
}
