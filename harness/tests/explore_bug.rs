//! The explorer finds a bug that is really there: `RUSTFLAGS="--cfg planted_bug" cargo test -p
//! crossbridge-harness --test explore_bug`.

#![cfg(planted_bug)]

mod support;

use std::fs;

use support::{crossbridge, json};

/// Impatient callers of a slow server: results come long after their circuit has opened.
const SCENARIO: &str = "\
scenario: impatient
seed: 1
duration: 60s
policies:
  circuit_breakers:
    quick: { min_calls: 4, window: 10, open_wait: 250ms, open_wait_max: 1s, half_open_concurrent: 2, half_open_calls: 3, half_open_successes: 2, probe_timeout: 3s, half_open_timeout: 6s }
  paths:
    store: { breaker: quick, attempt_timeout: 3s, deadline: 4s, idempotent: true }
dependencies:
  database: { servers: 20, service_time: { lognormal: { median: 20ms, p99: 200ms } } }
clients:
  workers: { count: 8, path: store, calls: database, arrivals: { poisson: 10/s } }
";

#[test]
fn stale_results_that_decide_are_found_shrunk_and_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("impatient.yml");
    fs::write(&file, SCENARIO).expect("written");
    let file = file.to_str().expect("UTF-8");
    let save = folder.path().join("found");
    let save = save.to_str().expect("UTF-8");
    let explore = |runs: &str| {
        crossbridge([
            "explore", file, "--runs", runs, "--save", save, "--format", "json",
        ])
    };
    let run = explore("40");
    assert_eq!(run.status.code(), Some(1), "{}{}", run.stdout, run.stderr);
    let found = json(&run.stdout);
    let failures = found["failures"].as_array().expect("failures");
    let planted = failures
        .iter()
        .find(|failure| failure["rule"] == "half_open")
        .unwrap_or_else(|| panic!("not found: {found}"));

    // Fewer and shorter faults, fewer clients, a shorter run.
    let count = |day: &str, what: &str| planted[day][what].as_array().map_or(0, Vec::len);
    assert!(count("shrunk", "faults") <= 2, "{planted}");
    assert!(count("shrunk", "faults") <= count("drawn", "faults"));
    assert!(planted["shrunk"]["clients"][0].as_u64() <= Some(2), "{planted}");
    assert!(planted["shrunk"]["seconds"].as_f64() < planted["drawn"]["seconds"].as_f64());

    // What was saved fails the same way.
    let saved = planted["saved"].as_str().expect("a file");
    let replay = crossbridge(["replay", saved, "--format", "json"]);
    assert_eq!(
        replay.status.code(),
        Some(1),
        "{}{}",
        replay.stdout,
        replay.stderr
    );
    let result = json(&replay.stdout);
    assert_eq!(result["invariants"]["first"][0], planted["failure"]["violation"]);
    let page = crossbridge(["replay", saved]).stdout;
    assert!(page.contains("! half_open at "), "{page}");

    // The seed that was printed finds it again.
    let seed = planted["seed"].to_string();
    let again = crossbridge([
        "explore", file, "--runs", "1", "--seed", &seed, "--format", "json",
    ]);
    assert_eq!(json(&again.stdout)["failures"][0]["shrunk"], planted["shrunk"]);
}
