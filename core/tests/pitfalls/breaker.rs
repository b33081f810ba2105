//! Breakers that believe the dead, forget nothing, or never come back.

mod half_open;

use core::time::Duration;

use crossbridge_core::breaker::{
    Breaker, BreakerConfig, BreakerState, Permit, Settled, SharedBreaker, WindowKind,
};
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

/// Three calls hang, and everybody else would hang with them: nothing has failed yet.
#[test]
fn calls_that_never_come_back_trip() {
    let config = BreakerConfig {
        hanging_calls: Some(3),
        slow_call: Duration::from_secs(7),
        ..BreakerConfig::DEFAULT
    };
    let mut breaker = Breaker::new(config).unwrap();
    let mut hung: Vec<_> = (0..4).map(|_| admit(&mut breaker, at_secs(10))).collect();
    // Never before `slow_call`, always by 8/7 of it, and at the instant that was promised.
    let at = breaker.poll_at().expect("three hang");
    assert!(at_secs(17) <= at && at <= at_secs(18), "{at}");
    breaker.handle_timeout(Instant::from_nanos(at.as_nanos() - 1));
    assert_eq!(breaker.state(), BreakerState::Closed);
    let mut others = breaker.clone();
    others.handle_timeout(at);
    assert_eq!(others.state(), BreakerState::Open);
    assert!(others.clone().admit(at).is_err());

    // Two that come back in time leave two.
    for permit in hung.drain(..2) {
        breaker.settle(Instant::from_nanos(at.as_nanos() - 1), permit, Settled::Success);
    }
    assert_eq!(breaker.poll_at(), None);
    breaker.handle_timeout(at_secs(60));
    assert_eq!(breaker.state(), BreakerState::Closed);
    // They count as long as they hang: one more is enough.
    let _third = admit(&mut breaker, at_secs(60));
    breaker.handle_timeout(at_secs(68));
    assert_eq!(breaker.state(), BreakerState::Open);
    // And nothing of it is left when the circuit closes again.
    let until = breaker.admit(at_secs(68)).unwrap_err().retry_at.unwrap();
    for _ in 0..2 {
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, Settled::Success);
    }
    for permit in hung {
        breaker.settle(until, permit, Settled::Success);
    }
    assert_eq!((breaker.poll_at(), breaker.state()), (None, BreakerState::Closed));
}

/// A hundred calls wait for a server that has just come back.
#[test]
fn not_everybody_comes_back_at_once() {
    let config = BreakerConfig {
        slow_start: Some(Duration::from_secs(10)),
        half_open_successes: 1,
        ..CONFIG
    };
    let (mut breaker, until) = opened(config, Instant::ZERO);
    let probe = admit(&mut breaker, until);
    breaker.settle(until, probe, Settled::Success);
    assert_eq!(breaker.state(), BreakerState::Closed);
    // Out of a hundred asks at once: the share of the moment, evenly.
    for (secs, share) in [(0, 10), (1, 10), (3, 30), (5, 50), (9, 90), (10, 100), (60, 100)] {
        let now = until.saturating_add(Duration::from_secs(secs));
        let mut at_once = breaker.clone();
        let admitted = (0..100).filter(|_| at_once.admit(now).is_ok()).count();
        assert!(admitted.abs_diff(share) <= 1, "{admitted} of 100 after {secs} s");
        assert!(
            at_once
                .admit(until.saturating_add(Duration::from_secs(10)))
                .is_ok()
        );
    }
    // The first is admitted, the second is told when to ask.
    let permit = admit(&mut breaker, until);
    let refused = breaker.admit(until).unwrap_err();
    assert_eq!(refused.state, BreakerState::Closed);
    let at = refused.retry_at.expect("a slow start says when");
    assert!(
        breaker
            .clone()
            .admit(Instant::from_nanos(at.as_nanos() - 1))
            .is_err()
    );
    assert!(breaker.clone().admit(at).is_ok());
    // Results of these calls count.
    let other = admit(&mut breaker, at);
    for permit in [permit, other] {
        breaker.settle(at, permit, FAILURE);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

/// A circuit that has just been made has nothing to recover from.
#[test]
fn a_new_circuit_starts_at_once() {
    let mut breaker = Breaker::new(BreakerConfig {
        slow_start: Some(Duration::from_secs(10)),
        ..CONFIG
    })
    .unwrap();
    assert!((0..100).all(|_| breaker.admit(Instant::ZERO).is_ok()));
}

/// A shared breaker that opened at 100 s, until about 102 s.
fn shared_opened() -> (SharedBreaker, Instant) {
    let breaker = SharedBreaker::new(CONFIG).unwrap();
    for _ in 0..2 {
        let permit = breaker.admit(at_secs(100)).expect("closed");
        breaker.settle(at_secs(100), permit, FAILURE);
    }
    let until = breaker.admit(at_secs(100)).unwrap_err().retry_at.unwrap();
    (breaker, until)
}

/// A thread that was off its core between reading the clock and asking.
#[test]
fn a_late_thread_moves_nothing_back() {
    let (breaker, until) = shared_opened();
    let late = Instant::from_nanos(at_secs(100).as_nanos() - 900_000_000);
    assert_eq!(breaker.admit(late).unwrap_err().retry_at, Some(until));
    breaker.handle_timeout(late);
    assert_eq!(breaker.admit(at_secs(100)).unwrap_err().retry_at, Some(until));
    // While half open it sees the probe's place taken, and the probe's deadline stays.
    let _probe = breaker.admit(until).expect("a probe");
    let deadline = breaker.poll_at();
    let late = Instant::from_nanos(until.as_nanos() - 900_000_000);
    assert!(breaker.admit(late).is_err());
    breaker.handle_timeout(late);
    assert_eq!(breaker.poll_at(), deadline);
    // Nor does it make a quick call slow, or a slow one quick.
    let late = Instant::from_nanos(at_secs(100).as_nanos() - 900_000_000);
    let breaker = SharedBreaker::new(BreakerConfig {
        slow_call: Duration::from_millis(500),
        ..BreakerConfig::DEFAULT
    })
    .unwrap();
    let failing = breaker.admit(at_secs(100)).unwrap();
    breaker.settle(at_secs(100), failing, FAILURE);
    for (took, slow) in [(400, 0), (600, 1)] {
        let permit = breaker.admit(late).unwrap();
        let settled_at = late.saturating_add(Duration::from_millis(took));
        breaker.settle(settled_at, permit, FAILURE);
        assert_eq!(breaker.counts().slow, slow, "{took} ms");
    }
}

#[test]
fn a_clock_an_hour_back_locks_no_shared_circuit() {
    let (breaker, until) = shared_opened();
    // Others were refused meanwhile, without a trace.
    for ms in 0..1_000 {
        assert!(breaker.admit(crate::at_ms(100_000 + ms)).is_err());
    }
    let back = Instant::from_nanos(at_secs(101).as_nanos() - 60_000_000_000);
    let at = breaker.admit(back).unwrap_err().retry_at.unwrap();
    let left = until.saturating_duration_since(at_secs(100));
    assert!(at <= back.saturating_add(left), "{at} from {back}");
    assert!(breaker.admit(at).is_ok());
}

/// The small form says what it has no room for.
#[test]
fn a_breaker_of_calls_refuses_what_it_cannot_hold() {
    let window = BreakerConfig {
        window: WindowKind::Time(Duration::from_secs(10)),
        ..CONFIG
    };
    assert_eq!(Breaker::of_calls(window).unwrap_err().field, "window");
    let hanging = BreakerConfig {
        hanging_calls: Some(1),
        ..CONFIG
    };
    assert_eq!(Breaker::of_calls(hanging).unwrap_err().field, "hanging_calls");
    let mut small = Breaker::of_calls(CONFIG).unwrap();
    for _ in 0..2 {
        let permit = small.admit(Instant::ZERO).unwrap();
        small.settle(Instant::ZERO, permit, FAILURE);
    }
    assert_eq!(small.state(), BreakerState::Open);
}

/// A call of before the outage ends after it: the window that has begun since is not its own.
#[test]
fn a_stale_success_is_not_counted_after_closing_again() {
    let (mut breaker, shared) = (Breaker::new(CONFIG).unwrap(), SharedBreaker::new(CONFIG).unwrap());
    let now = at_secs(1);
    let stale = (admit(&mut breaker, now), shared.admit(now).unwrap());
    for _ in 0..2 {
        let permit = admit(&mut breaker, now);
        breaker.settle(now, permit, FAILURE);
        let permit = shared.admit(now).unwrap();
        shared.settle(now, permit, FAILURE);
    }
    let until = breaker.admit(now).unwrap_err().retry_at.unwrap();
    for _ in 0..2 {
        let probe = admit(&mut breaker, until);
        breaker.settle(until, probe, Settled::Success);
        let probe = shared.admit(until).unwrap();
        shared.settle(until, probe, Settled::Success);
    }
    assert_eq!(
        (breaker.state(), shared.state()),
        (BreakerState::Closed, BreakerState::Closed)
    );
    breaker.settle(until, stale.0, Settled::Success);
    shared.settle(until, stale.1, Settled::Success);
    assert_eq!((breaker.counts().calls, shared.counts().calls), (0, 0));
}
