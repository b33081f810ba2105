//! The explorer on policies that keep their promises, and on some that do not.

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Run, crossbridge, fixture, json};
use tempfile::TempDir;

/// A server whose queue has no bound and serves those who are gone: after a fault it never recovers.
const METASTABLE: &str = "\
scenario: overload
seed: 3
duration: 40s
policies:
  retry: { policies: { eager: { max_attempts: 4, base_delay: 50ms, max_delay: 100ms } } }
  paths:
    store: { retry: eager, attempt_timeout: 250ms, deadline: 2s, idempotent: true }
dependencies:
  database: { servers: 10, service_time: { exponential: 100ms } }
clients:
  workers: { count: 20, path: store, calls: database, arrivals: { poisson: 3/s } }
";

struct Place(TempDir);

impl Place {
    fn with(text: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::write(place.file("scenario.yml"), text).expect("written");
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn explore(&self, flags: &[&str]) -> Run {
        let file = self.file("scenario.yml");
        let file = file.to_str().expect("UTF-8");
        crossbridge([&["explore", file][..], flags].concat())
    }
}

/// The scenarios that are shipped: whatever goes wrong, no invariant breaks.
#[test]
fn shipped_policies_keep_every_invariant() {
    for name in [
        "postgres-blip",
        "runner-hang",
        "ai-throttle",
        "coverage-deadlocks",
        "influxdb-retry-after",
    ] {
        let scenario = format!("fixtures/scenarios/{name}.yml");
        let run = crossbridge(["explore", &scenario, "--runs", "2", "--format", "json"]);
        let found = json(&run.stdout);
        let rules: Vec<&Value> = found["failures"].as_array().expect("a list").iter().collect();
        assert!(
            rules.iter().all(|failure| failure["rule"] == "recovery"),
            "{name}: {}{}",
            run.stdout,
            run.stderr
        );
    }
}

#[test]
fn what_does_not_recover_is_found_shrunk_and_saved() {
    let place = Place::with(METASTABLE);
    let save = place.file("found");
    let save = save.to_str().expect("UTF-8");
    let run = place.explore(&["--runs", "4", "--save", save, "--format", "json"]);
    assert_eq!(run.status.code(), Some(1), "{}{}", run.stdout, run.stderr);
    let found = json(&run.stdout);
    let failure = &found["failures"][0];
    assert_eq!(failure["rule"], "recovery", "{found}");
    assert_eq!(failure["shrunk"]["faults"].as_array().map(Vec::len), Some(1));

    let saved = failure["saved"].as_str().expect("a file");
    let replay = crossbridge(["replay", saved, "--format", "json"]);
    assert_eq!(
        replay.status.code(),
        Some(1),
        "{}{}",
        replay.stdout,
        replay.stderr
    );
    let promise = &json(&replay.stdout)["expectations"][0];
    assert_eq!(promise["held"], false);
    let observed = failure["failure"]["shortfall"]["goodput"]
        .as_f64()
        .expect("a number");
    let replayed = promise["observed"].as_f64().expect("a number");
    assert!((observed - replayed).abs() < 1e-12, "{observed} {replayed}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let place = Place::with(METASTABLE);
    let with = |threads: &str| {
        let flags = ["--runs", "5", "--threads", threads, "--format", "json"];
        place.explore(&flags).stdout
    };
    assert_eq!(with("1"), with("5"));
}

/// The first run that fails is the one with the lowest seed, whichever thread is done first.
#[test]
fn a_run_is_repeated_by_its_own_seed() {
    let place = Place::with(METASTABLE);
    let flags = ["--runs", "5", "--seed", "6", "--threads", "5", "--format", "json"];
    let all = json(&place.explore(&flags).stdout);
    let failure = &all["failures"][0];
    let first = failure["seed"].as_u64().expect("a seed");
    assert!(first > 6 && failure["runs"].as_u64() > Some(1), "{failure}");
    let alone = |seed: u64| place.explore(&["--runs", "1", "--seed", &seed.to_string(), "--format", "json"]);
    for seed in 6..first {
        assert_eq!(alone(seed).status.code(), Some(0), "seed {seed}");
    }
    assert_eq!(
        json(&alone(first).stdout)["failures"][0]["first"],
        failure["first"]
    );
}

/// A file is found from where the saved scenario is, not from where it was.
#[test]
fn a_saved_scenario_names_its_configuration_from_its_own_folder() {
    let policies = METASTABLE
        .split("policies:\n")
        .nth(1)
        .and_then(|rest| rest.split("dependencies:").next());
    let policies = policies.expect("policies");
    let place =
        Place::with(&METASTABLE.replace(&format!("policies:\n{policies}"), "config: policies/own.yml\n"));
    fs::create_dir(place.file("policies")).expect("a folder");
    fs::write(place.file("policies/own.yml"), format!("runtime:\n{policies}")).expect("written");
    let save = place.file("deep/er");
    let run = place.explore(&["--runs", "4", "--save", save.to_str().expect("UTF-8")]);
    assert_eq!(run.status.code(), Some(1), "{}{}", run.stdout, run.stderr);
    let saved = fs::read_dir(&save)
        .expect("the folder")
        .next()
        .expect("a file")
        .expect("readable");
    let text = fs::read_to_string(saved.path()).expect("the scenario");
    assert!(text.contains("config: ../../policies/own.yml\n"), "{text}");
}

#[test]
fn what_time_stands_still_in_is_said() {
    let place = Place::with(
        &METASTABLE
            .replace("{ poisson: 3/s }", "{ closed: { think: 0s } }")
            .replace("{ exponential: 100ms }", "{ constant: 0s }"),
    );
    let run = place.explore(&["--runs", "2"]);
    assert_eq!(run.status.code(), Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("time stands still"), "{}", run.stderr);
}

/// Promises about invariants: kept, and only then in the result.
#[test]
fn a_replay_checks_invariants_where_they_are_promised() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = fs::read_to_string(fixture("scenarios/postgres-blip.yml")).expect("the fixture");
    let config = fixture("config/platform.yml");
    let text = text.replace("../config/platform.yml", config.to_str().expect("UTF-8"));
    let replay = |text: &str| {
        let file = folder.path().join("scenario.yml");
        fs::write(&file, text).expect("written");
        json(&crossbridge(["replay", file.to_str().expect("UTF-8"), "--format", "json"]).stdout)
    };
    let plain = replay(&text);
    let checked = replay(&text.replace("amplification <= 1.5", "invariants.violations == 0"));
    assert!(plain.get("invariants").is_none());
    assert_eq!(checked["invariants"]["violations"], 0);
    assert_eq!(checked["expectations"][0]["held"], true);
    assert_eq!(plain["trace_sha256"], checked["trace_sha256"]);
}
