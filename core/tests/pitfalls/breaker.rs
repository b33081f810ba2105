//! Breakers that believe the dead, forget nothing, or never come back.

use core::time::Duration;

use crossbridge_core::breaker::{Breaker, BreakerConfig, BreakerState, Permit, Settled, WindowKind};
use crossbridge_core::{Instant, PerMille};

use crate::at_secs;

const FAILURE: Settled = Settled::Failure { retry_after: None };

/// Opens after two failures in a row, for one to two seconds of which half is chance.
const CONFIG: BreakerConfig = BreakerConfig {
    consecutive_failures: Some(2),
    open_wait: Duration::from_secs(2),
    ..BreakerConfig::DEFAULT
};

fn admit(breaker: &mut Breaker, now: Instant) -> Permit {
    breaker.admit(now).expect("admitted")
}

/// A breaker that has just opened, and until when.
fn opened(config: BreakerConfig, now: Instant) -> (Breaker, Instant) {
    let mut breaker = Breaker::new(config).unwrap();
    for _ in 0..2 {
        let permit = admit(&mut breaker, now);
        breaker.settle(now, permit, FAILURE);
    }
    let until = breaker.admit(now).unwrap_err().retry_at.unwrap();
    (breaker, until)
}

/// Polly#217, Hystrix#1350, `deno_std`#7306, failsafe-rs, reliakit.
#[test]
fn stale_success_does_not_close() {
    let mut breaker = Breaker::new(CONFIG).unwrap();
    let stale: Vec<_> = (0..5).map(|_| admit(&mut breaker, Instant::ZERO)).collect();
    for _ in 0..2 {
        let permit = admit(&mut breaker, Instant::ZERO);
        breaker.settle(Instant::ZERO, permit, FAILURE);
    }
    let until = breaker.admit(Instant::ZERO).unwrap_err().retry_at.unwrap();
    let mut stale = stale.into_iter();
    breaker.settle(Instant::ZERO, stale.next().unwrap(), Settled::Success);
    assert_eq!(breaker.state(), BreakerState::Open);

    let _probe = admit(&mut breaker, until);
    for permit in stale {
        breaker.settle(until, permit, Settled::Success);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
}

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

#[test]
fn success_never_trips() {
    // Nine of ten failed, and the tenth call, which fills `min_calls`, succeeds; slowly, too.
    for (slow_call, slow_rate) in [(60, None), (1, None)] {
        let config = BreakerConfig {
            min_calls: 10,
            slow_call: Duration::from_secs(slow_call),
            slow_rate,
            ..BreakerConfig::DEFAULT
        };
        let mut breaker = Breaker::new(config).unwrap();
        let last = admit(&mut breaker, Instant::ZERO);
        for _ in 0..9 {
            let permit = admit(&mut breaker, Instant::ZERO);
            breaker.settle(Instant::ZERO, permit, FAILURE);
        }
        breaker.settle(at_secs(2), last, Settled::Success);
        assert_eq!(breaker.counts().calls, 10);
        assert_eq!(
            breaker.state(),
            BreakerState::Closed,
            "slow from {slow_call} s on"
        );
        let next = admit(&mut breaker, at_secs(2));
        breaker.settle(at_secs(2), next, FAILURE);
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}

/// A slow call trips where slowness is watched, though it succeeded.
#[test]
fn a_slow_success_trips_where_slowness_counts() {
    let config = BreakerConfig {
        min_calls: 4,
        slow_call: Duration::from_secs(1),
        slow_rate: Some(PerMille::ALL),
        ..BreakerConfig::DEFAULT
    };
    let mut breaker = Breaker::new(config).unwrap();
    for started in 0..4 {
        assert_eq!(breaker.state(), BreakerState::Closed);
        let permit = admit(&mut breaker, at_secs(started));
        breaker.settle(at_secs(started + 1), permit, Settled::Success);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

/// tower-resilience needs ten thousand failures after ten thousand successes.
#[test]
fn ten_thousand_successes_do_not_outweigh_the_present() {
    for window in [WindowKind::Calls(100), WindowKind::Time(Duration::from_secs(10))] {
        let mut breaker = Breaker::new(BreakerConfig {
            window,
            ..BreakerConfig::DEFAULT
        })
        .unwrap();
        for ms in 0..10_000 {
            let now = crate::at_ms(ms);
            let permit = admit(&mut breaker, now);
            breaker.settle(now, permit, Settled::Success);
        }
        // Half of the last hundred calls, or of those of the last ten seconds.
        let mut failures = 0;
        while breaker.state() == BreakerState::Closed {
            failures += 1;
            let now = crate::at_ms(10_000 + failures * 100);
            let permit = admit(&mut breaker, now);
            breaker.settle(now, permit, FAILURE);
        }
        assert!(failures <= 100, "{failures} failures in {window:?}");
    }
}

/// A circuit that was open for an hour has not learnt more than one that reached its longest wait.
#[test]
fn the_wait_stops_growing_where_it_is_longest() {
    use core::time::Duration;
    use crossbridge_core::breaker::{Breaker, Settled};
    use crossbridge_core::{BreakerConfig, Instant};

    let config = BreakerConfig {
        consecutive_failures: Some(1),
        open_wait: Duration::from_secs(1),
        open_wait_max: Duration::from_secs(4),
        half_open_calls: 1,
        half_open_successes: 1,
        ..BreakerConfig::DEFAULT
    };
    let mut breaker = Breaker::new(config).expect("a breaker");
    let mut now = Instant::ZERO;
    let fail = Settled::Failure { retry_after: None };
    for _ in 0..100 {
        let permit = breaker.admit(now).expect("closed, or its probe");
        breaker.settle(now, permit, fail);
        now = breaker
            .admit(now)
            .expect_err("open")
            .retry_at
            .expect("an instant");
    }
    let permit = breaker.admit(now).expect("a probe");
    breaker.settle(now, permit, Settled::Success);
    // Two healthy waits take off what the two doublings had put on.
    now = now.saturating_add(Duration::from_secs(2));
    let permit = breaker.admit(now).expect("closed");
    breaker.settle(now, permit, fail);
    let until = breaker
        .admit(now)
        .expect_err("open")
        .retry_at
        .expect("an instant");
    assert!(
        until <= now.saturating_add(Duration::from_secs(1)),
        "{now} {until}"
    );
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
