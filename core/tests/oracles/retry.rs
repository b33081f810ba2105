//! The retry decision against its table, read from top to bottom.

use core::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::{Backoff, Bounds, Decision, Failure, Retry, RetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, RetryPolicy, StopReason};
use proptest::prelude::*;

use crate::backoff::rules;
use crate::{A_DAY, any_nanos, any_span, check, log_uniform};

/// A policy whose limits are near each other, so that each of them decides now and then.
pub(crate) fn any_policy() -> impl Strategy<Value = RetryPolicy> + Clone {
    let times = (
        any_span(0, A_DAY),
        prop::option::of(any_span(0, u64::MAX)),
        any_span(0, A_DAY),
    );
    let some = (crate::backoff::any_policy(), times, 1..6_u32, any::<bool>());
    some.prop_map(
        |(policy, (max_hint, give_up_after, min_attempt), attempts, retry_exhausted)| RetryPolicy {
            attempts,
            max_hint,
            give_up_after,
            min_attempt,
            retry_exhausted,
            ..policy
        },
    )
}

pub(crate) fn any_failure() -> impl Strategy<Value = Failure> + Clone {
    let kind = prop::sample::select(FaultKind::ALL.to_vec());
    let hint = prop::option::of(any_span(0, 2 * A_DAY));
    (kind, hint).prop_map(|(kind, retry_after)| Failure { kind, retry_after })
}

/// How a call has gone so far, as somebody would note it on paper.
struct Notes {
    failures: u32,
    first_failure: u128,
    backoff: Backoff,
    tokens: u32,
}

/// What the rules say, with instants that do not end: `Ok` is when to retry and what it costs.
fn expected(
    notes: &mut Notes,
    now: u64,
    failure: Failure,
    policy: &RetryPolicy,
    bounds: Bounds,
    rng: &mut SplitMix64,
) -> Result<(u128, Option<u32>), StopReason> {
    let now = u128::from(now);
    notes.failures += 1;
    if notes.failures == 1 {
        notes.first_failure = now;
    }
    match failure.kind {
        FaultKind::Permanent => return Err(StopReason::Permanent),
        FaultKind::Overloaded if !policy.retry_exhausted => return Err(StopReason::Overloaded),
        FaultKind::Unknown if !bounds.idempotent => return Err(StopReason::NotIdempotent),
        FaultKind::NotSent
        | FaultKind::Transient
        | FaultKind::Throttled
        | FaultKind::Unknown
        | FaultKind::Overloaded => {}
    }
    if notes.failures >= policy.attempts {
        return Err(StopReason::AttemptsExhausted);
    }
    let hint = failure.retry_after.unwrap_or(Duration::ZERO);
    if hint > policy.max_hint {
        return Err(StopReason::HintTooLong { asked: hint });
    }
    let delay = notes
        .backoff
        .next_delay(&rules(*policy), failure.kind == FaultKind::Throttled, rng);
    let delay = hint.clamp(delay, delay + Duration::from_secs(5));
    let at = now + delay.as_nanos();
    // The clock ends: what is later is at its end.
    let at = at.min(u128::from(u64::MAX));
    if let Some(span) = policy.give_up_after {
        let end = (notes.first_failure + span.as_nanos()).min(u128::from(u64::MAX));
        if at > end {
            return Err(StopReason::GaveUp);
        }
    }
    if let Some(deadline) = bounds.deadline
        && at + policy.min_attempt.as_nanos().max(1) > u128::from(deadline.as_nanos())
    {
        return Err(StopReason::Deadline);
    }
    if failure.kind == FaultKind::NotSent && notes.failures == 1 {
        return Ok((at, None));
    }
    let cost = if failure.kind == FaultKind::Throttled {
        5
    } else {
        14
    };
    if notes.tokens < cost {
        return Err(StopReason::Budget);
    }
    notes.tokens -= cost;
    Ok((at, Some(cost)))
}

#[test]
fn decides_as_the_table_says() {
    let failures = prop::collection::vec((log_uniform(0, A_DAY), any_failure()), 1..8);
    let call = (
        any_nanos(),
        prop::option::of(log_uniform(0, 4 * A_DAY)),
        any::<bool>(),
    );
    let inputs = (any_policy(), call, failures, any::<u64>(), 14..60_u32);
    check(
        1_500,
        inputs,
        |(policy, (start, left, idempotent), failures, seed, tokens)| {
            let bounds = Bounds {
                deadline: left.map(|span| Instant::from_nanos(start.saturating_add(span))),
                idempotent,
            };
            let config = BudgetConfig {
                capacity: tokens,
                ..BudgetConfig::AWS
            };
            let mut budget = RetryBudget::new(config).unwrap();
            let mut notes = Notes {
                failures: 0,
                first_failure: 0,
                backoff: Backoff::new(&rules(policy)),
                tokens,
            };
            let mut retry = Retry::new(&rules(policy));
            let (mut rng, mut twin) = (SplitMix64::new(seed), SplitMix64::new(seed));
            let mut now = start;
            for (gap, failure) in failures {
                now = now.saturating_add(gap);
                let said = retry.on_failure(
                    Instant::from_nanos(now),
                    failure,
                    &rules(policy),
                    bounds,
                    &mut budget,
                    &mut rng,
                );
                let wanted = expected(&mut notes, now, failure, &policy, bounds, &mut twin);
                let said = match said {
                    Decision::RetryAt(at, receipt) => {
                        if let Some(deadline) = bounds.deadline {
                            assert!(at < deadline && at.saturating_add(policy.min_attempt) <= deadline);
                        }
                        Ok((u128::from(at.as_nanos()), receipt.map(|receipt| receipt.cost())))
                    }
                    Decision::Stop(reason) => Err(reason),
                };
                assert_eq!(said, wanted);
                assert_eq!(rng, twin, "as many draws as the table");
                assert_eq!(budget.tokens(Instant::from_nanos(now)), notes.tokens);
                if said.is_err() {
                    break;
                }
            }
        },
    );
}

/// The same failure with and without a hint, from the same draw: the hint never shortens.
#[test]
fn a_hint_never_shortens_a_delay_and_adds_five_seconds_at_most() {
    let hint = any_span(0, A_DAY);
    check(
        400,
        (any_policy(), hint, any::<u64>(), any::<bool>()),
        |(policy, hint, seed, throttled)| {
            let policy = RetryPolicy {
                attempts: 2,
                max_hint: Duration::from_secs(86_400),
                give_up_after: None,
                ..policy
            };
            let kind = if throttled {
                FaultKind::Throttled
            } else {
                FaultKind::Transient
            };
            let delay = |retry_after| {
                let mut budget = RetryBudget::new(BudgetConfig::UNLIMITED).unwrap();
                let failure = Failure { kind, retry_after };
                let mut rng = SplitMix64::new(seed);
                let now = Instant::from_nanos(7);
                match Retry::new(&rules(policy)).on_failure(
                    now,
                    failure,
                    &rules(policy),
                    Bounds::default(),
                    &mut budget,
                    &mut rng,
                ) {
                    Decision::RetryAt(at, _) => at.saturating_duration_since(now),
                    Decision::Stop(reason) => panic!("stopped: {reason}"),
                }
            };
            let (plain, hinted) = (delay(None), delay(Some(hint)));
            assert!(plain <= hinted && hinted <= plain + Duration::from_secs(5));
            assert!(hinted >= hint || hinted == plain + Duration::from_secs(5));
        },
    );
}

/// A clock in any order, more failures than attempts, calls past their end: an answer each time.
#[test]
fn any_now_and_any_order_get_an_answer() {
    let failures = prop::collection::vec((any_nanos(), any_failure()), 1..40);
    let inputs = (
        any_policy(),
        prop::option::of(any_nanos()),
        failures,
        any::<u64>(),
    );
    check(400, inputs, |(policy, deadline, failures, seed)| {
        let bounds = Bounds {
            deadline: deadline.map(Instant::from_nanos),
            idempotent: true,
        };
        let mut budget = RetryBudget::new(BudgetConfig::UNLIMITED).unwrap();
        let mut retry = Retry::new(&rules(policy));
        let mut rng = SplitMix64::new(seed);
        for (now, failure) in failures {
            let now = Instant::from_nanos(now);
            match retry.on_failure(now, failure, &rules(policy), bounds, &mut budget, &mut rng) {
                Decision::RetryAt(at, _) => {
                    assert!(at >= now && retry.failures() < policy.attempts);
                    assert!(bounds.deadline.is_none_or(|deadline| at < deadline));
                }
                Decision::Stop(_) => {}
            }
        }
    });
}
