//! The JSON Schemas, beside the readers whose files they describe.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use crossbridge_std::config::{Config, Document};
use jsonschema::Validator;
use serde_json::Value;
use support::{crossbridge, crossbridge_in};

fn schema(of: &str) -> Value {
    let run = crossbridge(["schema", of]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn validator(of: &str) -> Validator {
    let schema = schema(of);
    assert!(jsonschema::draft202012::meta::is_valid(&schema), "{of}");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// A YAML text as an editor's checker sees it: variables unexpanded, merges merged.
fn as_json(name: &str, text: &str) -> Value {
    let document = Document::parse(name, text).expect("YAML");
    serde_json::to_value(document.root()).expect("JSON")
}

/// Every YAML file below a folder of the fixtures, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures")
            .join(folder),
    ];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn they_are_these() {
    insta::assert_snapshot!("config", format!("{:#}", schema("config")));
    insta::assert_snapshot!("scenario", format!("{:#}", schema("scenario")));
}

#[test]
fn every_scenario_of_the_fixtures_is_valid() {
    let validator = validator("scenario");
    let files = files("scenarios");
    assert!(files.len() > 30, "{} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("a scenario");
        let wrong = complaints(&validator, &as_json("scenario", &text));
        assert!(wrong.is_empty(), "{}: {wrong:#?}", file.display());
    }
}

/// What the reader takes, the schema takes; what it refuses for its structure, the schema refuses.
#[test]
fn the_configurations_of_the_fixtures() {
    // What two values say together, and what the environment says, no schema knows.
    const BEYOND: &[&str] = &[
        "breaker_that_contradicts.yml",
        "built_in_policy_again.yml",
        "expanded_value.yml",
        "misspelt_section.yml",
        "unset_variable.yml",
    ];
    let validator = validator("config");
    let mut refused = 0;
    for file in files("config") {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let text = fs::read_to_string(&file).expect("a configuration");
        let Ok(document) = Document::parse(name, text.as_str()) else {
            continue; // no YAML
        };
        let read = Config::from_document(&document, &|_| None);
        let good = !file.components().any(|part| part.as_os_str() == "bad");
        let value = serde_json::to_value(document.root()).expect("JSON");
        let wrong = complaints(&validator, &value);
        if good {
            assert!(read.is_ok() && wrong.is_empty(), "{name}: {wrong:#?}");
        } else {
            assert!(read.is_err(), "{name}");
            assert_eq!(wrong.is_empty(), BEYOND.contains(&name), "{name}: {wrong:#?}");
            refused += 1;
        }
    }
    assert!(refused >= 5, "{refused}");
}

#[test]
fn policies_are_read_and_checked_alike() {
    let validator = validator("config");
    let cases = [
        // What is accepted.
        (true, "{}"),
        (true, "runtime:"),
        (true, "runtime: { retry: null, paths: null }"),
        (true, "runtime: { sidecar: { anything: 1 } }"),
        (
            true,
            "runtime: { retry: { quick_policy: { max_attempts: '${N:-3}', base_delay: '${D:-1s}' } } }",
        ),
        (
            true,
            "runtime: { retry: { policies: { p: { jitter: '${J:-full}' } } } }",
        ),
        (
            true,
            "runtime: { retry: { policies: { p: { jitter: 0.25, max_delay: 5m } } } }",
        ),
        (true, "runtime: { retry: { policies: { p: null } } }"),
        (
            true,
            "runtime: { retry: { enabled: '${ON:-true}', retryable_codes: null } }",
        ),
        (
            true,
            "runtime: { circuit_breakers: { b: { window: 30s, failure_rate: off } } }",
        ),
        (
            true,
            "runtime: { circuit_breakers: { b: { window: 50, mode: metrics_only } } }",
        ),
        (
            true,
            "runtime: { paths: { p: { deadline: none, attempt_timeout: 0.5 } } }",
        ),
        (true, "runtime: { health_checks: { providers: [{ name: a }] } }"),
        (
            true,
            "runtime: { health_checks: { providers: { a: { interval: 20 } } } }",
        ),
        (
            true,
            "crossbridge: { logging: { level: Debug, levels: { ai: TRACE, cli: null } } }",
        ),
        // What is refused.
        (false, "[]"),
        (false, "retry: {}"),
        (false, "runtime: []"),
        (false, "runtime: { retry: { quick_policy: { max_atempts: 3 } } }"),
        (
            false,
            "runtime: { retry: { quick_policy: { max_attempts: three } } }",
        ),
        (
            false,
            "runtime: { retry: { quick_policy: { max_attempts: '3' } } }",
        ),
        (false, "runtime: { retry: { quick_policy: { max_attempts: 0 } } }"),
        (
            false,
            "runtime: { retry: { quick_policy: { max_attempts: 1.5 } } }",
        ),
        (
            false,
            "runtime: { retry: { quick_policy: { base_delay: 200 parsecs } } }",
        ),
        (
            false,
            "runtime: { retry: { quick_policy: { base_delay: '30' } } }",
        ),
        (false, "runtime: { retry: { quick_policy: { base_delay: -1 } } }"),
        (false, "runtime: { retry: { quick_policy: { jitter: ful } } }"),
        (false, "runtime: { retry: { quick_policy: { jitter: 1.5 } } }"),
        (
            false,
            "runtime: { retry: { quick_policy: { exponential_base: 0.5 } } }",
        ),
        (false, "runtime: { retry: { retryable_codes: [99] } }"),
        (false, "runtime: { retry: { budgets: { b: { ratio: 2 } } } }"),
        (false, "runtime: { retry: { budgets: { b: { preset: azure } } } }"),
        (false, "runtime: { circuit_breakers: { b: { window: 500 } } }"),
        (false, "runtime: { circuit_breakers: { b: { window: soon } } }"),
        (false, "runtime: { circuit_breakers: { b: { failure_rate: 0 } } }"),
        (
            false,
            "runtime: { circuit_breakers: { b: { failure_rate: on } } }",
        ),
        (false, "runtime: { circuit_breakers: { b: { mode: open } } }"),
        (
            false,
            "runtime: { circuit_breakers: { b: { half_open_concurrent: 9 } } }",
        ),
        (false, "runtime: { bulkheads: { b: {} } }"),
        (false, "runtime: { bulkheads: { b: { limit: 0 } } }"),
        (false, "runtime: { paths: { p: { on_limit: hide } } }"),
        (false, "runtime: { paths: { p: { retry: 3 } } }"),
        (false, "runtime: { paths: { p: { idempotent: 1 } } }"),
        (false, "runtime: { paths: { p: { deadline: never } } }"),
        (false, "runtime: { paths: { p: { log_category: aii } } }"),
        (false, "runtime: { health_checks: { providers: 3 } }"),
        (false, "runtime: { health_checks: { failure_threshold: 101 } }"),
        (
            false,
            "runtime: { rate_limiting: { defaults: { embed: { capacity: 0 } } } }",
        ),
        (false, "runtime: { rate_limiting: { defaults: { embed: 30 } } }"),
        (false, "crossbridge: { logging: { level: LOUD } }"),
        (false, "crossbridge: { logging: { levels: { aii: DEBUG } } }"),
        (false, "crossbridge: { logging: { format: xml } }"),
    ];
    for (good, text) in cases {
        let document = Document::parse("crossbridge.yml", text).expect("YAML");
        let read = Config::from_document(&document, &|_| None);
        assert_eq!(read.is_ok(), good, "the reader: {text}: {read:?}");
        let wrong = complaints(&validator, &as_json("crossbridge.yml", text));
        assert_eq!(wrong.is_empty(), good, "the schema: {text}: {wrong:#?}");
    }
}

const SCENARIO: &str = "\
scenario: small
duration: 20s
dependencies:
  db: { servers: 2, queue: 10, service_time: { constant: 5ms } }
clients:
  c: { count: 2, path: p, calls: db, arrivals: { poisson: 5/s } }
policies:
  retry: { policies: { r: { max_attempts: 3 } } }
  paths: { p: { retry: r } }
faults:
  - { at: 5s, for: 5s, on: db, kind: refuse }
expect: []
";

#[test]
fn scenarios_are_read_and_checked_alike() {
    let validator = validator("scenario");
    let cases = [
        (true, "queue: 10", "queue: unbounded"),
        (true, "queue: 10", "queue: '${QUEUE:-7}', shed: expired"),
        (
            true,
            "queue: 10",
            "shed: { cannot_finish_within: 150ms }, discipline: lifo",
        ),
        (true, "queue: 10", "latency: { normal: { mean: 5ms, sd: 1ms } }"),
        (true, "servers: 2, ", ""),
        (true, "duration: 20s", "duration: 20"),
        (true, "duration: 20s", "duration: '${SPAN:-20s}'"),
        (true, "kind: refuse", "kind: error, code: 503"),
        (true, "kind: refuse", "kind: error, code: '40P01'"),
        (
            true,
            "kind: refuse",
            "kind: refuse, repeat: { every: 6s, times: 2 }",
        ),
        (true, "expect: []", "expect:"),
        (true, "{ poisson: 5/s }", "{ burst: { size: 3 } }"),
        (false, "queue: 10", "queue: many"),
        (false, "queue: 10", "queue: null"),
        (false, "queue: 10", "discipline: filo"),
        (false, "queue: 10", "shed: exspired"),
        (false, "queue: 10", "shed: { finish_within: 1s }"),
        (false, "queue: 10", "contention: ooc"),
        (false, "queue: 10", "cold: { factor: 2 }"),
        (false, "servers: 2", "serverz: 2"),
        (false, "servers: 2", "servers: -2"),
        (false, "servers: 2", "servers: two"),
        (false, "constant: 5ms", "constantly: 5ms"),
        (false, "constant: 5ms", "constant: 5ms, exponential: 5ms"),
        (false, "{ constant: 5ms }", "{ normal: { mean: 5ms } }"),
        (false, "{ constant: 5ms }", "5ms"),
        (false, "poisson: 5/s", "poisson: 5"),
        (false, "poisson: 5/s", "closed: {}"),
        (false, "path: p, ", ""),
        (false, "duration: 20s\n", ""),
        (false, "duration: 20s", "duration: 20 parsecs"),
        (false, "kind: refuse", "kind: gremlin"),
        (false, "kind: refuse", "kind: error, code: 99"),
        (false, "kind: refuse", "kind: error, code: five"),
        (false, "kind: refuse", "kind: partition, bufer: true"),
        (false, "kind: refuse", "kind: partition, buffer: 1"),
        (false, "retry: { policies", "retries: { policies"),
        (false, "max_attempts: 3", "max_atempts: 3"),
        (false, "scenario: small", "name: small"),
        (false, "expect: []", "expect: goodput >= 1"),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (good, from, to) in cases {
        assert!(SCENARIO.contains(from), "{from}");
        let text = SCENARIO.replacen(from, to, 1);
        fs::write(folder.path().join("scenario.yml"), &text).expect("written");
        let run = crossbridge_in(folder.path(), ["replay", "scenario.yml"]);
        let code = if good { 0 } else { 3 };
        assert_eq!(run.status.code(), Some(code), "the reader: {to}: {}", run.stderr);
        let wrong = complaints(&validator, &as_json("scenario.yml", &text));
        assert_eq!(wrong.is_empty(), good, "the schema: {to}: {wrong:#?}");
    }
}
