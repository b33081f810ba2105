//! Probes that never report, and circuits that half open for nobody.

use core::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::breaker::{Breaker, BreakerConfig, BreakerState, Settled};

use super::{CONFIG, FAILURE, admit, opened};

/// failsafe-rs admits 1000 of 1000.
#[test]
fn half_open_admits_at_most_p() {
    for (concurrent, calls) in [(1, 3), (2, 3), (3, 3), (8, 20)] {
        let config = BreakerConfig {
            half_open_concurrent: concurrent,
            half_open_calls: calls,
            ..CONFIG
        };
        let (mut breaker, until) = opened(config, Instant::ZERO);
        let admitted: Vec<_> = (0..1_000).filter_map(|_| breaker.admit(until).ok()).collect();
        assert_eq!(admitted.len(), usize::from(concurrent));
    }
}

/// And no more than N in all, however many are neutral or come one by one.
#[test]
fn half_open_makes_at_most_n_probes_in_all() {
    let config = BreakerConfig {
        half_open_concurrent: 8,
        half_open_calls: 5,
        half_open_successes: 5,
        ..CONFIG
    };
    let (mut breaker, until) = opened(config, Instant::ZERO);
    let mut sent = 0;
    for _ in 0..4 {
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, Settled::Success);
        sent += 1;
    }
    let rest: Vec<_> = (0..10).filter_map(|_| breaker.admit(until).ok()).collect();
    assert_eq!(sent + rest.len(), 5);
}

/// `OmniRoute`#13836: a probe without a result kept the circuit half open for six days.
#[test]
fn probe_without_result_expires() {
    let (mut breaker, until) = opened(CONFIG, Instant::ZERO);
    drop(admit(&mut breaker, until));
    assert!(breaker.admit(until).is_err(), "its place is taken");

    let deadline = until.saturating_add(CONFIG.probe_timeout);
    assert_eq!(breaker.poll_at(), Some(deadline));
    assert!(
        breaker
            .admit(Instant::from_nanos(deadline.as_nanos() - 1))
            .is_err()
    );
    // One of three may fail: the next probe takes the place.
    let second = admit(&mut breaker, deadline);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    // A second one without a result decides.
    drop(second);
    breaker.handle_timeout(deadline.saturating_add(CONFIG.probe_timeout));
    assert_eq!(breaker.state(), BreakerState::Open);
}

/// The late result of an expired probe belongs to nobody, however often its place was used since.
#[test]
fn an_expired_probe_never_speaks_for_another() {
    for uses in [1, 254, 255, 256, 511] {
        let (mut breaker, until) = opened(CONFIG, Instant::ZERO);
        let expired = admit(&mut breaker, until);
        let now = until.saturating_add(CONFIG.probe_timeout);
        for _ in 0..uses {
            let neutral = admit(&mut breaker, now);
            breaker.settle(now, neutral, Settled::Neutral);
        }
        let _probe = admit(&mut breaker, now);
        breaker.settle(now, expired, Settled::Success);
        assert!(
            breaker.admit(now).is_err(),
            "after {uses} uses the place is still taken"
        );
    }
}

#[test]
fn lost_probe_counts_as_failure() {
    let (mut breaker, until) = opened(CONFIG, Instant::ZERO);
    for _ in 0..2 {
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, Settled::Lost);
    }
    assert_eq!(breaker.state(), BreakerState::Open);

    // While closed nobody knows what it says.
    let mut breaker = Breaker::new(CONFIG).unwrap();
    for _ in 0..10 {
        let permit = admit(&mut breaker, Instant::ZERO);
        breaker.settle(Instant::ZERO, permit, Settled::Lost);
    }
    assert_eq!(
        (breaker.state(), breaker.counts().calls),
        (BreakerState::Closed, 0)
    );
}

#[test]
fn neutral_outcome_returns_its_place() {
    let (mut breaker, until) = opened(CONFIG, Instant::ZERO);
    for _ in 0..100 {
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, Settled::Neutral);
    }
    // Neither a place nor one of the three probes is used up.
    for _ in 0..2 {
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, Settled::Success);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

/// A probe that the limiter keeps back has not half opened the circuit.
#[test]
fn a_probe_that_is_not_sent_starts_no_half_open() {
    use core::time::Duration;
    use crossbridge_core::breaker::BreakerState;
    use crossbridge_core::draw::SplitMix64;
    use crossbridge_core::{
        BreakerConfig, FaultKind, Guard, GuardConfig, Instant, Outcome, Quota, RetryPolicy, Step,
    };

    let mut guard = Guard::new(GuardConfig {
        quota: Quota::per_hour(1).expect("a quota"),
        retry: RetryPolicy::NEVER,
        breaker: BreakerConfig {
            consecutive_failures: Some(1),
            ..BreakerConfig::DEFAULT
        },
        ..GuardConfig::DEFAULT
    })
    .expect("a guard");
    let mut rng = SplitMix64::new(1);
    let mut call = guard.begin(Instant::ZERO, None);
    let Step::Attempt(permit) = call.poll(Instant::ZERO, &mut rng) else {
        panic!("the first is free")
    };
    call.on_outcome(Instant::ZERO, permit, Outcome::failed(FaultKind::Transient));
    drop(call);
    let later = Instant::ZERO.saturating_add(Duration::from_secs(60));
    let mut call = guard.begin(later, None);
    assert!(matches!(call.poll(later, &mut rng), Step::Done(_)));
    drop(call);
    assert_eq!(guard.breaker_state(), BreakerState::Open);
}

/// Nobody asked for an hour: that is no evidence against the server.
#[test]
fn a_half_open_circuit_left_alone_does_not_reopen() {
    let (mut breaker, until) = opened(CONFIG, Instant::ZERO);
    let probe = admit(&mut breaker, until);
    breaker.settle(until, probe, Settled::Success);
    assert_eq!(breaker.poll_at(), None, "no probe is in flight");
    let later = until.saturating_add(Duration::from_secs(3_600));
    breaker.handle_timeout(later);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    // The next caller is a probe of a new round, which takes two.
    for expected in [BreakerState::HalfOpen, BreakerState::Closed] {
        let probe = admit(&mut breaker, later);
        breaker.settle(later, probe, Settled::Success);
        assert_eq!(breaker.state(), expected);
    }
}

/// But a probe that failed is.
#[test]
fn a_half_open_circuit_with_a_failed_probe_has_a_deadline() {
    for settled in [FAILURE, Settled::Lost] {
        let (mut breaker, until) = opened(CONFIG, Instant::ZERO);
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, settled);
        let deadline = until.saturating_add(CONFIG.half_open_timeout);
        assert_eq!(breaker.poll_at(), Some(deadline));
        breaker.handle_timeout(Instant::from_nanos(deadline.as_nanos() - 1));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.handle_timeout(deadline);
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}
