//! Policies in words.

use std::time::Duration;

use crossbridge_core::OnLimit;
use crossbridge_core::breaker::BreakerMode;
pub(super) use crossbridge_harness::report::words::{budget, closes, factor, jitter, open_for, trips};
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
