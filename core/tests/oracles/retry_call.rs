//! The loop that only retries against the guard that has nothing else to do.

use core::cell::Cell;
use core::time::Duration;

use crossbridge_core::breaker::BreakerMode;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::{Bounds, RetryBudget};
use crossbridge_core::testing::ManualClock;
use crossbridge_core::{
    BreakerConfig, BudgetConfig, Clock, Fault, FaultKind, Guard, GuardConfig, Instant, RetryPolicy,
};
use proptest::prelude::*;

use crate::backoff::rules;
use crate::retry::{any_failure, any_policy};
use crate::{A_DAY, any_span, check, log_uniform};

/// What an attempt returns, and after how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    took: u64,
    kind: FaultKind,
    retry_after: Option<Duration>,
    succeeds: bool,
}

impl Fault for Answer {
    fn kind(&self) -> FaultKind {
        self.kind
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

fn any_answer() -> impl Strategy<Value = Answer> + Clone {
    (log_uniform(0, A_DAY), any_failure(), 0..8_u8).prop_map(|(took, failure, chance)| Answer {
        took,
        kind: failure.kind,
        retry_after: failure.retry_after,
        succeeds: chance == 0,
    })
}

#[test]
fn it_does_what_a_guard_would_do_that_only_retries() {
    let bounds = (prop::option::of(any_span(1, 4 * A_DAY)), any::<bool>());
    let answers = prop::collection::vec(any_answer(), 6);
    let calls = prop::collection::vec(answers, 1..6);
    let inputs = (any_policy(), bounds, calls, any::<u64>(), 14..60_u32);
    check(
        600,
        inputs,
        |(policy, (left, idempotent), calls, seed, capacity)| {
            // A guard does not begin what cannot finish; this loop always begins.
            let policy = RetryPolicy {
                min_attempt: policy.min_attempt.min(left.unwrap_or(Duration::MAX)),
                ..policy
            };
            let config = BudgetConfig {
                capacity,
                ..BudgetConfig::AWS
            };
            let mut guard = Guard::new(GuardConfig {
                retry: policy,
                budget: config,
                breaker: BreakerConfig {
                    mode: BreakerMode::Disabled,
                    ..BreakerConfig::DEFAULT
                },
                deadline: left,
                idempotent,
                ..GuardConfig::DEFAULT
            })
            .unwrap();
            let (rules, mut budget) = (rules(policy), RetryBudget::new(config).unwrap());
            let (clock, twin) = (ManualClock::new(), ManualClock::new());
            let (mut rng, mut other) = (SplitMix64::new(seed), SplitMix64::new(seed));
            for answers in calls {
                let attempt = |number: u32, clock: &ManualClock| {
                    // Policies have five attempts at most.
                    let answer = answers[number as usize - 1];
                    clock.advance(Duration::from_nanos(answer.took));
                    if answer.succeeds { Ok(number) } else { Err(answer) }
                };
                let bounds = Bounds {
                    deadline: left.map(|span| clock.now().saturating_add(span)),
                    idempotent,
                };
                let said =
                    rules
                        .within(bounds)
                        .paid_by(&mut budget)
                        .call(&clock, &mut &clock, &mut rng, |now| attempt(now.number(), &clock));
                let wanted = guard.call(&twin, &mut &twin, &mut other, |now| attempt(now.number(), &twin));
                assert_eq!(said, wanted);
                assert_eq!(clock.now(), twin.now());
                assert_eq!(rng, other, "as many draws");
                assert_eq!(budget.tokens(clock.now()), guard.budget_tokens(twin.now()));
            }
        },
    );
}

/// Nobody asks what time it is while all goes well.
#[test]
fn a_call_that_succeeds_reads_no_clock() {
    struct Watched(Cell<u32>);

    impl Clock for Watched {
        fn now(&self) -> Instant {
            self.0.set(self.0.get() + 1);
            Instant::from_nanos(self.0.get().into())
        }
    }

    let clock = Watched(Cell::new(0));
    let (still, mut rng) = (ManualClock::new(), SplitMix64::new(1));
    let rules = rules(RetryPolicy::DEFAULT);
    let answer = rules.call(&clock, &mut &still, &mut rng, |_| Ok::<_, FaultKind>(7));
    assert_eq!((answer, clock.0.get()), (Ok(7), 0));
    assert_eq!(rng, SplitMix64::new(1), "nothing was drawn");
    let answer = rules.call(&clock, &mut &still, &mut rng, |_| {
        Err::<(), _>(FaultKind::Permanent)
    });
    assert!(answer.is_err() && clock.0.get() == 1);
}
