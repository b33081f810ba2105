//! Policies in words.

use std::time::Duration;

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::retry::Reserve;
use crossbridge_core::{BreakerConfig, BudgetConfig, Jitter, OnLimit};
use crossbridge_std::config::{CallPath, Seconds};
use crossbridge_std::logging::{Format, LogSettings};

use super::table::Table;

/// One path: what it goes through, and what that adds up to.
pub(super) fn path(path: &CallPath) -> Table {
    let (guard, uses) = (&path.guard, &path.uses);
    let named = |name: &Option<String>, text: String| name.as_ref().map(|name| format!("{name}: {text}"));
    let (burst, earned) = budget(&guard.budget);
    let breaker = match guard.breaker.mode {
        BreakerMode::Auto => {
            let open_for = open_for(&guard.breaker);
            format!("{}, stays open {open_for}", trips(&guard.breaker))
        }
        BreakerMode::ForcedOpen | BreakerMode::Disabled | BreakerMode::MetricsOnly => trips(&guard.breaker),
    };
    let watched = match guard.health {
        None => "switched off",
        Some(_) => "every attempt is evidence",
    };
    let no_answer = if guard.idempotent {
        "tried again: the call is idempotent"
    } else {
        "not tried again: the call is not declared idempotent"
    };
    let budget = format!("{burst} at once, {earned}");
    let bulkhead = format!("{} at once", guard.bulkhead.limit);

    let mut table = Table::new();
    let mut without = Vec::new();
    for (title, text) in [
        ("retry", Some(retry(path))),
        ("budget", named(&uses.budget, budget)),
        ("breaker", named(&uses.breaker, breaker)),
        ("rate limit", named(&uses.rate_limit, rate_limit(path))),
        ("bulkhead", named(&uses.bulkhead, bulkhead)),
        ("health", named(&uses.health, watched.to_owned())),
    ] {
        match text {
            Some(text) => table.row([title.to_owned(), text]),
            None => without.push(title),
        }
    }
    if !without.is_empty() {
        table.row(["without".to_owned(), without.join(", ")]);
    }
    table.row(["no answer".to_owned(), no_answer.to_owned()]);
    table.row(["worst case".to_owned(), worst_case(path)]);
    table
}

fn retry(path: &CallPath) -> String {
    let (name, policy) = (&path.uses.retry, &path.guard.retry);
    if policy.attempts == 1 {
        return format!("{name}: 1 attempt");
    }
    format!(
        "{name}: {} attempts, first delay {}, then times {} up to {}, jitter {}",
        policy.attempts,
        Seconds(policy.base_delay),
        factor(policy.factor_permille),
        Seconds(policy.max_delay),
        jitter(policy.jitter),
    )
}

fn rate_limit(path: &CallPath) -> String {
    let quota = path.guard.quota;
    if quota.is_unlimited() {
        return "switched off".to_owned();
    }
    let above = match path.guard.on_limit {
        OnLimit::Refuse => "refuses above it",
        OnLimit::Wait => "waits above it",
    };
    let interval = Seconds(quota.emission_interval());
    format!("{} at once, one every {interval}, {above}", quota.capacity())
}

/// The sum, and what the deadline makes of it.
fn worst_case(path: &CallPath) -> String {
    let (guard, worst) = (&path.guard, path.worst_case());
    let attempts = match worst.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let mut text = match (guard.attempt_timeout, worst.sum) {
        (Some(timeout), Some(sum)) => {
            let timeout = Seconds(timeout);
            let delays = match Seconds(worst.waits) {
                Seconds(Duration::ZERO) => String::new(),
                delays => format!(" + {delays} of delays"),
            };
            format!("{attempts} of {timeout}{delays} = {}", Seconds(sum))
        }
        _ => format!("{attempts} of any length"),
    };
    if let Some(throttled) = worst.throttled_sum
        && worst.throttled_sum > worst.sum
    {
        text.push_str(&format!(" ({} when throttled)", Seconds(throttled)));
    }
    if guard.on_limit == OnLimit::Wait && !guard.quota.is_unlimited() {
        text.push_str(", and waiting for permits");
    }
    match (guard.deadline.map(Seconds), worst.call.map(Seconds)) {
        (Some(deadline), Some(call)) if call < deadline => {
            text + &format!("; within the deadline of {deadline}")
        }
        (Some(deadline), _) => text + &format!("; the deadline ends it after {deadline}"),
        (None, Some(_)) => text + "; no deadline",
        (None, None) => text + "; no deadline, and no bound",
    }
}

pub(super) fn factor(permille: u32) -> String {
    let text = format!("{}.{:03}", permille / 1_000, permille % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn jitter(jitter: Jitter) -> String {
    match jitter {
        Jitter::None => "none".to_owned(),
        Jitter::Full => "full".to_owned(),
        Jitter::Equal => "equal".to_owned(),
        Jitter::Decorrelated => "decorrelated".to_owned(),
        Jitter::Proportional(share) => format!("±{share}"),
    }
}

/// When the breaker opens.
pub(super) fn trips(breaker: &BreakerConfig) -> String {
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
pub(super) fn open_for(breaker: &BreakerConfig) -> String {
    let (first, most) = (Seconds(breaker.open_wait), Seconds(breaker.open_wait_max));
    if first == most {
        first.to_string()
    } else {
        format!("{first}, doubling up to {most}")
    }
}

/// What closes it again.
pub(super) fn closes(breaker: &BreakerConfig) -> String {
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
pub(super) fn budget(budget: &BudgetConfig) -> (String, String) {
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

/// Where records go, and which.
pub(super) fn logging(settings: &LogSettings) -> Table {
    let format = match settings.format {
        Format::Simple => "simple",
        Format::Detailed => "detailed",
        Format::Json => "json",
    };
    let mut to = Vec::new();
    if settings.console {
        to.push("stderr".to_owned());
    }
    if let Some(file) = &settings.file {
        let (path, megabytes) = (file.path.display(), file.max_bytes >> 20);
        to.push(format!(
            "{path}, up to {megabytes} MiB and {} before it",
            file.backups
        ));
    }
    if to.is_empty() {
        to.push("nowhere".to_owned());
    }
    let mut levels = vec![settings.level.as_str().to_owned()];
    for (category, level) in &settings.levels {
        levels.push(format!("{category} {level}"));
    }
    let mut table = Table::new();
    table.row(["level".to_owned(), levels.join(", ")]);
    table.row(["format".to_owned(), format.to_owned()]);
    table.row(["to".to_owned(), to.join("; ")]);
    table
}

/// Words in lines of at most 96 characters.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 96 {
            out.push_str(&format!("{:indent$}{line}\n", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    out
}
