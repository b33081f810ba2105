//! Permits, slots and tokens that get lost, or are given back twice.

use core::cell::Cell;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{CallState, Permit};
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, Event, FaultKind, Guard, GuardConfig, Instant, Jitter,
    Observer, Outcome, Quota, RetryPolicy, Step, StopReason, Verdict,
};

use crate::at_secs;

/// How many calls ended.
#[derive(Default)]
struct Ended(Cell<u32>);

impl Observer for Ended {
    fn on_event(&self, _: Instant, event: &Event) {
        if let Event::CallEnded { .. } = event {
            self.0.set(self.0.get() + 1);
        }
    }
}

/// Two attempts without a wait between them, a price for the second, and two slots.
const CONFIG: GuardConfig = GuardConfig {
    retry: RetryPolicy {
        attempts: 2,
        ..RetryPolicy::NEVER.jitter(Jitter::None)
    },
    budget: BudgetConfig {
        deposit_on_first_success: 0,
        ..BudgetConfig::AWS
    },
    bulkhead: BulkheadConfig { limit: 2 },
    idempotent: true,
    ..GuardConfig::DEFAULT
};

fn attempt<O: Observer>(call: &mut CallState, guard: &mut Guard<O>) -> Permit {
    match call.poll(guard, Instant::ZERO, &mut SplitMix64::new(1)) {
        Step::Attempt(permit) => permit,
        other @ (Step::Wait { .. } | Step::Done(_)) => panic!("no attempt but {other:?}"),
    }
}

/// A call whose retry is in flight, and paid for.
fn retrying<O: Observer>(guard: &mut Guard<O>) -> (CallState, Permit) {
    let mut call = guard.begin_detached(Instant::ZERO, None);
    let first = attempt(&mut call, guard);
    call.on_outcome(
        &mut *guard,
        Instant::ZERO,
        first,
        Outcome::failed(FaultKind::Transient),
    );
    let second = attempt(&mut call, guard);
    assert_eq!(guard.budget_tokens(Instant::ZERO), 500 - 14);
    (call, second)
}

/// Cancelled with an attempt in flight, it is over: what becomes of the attempt changes the
/// accounts, and nothing else.
#[test]
fn a_cancelled_call_stays_over() {
    let outcomes = [
        Outcome::Success,
        Outcome::failed(FaultKind::Transient),
        Outcome::failed(FaultKind::Permanent),
        Outcome::Neutral,
        Outcome::Lost,
    ];
    for outcome in outcomes {
        let ended = Ended::default();
        let mut guard = Guard::with_observer(CONFIG, &ended).unwrap();
        let mut call = guard.begin_detached(Instant::ZERO, None);
        let permit = attempt(&mut call, &mut guard);
        call.cancel(&mut guard, Instant::ZERO);
        call.on_outcome(&mut guard, Instant::ZERO, permit, outcome);
        let step = call.poll(&mut guard, at_secs(1), &mut SplitMix64::new(1));
        assert!(
            matches!(step, Step::Done(Verdict::Cancelled)),
            "{outcome:?}: {step:?}"
        );
        assert_eq!((ended.0.get(), guard.in_flight()), (1, 0), "{outcome:?}");
    }
}

/// A retry in flight is paid for until its outcome is known, cancelled or not.
#[test]
fn a_cancelled_retry_pays_when_it_failed() {
    let outcomes = [
        (Outcome::Success, 500),
        (Outcome::Neutral, 500),
        (Outcome::failed(FaultKind::Transient), 486),
        (Outcome::Lost, 486),
    ];
    for cancelled in [false, true] {
        for (outcome, tokens) in outcomes {
            let mut guard = Guard::new(CONFIG).unwrap();
            let (mut call, permit) = retrying(&mut guard);
            if cancelled {
                call.cancel(&mut guard, Instant::ZERO);
                assert_eq!(guard.budget_tokens(Instant::ZERO), 486);
            }
            call.on_outcome(&mut guard, Instant::ZERO, permit, outcome);
            assert_eq!(
                guard.budget_tokens(Instant::ZERO),
                tokens,
                "{outcome:?}, cancelled: {cancelled}"
            );
        }
    }
}

/// An early return between the attempt and its outcome must not fill the bulkhead for ever.
#[test]
fn a_call_dropped_in_flight_frees_its_slot() {
    let mut guard = Guard::new(CONFIG).unwrap();
    for _ in 0..10 {
        let mut call = guard.begin(Instant::ZERO, None);
        let step = call.poll(Instant::ZERO, &mut SplitMix64::new(1));
        assert!(matches!(step, Step::Attempt(_)), "{step:?}");
        drop(call);
        assert_eq!(guard.in_flight(), 0);
    }
    // Settled first, it is not freed a second time.
    let mut other = guard.begin_detached(Instant::ZERO, None);
    let _other = attempt(&mut other, &mut guard);
    let mut call = guard.begin(Instant::ZERO, None);
    if let Step::Attempt(permit) = call.poll(Instant::ZERO, &mut SplitMix64::new(1)) {
        call.on_outcome(Instant::ZERO, permit, Outcome::failed(FaultKind::Permanent));
    }
    drop(call);
    assert_eq!(guard.in_flight(), 1);
}

/// What one gate refuses takes nothing from the others.
#[test]
fn a_refused_admission_takes_nothing() {
    let quota = Quota::per_minute(60).unwrap().burst(3).unwrap();
    let breaker = BreakerConfig {
        consecutive_failures: Some(1),
        half_open_calls: 1,
        half_open_successes: 1,
        ..BreakerConfig::DEFAULT
    };
    let mut guard = Guard::new(GuardConfig {
        quota,
        breaker,
        ..CONFIG
    })
    .unwrap();
    let stopped = |guard: &mut Guard, now| match guard.begin(now, None).poll(now, &mut SplitMix64::new(1)) {
        Step::Done(Verdict::Stopped { reason, .. }) => reason,
        other @ (Step::Attempt(_) | Step::Wait { .. } | Step::Done(_)) => panic!("not refused but {other:?}"),
    };
    let mut calls = [
        guard.begin_detached(Instant::ZERO, None),
        guard.begin_detached(Instant::ZERO, None),
    ];
    let permits = calls.each_mut().map(|call| attempt(call, &mut guard));
    // Every slot is taken: the limiter's permit is given back.
    assert_eq!(stopped(&mut guard, Instant::ZERO), StopReason::Bulkhead);
    assert_eq!((guard.remaining(Instant::ZERO), guard.in_flight()), (1, 2));
    // The circuit is open: neither a permit nor a slot is taken.
    for (call, permit) in calls.iter_mut().zip(permits) {
        call.on_outcome(
            &mut guard,
            Instant::ZERO,
            permit,
            Outcome::failed(FaultKind::Transient),
        );
    }
    assert!(matches!(
        stopped(&mut guard, Instant::ZERO),
        StopReason::Breaker { retry_at: Some(_) }
    ));
    assert_eq!((guard.remaining(Instant::ZERO), guard.in_flight()), (1, 0));
}

/// A probe that the limiter refuses gives its place back: the next one may go.
#[test]
fn a_probe_without_a_permit_gives_its_place_back() {
    let quota = Quota::per_minute(1).unwrap();
    let breaker = BreakerConfig {
        consecutive_failures: Some(1),
        half_open_calls: 1,
        half_open_successes: 1,
        ..BreakerConfig::DEFAULT
    };
    let retry = RetryPolicy::NEVER;
    let mut guard = Guard::new(GuardConfig {
        quota,
        breaker,
        retry,
        ..CONFIG
    })
    .unwrap();
    let mut call = guard.begin_detached(Instant::ZERO, None);
    let permit = attempt(&mut call, &mut guard);
    call.on_outcome(
        &mut guard,
        Instant::ZERO,
        permit,
        Outcome::failed(FaultKind::Transient),
    );
    for second in 10..20 {
        let step = guard
            .begin(at_secs(second), None)
            .poll(at_secs(second), &mut SplitMix64::new(1));
        let refused = matches!(
            step,
            Step::Done(Verdict::Stopped {
                reason: StopReason::RateLimit { .. },
                ..
            })
        );
        assert!(refused, "{step:?}");
    }
    let mut call = guard.begin_detached(at_secs(60), None);
    let step = call.poll(&mut guard, at_secs(60), &mut SplitMix64::new(1));
    assert!(matches!(step, Step::Attempt(_)), "{step:?}");
}
