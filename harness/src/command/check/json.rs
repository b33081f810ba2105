//! The same for programs. Times are seconds, shares and factors are numbers.

use std::time::Duration;

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::health::MonitorConfig;
use crossbridge_core::retry::Reserve;
use crossbridge_core::{BreakerConfig, BudgetConfig, Jitter, OnLimit, PerMille, Quota, RetryPolicy};
use crossbridge_std::config::{CallPath, Config, Rate};
use serde_json::{Map, Value, json};

/// One object, `"schema": 1`.
pub(super) fn object(config: &Config, rate: Rate) -> String {
    let retries = config.retries();
    let policies = retries
        .policies
        .keys()
        .filter_map(|name| Some((name.clone(), policy(&retries.policy(name)?))));
    let limit = |limit: &crossbridge_std::config::rate_limiting::Limit| json!({ "capacity": limit.capacity, "window_seconds": limit.window.as_secs_f64() });
    let limits = config.limits();
    let overrides = limits
        .overrides
        .iter()
        .map(|(subject, operations)| (subject.clone(), mapping(operations, limit)));
    let provider = |provider: &crossbridge_std::config::health::Provider| {
        let mut object = monitor(&provider.monitor);
        object["enabled"] = json!(provider.enabled);
        object
    };
    let object = json!({
        "schema": 1,
        "file": config.source().map(|file| file.display().to_string()),
        "retry": {
            "enabled": retries.enabled,
            "policies": policies.collect::<Map<_, _>>(),
            "budgets": mapping(&retries.budgets, budget),
            "retryable_codes": retries.retryable_codes,
            "network_timeout_seconds": retries.network_timeout.as_secs_f64(),
        },
        "rate_limiting": {
            "enabled": limits.enabled,
            "defaults": mapping(&limits.defaults, limit),
            "overrides": overrides.collect::<Map<_, _>>(),
        },
        "circuit_breakers": mapping(config.breakers(), breaker),
        "bulkheads": mapping(config.bulkheads(), |bulkhead| json!({ "limit": bulkhead.limit })),
        "health_checks": {
            "enabled": config.health().enabled,
            "providers": mapping(&config.health().providers, provider),
        },
        "paths": config.paths().map(|call| (call.name.clone(), path(call, rate))).collect::<Map<_, _>>(),
        "layers": {
            "attempts": config.layers().attempts,
            "paths": config.layers().paths.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        },
        "assumed_calls_per_second": rate.per_second(),
        "ignored": config.ignored().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "not_in_use": config.not_in_use(),
    });
    format!("{object:#}\n")
}

fn mapping<T>(shelf: &std::collections::BTreeMap<String, T>, value: impl Fn(&T) -> Value) -> Value {
    shelf
        .iter()
        .map(|(name, entry)| (name.clone(), value(entry)))
        .collect()
}

fn path(path: &CallPath, rate: Rate) -> Value {
    let (guard, uses, worst) = (&path.guard, &path.uses, path.worst_case());
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    let (amplification, reaction) = (path.amplification(), path.reaction(rate.interval()));
    json!({
        "log_category": path.log_category,
        "retry": { "name": uses.retry, "policy": policy(&guard.retry) },
        "rate_limit": uses.rate_limit.as_ref().map(|name| json!({
            "name": name,
            "quota": quota(guard.quota),
            "on_limit": match guard.on_limit { OnLimit::Refuse => "refuse", OnLimit::Wait => "wait" },
        })),
        "breaker": uses.breaker.as_ref().map(|name| json!({ "name": name, "policy": breaker(&guard.breaker) })),
        "bulkhead": uses.bulkhead.as_ref().map(|name| json!({ "name": name, "limit": guard.bulkhead.limit })),
        "budget": uses.budget.as_ref().map(|name| json!({ "name": name, "policy": budget(&guard.budget) })),
        "health": uses.health.as_ref().map(|name| json!({ "name": name, "policy": guard.health.as_ref().map(monitor) })),
        "deadline_seconds": seconds(guard.deadline),
        "attempt_timeout_seconds": seconds(guard.attempt_timeout),
        "idempotent": guard.idempotent,
        "worst_case": {
            "attempts": worst.attempts,
            "delays_seconds": worst.waits.as_secs_f64(),
            "throttled_delays_seconds": worst.throttled_waits.as_secs_f64(),
            "sum_seconds": seconds(worst.sum),
            "throttled_sum_seconds": seconds(worst.throttled_sum),
            "call_seconds": seconds(worst.call),
        },
        "amplification": {
            "worst": worst.attempts,
            "in_outage": f64::from(amplification.in_outage_permille) / 1_000.0,
            "retries_per_second": amplification.retries_per_second,
            "until_the_circuit_opens": amplification.until_the_circuit_opens,
        },
        "detection": {
            "breaker_on_errors_seconds": seconds(reaction.breaker.and_then(|breaker| breaker.opens_on_errors)),
            "breaker_without_answers_seconds": seconds(reaction.breaker.and_then(|breaker| breaker.opens_without_answers)),
            "health_on_errors_seconds": seconds(reaction.health.map(|health| health.down_on_errors)),
            "health_without_answers_seconds": seconds(reaction.health.and_then(|health| health.down_without_answers)),
        },
        "recovery": {
            "breaker_closes_within_seconds": seconds(reaction.breaker.map(|breaker| breaker.closes_within)),
            "slow_start_seconds": seconds(reaction.breaker.and_then(|breaker| breaker.slow_start)),
        },
        "warnings": path.warnings(),
    })
}

fn policy(policy: &RetryPolicy) -> Value {
    let jitter = match policy.jitter {
        Jitter::None => json!("none"),
        Jitter::Full => json!("full"),
        Jitter::Equal => json!("equal"),
        Jitter::Decorrelated => json!("decorrelated"),
        Jitter::Proportional(share) => number(share),
    };
    json!({
        "max_attempts": policy.attempts,
        "base_delay_seconds": policy.base_delay.as_secs_f64(),
        "throttled_base_delay_seconds": policy.throttled_base_delay.as_secs_f64(),
        "max_delay_seconds": policy.max_delay.as_secs_f64(),
        "exponential_base": f64::from(policy.factor_permille) / 1_000.0,
        "jitter": jitter,
        "max_hint_seconds": policy.max_hint.as_secs_f64(),
        "give_up_after_seconds": policy.give_up_after.map(|span| span.as_secs_f64()),
        "min_attempt_seconds": policy.min_attempt.as_secs_f64(),
        "retry_exhausted": policy.retry_exhausted,
    })
}

/// Null for no limit.
fn quota(quota: Quota) -> Value {
    if quota.is_unlimited() {
        return Value::Null;
    }
    json!({ "capacity": quota.capacity(), "interval_seconds": quota.emission_interval().as_secs_f64() })
}

fn breaker(breaker: &BreakerConfig) -> Value {
    json!({
        "mode": match breaker.mode {
            BreakerMode::Auto => "auto",
            BreakerMode::ForcedOpen => "forced_open",
            BreakerMode::Disabled => "disabled",
            BreakerMode::MetricsOnly => "metrics_only",
        },
        "window": match breaker.window {
            WindowKind::Calls(calls) => json!({ "calls": calls }),
            WindowKind::Time(span) => json!({ "seconds": span.as_secs_f64() }),
        },
        "min_calls": breaker.min_calls,
        "failure_rate": breaker.failure_rate.map(number),
        "slow_rate": breaker.slow_rate.map(number),
        "slow_call_seconds": breaker.slow_call.as_secs_f64(),
        "consecutive_failures": breaker.consecutive_failures,
        "hanging_calls": breaker.hanging_calls,
        "open_wait_seconds": breaker.open_wait.as_secs_f64(),
        "open_wait_max_seconds": breaker.open_wait_max.as_secs_f64(),
        "half_open_concurrent": breaker.half_open_concurrent,
        "half_open_calls": breaker.half_open_calls,
        "half_open_successes": breaker.half_open_successes,
        "probe_timeout_seconds": breaker.probe_timeout.as_secs_f64(),
        "half_open_timeout_seconds": breaker.half_open_timeout.as_secs_f64(),
        "slow_start_seconds": breaker.slow_start.map(|span| span.as_secs_f64()),
    })
}

/// In the tokens of the core.
fn budget(budget: &BudgetConfig) -> Value {
    json!({
        "capacity": budget.capacity,
        "retry_cost": budget.retry_cost,
        "throttled_retry_cost": budget.throttled_retry_cost,
        "deposit_per_call": budget.deposit_per_call,
        "deposit_on_first_success": budget.deposit_on_first_success,
        "deposit_on_retry_success": budget.deposit_on_retry_success,
        "deposit_per_second": budget.deposit_per_second,
        "reserve": budget.reserve.map(|Reserve(tokens)| tokens),
        "concurrency": budget.concurrency.map(|gate| json!({
            "share": number(gate.share),
            "min": gate.min,
        })),
    })
}

fn monitor(monitor: &MonitorConfig) -> Value {
    json!({
        "failure_threshold": monitor.fall,
        "success_threshold": monitor.rise,
        "interval_seconds": monitor.interval.as_secs_f64(),
        "timeout_seconds": monitor.timeout.as_secs_f64(),
        "ttl_seconds": monitor.ttl.as_secs_f64(),
    })
}

fn number(share: PerMille) -> Value {
    json!(f64::from(share.get()) / 1_000.0)
}
