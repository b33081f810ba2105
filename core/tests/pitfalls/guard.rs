//! What only shows when the machines work together.

use core::cell::Cell;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::testing::ManualClock;
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, CallError, Clock, Fault, FaultKind, Guard, GuardConfig,
    Instant, Jitter, OnLimit, Outcome, Quota, RetryPolicy, Sleeper, Step, StopReason, Verdict,
};

use crate::{at_ms, at_secs};

/// A clock that counts how long was slept on it.
#[derive(Default)]
struct Slept(ManualClock, Cell<Duration>);

impl Sleeper for &Slept {
    fn sleep(&mut self, span: Duration) {
        self.1.set(self.1.get() + span);
        (&mut &self.0).sleep(span);
    }
}

#[test]
fn nothing_sleeps_past_the_deadline() {
    for (deadline_ms, attempts) in [(100, 1), (499, 1), (500, 1), (501, 2), (1_500, 2), (1_501, 3)] {
        let retry = RetryPolicy::DEFAULT.jitter(Jitter::None).attempts(10);
        let deadline = Some(Duration::from_millis(deadline_ms));
        let mut guard = Guard::new(GuardConfig {
            retry,
            deadline,
            ..GuardConfig::DEFAULT
        })
        .unwrap();
        let slept = Slept::default();
        let failed = guard.call(&slept.0, &mut &slept, &mut SplitMix64::new(1), |_| {
            Err::<(), _>(FaultKind::Transient)
        });
        let failed = failed.unwrap_err();
        assert_eq!((failed.reason, failed.attempts), (StopReason::Deadline, attempts));
        // It stops at once: no wait is begun that ends at nothing.
        assert_eq!(failed.slept, slept.1.get());
        assert!(slept.0.now() < at_ms(deadline_ms));
    }
}

/// A limiter's permit that comes too late is not waited for either.
#[test]
fn nothing_waits_for_a_permit_past_the_deadline() {
    let quota = Quota::per_second(1).unwrap();
    let config = GuardConfig {
        quota,
        on_limit: OnLimit::Wait,
        ..GuardConfig::DEFAULT
    };
    for (deadline_ms, waits) in [(999, false), (1_000, false), (1_001, true)] {
        let mut guard = Guard::new(config).unwrap();
        let mut rng = SplitMix64::new(1);
        let mut first = guard.begin_detached(Instant::ZERO, None);
        let Step::Attempt(permit) = first.poll(&mut guard, Instant::ZERO, &mut rng) else {
            panic!("a full bucket");
        };
        first.on_outcome(&mut guard, Instant::ZERO, permit, Outcome::Success);
        let mut second = guard.begin(Instant::ZERO, Some(at_ms(deadline_ms)));
        match second.poll(Instant::ZERO, &mut rng) {
            Step::Wait { until } => assert!(waits && until == at_secs(1)),
            Step::Done(Verdict::Stopped { reason, .. }) => {
                assert_eq!(
                    reason,
                    StopReason::RateLimit {
                        not_before: Some(at_secs(1))
                    }
                );
                assert!(!waits);
            }
            Step::Attempt(_) | Step::Done(_) => panic!("neither waited for nor refused"),
        }
    }
}

/// Nor past the end of the time for retries.
#[test]
fn no_retry_starts_after_the_policy_gave_up() {
    let retry = RetryPolicy {
        give_up_after: Some(Duration::from_secs(2)),
        ..RetryPolicy::DEFAULT.jitter(Jitter::None).attempts(10)
    };
    let quota = Quota::per_minute(6).unwrap().burst(1).unwrap();
    let config = GuardConfig {
        retry,
        quota,
        on_limit: OnLimit::Wait,
        ..GuardConfig::DEFAULT
    };
    let mut guard = Guard::new(config).unwrap();
    let clock = ManualClock::new();
    let failed = guard.call(&clock, &mut &clock, &mut SplitMix64::new(1), |_| {
        Err::<(), _>(FaultKind::Transient)
    });
    let failed = failed.unwrap_err();
    assert_eq!(failed.attempts, 1);
    assert_eq!(
        failed.reason,
        StopReason::RateLimit {
            not_before: Some(at_secs(10))
        }
    );
    assert!(clock.now() <= at_secs(2));
}

#[test]
fn retry_refused_by_breaker_refunds_the_budget() {
    let config = GuardConfig {
        retry: RetryPolicy::DEFAULT.jitter(Jitter::None),
        budget: BudgetConfig::AWS,
        breaker: BreakerConfig {
            consecutive_failures: Some(1),
            ..BreakerConfig::DEFAULT
        },
        ..GuardConfig::DEFAULT
    };
    let mut guard = Guard::new(config).unwrap();
    let clock = ManualClock::new();
    let failed = guard.call(&clock, &mut &clock, &mut SplitMix64::new(1), |_| {
        Err::<(), _>(FaultKind::Transient)
    });
    let failed = failed.unwrap_err();
    assert!(
        matches!(failed.reason, StopReason::Breaker { retry_at: Some(_) }),
        "{failed}"
    );
    assert_eq!(failed.last, Some(FaultKind::Transient));
    assert_eq!(guard.budget_tokens(clock.now()), BudgetConfig::AWS.capacity);
}

/// Three layers of three attempts are three requests, not twenty-seven.
#[test]
fn exhausted_error_is_overloaded_above() {
    let config = GuardConfig {
        retry: RetryPolicy::DEFAULT,
        ..GuardConfig::DEFAULT
    };
    let (mut low, mut middle, mut high) = (
        Guard::new(config).unwrap(),
        Guard::new(config).unwrap(),
        Guard::new(config).unwrap(),
    );
    let clock = ManualClock::new();
    let (mut sleeper, mut rngs) = (&clock, [1, 2, 3].map(SplitMix64::new));
    let [low_rng, middle_rng, high_rng] = &mut rngs;
    let requests = Cell::new(0);
    let failed = high.call(&clock, &mut sleeper, high_rng, |_| {
        middle.call(&clock, &mut &clock, middle_rng, |_| {
            low.call(&clock, &mut &clock, low_rng, |_| {
                requests.set(requests.get() + 1);
                Err::<(), _>(FaultKind::Transient)
            })
        })
    });
    let failed: CallError<CallError<CallError<FaultKind>>> = failed.unwrap_err();
    assert_eq!(requests.get(), 3);
    assert_eq!(
        (failed.reason, failed.kind()),
        (StopReason::Overloaded, FaultKind::Overloaded)
    );
    let lowest = failed.last.and_then(|middle| middle.last).unwrap();
    assert_eq!(
        (lowest.reason, lowest.last),
        (StopReason::AttemptsExhausted, Some(FaultKind::Transient))
    );
}

/// A panic goes through, and takes nothing with it.
#[test]
fn a_panicking_attempt_settles_its_permit() {
    let config = GuardConfig {
        bulkhead: BulkheadConfig { limit: 1 },
        breaker: BreakerConfig {
            consecutive_failures: Some(1),
            half_open_calls: 1,
            half_open_successes: 1,
            ..BreakerConfig::DEFAULT
        },
        ..GuardConfig::DEFAULT
    };
    let mut guard = Guard::new(config).unwrap();
    let clock = ManualClock::new();
    let panics = |guard: &mut Guard, clock: &ManualClock| {
        let call = AssertUnwindSafe(|| {
            guard.call(
                clock,
                &mut { clock },
                &mut SplitMix64::new(1),
                |_| -> Result<(), FaultKind> { std::panic::resume_unwind(Box::new("the attempt broke")) },
            )
        });
        let panic = catch_unwind(call).expect_err("the panic goes on");
        assert_eq!(panic.downcast_ref(), Some(&"the attempt broke"));
        assert_eq!(guard.in_flight(), 0);
    };
    // While closed it says nothing.
    panics(&mut guard, &clock);
    assert_eq!(
        guard.breaker_state(),
        crossbridge_core::breaker::BreakerState::Closed
    );
    // As a probe it failed, at once, and not when its deadline passes.
    let failed = guard.call(&clock, &mut &clock, &mut SplitMix64::new(1), |_| {
        Err::<(), _>(FaultKind::Transient)
    });
    assert!(failed.is_err());
    clock.advance(Duration::from_secs(60));
    panics(&mut guard, &clock);
    assert_eq!(
        guard.breaker_state(),
        crossbridge_core::breaker::BreakerState::Open
    );
}

/// `order id 15003 not found` is not a server error: what the text says is not asked.
#[test]
fn the_kind_decides_and_no_text() {
    struct OrderNotFound;
    impl Fault for OrderNotFound {
        fn kind(&self) -> FaultKind {
            FaultKind::Permanent
        }
    }
    let mut guard = Guard::new(GuardConfig::DEFAULT).unwrap();
    let clock = ManualClock::new();
    let failed = guard.call(&clock, &mut &clock, &mut SplitMix64::new(1), |_| {
        Err::<(), _>(OrderNotFound)
    });
    let failed = failed.map_err(|failed| (failed.reason, failed.attempts));
    assert_eq!(failed, Err((StopReason::Permanent, 1)));
}

/// A retry that was due in time and is polled late, by a thread that was off its core: it is not
/// made.
#[test]
fn a_retry_polled_too_late_gives_up() {
    let config = GuardConfig {
        retry: RetryPolicy {
            give_up_after: Some(Duration::from_secs(2)),
            ..RetryPolicy::DEFAULT.jitter(Jitter::None)
        },
        ..GuardConfig::DEFAULT
    };
    let mut guard = Guard::new(config).unwrap();
    let mut rng = SplitMix64::new(1);
    let second = |n: u64| Instant::from_nanos(n * 1_000_000_000);
    let mut call = guard.begin(second(10), None);
    let Step::Attempt(permit) = call.poll(second(10), &mut rng) else {
        panic!("nothing is in the way")
    };
    call.on_outcome(second(10), permit, Outcome::failed(FaultKind::Transient));
    assert!(matches!(call.poll(second(10), &mut rng), Step::Wait { until } if until < second(11)));
    let Step::Done(Verdict::Stopped { reason, .. }) = call.poll(second(13), &mut rng) else {
        panic!("three seconds after the first failure")
    };
    assert_eq!(reason, StopReason::GaveUp);
}

/// A call that has no time at all can only fail: whoever writes it meant something else.
#[test]
fn spans_of_zero_are_refused() {
    let zero = Some(Duration::ZERO);
    for (config, field) in [
        (
            GuardConfig {
                deadline: zero,
                ..GuardConfig::DEFAULT
            },
            "deadline",
        ),
        (
            GuardConfig {
                attempt_timeout: zero,
                ..GuardConfig::DEFAULT
            },
            "attempt_timeout",
        ),
    ] {
        assert_eq!(Guard::new(config).unwrap_err().field, field);
    }
}
