//! The shared guard: alone it answers like the exclusive one, together it keeps every limit.

use core::time::Duration;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::draw::{SplitMix64, inclusive};
use crossbridge_core::guard::{CallState, GuardSnapshot, Permit, Policies, SharedGuard};
use crossbridge_core::health::MonitorConfig;
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, Event, FaultKind, Guard, GuardConfig, Instant, Jitter,
    Observer, Outcome, PerMille, Quota, RetryPolicy, Step, Verdict,
};
use proptest::prelude::*;

use crate::check;
use crate::guard::{Op, Recorder, any_config, ops};

/// The same call twice.
struct Pair {
    owned: (CallState, Option<Permit>),
    shared: (CallState, Option<Permit>),
}

/// What a step says, apart from its permit.
fn said(step: &Step) -> String {
    match step {
        Step::Attempt(permit) => format!("attempt {} {:?}", permit.number(), permit.timeout()),
        Step::Wait { until } => format!("wait {until:?}"),
        Step::Done(verdict) => format!("done {verdict:?}"),
    }
}

/// Both forms under the same calls.
struct Both<'r> {
    owned: Guard<&'r Recorder>,
    shared: SharedGuard<&'r Recorder>,
    rng: SplitMix64,
    its_rng: SplitMix64,
    calls: Vec<Pair>,
    now: Instant,
}

impl<'r> Both<'r> {
    fn new(owned: Guard<&'r Recorder>, shared: SharedGuard<&'r Recorder>, seed: u64, now: Instant) -> Self {
        Self {
            owned,
            shared,
            rng: SplitMix64::new(seed),
            its_rng: SplitMix64::new(seed),
            calls: Vec::new(),
            now,
        }
    }

    fn apply(&mut self, op: Op) {
        let (now, len) = (self.now, self.calls.len().max(1));
        match op {
            Op::Wait(span) => self.now = now.saturating_add(Duration::from_nanos(span)),
            // Threads bring a late `now`: a small step back is none.
            Op::Jump(to) => self.now = now.max(Instant::from_nanos(to)),
            Op::Begin(deadline, idempotent) => {
                let deadline = deadline.map(|span| now.saturating_add(Duration::from_nanos(span)));
                let mut one = self.owned.begin_detached(now, deadline);
                let mut other = self.shared.begin_detached(now, deadline);
                one.set_idempotent(idempotent);
                other.set_idempotent(idempotent);
                self.calls.push(Pair {
                    owned: (one, None),
                    shared: (other, None),
                });
            }
            Op::Poll(index) => {
                if let Some(pair) = self.calls.get_mut(index % len) {
                    let one = pair.owned.0.poll(&mut self.owned, now, &mut self.rng);
                    let other = pair.shared.0.poll(&self.shared, now, &mut self.its_rng);
                    assert_eq!(said(&one), said(&other));
                    if let (Step::Attempt(one), Step::Attempt(other)) = (one, other) {
                        (pair.owned.1, pair.shared.1) = (Some(one), Some(other));
                    }
                }
            }
            Op::Outcome(index, outcome) => self.report(index % len, outcome),
            Op::Cancel(index) => {
                if let Some(pair) = self.calls.get_mut(index % len) {
                    pair.owned.0.cancel(&mut self.owned, now);
                    pair.shared.0.cancel(&self.shared, now);
                }
            }
        }
        let now = self.now;
        assert_eq!(self.owned.remaining(now), self.shared.remaining(now));
        assert_eq!(self.owned.budget_tokens(now), self.shared.budget_tokens(now));
        assert_eq!(self.owned.in_flight(), self.shared.in_flight());
        assert_eq!(self.owned.breaker_state(), self.shared.breaker_state());
        assert_eq!(self.owned.health(), self.shared.health());
        assert_eq!(self.owned.snapshot(now), self.shared.snapshot(now));
    }

    fn report(&mut self, index: usize, outcome: Outcome) {
        if let Some(pair) = self.calls.get_mut(index)
            && let (Some(one), Some(other)) = (pair.owned.1.take(), pair.shared.1.take())
        {
            pair.owned.0.on_outcome(&mut self.owned, self.now, one, outcome);
            pair.shared.0.on_outcome(&self.shared, self.now, other, outcome);
        }
    }

    /// Everybody goes home, so that nothing is in flight.
    fn settle(&mut self) {
        for index in 0..self.calls.len() {
            self.report(index, Outcome::Neutral);
            self.apply(Op::Cancel(index));
        }
        self.calls.clear();
    }
}

const START: Instant = Instant::from_nanos(2_000_000_000);

#[test]
fn alone_it_answers_like_the_exclusive_one() {
    let inputs = (any_config(), ops(false), any::<u64>());
    check(600, inputs, |(config, ops, seed)| {
        let (told, its_told) = (Recorder::default(), Recorder::default());
        let owned = Guard::with_observer(config, &told).expect("accepted");
        let shared = SharedGuard::with_observer(config, &its_told).expect("accepted");
        let mut both = Both::new(owned, shared, seed, START);
        ops.into_iter().for_each(|op| both.apply(op));
        assert_eq!(*told.0.borrow(), *its_told.0.borrow());
    });
}

/// What one form was taken out of goes on in the other, in a process whose clock begins anew, and
/// in the first one; and all three answer the same.
#[test]
fn either_form_restores_what_the_other_gave() {
    let inputs = (any_config(), ops(false), ops(false), any::<u64>());
    check(300, inputs, |(config, before, after, seed)| {
        let silent = Recorder::default();
        let mut both = Both::new(
            Guard::with_observer(config, &silent).expect("accepted"),
            SharedGuard::with_observer(config, &silent).expect("accepted"),
            seed,
            START,
        );
        before.into_iter().for_each(|op| both.apply(op));
        both.settle();
        let taken = both.owned.snapshot(both.now);
        let policies = || Policies::new(config).expect("accepted");
        // Late enough for whatever is remembered to fit between the origin and it.
        let start = both.now;
        let mut next = Both::new(
            Guard::restore(policies(), &silent, &both.shared.snapshot(both.now), start).expect("its own"),
            SharedGuard::restore(policies(), &silent, &taken, start).expect("its own"),
            seed,
            start,
        );
        assert_eq!(next.owned.snapshot(start), taken);
        (both.rng, both.its_rng) = (SplitMix64::new(seed), SplitMix64::new(seed));
        for op in after {
            both.apply(op.clone());
            next.apply(op);
            assert_eq!(next.owned.remaining(next.now), both.owned.remaining(both.now));
            assert_eq!(next.owned.breaker_state(), both.owned.breaker_state());
            assert_eq!(next.owned.health(), both.owned.health());
            assert_eq!(
                next.owned.budget_tokens(next.now),
                both.owned.budget_tokens(both.now)
            );
        }
    });
}

#[test]
fn a_snapshot_of_other_policies_is_refused_with_its_field() {
    let watched = Policies::new(GuardConfig {
        health: Some(MonitorConfig::DEFAULT),
        ..GuardConfig::DEFAULT
    })
    .unwrap();
    let plain = Policies::new(GuardConfig::DEFAULT).unwrap();
    let taken = Guard::under(&plain, ()).snapshot(START);
    let refused = Guard::restore(&watched, (), &taken, START).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "snapshot: health is 0, expected the health of a target that is watched"
    );
    let newer = GuardSnapshot { version: 9, ..taken };
    let refused = Guard::restore(&plain, (), &newer, START).unwrap_err();
    assert_eq!(refused.to_string(), "snapshot: version is 9, expected 1");
}

/// Counts what threads are told.
#[derive(Default)]
struct Tally {
    opened: AtomicU32,
    half_opened: AtomicU32,
    closed: AtomicU32,
    started: AtomicU32,
    ended: AtomicU32,
    over: AtomicU32,
}

impl Observer for &Tally {
    fn on_event(&self, _: Instant, event: &Event) {
        let count = match event {
            Event::BreakerChanged {
                to: BreakerState::Open,
                ..
            } => &self.opened,
            Event::BreakerChanged {
                to: BreakerState::HalfOpen,
                ..
            } => &self.half_opened,
            Event::BreakerChanged {
                to: BreakerState::Closed,
                ..
            } => &self.closed,
            Event::AttemptStarted { .. } => &self.started,
            Event::AttemptEnded { .. } => &self.ended,
            Event::CallEnded { .. } => &self.over,
            Event::RetryScheduled { .. } | Event::WaitingForLimit { .. } | Event::HealthChanged { .. } => {
                return;
            }
        };
        count.fetch_add(1, SeqCst);
    }
}

/// Four threads, every gate on, half of the attempts fail: never above the bulkhead, never above the
/// quota, never more retries than the budget paid for, and in the end everything is back.
#[test]
fn threads_keep_every_limit_together() {
    const THREADS: u64 = 4;
    const CALLS: u32 = 1_500;
    for seed in 0..6 {
        let config = GuardConfig {
            quota: Quota::per_second(1_000).unwrap().burst(400).unwrap(),
            retry: RetryPolicy {
                base_delay: Duration::ZERO,
                ..RetryPolicy::STANDARD.jitter(Jitter::None)
            },
            budget: BudgetConfig {
                deposit_on_first_success: 0,
                ..BudgetConfig::AWS
            },
            breaker: BreakerConfig {
                failure_rate: PerMille::new(600).ok(),
                open_wait: Duration::from_millis(1),
                half_open_concurrent: 2,
                ..BreakerConfig::DEFAULT
            },
            bulkhead: BulkheadConfig { limit: 3 },
            health: Some(MonitorConfig::DEFAULT),
            ..GuardConfig::DEFAULT
        };
        let tally = Tally::default();
        let guard = SharedGuard::with_observer(config, &tally).unwrap();
        let (inside, retries_spent, ready) = (AtomicU32::new(0), AtomicU32::new(0), Barrier::new(4));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (guard, inside, retries_spent, ready) = (&guard, &inside, &retries_spent, &ready);
                scope.spawn(move || {
                    let mut rng = SplitMix64::new(seed * THREADS + thread);
                    ready.wait();
                    for turn in 0..CALLS {
                        // A millisecond in all: what refills meanwhile is one permit.
                        let now = Instant::from_nanos(5_000_000_000 + u64::from(turn) * 600);
                        let mut call = guard.begin(now, None);
                        loop {
                            match call.poll(now, &mut rng) {
                                Step::Attempt(permit) => {
                                    assert!(
                                        inside.fetch_add(1, SeqCst) < 3,
                                        "seed {seed}: above the bulkhead"
                                    );
                                    if turn % 32 == 0 {
                                        thread::yield_now();
                                    }
                                    inside.fetch_sub(1, SeqCst);
                                    let fails = inclusive(0, 1, &mut rng) == 0;
                                    if fails && permit.number() > 1 {
                                        retries_spent.fetch_add(1, SeqCst);
                                    }
                                    let outcome = if fails {
                                        Outcome::failed(FaultKind::Transient)
                                    } else {
                                        Outcome::Success
                                    };
                                    call.on_outcome(now, permit, outcome);
                                }
                                // The first retry is due where the throttled one would be.
                                Step::Wait { .. } => break,
                                Step::Done(verdict) => {
                                    assert_ne!(verdict, Verdict::Cancelled);
                                    break;
                                }
                            }
                        }
                    }
                });
            }
        });
        let count = |number: &AtomicU32| number.load(SeqCst);
        assert_eq!(guard.in_flight(), 0, "seed {seed}");
        assert!(count(&tally.started) <= 400 + 1, "seed {seed}: above the quota");
        assert_eq!(count(&tally.started), count(&tally.ended), "seed {seed}");
        assert_eq!(
            u64::from(count(&tally.over)),
            THREADS * u64::from(CALLS),
            "seed {seed}"
        );
        let end = Instant::from_nanos(6_000_000_000);
        let paid = (500 - guard.budget_tokens(end)) / 14;
        assert_eq!(
            paid,
            count(&retries_spent),
            "seed {seed}: a retry nobody paid for, or one paid twice"
        );
        // One trip, one opening to probes and one closing at a time, each told once.
        let (opened, half_opened, closed) = (
            count(&tally.opened),
            count(&tally.half_opened),
            count(&tally.closed),
        );
        assert!(
            half_opened <= opened && opened <= half_opened + 1,
            "seed {seed}: {opened} {half_opened}"
        );
        assert!(closed <= half_opened, "seed {seed}");
    }
}
