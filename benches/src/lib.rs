//! What the benchmarks time: machines in the states that matter, and time as a number.
//!
//! Every workload has `now` given, so that a figure is the cost of the decision and not of a clock.
//! Where its name does not say that it is shared, the machine belongs to one owner.

use core::time::Duration;

use crossbridge_core::breaker::{Breaker, Settled};
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::SharedGuard;
use crossbridge_core::health::{Monitor, MonitorConfig};
use crossbridge_core::rate_limit::{RateLimiter, SharedRateLimiter};
use crossbridge_core::retry::RetryBudget;
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, Clock, ConfigError, Guard, GuardConfig, Instant, Jitter,
    Outcome, PerMille, Quota, RetryPolicy, Sleeper, Step, Verdict,
};

/// Instants a microsecond apart.
#[derive(Debug, Default)]
pub struct Ticks(u64);

impl Ticks {
    /// The next one.
    pub const fn next(&mut self) -> Instant {
        self.0 += 1_000;
        Instant::from_nanos(self.0)
    }
}

/// A clock that stands still, and a sleeper that returns at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::ZERO
    }
}

impl Sleeper for Still {
    fn sleep(&mut self, _: Duration) {}
}

/// A limiter with a permit at every tick.
///
/// # Errors
/// None: the quota is in its range.
pub fn limiter_with_room() -> Result<RateLimiter, ConfigError> {
    Ok(RateLimiter::new(Quota::per_second(1_000_000)?.burst(10)?))
}

/// A limiter that has nothing left at the origin.
///
/// # Errors
/// None: the quota is in its range.
pub fn empty_limiter() -> Result<RateLimiter, ConfigError> {
    let mut limiter = RateLimiter::new(Quota::per_minute(30)?);
    let _ = limiter.check(Instant::ZERO, 30);
    Ok(limiter)
}

/// A limiter for threads with a permit at every tick.
///
/// # Errors
/// None: the quota is in its range.
pub fn shared_limiter_with_room() -> Result<SharedRateLimiter, ConfigError> {
    Ok(SharedRateLimiter::new(Quota::per_second(1_000_000)?.burst(10)?))
}

/// A limiter for threads that has nothing left at the origin.
///
/// # Errors
/// None: the quota is in its range.
pub fn empty_shared_limiter() -> Result<SharedRateLimiter, ConfigError> {
    let limiter = SharedRateLimiter::new(Quota::per_minute(30)?);
    let _ = limiter.check(Instant::ZERO, 30);
    Ok(limiter)
}

/// Three attempts with full jitter.
#[must_use]
pub const fn policy() -> RetryPolicy {
    RetryPolicy::DEFAULT.jitter(Jitter::Full)
}

/// A full budget of AWS's preset.
///
/// # Errors
/// None: the preset is accepted.
pub const fn budget() -> Result<RetryBudget, ConfigError> {
    RetryBudget::new(BudgetConfig::AWS)
}

/// A full budget of a retry for every ten calls, and ten more a second.
///
/// # Errors
/// None: the configuration is accepted.
pub fn ratio_budget() -> Result<RetryBudget, ConfigError> {
    RetryBudget::new(BudgetConfig::ratio(PerMille::new(100)?, 10, 100))
}

/// A closed circuit over the last hundred calls.
///
/// # Errors
/// None: the defaults are accepted.
pub const fn closed_breaker() -> Result<Breaker, ConfigError> {
    Breaker::new(BreakerConfig::DEFAULT)
}

/// A circuit that opened at the origin.
///
/// # Errors
/// None: the configuration is in its ranges.
pub fn open_breaker() -> Result<Breaker, ConfigError> {
    let mut breaker = Breaker::new(BreakerConfig {
        consecutive_failures: Some(1),
        ..BreakerConfig::DEFAULT
    })?;
    if let Ok(permit) = breaker.admit(Instant::ZERO) {
        breaker.settle(Instant::ZERO, permit, Settled::Failure { retry_after: None });
    }
    Ok(breaker)
}

/// A monitor with the defaults.
///
/// # Errors
/// None: the defaults are accepted.
pub const fn monitor() -> Result<Monitor, ConfigError> {
    Monitor::new(MonitorConfig::DEFAULT)
}

/// A guard that only retries: no limit, no breaker, no budget.
///
/// # Errors
/// None: the configuration is in its ranges.
pub const fn retrying_guard() -> Result<Guard, ConfigError> {
    Guard::new(GuardConfig {
        retry: policy(),
        breaker: BreakerConfig::DISABLED,
        ..GuardConfig::DEFAULT
    })
}

/// A guard with everything on, and a permit at every tick.
///
/// # Errors
/// None: the configuration is in its ranges.
pub fn whole_guard() -> Result<Guard, ConfigError> {
    Guard::new(GuardConfig {
        health: Some(MonitorConfig::DEFAULT),
        ..unwatched()?
    })
}

/// The same, but nobody watches the target's health: rate, breaker, bulkhead, retry and budget.
///
/// # Errors
/// None: the configuration is in its ranges.
pub fn unwatched_guard() -> Result<Guard, ConfigError> {
    Guard::new(unwatched()?)
}

/// The same for many threads.
///
/// # Errors
/// None: the configuration is in its ranges.
pub fn shared_guard() -> Result<SharedGuard, ConfigError> {
    SharedGuard::new(unwatched()?)
}

fn unwatched() -> Result<GuardConfig, ConfigError> {
    Ok(GuardConfig {
        quota: Quota::per_second(1_000_000)?.burst(1_000_000)?,
        retry: policy(),
        budget: BudgetConfig::AWS,
        bulkhead: BulkheadConfig { limit: 64 },
        deadline: Some(Duration::from_secs(10)),
        attempt_timeout: Some(Duration::from_secs(1)),
        ..GuardConfig::DEFAULT
    })
}

/// One call by hand: begun, attempted, succeeded, over.
pub fn one_call(guard: &mut Guard, now: Instant, rng: &mut SplitMix64) -> bool {
    let mut call = guard.begin(now, None);
    if let Step::Attempt(permit) = call.poll(now, rng) {
        call.on_outcome(now, permit, Outcome::Success);
    }
    matches!(call.poll(now, rng), Step::Done(Verdict::Succeeded))
}

/// The same call through a shared guard.
pub fn one_shared_call(guard: &SharedGuard, now: Instant, rng: &mut SplitMix64) -> bool {
    let mut call = guard.begin(now, None);
    if let Step::Attempt(permit) = call.poll(now, rng) {
        call.on_outcome(now, permit, Outcome::Success);
    }
    matches!(call.poll(now, rng), Step::Done(Verdict::Succeeded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbridge_core::FaultKind;
    use crossbridge_core::rate_limit::Answer;

    /// A benchmark of the wrong state would be a fast one.
    #[test]
    fn the_workloads_are_what_they_say() {
        let (mut room, mut ticks) = (limiter_with_room().unwrap(), Ticks::default());
        assert!((0..10_000).all(|_| room.check(ticks.next(), 1) == Answer::Granted));
        assert_ne!(empty_limiter().unwrap().check(Instant::ZERO, 1), Answer::Granted);
        let (room, mut ticks) = (shared_limiter_with_room().unwrap(), Ticks::default());
        assert!((0..10_000).all(|_| room.check(ticks.next(), 1) == Answer::Granted));
        assert_ne!(
            empty_shared_limiter().unwrap().check(Instant::ZERO, 1),
            Answer::Granted
        );
        let mut tenth = ratio_budget().unwrap();
        assert!(tenth.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
        assert!(
            budget()
                .unwrap()
                .withdraw(Instant::ZERO, FaultKind::Transient)
                .is_some()
        );
        assert!(closed_breaker().unwrap().admit(Instant::ZERO).is_ok());
        assert!(open_breaker().unwrap().admit(Instant::ZERO).is_err());
        let (mut guard, mut rng) = (whole_guard().unwrap(), SplitMix64::new(1));
        let mut ticks = Ticks::default();
        assert!((0..10_000).all(|_| one_call(&mut guard, ticks.next(), &mut rng)));
        let mut still = Still;
        let answer = retrying_guard()
            .unwrap()
            .call(&Still, &mut still, &mut rng, |_| Ok::<_, FaultKind>(1));
        assert_eq!(answer, Ok(1));
    }
}
