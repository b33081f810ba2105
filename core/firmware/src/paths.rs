//! The call paths under test: between them every gate, both windows and every jitter.

use core::time::Duration;

use crossbridge_core::breaker::WindowKind;
use crossbridge_core::health::MonitorConfig;
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, GuardConfig, Jitter, OnLimit, PerMille, Quota, RetryPolicy,
};

/// Name, policies and the seed of the generator.
pub const PATHS: [(&str, GuardConfig, u64); 4] = [
    ("refusing", REFUSING, 11),
    ("waiting", WAITING, 12),
    ("patient", PATIENT, 13),
    ("fast", FAST, 14),
];

/// Every machine on, refusals at the limit. The path that is weighed, too.
pub const REFUSING: GuardConfig = GuardConfig {
    quota: match Quota::per_second(40) {
        Ok(quota) => match quota.burst(8) {
            Ok(quota) => quota,
            Err(_) => panic!("a valid burst"),
        },
        Err(_) => panic!("a valid quota"),
    },
    on_limit: OnLimit::Refuse,
    retry: RetryPolicy::STANDARD.attempts(4),
    budget: BudgetConfig::ratio(share(50), 0, 2),
    breaker: BreakerConfig {
        window: WindowKind::Calls(20),
        min_calls: 8,
        consecutive_failures: Some(6),
        open_wait: Duration::from_millis(800),
        open_wait_max: Duration::from_secs(3),
        half_open_concurrent: 2,
        jitter_seed: 21,
        ..BreakerConfig::DEFAULT
    },
    bulkhead: BulkheadConfig { limit: 3 },
    health: Some(MonitorConfig::DEFAULT),
    deadline: Some(Duration::from_secs(8)),
    attempt_timeout: Some(Duration::from_secs(2)),
    idempotent: true,
};

/// Waits for the limit; a window of time that also trips on slowness.
const WAITING: GuardConfig = GuardConfig {
    quota: match Quota::per_minute(600) {
        Ok(quota) => match quota.burst(3) {
            Ok(quota) => quota,
            Err(_) => panic!("a valid burst"),
        },
        Err(_) => panic!("a valid quota"),
    },
    on_limit: OnLimit::Wait,
    retry: RetryPolicy {
        give_up_after: Some(Duration::from_millis(900)),
        min_attempt: Duration::from_millis(5),
        max_hint: Duration::from_secs(2),
        jitter: Jitter::Decorrelated,
        ..RetryPolicy::QUICK.attempts(5)
    },
    budget: BudgetConfig::AWS,
    breaker: BreakerConfig {
        window: WindowKind::Time(Duration::from_secs(4)),
        slow_rate: Some(PerMille::HALF),
        slow_call: Duration::from_millis(60),
        min_calls: 6,
        open_wait: Duration::from_millis(300),
        open_wait_max: Duration::from_millis(1_500),
        probe_timeout: Duration::from_millis(150),
        half_open_timeout: Duration::from_millis(700),
        jitter_seed: 22,
        ..BreakerConfig::DEFAULT
    },
    bulkhead: BulkheadConfig { limit: 5 },
    health: Some(MonitorConfig {
        ttl: Duration::from_secs(2),
        ..MonitorConfig::DEFAULT
    }),
    deadline: None,
    attempt_timeout: None,
    idempotent: false,
};

/// Long delays, what a layer below gave up on included; states are only watched.
const PATIENT: GuardConfig = GuardConfig {
    quota: match Quota::per_hour(100_000) {
        Ok(quota) => quota,
        Err(_) => panic!("a valid quota"),
    },
    on_limit: OnLimit::Wait,
    retry: RetryPolicy {
        retry_exhausted: true,
        jitter: Jitter::Proportional(share(300)),
        ..RetryPolicy::CONSERVATIVE.attempts(1_000)
    },
    budget: BudgetConfig::ratio(share(100), 1, 10),
    breaker: BreakerConfig {
        mode: crossbridge_core::breaker::BreakerMode::MetricsOnly,
        jitter_seed: 23,
        ..BreakerConfig::DEFAULT
    },
    bulkhead: BulkheadConfig::UNLIMITED,
    health: None,
    deadline: None,
    attempt_timeout: Some(Duration::from_millis(700)),
    idempotent: true,
};

/// A quota that counts in fractions of a nanosecond.
const FAST: GuardConfig = GuardConfig {
    quota: match Quota::per_second(9_999_991) {
        Ok(quota) => match quota.burst(1) {
            Ok(quota) => quota,
            Err(_) => panic!("a valid burst"),
        },
        Err(_) => panic!("a valid quota"),
    },
    retry: RetryPolicy::QUICK.jitter(Jitter::Equal),
    ..REFUSING
};

const fn share(thousandths: u16) -> PerMille {
    match PerMille::new(thousandths) {
        Ok(share) => share,
        Err(_) => panic!("at most 1000"),
    }
}
