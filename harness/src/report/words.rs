//! Policies in words, for every report that names them.

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::retry::Reserve;
use crossbridge_core::{BreakerConfig, BudgetConfig, Jitter};
use crossbridge_std::config::Seconds;

/// A factor in thousandths as a decimal.
#[must_use]
pub fn factor(permille: u32) -> String {
    let text = format!("{}.{:03}", permille / 1_000, permille % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The kind of jitter.
#[must_use]
pub fn jitter(jitter: Jitter) -> String {
    match jitter {
        Jitter::None => "none".to_owned(),
        Jitter::Full => "full".to_owned(),
        Jitter::Equal => "equal".to_owned(),
        Jitter::Decorrelated => "decorrelated".to_owned(),
        Jitter::Proportional(share) => format!("±{share}"),
    }
}

/// When the breaker opens.
#[must_use]
pub fn trips(breaker: &BreakerConfig) -> String {
    let mode = match breaker.mode {
        BreakerMode::Auto => "",
        BreakerMode::ForcedOpen => return "always open".to_owned(),
        BreakerMode::Disabled => return "never: disabled".to_owned(),
        BreakerMode::MetricsOnly => " (reported only)",
    };
    let window = match breaker.window {
        WindowKind::Calls(calls) => format!("of the last {calls} calls"),
        WindowKind::Time(span) => format!("of the calls of the last {}", Seconds(span)),
    };
    let mut rules = Vec::new();
    if let Some(share) = breaker.failure_rate {
        rules.push(format!("{share} {window} fail"));
    }
    if let Some(share) = breaker.slow_rate {
        rules.push(format!(
            "{share} {window} take {} or more",
            Seconds(breaker.slow_call)
        ));
    }
    let by_rate = !rules.is_empty();
    if let Some(failures) = breaker.consecutive_failures {
        rules.push(format!("{failures} in a row fail"));
    }
    if let Some(calls) = breaker.hanging_calls {
        rules.push(format!(
            "{calls} are out for {} or more",
            Seconds(breaker.slow_call)
        ));
    }
    if rules.is_empty() {
        return "never: no rule is on".to_owned();
    }
    let least = if by_rate {
        format!(", rates from {} calls on", breaker.min_calls)
    } else {
        String::new()
    };
    format!("when {}{least}{mode}", rules.join(" or "))
}

/// How long it stays open.
#[must_use]
pub fn open_for(breaker: &BreakerConfig) -> String {
    let (first, most) = (Seconds(breaker.open_wait), Seconds(breaker.open_wait_max));
    if first == most {
        first.to_string()
    } else {
        format!("{first}, doubling up to {most}")
    }
}

/// What closes it again.
#[must_use]
pub fn closes(breaker: &BreakerConfig) -> String {
    let probes = format!(
        "{} of {} probes succeed, {} at once",
        breaker.half_open_successes, breaker.half_open_calls, breaker.half_open_concurrent
    );
    match breaker.slow_start {
        None => probes,
        Some(span) => format!("{probes}; all calls again after {}", Seconds(span)),
    }
}

/// Retries at once, and how they are earned back.
#[must_use]
pub fn budget(budget: &BudgetConfig) -> (String, String) {
    let gate = match budget.concurrency {
        None => String::new(),
        Some(gate) => format!("; under way {} of the calls, {} always", gate.share, gate.min),
    };
    if budget.retry_cost == 0 {
        return ("unlimited".to_owned(), format!("free{gate}"));
    }
    let cost = u64::from(budget.retry_cost);
    let burst = match budget.reserve {
        None => u64::from(budget.capacity) / cost,
        // While more than the reserve is left: the last one may go below it.
        Some(Reserve(kept)) => u64::from(budget.capacity.saturating_sub(kept)).div_ceil(cost),
    };
    let mut earned = Vec::new();
    for (deposit, calls) in [
        (budget.deposit_per_call, "calls"),
        (budget.deposit_on_first_success, "calls that succeed at once"),
        (budget.deposit_on_retry_success, "retries that succeed"),
    ] {
        if deposit > 0 {
            let number = cost.div_ceil(u64::from(deposit));
            earned.push(format!("one retry per {number} {calls}"));
        }
    }
    if budget.deposit_per_second > 0 {
        let number = u64::from(budget.deposit_per_second) / cost;
        earned.push(format!("{number} more each second"));
    }
    if earned.is_empty() {
        earned.push("never".to_owned());
    }
    (burst.to_string(), earned.join(", ") + &gate)
}
