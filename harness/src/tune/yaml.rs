//! The policies of a path as a piece of `crossbridge.yml`.

use std::fmt::Write as _;
use std::time::Duration;

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, GuardConfig, Jitter, PerMille, RetryPolicy,
};
use crossbridge_std::config::Seconds;

use super::key::{Key, Ratio, thousandths};

/// The sections that `keys` are in, whole, under names of their own, and the path that uses them. What
/// the path says besides stays as it is.
#[must_use]
pub fn fragment(path: &str, guard: &GuardConfig, keys: &[Key]) -> String {
    let has = |section: &str| keys.iter().any(|key| key.section() == section);
    let name = format!("{path}_tuned");
    let mut text = "runtime:\n".to_owned();
    // Writing to a `String` does not fail.
    if has("retry") || has("budget") {
        text.push_str("  retry:\n");
    }
    if has("retry") {
        let _ = writeln!(
            text,
            "    policies:\n      {name}:\n{}",
            lines(8, &retry(&guard.retry))
        );
    }
    if has("budget") {
        let budget = budget(&guard.budget).join(", ");
        let _ = writeln!(text, "    budgets:\n      {name}: {{ {budget} }}");
    }
    if has("breaker") {
        let _ = writeln!(
            text,
            "  circuit_breakers:\n    {name}:\n{}",
            lines(6, &breaker(&guard.breaker))
        );
    }
    let bulkhead = guard.bulkhead != BulkheadConfig::UNLIMITED;
    if has("bulkhead") && bulkhead {
        let limit = guard.bulkhead.limit;
        let _ = writeln!(text, "  bulkheads:\n    {name}: {{ limit: {limit} }}");
    }
    let _ = writeln!(text, "  paths:\n    {path}:");
    for section in ["retry", "budget", "breaker", "bulkhead"] {
        if has(section) {
            let name = if section == "bulkhead" && !bulkhead {
                "none"
            } else {
                &name
            };
            let _ = writeln!(text, "      {section}: {name}");
        }
    }
    for (key, value) in [
        (Key::Deadline, guard.deadline),
        (Key::AttemptTimeout, guard.attempt_timeout),
    ] {
        if keys.contains(&key) {
            let value = value.map_or_else(|| "none".to_owned(), |span| Seconds(span).to_string());
            let _ = writeln!(text, "      {key}: {value}");
        }
    }
    text
}

fn lines(indent: usize, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{:indent$}{line}", "")).collect();
    lines.join("\n")
}

fn retry(policy: &RetryPolicy) -> Vec<String> {
    let jitter = match policy.jitter {
        Jitter::None => "none".to_owned(),
        Jitter::Full => "full".to_owned(),
        Jitter::Equal => "equal".to_owned(),
        Jitter::Decorrelated => "decorrelated".to_owned(),
        Jitter::Proportional(part) => share(part),
    };
    let mut lines = vec![
        format!("max_attempts: {}", policy.attempts),
        format!("base_delay: {}", Seconds(policy.base_delay)),
        format!("throttled_base_delay: {}", Seconds(policy.throttled_base_delay)),
        format!("max_delay: {}", Seconds(policy.max_delay)),
        format!(
            "exponential_base: {}",
            thousandths(u64::from(policy.factor_permille))
        ),
        format!("jitter: {jitter}"),
        format!("max_hint: {}", Seconds(policy.max_hint)),
    ];
    lines.extend(
        policy
            .give_up_after
            .map(|span| format!("give_up_after: {}", Seconds(span))),
    );
    if policy.min_attempt > Duration::ZERO {
        lines.push(format!("min_attempt: {}", Seconds(policy.min_attempt)));
    }
    if policy.retry_exhausted {
        lines.push("retry_exhausted: true".to_owned());
    }
    lines
}

fn budget(budget: &BudgetConfig) -> Vec<String> {
    let mut keys = match Ratio::exactly(budget) {
        Some(made) => vec![
            format!("ratio: {}", share(made.ratio)),
            format!("min_per_second: {}", made.min_per_second),
            format!("burst: {}", made.burst),
        ],
        None if budget.retry_cost == 0 => vec!["preset: unlimited".to_owned()],
        None if budget.reserve.is_some() => vec![
            "preset: grpc".to_owned(),
            format!("max_tokens: {}", budget.capacity / budget.retry_cost),
            format!(
                "token_ratio: {}",
                thousandths(u64::from(budget.deposit_on_first_success))
            ),
        ],
        None => vec!["preset: aws".to_owned()],
    };
    if let Some(gate) = budget.concurrency {
        keys.push(format!("max_concurrent: {}", share(gate.share)));
        keys.push(format!("min_concurrent: {}", gate.min));
    }
    keys
}

fn breaker(breaker: &BreakerConfig) -> Vec<String> {
    let rate = |rate: Option<PerMille>| rate.map_or_else(|| "off".to_owned(), share);
    let mut lines = Vec::new();
    match breaker.mode {
        BreakerMode::Auto => {}
        BreakerMode::ForcedOpen => lines.push("mode: forced_open".to_owned()),
        BreakerMode::Disabled => lines.push("mode: disabled".to_owned()),
        BreakerMode::MetricsOnly => lines.push("mode: metrics_only".to_owned()),
    }
    lines.push(match breaker.window {
        WindowKind::Calls(calls) => format!("window: {calls}"),
        WindowKind::Time(span) => format!("window: {}", Seconds(span)),
    });
    lines.push(format!("min_calls: {}", breaker.min_calls));
    lines.push(format!("failure_rate: {}", rate(breaker.failure_rate)));
    lines.push(format!("slow_rate: {}", rate(breaker.slow_rate)));
    lines.push(format!("slow_call: {}", Seconds(breaker.slow_call)));
    lines.extend(
        breaker
            .consecutive_failures
            .map(|count| format!("consecutive_failures: {count}")),
    );
    lines.extend(
        breaker
            .hanging_calls
            .map(|count| format!("hanging_calls: {count}")),
    );
    lines.push(format!("open_wait: {}", Seconds(breaker.open_wait)));
    lines.push(format!("open_wait_max: {}", Seconds(breaker.open_wait_max)));
    lines.push(format!("half_open_concurrent: {}", breaker.half_open_concurrent));
    lines.push(format!("half_open_calls: {}", breaker.half_open_calls));
    lines.push(format!("half_open_successes: {}", breaker.half_open_successes));
    lines.push(format!("probe_timeout: {}", Seconds(breaker.probe_timeout)));
    lines.push(format!(
        "half_open_timeout: {}",
        Seconds(breaker.half_open_timeout)
    ));
    lines.extend(
        breaker
            .slow_start
            .map(|span| format!("slow_start: {}", Seconds(span))),
    );
    lines
}

fn share(share: PerMille) -> String {
    thousandths(u64::from(share.get()))
}

#[cfg(test)]
mod tests {
    use crossbridge_core::retry::Concurrency;
    use crossbridge_std::config::{Config, Document};

    use super::*;

    /// Policies in which nothing is as it would be anyway.
    fn odd() -> GuardConfig {
        let per_mille = |share| PerMille::new(share).expect("a share");
        let mut guard = GuardConfig::DEFAULT;
        guard.retry = RetryPolicy {
            attempts: 7,
            base_delay: Duration::from_millis(123),
            throttled_base_delay: Duration::from_millis(1_234),
            factor_permille: 1_750,
            max_delay: Duration::from_secs(9),
            jitter: Jitter::Proportional(per_mille(125)),
            max_hint: Duration::from_secs(11),
            give_up_after: Some(Duration::from_secs(77)),
            min_attempt: Duration::from_millis(5),
            retry_exhausted: true,
        };
        guard.budget = BudgetConfig {
            concurrency: Some(Concurrency::ENVOY),
            ..BudgetConfig::ratio(per_mille(150), 2, 30)
        };
        guard.breaker = BreakerConfig {
            window: WindowKind::Time(Duration::from_secs(12)),
            min_calls: 13,
            failure_rate: None,
            slow_rate: Some(per_mille(800)),
            slow_call: Duration::from_millis(900),
            consecutive_failures: Some(4),
            hanging_calls: Some(6),
            open_wait: Duration::from_millis(1_500),
            open_wait_max: Duration::from_secs(20),
            half_open_concurrent: 2,
            half_open_calls: 5,
            half_open_successes: 4,
            probe_timeout: Duration::from_secs(3),
            half_open_timeout: Duration::from_secs(8),
            slow_start: Some(Duration::from_secs(15)),
            ..BreakerConfig::DEFAULT
        };
        guard.bulkhead.limit = 17;
        guard.deadline = Some(Duration::from_secs(40));
        guard.attempt_timeout = Some(Duration::from_secs(6));
        guard
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let budgets = [
            odd().budget,
            BudgetConfig::UNLIMITED,
            BudgetConfig::AWS,
            BudgetConfig::grpc(12, PerMille::HALF),
        ];
        let odd = budgets.map(|budget| GuardConfig { budget, ..odd() });
        for guard in odd.into_iter().chain([GuardConfig::DEFAULT]) {
            let text = fragment("odd", &guard, &Key::ALL);
            let document = Document::parse("tuned.yml", text).expect("YAML");
            let config = Config::from_document(&document, &|_| None)
                .unwrap_or_else(|error| panic!("{}", error.render()));
            let path = config.path("odd").expect("the path");
            assert_eq!(path.guard, guard);
        }
    }
}
