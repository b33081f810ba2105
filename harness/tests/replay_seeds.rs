//! Many seeds, the control, and what a run never tries, through the binary as a user runs it.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{crossbridge, fixture, json};

const BLIP: &str = "fixtures/scenarios/postgres-blip.yml";

fn replay(args: &[&str]) -> Value {
    let run = crossbridge([&["replay", "--format", "json"], args].concat());
    assert!(
        run.status.code().is_some_and(|code| code <= 1),
        "{args:?}: {}",
        run.stderr
    );
    json(&run.stdout)
}

/// The fixture with a text replaced, in a folder of its own.
fn changed(folder: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(fixture("scenarios/postgres-blip.yml")).expect("the fixture");
    assert!(text.contains(from), "{from}");
    let config = fixture("config/platform.yml");
    let text = text
        .replace("../config/platform.yml", config.to_str().expect("UTF-8"))
        .replace(from, to);
    let path = folder.join("changed.yml");
    fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Every number of the distribution, worked out from replays of each seed alone.
#[test]
fn the_distribution_is_that_of_replays_one_by_one() {
    let all = replay(&[BLIP, "--seeds", "5"]);
    let seeds = &all["seeds"];
    assert_eq!(seeds["runs"], 5);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let broken = changed(folder.path(), "recovery_time <= 15s", "recovery_time <= 1s");
    let failing = replay(&[&broken, "--seeds", "5"]);
    // Every seed breaks that promise, so that the result names them all.
    let named = failing["seeds"]["failing"].as_array().expect("a list");
    let tried: Vec<u64> = named
        .iter()
        .map(|seed| seed["seed"].as_u64().expect("a number"))
        .collect();
    assert_eq!((tried.len(), tried[0]), (5, 7));

    let mut alone = Vec::new();
    for seed in &tried {
        alone.push(replay(&[BLIP, "--seed", &seed.to_string()]));
    }
    for number in ["recovery_seconds", "goodput", "amplification"] {
        let mut values: Vec<f64> = alone.iter().filter_map(|run| run[number].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values.len(), 5, "{number}");
        for (quantile, rank) in [("min", 0), ("p10", 0), ("median", 2), ("p90", 4), ("max", 4)] {
            assert_eq!(
                seeds[number][quantile].as_f64(),
                Some(values[rank]),
                "{number} {quantile}"
            );
        }
    }
    let longest = alone
        .iter()
        .filter_map(|run| run["recovery_seconds"].as_f64())
        .fold(0.0, f64::max);
    let worst = alone
        .iter()
        .find(|run| run["seed"] == seeds["worst_seed"])
        .expect("one of them");
    assert_eq!(worst["recovery_seconds"].as_f64(), Some(longest));
    let command = format!("crossbridge replay {BLIP} --seed {}", seeds["worst_seed"]);
    assert_eq!(seeds["worst_command"], command.as_str());
}

#[test]
fn other_seeds_change_nothing_of_the_run_itself() {
    let mut many = replay(&[BLIP, "--seeds", "3"]);
    let seeds = many.as_object_mut().and_then(|fields| fields.remove("seeds"));
    assert!(seeds.is_some());
    assert_eq!(many, replay(&[BLIP]));
    let own = replay(&[BLIP, "--seed", "41", "--seeds", "2"]);
    assert_eq!(
        (&own["seed"], &own["seeds"]["runs"]),
        (&Value::from(41), &Value::from(2))
    );
}

/// The scenario's own seed needs 11 s; others need more.
#[test]
fn a_promise_that_another_seed_breaks_is_exit_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = changed(folder.path(), "recovery_time <= 15s", "recovery_time <= 11s");
    let run = crossbridge(["replay", &scenario]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stdout);

    let run = crossbridge(["replay", &scenario, "--seeds", "12", "--format", "json"]);
    assert_eq!(run.status.code(), Some(1));
    let result = json(&run.stdout);
    assert_eq!(
        (&result["verdict"], &result["seeds"]["verdict"]),
        (&"pass".into(), &"fail".into())
    );
    let promise = &result["seeds"]["expectations"][2];
    assert_eq!(promise["text"], "recovery_time <= 11s");
    assert_eq!(promise["broken"], result["seeds"]["failed"]);
    let failing = &result["seeds"]["failing"][0];
    assert_eq!(failing["broken"][0]["text"], "recovery_time <= 11s");

    // The command the report gives shows the same.
    let seed = failing["seed"].to_string();
    let run = crossbridge(["replay", &scenario, "--seed", &seed, "--format", "json"]);
    assert_eq!(run.status.code(), Some(1));
    let found = &json(&run.stdout)["expectations"][2];
    assert_eq!(*found, failing["broken"][0]);
}

/// The control is the replay of the same file without its faults.
#[test]
fn the_control_is_the_same_day_without_faults() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fault = "faults:\n  - { at: 30s, for: 20s, on: postgres, kind: refuse }\n";
    let calm = replay(&[&changed(folder.path(), fault, "")]);
    let run = replay(&[BLIP]);
    for number in ["calls", "attempts", "amplification", "goodput", "latency_ms"] {
        assert_eq!(run["control"][number], calm[number], "{number}");
        assert_eq!(
            calm["control"][number], calm[number],
            "{number} of a run that is its own control"
        );
    }
    assert_ne!(run["control"]["calls"], run["calls"]);
    assert_ne!(run["trace_sha256"], calm["trace_sha256"]);
}

#[test]
fn what_policies_did_is_counted_and_what_they_never_did_is_named() {
    let run = replay(&[BLIP]);
    let used = &run["exercised"]["workers"];
    assert_eq!(used["retry"], run["attempts"]["retries"]);
    assert_eq!(used["budget"], run["calls"]["refused"]["budget"]);
    assert_eq!(used["breaker"], run["breaker"]["opened"]);
    // Only policies the path has.
    assert_eq!(used.as_object().map(serde_json::Map::len), Some(3));

    let page = crossbridge(["replay", BLIP]).stdout;
    assert!(!page.contains("not tried"), "{page}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fault = "kind: refuse";
    let page = crossbridge(["replay", &changed(folder.path(), fault, "kind: slow, add: 1ms")]).stdout;
    let line =
        "not tried    workers: the breaker never opened, the retry budget never ran dry, no retry was made";
    assert!(page.contains(line), "{page}");
}

#[test]
fn a_number_of_seeds_that_cannot_be_is_exit_2() {
    for count in ["0", "100001", "-1", "many"] {
        let run = crossbridge(["replay", BLIP, "--seeds", count]);
        assert_eq!(run.status.code(), Some(2), "{count}");
    }
}
