//! A retry that is not needed, one delay of one that is, and what a group may spend on them.

use std::hint::black_box;
use std::time::Duration;

use backoff::backoff::Backoff as _;
use backon::{BackoffBuilder, BlockingRetryable, ExponentialBuilder};
use crossbridge_benches::{Still, Ticks, budget, policy, ratio_budget, retrying_guard};
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::{Backoff, RetryRules, SharedRetryBudget};
use crossbridge_core::{BudgetConfig, ConfigError, FaultKind, PerMille};
use retry::delay::{Exponential, jitter};
use tokio_retry::strategy::{ExponentialBackoff, jitter as tokio_jitter};
use tower::retry::budget::{Budget, TpsBudget};

use crate::lab::{Contestant, Kind, Row, Target};

pub(crate) fn rows() -> Result<Vec<Row>, ConfigError> {
    Ok(vec![
        success_at_once()?,
        one_delay()?,
        budget_of_a_call()?,
        budget_of_a_retry()?,
    ])
}

/// What the call stands for: cheap, and not to be optimised away.
fn work() -> Result<u64, FaultKind> {
    black_box(Ok(black_box(1) + 1))
}

/// The value of a success; none of these fails.
fn value<E>(result: Result<u64, E>) -> u64 {
    result.unwrap_or(0)
}

const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(5);

fn success_at_once() -> Result<Row, ConfigError> {
    let (rules, mut alone, mut drawn) = (RetryRules::new(policy())?, Still, SplitMix64::new(7));
    let (mut guard, mut sleeper, mut rng) = (retrying_guard()?, Still, SplitMix64::new(7));
    let curve = reliakit_backoff::Backoff::exponential(BASE, 2).with_max_delay(CAP);
    let theirs = reliakit_retry::RetryPolicy::new(3, curve).expect("accepted");
    Ok(Row {
        id: "retry-success",
        what: "retry, the call succeeds at once",
        target: Target::FloorPlus(1.0),
        contestants: vec![
            Contestant::new(Kind::Ours, "RetryRules::call", 2, move || {
                value(rules.call(&Still, &mut alone, &mut drawn, |_| work()))
            }),
            Contestant::new(Kind::Context, "Guard::call, only retrying", 2, move || {
                value(guard.call(&Still, &mut sleeper, &mut rng, |_| work()))
            }),
            Contestant::new(Kind::Floor, "closure", 2, || value(work())),
            Contestant::new(Kind::Peer, "retry, exponential, jitter", 2, || {
                value(retry::retry(
                    Exponential::from_millis(500).map(jitter).take(2),
                    work,
                ))
            }),
            Contestant::new(Kind::Peer, "reliakit-retry", 2, move || {
                value(reliakit_retry::retry_with_sleep(&theirs, work, |_| true, |_| {}))
            }),
            Contestant::new(Kind::Peer, "backon, exponential, jitter", 2, || {
                value(work.retry(backon_builder()).sleep(|_| {}).call())
            }),
            Contestant::new(Kind::Peer, "backoff", 2, || {
                let curve = backoff::ExponentialBackoff::default();
                value(backoff::retry(curve, || {
                    work().map_err(backoff::Error::transient)
                }))
            }),
        ],
    })
}

fn backon_builder() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(BASE)
        .with_max_delay(CAP)
        .with_max_times(16)
        .with_jitter()
}

/// Takes sixteen delays, each of them used.
fn sixteen<T>(delays: impl Iterator<Item = T>) -> u64 {
    delays.take(16).fold(0, |taken, delay| {
        black_box(delay);
        taken + 1
    })
}

fn one_delay() -> Result<Row, ConfigError> {
    let rules = RetryRules::new(policy())?;
    let mut rng = SplitMix64::new(7);
    let (mut late_rng, mut late) = (SplitMix64::new(7), Backoff::new(&rules));
    let (mut drawn, mut seed) = (SplitMix64::new(7), 0_u64);
    let mut reliakit_rng = SplitMix64::new(7);
    let curve = reliakit_backoff::Backoff::exponential(BASE, 2).with_max_delay(CAP);
    let spread = exponential_backoff::Backoff::new(17, BASE, CAP);
    Ok(Row {
        id: "delay",
        what: "one jittered delay, sixteen for each back-off built",
        target: Target::Nanos(8.0),
        contestants: vec![
            Contestant::many(Kind::Ours, "Backoff::next_delay", 16, 16, move || {
                let mut backoff = Backoff::new(&rules);
                sixteen(std::iter::repeat_with(|| {
                    backoff.next_delay(&rules, false, &mut rng)
                }))
            }),
            Contestant::many(
                Kind::Context,
                "ours, after a thousand others",
                16,
                16,
                move || {
                    sixteen(std::iter::repeat_with(|| {
                        late.next_delay(&rules, false, &mut late_rng)
                    }))
                },
            ),
            Contestant::many(Kind::Floor, "draw, scale, double", 16, 16, move || {
                let mut size = 500_000_000_u64;
                sixteen(std::iter::repeat_with(|| {
                    let wide = u128::from(drawn.next()) * u128::from(size);
                    size = (size * 2).min(5_000_000_000);
                    u64::try_from(wide >> 64).unwrap_or(0)
                }))
            }),
            Contestant::many(Kind::Peer, "backon", 16, 16, move || {
                seed += 1;
                sixteen(backon_builder().with_jitter_seed(seed).build())
            }),
            Contestant::many(Kind::Peer, "retry", 16, 16, || {
                sixteen(Exponential::from_millis(500).map(jitter))
            }),
            Contestant::many(Kind::Peer, "tokio-retry", 16, 16, || {
                let curve = ExponentialBackoff::from_millis(2).factor(250).max_delay(CAP);
                sixteen(curve.map(tokio_jitter))
            }),
            Contestant::many(Kind::Peer, "exponential-backoff", 16, 16, move || {
                sixteen(spread.iter())
            }),
            Contestant::many(Kind::Peer, "reliakit-backoff, full jitter", 16, 16, move || {
                sixteen((0..16).map(|attempt| {
                    let delay = curve.delay(attempt).unwrap_or_default();
                    // It takes a `u32` that the caller draws.
                    let drawn = u32::try_from(reliakit_rng.next() >> 32).unwrap_or(0);
                    reliakit_backoff::full_jitter(delay, drawn)
                }))
            }),
            Contestant::many(Kind::Peer, "backoff", 16, 16, || {
                let mut curve = backoff::ExponentialBackoff::default();
                sixteen(std::iter::repeat_with(|| curve.next_backoff()))
            }),
        ],
    })
}

/// What [`ratio_budget`] has: a tenth of all calls, and ten more a second.
fn tower_tenth() -> TpsBudget {
    TpsBudget::new(Duration::from_secs(10), 10, 0.1)
}

fn shared_ratio_budget() -> Result<SharedRetryBudget, ConfigError> {
    SharedRetryBudget::new(BudgetConfig::ratio(PerMille::new(100)?, 10, 100))
}

fn budget_of_a_call() -> Result<Row, ConfigError> {
    let (mut ours, mut ticks, theirs) = (ratio_budget()?, Ticks::default(), tower_tenth());
    let (mut aws, mut aws_ticks) = (budget()?, Ticks::default());
    let (shared, mut shared_ticks) = (shared_ratio_budget()?, Ticks::default());
    let mut tokens = 0_u32;
    Ok(Row {
        id: "budget-call",
        what: "budget, what a call that goes well adds",
        target: Target::Nanos(6.0),
        contestants: vec![
            Contestant::new(Kind::Ours, "RetryBudget, ratio and rate", 1, move || {
                ours.on_call(ticks.next());
                ours.on_first_success();
                1
            }),
            Contestant::new(Kind::Context, "RetryBudget, AWS", 1, move || {
                aws.on_call(aws_ticks.next());
                aws.on_first_success();
                1
            }),
            Contestant::new(Kind::Context, "SharedRetryBudget, full", 1, move || {
                shared.on_call(shared_ticks.next());
                shared.on_first_success();
                1
            }),
            Contestant::new(Kind::Floor, "a capped counter", 1, move || {
                tokens = (tokens + 1).min(black_box(500));
                1
            }),
            Contestant::new(Kind::Peer, "tower", 1, move || {
                theirs.deposit();
                1
            }),
        ],
    })
}

fn budget_of_a_retry() -> Result<Row, ConfigError> {
    let (mut ours, mut ticks, theirs) = (ratio_budget()?, Ticks::default(), tower_tenth());
    let (mut aws, mut aws_ticks) = (budget()?, Ticks::default());
    let (shared, mut shared_ticks) = (shared_ratio_budget()?, Ticks::default());
    let mut tokens = 500_u32;
    Ok(Row {
        id: "budget-retry",
        what: "budget, eleven calls and a retry, per operation",
        target: Target::Nanos(6.0),
        contestants: vec![
            Contestant::many(Kind::Ours, "RetryBudget, ratio and rate", 12, 1, move || {
                for _ in 0..11 {
                    ours.on_call(ticks.next());
                }
                u64::from(ours.withdraw(ticks.next(), FaultKind::Transient).is_some())
            }),
            Contestant::many(Kind::Context, "RetryBudget, AWS, paid back", 12, 1, move || {
                for _ in 0..11 {
                    aws.on_call(aws_ticks.next());
                }
                let paid = aws.withdraw(aws_ticks.next(), FaultKind::Transient);
                paid.map_or(0, |receipt| {
                    aws.on_retry_success(receipt);
                    1
                })
            }),
            Contestant::many(Kind::Context, "SharedRetryBudget", 12, 1, move || {
                for _ in 0..11 {
                    shared.on_call(shared_ticks.next());
                }
                u64::from(
                    shared
                        .withdraw(shared_ticks.next(), FaultKind::Transient)
                        .is_some(),
                )
            }),
            Contestant::many(Kind::Floor, "a capped counter", 12, 1, move || {
                for _ in 0..11 {
                    tokens = black_box((tokens + 1).min(500));
                }
                tokens.checked_sub(10).map_or(0, |left| {
                    tokens = left;
                    1
                })
            }),
            Contestant::many(Kind::Peer, "tower", 12, 1, move || {
                for _ in 0..11 {
                    theirs.deposit();
                }
                u64::from(theirs.withdraw())
            }),
        ],
    })
}
