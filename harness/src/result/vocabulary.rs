//! The names promises may use: every number of the result.

use std::time::Duration;

use super::Spread;
use crate::expect::Vocabulary;

/// The numbers a scenario's promises can be about.
#[must_use]
pub fn vocabulary(clients: &[String], dependencies: &[String], duration: Duration) -> Vocabulary {
    let windows = ["offered", "succeeded", "attempts", "goodput", "amplification"];
    let call_fields = [
        "calls.offered",
        "calls.succeeded",
        "calls.failed",
        "calls.in_flight",
        "calls.refused.rate_limit",
        "calls.refused.breaker",
        "calls.refused.bulkhead",
        "calls.refused.budget",
        "calls.refused.deadline",
        "attempts.total",
        "attempts.first",
        "attempts.retries",
        "amplification",
        "goodput",
        "latency_ms.mean",
        "latency_ms.p50",
        "latency_ms.p90",
        "latency_ms.p99",
        "latency_ms.max",
    ];
    let run_fields = [
        "events",
        "virtual_seconds",
        "recovery_seconds",
        "recovery_lasts_seconds",
        "relapses",
        "breaker.opened",
        "breaker.most_open",
        "invariants.violations",
    ];
    let stopped = [
        "attempts_exhausted",
        "permanent",
        "not_idempotent",
        "overloaded",
        "hint_too_long",
        "gave_up",
    ];
    let mut names: Vec<String> = call_fields
        .iter()
        .chain(&run_fields)
        .map(ToString::to_string)
        .collect();
    let mut windowed: Vec<String> = windows.map(String::from).to_vec();
    names.extend(stopped.iter().map(|reason| format!("stopped.{reason}")));
    names.extend(call_fields.iter().map(|field| format!("control.{field}")));
    windowed.extend(windows.iter().map(|field| format!("control.{field}")));
    for field in ["runs", "failed", "recovered", "slow", "never"] {
        names.push(format!("seeds.{field}"));
    }
    for number in ["recovery_seconds", "goodput", "amplification"] {
        let quantiles = Spread::default().named();
        names.extend(
            quantiles
                .iter()
                .map(|(quantile, _)| format!("seeds.{number}.{quantile}")),
        );
    }
    for client in clients {
        names.extend(
            call_fields
                .iter()
                .map(|field| format!("clients.{client}.{field}")),
        );
        windowed.extend(windows.iter().map(|field| format!("clients.{client}.{field}")));
    }
    for dependency in dependencies {
        let fields = ["received", "served", "wasted", "peak_in_flight"];
        names.extend(
            fields
                .iter()
                .map(|field| format!("dependencies.{dependency}.{field}")),
        );
    }
    // What has a window and no value of its own still is a name.
    names.extend(
        windowed
            .iter()
            .filter(|name| !names.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    Vocabulary {
        names,
        windowed,
        seconds: duration.as_secs(),
    }
}
