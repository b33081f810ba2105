//! `crossbridge check [CONFIG]`: does the file hold, and what follows from it?
//!
//! Reads the configuration as production does, and prints the policies that are in force once
//! everything is merged, the arithmetic of each call path, what cannot work, and what of the file
//! has no effect.

mod json;
mod reaction;
pub(crate) mod table;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crossbridge_std::config::{Config, FileError, Rate, Seconds};

use self::table::Table;

/// The page for people, or the object for programs; each ends with a line feed.
///
/// # Errors
/// The file cannot be read, or anything in it cannot be used.
pub(crate) fn run(explicit: Option<&Path>, rate: Rate, json: bool) -> Result<String, FileError> {
    let config = Config::load(explicit)?;
    Ok(if json {
        json::object(&config, rate)
    } else {
        page(&config, rate)
    })
}

/// The page for people.
fn page(config: &Config, rate: Rate) -> String {
    let mut out = String::new();
    let source = config.source().map_or_else(
        || "none found: these are the defaults".to_owned(),
        |file| file.display().to_string(),
    );
    // Writing to a `String` does not fail.
    let _ = writeln!(out, "configuration: {source}");
    section(&mut out, "retry policies", &retries(config));
    section(&mut out, "rate limits", &limits(config));
    section(&mut out, "circuit breakers", &breakers(config));
    section(&mut out, "retry budgets", &budgets(config));
    section(&mut out, "bulkheads", &bulkheads(config));
    section(&mut out, "health", &health(config));
    section(&mut out, "logging", &words::logging(config.logging()));
    out.push_str("\ncall paths\n");
    for path in config.paths() {
        let _ = writeln!(out, "\n  {}  ({})", path.name, path.log_category);
        let mut table = words::path(path);
        reaction::add(&mut table, path, rate);
        out.push_str(&table.indented(4));
    }
    let _ = writeln!(out, "\nlayers\n  {}", reaction::layers(&config.layers()));
    let _ = writeln!(
        out,
        "  detection and recovery: calls at {rate} on each path, evenly spaced, retries left out"
    );
    let warnings: Vec<_> = config
        .paths()
        .flat_map(|path| {
            path.warnings()
                .into_iter()
                .map(move |warning| (&path.name, warning))
        })
        .collect();
    if !warnings.is_empty() {
        out.push_str("\nwarnings\n");
        let mut table = Table::new();
        for (path, warning) in warnings {
            table.row([path.clone(), warning]);
        }
        out.push_str(&table.indented(2));
    }
    if !config.not_in_use().is_empty() {
        out.push_str("\naccepted, and without effect\n");
        let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for entry in config.not_in_use() {
            by_reason
                .entry(entry.why)
                .or_default()
                .push(entry.path.to_string());
        }
        for (why, paths) in by_reason {
            let _ = writeln!(out, "  {why}:");
            out.push_str(&words::wrapped(&paths.join(", "), 4));
        }
    }
    let ignored: Vec<_> = config.ignored().iter().map(ToString::to_string).collect();
    if !ignored.is_empty() {
        let _ = writeln!(
            out,
            "\nignored, being somebody else's: {} sections",
            ignored.len()
        );
        out.push_str(&words::wrapped(&ignored.join(", "), 2));
    }
    out
}

fn section(out: &mut String, title: &str, table: &Table) {
    if !table.is_empty() {
        let _ = writeln!(out, "\n{title}");
        out.push_str(&table.indented(2));
    }
}

fn retries(config: &Config) -> Table {
    let retries = config.retries();
    let mut table = Table::titled([
        "name",
        "attempts",
        "first delay",
        "throttled",
        "at most",
        "factor",
        "jitter",
        "longest hint",
    ]);
    for name in retries.policies.keys() {
        let Some(policy) = retries.policy(name) else {
            continue;
        };
        table.row([
            name.clone(),
            policy.attempts.to_string(),
            Seconds(policy.base_delay).to_string(),
            Seconds(policy.throttled_base_delay).to_string(),
            Seconds(policy.max_delay).to_string(),
            words::factor(policy.factor_permille),
            words::jitter(policy.jitter),
            Seconds(policy.max_hint).to_string(),
        ]);
    }
    if !retries.enabled {
        table.note("switched off: every policy makes one attempt");
    }
    let codes: Vec<_> = retries.retryable_codes.iter().map(ToString::to_string).collect();
    let timeout = Seconds(retries.network_timeout);
    table.note(format!(
        "HTTP statuses that are retried: {}; an attempt takes at most {timeout} where its path does not say",
        if codes.is_empty() {
            "none".to_owned()
        } else {
            codes.join(", ")
        }
    ));
    table
}

fn limits(config: &Config) -> Table {
    let limits = config.limits();
    let mut table = Table::titled(["operation", "for", "calls", "per", "one every"]);
    let everybody = limits
        .defaults
        .iter()
        .map(|(operation, limit)| (operation, "everybody", limit));
    let some = limits.overrides.iter().flat_map(|(subject, operations)| {
        let entry = move |(operation, limit)| (operation, subject.as_str(), limit);
        operations.iter().map(entry)
    });
    for (operation, subject, limit) in everybody.chain(some) {
        table.row([
            operation.clone(),
            subject.to_owned(),
            limit.capacity.to_string(),
            Seconds(limit.window).to_string(),
            Seconds(limit.quota().emission_interval()).to_string(),
        ]);
    }
    if limits.enabled {
        table.note("any other operation: 30 per 60s");
    } else {
        table.note("switched off: nothing is limited");
    }
    table
}

fn breakers(config: &Config) -> Table {
    let mut table = Table::titled(["name", "opens", "stays open", "closes"]);
    for (name, breaker) in config.breakers() {
        table.row([
            name.clone(),
            words::trips(breaker),
            words::open_for(breaker),
            words::closes(breaker),
        ]);
    }
    table
}

fn budgets(config: &Config) -> Table {
    let mut table = Table::titled(["name", "retries at once", "earned back"]);
    for (name, budget) in &config.retries().budgets {
        let (burst, earned) = words::budget(budget);
        table.row([name.clone(), burst, earned]);
    }
    table
}

fn bulkheads(config: &Config) -> Table {
    let mut table = Table::titled(["name", "at once"]);
    for (name, bulkhead) in config.bulkheads() {
        table.row([name.clone(), bulkhead.limit.to_string()]);
    }
    table
}

fn health(config: &Config) -> Table {
    let health = config.health();
    let mut table = Table::titled([
        "target",
        "down after",
        "up after",
        "interval",
        "a result counts for",
    ]);
    for (name, provider) in &health.providers {
        let monitor = &provider.monitor;
        let target = if provider.enabled {
            name.clone()
        } else {
            format!("{name} (off)")
        };
        table.row([
            target,
            format!("{} failures", monitor.fall),
            format!("{} passes", monitor.rise),
            Seconds(monitor.interval).to_string(),
            Seconds(monitor.ttl).to_string(),
        ]);
    }
    if !health.enabled {
        table.note("switched off: nothing is watched");
    }
    table
}
