//! All gates or none, and what a lost race took is given back.

use core::time::Duration;

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{CallState, Permit, SharedGuard};
use crossbridge_core::{
    BreakerConfig, BulkheadConfig, FaultKind, GuardConfig, Instant, Outcome, Quota, RetryPolicy, Step,
};
use loom::sync::Arc;

use crate::{preemptions, together};

/// A day: longer than the circuit is open for.
const NOW: Instant = Instant::from_nanos(86_400_000_000_000);

/// When another permit is there.
const NEXT: Instant = Instant::from_nanos(86_401_000_000_000);

/// One permit, two slots and two probes: a circuit that is asked every time.
fn guard() -> SharedGuard {
    let guard = SharedGuard::new(GuardConfig {
        quota: Quota::new(1, Duration::from_secs(1)).expect("one a second"),
        retry: RetryPolicy::NEVER,
        breaker: BreakerConfig {
            consecutive_failures: Some(1),
            half_open_concurrent: 2,
            half_open_calls: 2,
            half_open_successes: 2,
            ..BreakerConfig::DEFAULT
        },
        bulkhead: BulkheadConfig { limit: 2 },
        ..GuardConfig::DEFAULT
    });
    let guard = guard.expect("in its ranges");
    // One call, which opens the circuit and looks at every word of the guard.
    let start = Instant::ZERO;
    settle(
        &guard,
        start,
        ask(&guard, start),
        Outcome::failed(FaultKind::Transient),
    );
    assert_eq!(guard.breaker_state(), BreakerState::Open);
    assert_eq!((guard.remaining(NOW), guard.in_flight()), (1, 0));
    guard
}

/// A call up to its attempt; `None` where there is none.
fn ask(guard: &SharedGuard, now: Instant) -> Option<(CallState, Permit)> {
    let mut call = guard.begin_detached(now, None);
    match call.poll(guard, now, &mut SplitMix64::new(1)) {
        Step::Attempt(permit) => Some((call, permit)),
        Step::Wait { .. } | Step::Done(_) => None,
    }
}

fn settle(guard: &SharedGuard, now: Instant, asked: Option<(CallState, Permit)>, outcome: Outcome) {
    let (mut call, permit) = asked.expect("admitted");
    call.on_outcome(guard, now, permit, outcome);
}

/// Both may pass the question that goes before, and one of them finds the permit gone.
#[test]
fn one_permit_is_one_attempt_and_the_slot_of_the_other_is_given_back() {
    // A thread that is cut short once meets the other anywhere on its way; twice takes minutes.
    preemptions(1, || {
        let shared = Arc::new(guard());
        let sent = together::<2, _, _>(&shared, |shared, _| ask(shared, NOW));
        let mut sent = sent.into_iter().filter(Option::is_some);
        settle(&shared, NOW, sent.next().flatten(), Outcome::Success);
        assert!(sent.next().is_none(), "one permit for two");
        assert_eq!((shared.remaining(NOW), shared.in_flight()), (0, 0));
        // The probe that was not sent is given back too: another one closes the circuit.
        settle(&shared, NEXT, ask(&shared, NEXT), Outcome::Success);
        assert_eq!(shared.breaker_state(), BreakerState::Closed);
    });
}
