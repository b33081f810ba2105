//! Hot paths for counting instructions: `scripts/instructions.sh` runs this under callgrind.
//!
//! `instructions` lists the paths, `instructions PATH TIMES` goes one of them so many times. What
//! a path costs is the difference between two counts, so that starting and ending cancel out.
//! `nothing` is what the loop and the black box cost; every other figure contains it.

use std::hint::black_box;

use crossbridge_benches::{
    Still, Ticks, budget, closed_breaker, empty_limiter, empty_shared_limiter, limiter_with_room, monitor,
    one_call, one_shared_call, open_breaker, policy, ratio_budget, retrying_guard, shared_guard,
    shared_limiter_with_room, unwatched_guard, whole_guard,
};
use crossbridge_core::breaker::Settled;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::health::ProbeResult;
use crossbridge_core::rate_limit::KeyedLimiter;
use crossbridge_core::rate_limit::keyed::hash::KeyHash;
use crossbridge_core::rate_limit::keyed::{Line, Overflow};
use crossbridge_core::retry::{Backoff, Bounds, Decision, Failure, Retry, RetryRules};
use crossbridge_core::{ConfigError, FaultKind, Instant, Quota};

type Path = (&'static str, fn(u64) -> Result<(), ConfigError>);

const PATHS: [Path; 18] = [
    ("nothing", nothing),
    ("limiter_admitted", limiter_admitted),
    ("limiter_refused", limiter_refused),
    ("shared_limiter_admitted", shared_limiter_admitted),
    ("shared_limiter_refused", shared_limiter_refused),
    ("keyed_limiter_found", keyed_limiter_found),
    ("breaker_closed", breaker_closed),
    ("breaker_open", breaker_open),
    ("retry_success_at_once", retry_success_at_once),
    ("retry_decision", retry_decision),
    ("retry_delay", retry_delay),
    ("budget_call", budget_call),
    ("budget_call_aws", budget_call_aws),
    ("budget_withdraw_aws", budget_withdraw_aws),
    ("health_observe", health_observe),
    ("guard_call", guard_call),
    ("guard_call_with_health", guard_call_with_health),
    ("shared_guard_call", shared_guard_call),
];

fn main() -> Result<(), ConfigError> {
    let mut arguments = std::env::args().skip(1);
    let (wanted, times) = (arguments.next(), arguments.next());
    let times = times.and_then(|times| times.parse().ok()).unwrap_or(1);
    for (name, path) in PATHS {
        match &wanted {
            None => list(name),
            Some(wanted) if wanted == name => path(times)?,
            Some(_) => {}
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is for the script")]
fn list(name: &str) {
    println!("{name}");
}

/// Goes a path so many times. What it returns passes the black box, which also makes the compiler
/// write the state back and read it again.
fn repeat<T>(times: u64, mut path: impl FnMut() -> T) {
    black_box(&mut path);
    for _ in 0..times {
        black_box(path());
    }
}

fn nothing(times: u64) -> Result<(), ConfigError> {
    let mut ticks = Ticks::default();
    repeat(times, || ticks.next().as_nanos());
    Ok(())
}

fn limiter_admitted(times: u64) -> Result<(), ConfigError> {
    let (mut limiter, mut ticks) = (limiter_with_room()?, Ticks::default());
    repeat(times, || limiter.check(ticks.next(), 1));
    Ok(())
}

fn limiter_refused(times: u64) -> Result<(), ConfigError> {
    let mut limiter = empty_limiter()?;
    repeat(times, || limiter.check(Instant::ZERO, 1));
    Ok(())
}

fn shared_limiter_admitted(times: u64) -> Result<(), ConfigError> {
    let (limiter, mut ticks) = (shared_limiter_with_room()?, Ticks::default());
    repeat(times, || black_box(&limiter).check(ticks.next(), 1));
    Ok(())
}

fn shared_limiter_refused(times: u64) -> Result<(), ConfigError> {
    let limiter = empty_shared_limiter()?;
    repeat(times, || black_box(&limiter).check(Instant::ZERO, 1));
    Ok(())
}

fn keyed_limiter_found(times: u64) -> Result<(), ConfigError> {
    let mut table = KeyedLimiter::new(vec![Line::EMPTY; 256], Overflow::Refuse)?;
    let (hash, quota, mut ticks) = (
        KeyHash::new(7),
        Quota::per_second(1)?.burst(u32::MAX >> 1)?,
        Ticks::default(),
    );
    repeat(times, || {
        table.check(ticks.next(), hash.number(black_box(42)), 1, quota)
    });
    Ok(())
}

fn breaker_closed(times: u64) -> Result<(), ConfigError> {
    let (mut breaker, mut ticks) = (closed_breaker()?, Ticks::default());
    repeat(times, || {
        let now = ticks.next();
        breaker.admit(now).is_ok_and(|permit| {
            breaker.settle(now, permit, Settled::Success);
            true
        })
    });
    Ok(())
}

fn breaker_open(times: u64) -> Result<(), ConfigError> {
    let mut breaker = open_breaker()?;
    repeat(times, || breaker.admit(Instant::ZERO).is_ok());
    Ok(())
}

fn retry_success_at_once(times: u64) -> Result<(), ConfigError> {
    let (mut guard, mut sleeper, mut rng) = (retrying_guard()?, Still, SplitMix64::new(7));
    repeat(times, || {
        let answer = guard.call(&Still, &mut sleeper, &mut rng, |_| {
            black_box(Ok::<_, FaultKind>(1))
        });
        answer.is_ok()
    });
    Ok(())
}

fn retry_decision(times: u64) -> Result<(), ConfigError> {
    let (rules, mut paid) = (RetryRules::new(policy())?, budget()?);
    let (mut rng, mut ticks) = (SplitMix64::new(7), Ticks::default());
    let failure = Failure {
        kind: FaultKind::Transient,
        retry_after: None,
    };
    repeat(times, || {
        let mut retry = Retry::new(black_box(&rules));
        let bounds = Bounds::default();
        match retry.on_failure(ticks.next(), failure, &rules, bounds, &mut paid, &mut rng) {
            // Given back, so that the next one is not refused for want of tokens.
            Decision::RetryAt(at, receipt) => {
                receipt.into_iter().for_each(|receipt| paid.refund(receipt));
                at.as_nanos()
            }
            Decision::Stop(_) => 0,
        }
    });
    Ok(())
}

fn retry_delay(times: u64) -> Result<(), ConfigError> {
    let (rules, mut rng) = (RetryRules::new(policy())?, SplitMix64::new(7));
    let mut backoff = Backoff::new(&rules);
    repeat(times, || backoff.next_delay(black_box(&rules), false, &mut rng));
    Ok(())
}

fn budget_call(times: u64) -> Result<(), ConfigError> {
    let (mut budget, mut ticks) = (ratio_budget()?, Ticks::default());
    repeat(times, || {
        budget.on_call(ticks.next());
        budget.on_first_success();
    });
    Ok(())
}

fn budget_call_aws(times: u64) -> Result<(), ConfigError> {
    let (mut budget, mut ticks) = (budget()?, Ticks::default());
    repeat(times, || {
        budget.on_call(ticks.next());
        budget.on_first_success();
    });
    Ok(())
}

fn budget_withdraw_aws(times: u64) -> Result<(), ConfigError> {
    let (mut budget, mut ticks) = (budget()?, Ticks::default());
    repeat(times, || {
        let paid = budget.withdraw(ticks.next(), FaultKind::Transient);
        paid.is_some_and(|receipt| {
            budget.refund(receipt);
            true
        })
    });
    Ok(())
}

fn health_observe(times: u64) -> Result<(), ConfigError> {
    let (mut monitor, mut ticks) = (monitor()?, Ticks::default());
    repeat(times, || monitor.observe(ticks.next(), ProbeResult::Pass));
    Ok(())
}

fn guard_call(times: u64) -> Result<(), ConfigError> {
    let (mut guard, mut ticks, mut rng) = (unwatched_guard()?, Ticks::default(), SplitMix64::new(7));
    repeat(times, || one_call(&mut guard, ticks.next(), &mut rng));
    Ok(())
}

fn guard_call_with_health(times: u64) -> Result<(), ConfigError> {
    let (mut guard, mut ticks, mut rng) = (whole_guard()?, Ticks::default(), SplitMix64::new(7));
    repeat(times, || one_call(&mut guard, ticks.next(), &mut rng));
    Ok(())
}

fn shared_guard_call(times: u64) -> Result<(), ConfigError> {
    let (guard, mut ticks, mut rng) = (shared_guard()?, Ticks::default(), SplitMix64::new(7));
    repeat(times, || one_shared_call(&guard, ticks.next(), &mut rng));
    Ok(())
}
