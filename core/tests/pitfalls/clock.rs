//! `a_clock_stepped_back_an_hour_locks_nothing`, for each machine. The Python reference locks a key
//! for that hour; resilience4j's time window collapses.

use core::time::Duration;

use crossbridge_core::breaker::{Breaker, BreakerConfig, BreakerState, Settled, WindowKind};
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::health::{Health, Monitor, MonitorConfig, ProbeResult};
use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{
    FaultKind, Guard, GuardConfig, Instant, Jitter, OnLimit, Outcome, Quota, RetryPolicy, Step, Verdict,
};

use crate::AN_HOUR;

const BEFORE: Instant = Instant::from_nanos(7_200_000_000_000);
const AFTER: Instant = Instant::from_nanos(7_200_000_000_000 - 3_600_000_000_000);

#[test]
fn limiter_a_clock_stepped_back_an_hour_locks_nothing() {
    assert_eq!(AFTER.saturating_add(AN_HOUR), BEFORE);
    // Two at once, one a second: for whoever keeps asking and for whoever comes back as told.
    let mut limiter = RateLimiter::new(Quota::per_second(1).unwrap().burst(2).unwrap());
    assert_eq!(limiter.check(BEFORE, 2), Answer::Granted);
    let asked = (0..=10).map(|tenth| AFTER.saturating_add(Duration::from_millis(100 * tenth)));
    let granted = asked.filter(|&now| limiter.check(now, 1) == Answer::Granted);
    assert_eq!(granted.count(), 1);

    let mut limiter = RateLimiter::new(Quota::per_second(1).unwrap());
    assert_eq!(limiter.check(BEFORE, 1), Answer::Granted);
    let Answer::NotBefore(at) = limiter.check(AFTER, 1) else {
        panic!("an empty bucket");
    };
    assert_eq!(at, AFTER.saturating_add(Duration::from_secs(1)));
    assert_eq!(limiter.check(at, 1), Answer::Granted);
}

#[test]
fn breaker_a_clock_stepped_back_an_hour_locks_nothing() {
    let config = BreakerConfig {
        window: WindowKind::Time(Duration::from_secs(10)),
        min_calls: 4,
        ..BreakerConfig::DEFAULT
    };
    let mut breaker = Breaker::new(config).unwrap();
    // The window keeps what it saw, and takes what comes.
    for now in [BEFORE, BEFORE, AFTER] {
        let permit = breaker.admit(now).expect("closed");
        breaker.settle(now, permit, Settled::Failure { retry_after: None });
    }
    assert_eq!(
        (breaker.state(), breaker.counts().failed),
        (BreakerState::Closed, 3)
    );
    let now = AFTER.saturating_add(AN_HOUR);
    let permit = breaker.admit(now).expect("closed");
    breaker.settle(now, permit, Settled::Failure { retry_after: None });
    assert_eq!(breaker.counts().failed, 1, "and still slides");

    // An open circuit waits as long as was left, and not an hour longer.
    for _ in 0..3 {
        let permit = breaker.admit(now).expect("closed");
        breaker.settle(now, permit, Settled::Failure { retry_after: None });
    }
    let until = breaker.admit(now).unwrap_err().retry_at.unwrap();
    let left = until.saturating_duration_since(now);
    let earlier = now.saturating_sub(AN_HOUR);
    let retry_at = breaker.admit(earlier).unwrap_err().retry_at;
    assert_eq!(retry_at, Some(earlier.saturating_add(left)));
    // Half open too: the probe's deadline keeps its distance.
    let _probe = breaker.admit(earlier.saturating_add(left)).expect("a probe");
    let earliest = AFTER.saturating_sub(Duration::from_secs(1_000));
    breaker.handle_timeout(earliest);
    assert_eq!(
        breaker.poll_at(),
        Some(earliest.saturating_add(config.probe_timeout))
    );
}

#[test]
fn monitor_a_clock_stepped_back_an_hour_locks_nothing() {
    let config = MonitorConfig::DEFAULT;
    let mut monitor = Monitor::new(config).unwrap();
    let mut rng = SplitMix64::new(1);
    monitor.observe(BEFORE, ProbeResult::Pass);
    let hung = monitor.start_probe(BEFORE, &mut rng);
    assert!(hung.is_some(), "due at once");
    monitor.handle_timeout(AFTER);
    // The probe has its ten seconds, no hour; the result its ninety.
    assert_eq!(monitor.poll_at(), Some(AFTER.saturating_add(config.timeout)));
    monitor.handle_timeout(AFTER.saturating_add(config.timeout));
    assert_eq!(monitor.health(), Health::Degraded);
    let due = monitor.next_probe_at(&mut rng).expect("the last one is over");
    assert!(due <= AFTER.saturating_add(Duration::from_secs(10 + 11)));
    monitor.handle_timeout(AFTER.saturating_add(config.timeout + config.ttl));
    assert_eq!(monitor.health(), Health::Unknown);
}

#[test]
fn guard_a_clock_stepped_back_an_hour_locks_nothing() {
    let retry = RetryPolicy::DEFAULT.jitter(Jitter::None);
    let config = GuardConfig {
        retry,
        deadline: Some(Duration::from_secs(3)),
        ..GuardConfig::DEFAULT
    };
    let mut guard = Guard::new(config).unwrap();
    let mut rng = SplitMix64::new(1);
    let mut call = guard.begin(BEFORE, None);
    let Step::Attempt(permit) = call.poll(BEFORE, &mut rng) else {
        panic!("the first attempt");
    };
    call.on_outcome(BEFORE, permit, Outcome::failed(FaultKind::Transient));
    assert!(matches!(call.poll(BEFORE, &mut rng), Step::Wait { .. }));

    // Half a second was left to wait and three to the deadline: they still are.
    let due = AFTER.saturating_add(Duration::from_millis(500));
    assert!(matches!(call.poll(AFTER, &mut rng), Step::Wait { until } if until == due));
    assert_eq!(
        call.state().deadline(),
        Some(AFTER.saturating_add(Duration::from_secs(3)))
    );
    let Step::Attempt(permit) = call.poll(due, &mut rng) else {
        panic!("the retry is due");
    };
    call.on_outcome(due, permit, Outcome::Success);
    assert!(matches!(call.poll(due, &mut rng), Step::Done(Verdict::Succeeded)));
}

/// A call that waits for a permit is told an instant that holds.
#[test]
fn waiting_for_a_permit_ends_after_a_step_back() {
    let quota = Quota::per_second(1).unwrap();
    let mut guard = Guard::new(GuardConfig {
        quota,
        on_limit: OnLimit::Wait,
        ..GuardConfig::DEFAULT
    })
    .unwrap();
    let mut rng = SplitMix64::new(1);
    let mut first = guard.begin(BEFORE, None);
    let Step::Attempt(permit) = first.poll(BEFORE, &mut rng) else {
        panic!("a full bucket");
    };
    first.on_outcome(BEFORE, permit, Outcome::Success);
    drop(first);

    let mut second = guard.begin(AFTER, None);
    let Step::Wait { until } = second.poll(AFTER, &mut rng) else {
        panic!("an empty bucket");
    };
    assert_eq!(until, AFTER.saturating_add(Duration::from_secs(1)));
    assert!(matches!(second.poll(until, &mut rng), Step::Attempt(_)));
}
