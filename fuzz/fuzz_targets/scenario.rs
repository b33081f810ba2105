//! Bytes as a scenario: read, resolved and, where it is small, run.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use crossbridge_harness::result::ReplayResult;
use crossbridge_harness::scenario::format::ScenarioFile;
use crossbridge_harness::scenario::{self, Arrivals, ClientEffect, Scenario};
use crossbridge_harness::world;
use crossbridge_std::config::{Document, schema};
use jsonschema::Validator;
use libfuzzer_sys::fuzz_target;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = schema::document::<ScenarioFile>("a scenario");
    jsonschema::draft202012::new(schema.as_value()).expect("a schema")
});

/// No file is there.
const NOWHERE: &str = "/nonexistent/folder";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = scenario::trace_times(text);
    }
    let Ok(document) = Document::from_bytes("fuzz.yml", bytes.to_vec()) else {
        return;
    };
    // Files of this machine are nobody's input.
    let names_a_file = |value: &serde_json::Value| value.to_string().contains("\"/");
    let value = serde_json::to_value(document.root());
    if value.as_ref().is_ok_and(names_a_file) {
        return;
    }
    match scenario::resolve(&document, Path::new(NOWHERE), None, &|_| None) {
        Err(refused) => assert!(!refused.render().is_empty()),
        Ok(scenario) => {
            if let Ok(value) = value {
                let wrong: Vec<_> = SCHEMA
                    .iter_errors(&value)
                    .map(|error| error.to_string())
                    .collect();
                assert!(wrong.is_empty(), "{wrong:#?}");
            }
            if is_small(&scenario) {
                run(&scenario);
            }
        }
    }
});

fn run(scenario: &Scenario) {
    match world::run_checked(scenario, scenario.seed) {
        Ok(outcome) => {
            let result = ReplayResult::new(scenario, scenario.seed, &outcome);
            let _ = serde_json::to_string(&result).expect("JSON");
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

/// Whether it makes some hundred calls at most.
fn is_small(scenario: &Scenario) -> bool {
    let nanos = u64::try_from(scenario.duration.as_nanos()).unwrap_or(u64::MAX);
    let calls: Option<f64> = scenario
        .clients
        .iter()
        .map(|group| Some(group.arrivals.expected(nanos, group.count)? * f64::from(group.count)))
        .sum();
    let clients: u64 = scenario.clients.iter().map(|group| u64::from(group.count)).sum();
    let in_bursts: u64 = scenario
        .client_faults
        .iter()
        .map(|fault| match fault.kind {
            ClientEffect::Burst(calls) => u64::from(calls),
            _ => 0,
        })
        .sum();
    let closed = scenario
        .clients
        .iter()
        .any(|group| matches!(group.arrivals, Arrivals::Closed { .. }));
    let faults = scenario.faults.len() + scenario.client_faults.len();
    scenario.duration <= Duration::from_secs(600)
        && calls.is_some_and(|calls| calls <= 300.0)
        && clients <= 16
        && in_bursts * clients <= 300
        && faults <= 100
        && scenario.nodes.len() <= 16
        && !closed
}
