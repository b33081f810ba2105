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

/// The page says who kept what, then shows both lines in every lane.
#[test]
fn the_page_for_a_browser() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str| {
        let path = folder.path().join(name);
        let file = path.to_str().expect("UTF-8");
        let run = crossbridge([
            "compare", BLIP, "--policy", PLATFORM, "--policy", OTHER, "--html", file,
        ]);
        assert_eq!(run.status.code(), Some(1), "{}", run.stderr);
        std::fs::read_to_string(path).expect("the page")
    };
    let page = write("one.html");
    assert_eq!(page, write("other.html"));
    let version = concat!("crossbridge ", env!("CARGO_PKG_VERSION"), "</p>");
    assert!(page.contains(version));
    // The other one has no budget, and no lane of its tokens.
    for (run, lanes) in [(0, 7), (1, 6)] {
        assert_eq!(
            page.matches(&format!("<path class=\"line run{run}\"")).count(),
            lanes
        );
    }
    let foreign = ["http:", "https:", "<script", "<link", "@import", "src="];
    let addresses = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(foreign.iter().all(|foreign| !addresses.contains(foreign)));
    let body = &page[page.find("<body>").expect("a body")..];
    insta::assert_snapshot!(body.replace(version, "crossbridge VERSION</p>"));
    let run = crossbridge(["compare", BLIP, "--policy", PLATFORM, "--html", "/nowhere/at/all"]);
    assert_eq!(
        (run.status.code(), run.stdout.as_str()),
        (Some(4), ""),
        "{}",
        run.stderr
    );
}
