//! Every scenario of the fixtures against its golden replay, through the binary as a user runs it.

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{crossbridge, fixture, json};

fn scenarios() -> Vec<PathBuf> {
    let folder = fs::read_dir(fixture("scenarios")).expect("fixtures/scenarios is there");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert!(files.len() >= 5, "the scenarios are not there: {files:?}");
    files
}

fn stem(path: &std::path::Path) -> &str {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .expect("a plain name")
}

/// The page a person reads, the hash of the trace included: a change of any decision shows here.
#[test]
fn pages() {
    for path in scenarios() {
        let name = stem(&path);
        let run = crossbridge(["replay", &format!("fixtures/scenarios/{name}.yml")]);
        assert!(run.status.success(), "{name}: {}{}", run.stdout, run.stderr);
        insta::assert_snapshot!(format!("page_{name}"), run.stdout);
    }
}

/// The README shows what its first command prints.
#[test]
fn the_readme_shows_a_real_replay() {
    let readme = fs::read_to_string(fixture("../README.md")).expect("the README");
    let page = crossbridge(["replay", "fixtures/scenarios/postgres-blip.yml"]).stdout;
    assert!(
        readme.contains(page.trim_end()),
        "the README shows another page than:\n{page}"
    );
}

/// And the picture of it.
#[test]
fn the_picture_of_the_readme_is_that_of_the_replay() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = folder.path().join("drawn.svg");
    let file = drawn.to_str().expect("UTF-8");
    crossbridge(["replay", "fixtures/scenarios/postgres-blip.yml", "--svg", file]);
    assert!(
        fs::read(&drawn).expect("a picture")
            == fs::read(fixture("../docs/postgres-blip.svg")).expect("the README's"),
        "draw it again: crossbridge replay fixtures/scenarios/postgres-blip.yml --svg docs/postgres-blip.svg"
    );
}

/// The numbers a program reads; the series are left to the page's lanes.
#[test]
fn numbers() {
    for path in scenarios() {
        let name = stem(&path);
        let run = crossbridge([
            "replay",
            &format!("fixtures/scenarios/{name}.yml"),
            "--format",
            "json",
        ]);
        let mut result = json(&run.stdout);
        let series = result
            .as_object_mut()
            .and_then(|fields| fields.remove("series"))
            .expect("series");
        let seconds = series["offered"].as_array().map(Vec::len);
        assert!(
            seconds > Some(0) && seconds == series["attempts"].as_array().map(Vec::len),
            "{name}: {series}"
        );
        insta::assert_snapshot!(
            format!("numbers_{name}"),
            serde_json::to_string_pretty(&result).expect("JSON")
        );
    }
}

#[test]
fn the_seed_decides_the_trace() {
    let replay = |flags: &[&str]| {
        let mut args = vec![
            "replay",
            "fixtures/scenarios/coverage-deadlocks.yml",
            "--format",
            "json",
        ];
        args.extend(flags);
        json(&crossbridge(args).stdout)
    };
    let (one, two, other) = (replay(&[]), replay(&[]), replay(&["--seed", "41"]));
    assert_eq!(one, two);
    assert_ne!(one["trace_sha256"], other["trace_sha256"]);
    assert_eq!(other["seed"], 41);
}

#[test]
fn a_trace_file_has_every_event_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("trace.jsonl");
    let path = file.to_str().expect("UTF-8");
    let scenario = "fixtures/scenarios/runner-hang.yml";
    let traced = json(&crossbridge(["replay", scenario, "--format", "json", "--trace", path]).stdout);
    let plain = json(&crossbridge(["replay", scenario, "--format", "json"]).stdout);
    assert_eq!(traced, plain);

    let text = fs::read_to_string(&file).expect("the trace was written");
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count() as u64;
    assert_eq!(plain["calls"]["offered"], count("offered"));
    assert_eq!(plain["attempts"]["total"], count("attempt_started"));
    let ended = plain["calls"]["offered"]
        .as_u64()
        .zip(plain["calls"]["in_flight"].as_u64())
        .map(|(o, i)| o - i);
    assert_eq!(ended, Some(count("call_ended")));
    let times: Vec<u64> = events
        .iter()
        .filter_map(|event| event["at_ns"].as_u64())
        .collect();
    assert!(times.is_sorted() && times.len() == events.len());
}

#[test]
fn several_scenarios_are_a_line_each_and_a_missed_promise_is_exit_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missed = folder.path().join("missed.yml");
    let text = fs::read_to_string(fixture("scenarios/postgres-blip.yml")).expect("the fixture");
    let config = fixture("config/platform.yml");
    let text = text
        .replace("../config/platform.yml", config.to_str().expect("UTF-8"))
        .replace("amplification <= 1.5", "goodput >= 0.999");
    fs::write(&missed, text).expect("written");
    let missed = missed.to_str().expect("UTF-8");
    let run = crossbridge([
        "replay",
        "fixtures/scenarios/postgres-blip.yml",
        missed,
        "--format",
        "json",
    ]);
    assert_eq!(run.status.code(), Some(1));
    let verdicts: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| json(line)["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["pass", "fail"]);
    let failed = json(run.stdout.lines().last().expect("two lines"));
    assert_eq!(failed["expectations"][0]["held"], false);
    assert!(
        failed["expectations"][0]["observed"]
            .as_f64()
            .is_some_and(|goodput| goodput < 0.999)
    );
}

#[test]
fn another_configuration_replaces_the_policies() {
    let scenario = "fixtures/scenarios/postgres-blip.yml";
    let own = json(&crossbridge(["replay", scenario, "--format", "json"]).stdout);
    let other = crossbridge([
        "replay",
        scenario,
        "--format",
        "json",
        "--config",
        "fixtures/config/crossbridge.yml",
    ]);
    let other = json(&other.stdout);
    assert_ne!(own["trace_sha256"], other["trace_sha256"]);
    // The platform's sample has no breaker on this path: every worker keeps knocking.
    assert_eq!(other["breaker"]["opened"], 0);
}

/// What a scenario promises does not hang on its seed.
#[test]
fn promises_hold_for_other_seeds() {
    for path in scenarios() {
        let name = stem(&path);
        for seed in 100..120 {
            let scenario = format!("fixtures/scenarios/{name}.yml");
            let run = crossbridge(["replay", &scenario, "--seed", &seed.to_string()]);
            assert!(
                run.status.success(),
                "--seed {seed}: {}{}",
                run.stdout,
                run.stderr
            );
        }
    }
}
