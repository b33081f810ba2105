//! Every outcome counts, and as many probes as are allowed.

use crossbridge_core::breaker::{BreakerState, Settled, SharedBreaker};
use crossbridge_core::{BreakerConfig, Instant};
use loom::sync::Arc;

use crate::{few_preemptions, together};

const FAILURE: Settled = Settled::Failure { retry_after: None };

/// Two failures in a row open it, and one probe at a time closes it.
fn closed() -> SharedBreaker {
    let config = BreakerConfig {
        consecutive_failures: Some(2),
        half_open_concurrent: 1,
        half_open_calls: 1,
        half_open_successes: 1,
        ..BreakerConfig::DEFAULT
    };
    let breaker = SharedBreaker::new(config).expect("in its ranges");
    // Every word of it is looked at.
    let _ = breaker.snapshot(Instant::ZERO);
    breaker
}

#[test]
fn no_failure_is_lost() {
    loom::model(|| {
        let shared = Arc::new(closed());
        together::<2, _, _>(&shared, |shared, _| {
            let permit = shared.admit(Instant::ZERO).expect("one failure does not open it");
            shared.settle(Instant::ZERO, permit, FAILURE);
        });
        assert_ne!(shared.state(), BreakerState::Closed);
    });
}

#[test]
fn one_probe_at_a_time() {
    few_preemptions(|| {
        let breaker = closed();
        for _ in 0..2 {
            let permit = breaker.admit(Instant::ZERO).expect("closed");
            breaker.settle(Instant::ZERO, permit, FAILURE);
        }
        // A day: longer than it is open for.
        let half_open = Instant::from_nanos(86_400_000_000_000);
        let shared = Arc::new(breaker);
        let probes = together::<2, _, _>(&shared, move |shared, _| shared.admit(half_open).ok());
        let mut probes: Vec<_> = probes.into_iter().flatten().collect();
        assert_eq!(probes.len(), 1);
        shared.settle(half_open, probes.remove(0), Settled::Success);
        assert_eq!(shared.state(), BreakerState::Closed);
    });
}
