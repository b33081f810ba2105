//! One incident under two policies.

mod support;

use serde_json::Value;
use support::{crossbridge, json};

const BLIP: &str = "fixtures/scenarios/postgres-blip.yml";
const PLATFORM: &str = "fixtures/config/platform.yml";
const OTHER: &str = "fixtures/config/crossbridge.yml";

#[test]
fn side_by_side() {
    let run = crossbridge(["compare", BLIP, "--policy", PLATFORM, "--policy", OTHER]);
    // The second has no breaker on this path, and breaks promises the first one keeps.
    assert_eq!(run.status.code(), Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout);
}

/// A comparison has no run without faults beside each column.
fn without_control(result: &mut Value) {
    let control = result.as_object_mut().and_then(|fields| fields.remove("control"));
    assert!(control.is_some(), "{result}");
}

#[test]
fn a_column_is_what_a_replay_prints() {
    let run = crossbridge([
        "compare", BLIP, "--policy", PLATFORM, "--policy", OTHER, "--format", "json",
    ]);
    let comparison = json(&run.stdout);
    assert_eq!(comparison["schema"], 1);
    for (index, policy) in [PLATFORM, OTHER].into_iter().enumerate() {
        let replay = crossbridge(["replay", BLIP, "--config", policy, "--format", "json"]);
        let column = &comparison["policies"][index];
        assert_eq!(column["policy"], policy);
        let mut result = json(&replay.stdout);
        without_control(&mut result);
        assert_eq!(column["result"], result);
    }
}

#[test]
fn one_policy_is_compared_with_the_scenarios_own() {
    let run = crossbridge([
        "compare", BLIP, "--policy", OTHER, "--seed", "9", "--format", "json",
    ]);
    let comparison = json(&run.stdout);
    let mut own = json(&crossbridge(["replay", BLIP, "--seed", "9", "--format", "json"]).stdout);
    without_control(&mut own);
    assert_eq!(comparison["policies"][0]["policy"], "as it is");
    assert_eq!(comparison["policies"][0]["result"], own);
    assert_eq!(comparison["policies"][1]["policy"], OTHER);
}

#[test]
fn promises_kept_by_all_are_exit_0() {
    let run = crossbridge(["compare", BLIP, "--policy", PLATFORM]);
    assert_eq!(run.status.code(), Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn wrong_usage_and_bad_files() {
    let code = |args: &[&str]| crossbridge(args.iter().copied()).status.code();
    assert_eq!(code(&["compare", BLIP]), Some(2));
    assert_eq!(
        code(&["compare", BLIP, "--policy", PLATFORM, "--config", OTHER]),
        Some(2)
    );
    assert_eq!(code(&["compare", BLIP, "--policy", "nowhere.yml"]), Some(3));
}
