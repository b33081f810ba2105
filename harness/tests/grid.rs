//! Scenarios whose values are lists, and values from the command line, as a user runs them.

mod support;

use std::fs;

use serde_json::Value;
use support::{Run, crossbridge, crossbridge_in, json};

const STORM: &str = "fixtures/scenarios/grids/metastable.yml";

const SMALL: &str = "\
scenario: small
duration: 20s
dependencies:
  db: { servers: [1, 2], queue: 10, service_time: { constant: 5ms } }
clients:
  c: { count: 2, path: p, calls: db, arrivals: { poisson: 5/s } }
policies:
  retry: { policies: { r: { max_attempts: [1, 3], base_delay: 10ms, max_delay: 50ms } } }
  paths: { p: { retry: r } }
faults:
  - { at: 5s, for: { from: 2s, to: 4s, steps: 3 }, on: db, kind: refuse }
expect:
  - attempts.retries == 0
  - seeds.recovered >= 50%
";

/// Replays a text in a folder of its own.
fn replay(text: &str, flags: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("small.yml"), text).expect("written");
    let args = ["replay", "small.yml"].into_iter().chain(flags.iter().copied());
    crossbridge_in(folder.path(), args)
}

/// Where the retry storm outlives its trigger: the map, the numbers, and the command of each cell.
#[test]
fn the_page_and_the_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [html, svg] = ["grid.html", "grid.svg"].map(|name| folder.path().join(name));
    let file = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let run = crossbridge(["replay", STORM, "--html", &file(&html), "--svg", &file(&svg)]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    insta::assert_snapshot!("the_page", run.stdout);
    insta::assert_snapshot!("the_picture", fs::read_to_string(svg).expect("the picture"));

    let html = fs::read_to_string(html).expect("the page for a browser");
    let addresses = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http:", "https:", "<script", "<link", "@import", "src="] {
        assert!(!addresses.contains(foreign), "{foreign}");
    }
    assert!(html.contains("<title>PASS: metastable-grid</title>"), "{html}");
    assert_eq!(html.matches("<rect class=\"cell ").count(), 16);
}

/// Every cell is what its command replays.
#[test]
fn a_cell_is_the_replay_of_its_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("small.yml"), SMALL).expect("written");
    let run = crossbridge_in(
        folder.path(),
        ["replay", "small.yml", "--format", "json", "--seed", "5"],
    );
    // Those with a retry break the promise that there is none.
    assert_eq!(run.status.code(), Some(1), "{}", run.stderr);
    let grid = json(&run.stdout);
    let cells = grid["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 12);
    assert_eq!(grid["not_judged"][0], "seeds.recovered >= 50%");
    for cell in cells {
        let command = cell["command"].as_str().expect("a command").replace('\'', "");
        let words = command.split(' ').skip(1).chain(["--format", "json"]);
        let alone = json(&crossbridge_in(folder.path(), words).stdout);
        for number in [
            "seed",
            "verdict",
            "goodput",
            "amplification",
            "recovery_seconds",
            "relapses",
            "calls",
            "attempts",
            "expectations",
            "trace_sha256",
        ] {
            assert_eq!(cell[number], alone[number], "{number} of {command}");
        }
    }
    let broken = |attempts: u64| {
        let cells = cells.iter().filter(|cell| cell["values"][1] == attempts);
        cells.filter(|cell| cell["verdict"] == "fail").count()
    };
    assert_eq!((broken(1), broken(3)), (0, 6));
}

/// With seeds a cell is a distribution, the one of its own replay.
#[test]
fn a_cell_over_seeds_is_the_distribution_of_its_command() {
    let one = ["--set", "dependencies.db.servers=1", "--set", "faults[0].for=2s"];
    let flags = [&one[..], &["--seeds", "4", "--format", "json"]].concat();
    let grid = json(&replay(SMALL, &flags).stdout);
    assert_eq!(
        (grid["runs"].as_u64(), grid["cells"].as_array().map(Vec::len)),
        (Some(4), Some(2))
    );
    let attempts = "policies.retry.policies.r.max_attempts=3";
    let alone = json(&replay(SMALL, &[&flags[..], &["--set", attempts]].concat()).stdout);
    let cell = &grid["cells"][1];
    assert_eq!(cell["values"], Value::from(vec![3]));
    for number in [
        "runs",
        "failed",
        "outcomes",
        "goodput",
        "recovery_seconds",
        "promises",
    ] {
        assert_eq!(cell["seeds"][number], alone["seeds"][number], "{number}");
        assert!(!cell["seeds"][number].is_null(), "{number}");
    }
    let page = replay(SMALL, &[&one[..], &["--seeds", "4"]].concat()).stdout;
    assert!(page.contains("100%"), "{page}");
}

#[test]
fn a_list_on_the_command_line_makes_a_grid_and_a_value_unmakes_one() {
    let fix = [
        "--set",
        "dependencies.db.servers=1",
        "--set",
        "faults[0].for=2s",
        "--set",
        "policies.retry.policies.r.max_attempts=1",
    ];
    let flags = |more: &[&'static str]| [&fix[..], more, &["--format", "json"]].concat();
    let one = json(&replay(SMALL, &flags(&[])).stdout);
    assert_eq!((&one["scenario"], &one["axes"]), (&"small".into(), &Value::Null));
    let three = json(&replay(SMALL, &flags(&["--set", "clients.c.deadline=[1s, 2s, 3s]"])).stdout);
    assert_eq!(three["axes"][0]["path"], "clients.c.deadline");
    assert_eq!(three["cells"].as_array().map(Vec::len), Some(3));
    // The page of a single replay names its settings in the command.
    let page = replay(SMALL, &fix).stdout;
    let command = "crossbridge replay small.yml --set dependencies.db.servers=1 --set 'faults[0].for=2s'";
    assert!(page.contains(command), "{page}");
}

#[test]
fn what_cannot_be_is_told_before_anything_runs() {
    for (text, flags, code, told) in [
        (SMALL.replace("[1, 2]", "[1, 0]"), &[][..], 3, "small.yml:4:18"),
        (
            SMALL.replace("steps: 3", "steps: 999"),
            &[],
            3,
            "the grid has too many cells",
        ),
        (SMALL.to_owned(), &["--seeds", "10000"], 2, "at most 100000"),
        (
            SMALL.to_owned(),
            &["--trace", "never.jsonl"],
            2,
            "--trace writes one run",
        ),
        (
            SMALL.to_owned(),
            &["--set", "clients.d.count=1"],
            3,
            "unknown key `d`",
        ),
        (
            SMALL.to_owned(),
            &["--set", "clients.c.cuont=1"],
            3,
            "unknown key `cuont`",
        ),
        (SMALL.to_owned(), &["--set", "nothing"], 2, "PATH=VALUE"),
    ] {
        let run = replay(&text, flags);
        assert_eq!(run.status.code(), Some(code), "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{flags:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    // Other commands run one scenario.
    let run = crossbridge(["explore", STORM]);
    assert_eq!(run.status.code(), Some(3));
    assert!(run.stderr.contains("metastable.yml:16:58"), "{}", run.stderr);
}

/// Two axes are a map; the values of a third one have a map each.
#[test]
fn three_axes_are_several_maps() {
    let page = replay(SMALL, &[]).stdout;
    let (maps, _) = page.split_once("\n  R: ").expect("the legend");
    insta::assert_snapshot!(maps);
}

/// A suite for each cell, a case for each promise.
#[test]
fn the_promises_for_ci() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("small.yml"), SMALL).expect("written");
    let fix = ["--set", "dependencies.db.servers=1", "--set", "faults[0].for=2s"];
    let args = ["replay", "small.yml", "--junit", "promises.xml"];
    let run = crossbridge_in(folder.path(), args.into_iter().chain(fix));
    assert_eq!(run.status.code(), Some(1), "{}", run.stderr);
    let xml = fs::read_to_string(folder.path().join("promises.xml")).expect("the promises");
    insta::assert_snapshot!(xml);
}
