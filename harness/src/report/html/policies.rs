//! The policies that were in force, a column for each that makes calls.

use crossbridge_core::breaker::BreakerMode;
use crossbridge_core::{BulkheadConfig, GuardConfig, OnLimit, Quota};
use crossbridge_std::config::Seconds;

use crate::report::Replay;
use crate::report::markup::{Table, words};
use crate::report::words::{budget, closes, factor, jitter, open_for, trips};
use crate::scenario::Downstream;

/// A policy in words.
type Word = fn(&GuardConfig) -> String;

const OFF: &str = "off";

pub(super) fn table(replay: &Replay<'_>) -> String {
    let clients = replay
        .scenario
        .clients
        .iter()
        .map(|group| (&group.name, Some(&group.calls)));
    let services = replay
        .scenario
        .nodes
        .iter()
        .map(|node| (&node.name, node.downstream.as_ref()));
    let callers: Vec<(&String, &Downstream)> = clients
        .chain(services)
        .filter_map(|(name, calls)| Some((name, calls?)))
        .collect();
    let columns = callers
        .iter()
        .map(|(name, calls)| words(&format!("{name} ({})", calls.path)));
    let mut table = Table::new(
        "Policies of each caller",
        std::iter::once(words("Policy")).chain(columns),
    );
    let rows: [(&str, Word); 9] = [
        ("Retry", retry),
        ("Retry budget", retry_budget),
        ("Breaker opens", |guard| trips(&guard.breaker)),
        ("Breaker stays open", |guard| {
            when_auto(guard, open_for(&guard.breaker))
        }),
        ("Breaker closes", |guard| when_auto(guard, closes(&guard.breaker))),
        ("Rate limit", rate_limit),
        ("Bulkhead", bulkhead),
        ("Health", health),
        ("Time", time),
    ];
    for (name, word) in rows {
        let cells = callers.iter().map(|(_, calls)| word(&calls.guard));
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table.html()
}

fn retry(guard: &GuardConfig) -> String {
    let policy = &guard.retry;
    if policy.attempts == 1 {
        return "1 attempt".to_owned();
    }
    let unanswered = if guard.idempotent {
        "a call without an answer is tried again"
    } else {
        "a call without an answer is not"
    };
    format!(
        "{} attempts, first delay {}, then times {} up to {}, jitter {}; {unanswered}",
        policy.attempts,
        Seconds(policy.base_delay),
        factor(policy.factor_permille),
        Seconds(policy.max_delay),
        jitter(policy.jitter)
    )
}

fn retry_budget(guard: &GuardConfig) -> String {
    if guard.budget.retry_cost == 0 && guard.budget.concurrency.is_none() {
        return OFF.to_owned();
    }
    let (burst, earned) = budget(&guard.budget);
    format!("{burst} at once, {earned}")
}

fn when_auto(guard: &GuardConfig, text: String) -> String {
    match guard.breaker.mode {
        BreakerMode::Auto => text,
        BreakerMode::ForcedOpen | BreakerMode::Disabled | BreakerMode::MetricsOnly => OFF.to_owned(),
    }
}

fn rate_limit(guard: &GuardConfig) -> String {
    let quota: Quota = guard.quota;
    if quota.is_unlimited() {
        return OFF.to_owned();
    }
    let above = match guard.on_limit {
        OnLimit::Refuse => "refuses above it",
        OnLimit::Wait => "waits above it",
    };
    format!(
        "{} at once, one every {}, {above}",
        quota.capacity(),
        Seconds(quota.emission_interval())
    )
}

fn bulkhead(guard: &GuardConfig) -> String {
    if guard.bulkhead == BulkheadConfig::UNLIMITED {
        return OFF.to_owned();
    }
    format!("{} at once", guard.bulkhead.limit)
}

fn health(guard: &GuardConfig) -> String {
    match guard.health {
        Some(_) => "every attempt is evidence".to_owned(),
        None => OFF.to_owned(),
    }
}

fn time(guard: &GuardConfig) -> String {
    let call = guard.deadline.map_or("no deadline".to_owned(), |span| {
        format!("deadline {}", Seconds(span))
    });
    match guard.attempt_timeout {
        Some(span) => format!("{call}, {} for an attempt", Seconds(span)),
        None => call,
    }
}
