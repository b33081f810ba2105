//! `crossbridge tune`: the search, its frontier, and the YAML it ends with.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{crossbridge_in, json};

/// The path has nothing but what is tuned, so that the YAML of the best stands for all of it.
const SCENARIO: &str = "\
scenario: small
seed: 3
duration: 40s
policies:
  retry:
    policies: { db: { max_attempts: 3, base_delay: 100ms, max_delay: 2s } }
    budgets: { db: { ratio: 0.2, min_per_second: 1, burst: 20 } }
  circuit_breakers: { db: { window: 10s, min_calls: 10, failure_rate: 0.5, open_wait: 1s, open_wait_max: 4s } }
  paths: { db: { retry: db, budget: db, breaker: db } }
dependencies:
  db: { servers: 8, service_time: { exponential: 5ms } }
clients:
  workers: { count: 4, path: db, calls: db, arrivals: { poisson: 5/s }, deadline: 2s, idempotent: true }
faults:
  - { at: 5s, for: 30s, on: db, kind: error, code: 503, probability: 0.1 }
  - { at: 12s, for: 5s, on: db, kind: refuse }
expect:
  - goodput >= 0.5
  - amplification <= 1.05
";

fn tune(folder: &Path, more: &[&str]) -> support::Run {
    fs::write(folder.join("small.yml"), SCENARIO).expect("written");
    crossbridge_in(folder, ["tune", "small.yml", "--seeds", "1"].iter().chain(more))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn the_page() {
    let folder = folder();
    let run = tune(
        folder.path(),
        &[
            "--vary",
            "retry.max_attempts=1,2,5",
            "--vary",
            "budget.ratio=0.05,0.5",
            "--objective",
            "least amplification with goodput >= 0.8",
        ],
    );
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = folder();
    let page = |jobs| {
        let vary = [
            "--vary",
            "retry.max_attempts=1,2,4",
            "--vary",
            "retry.base_delay=20ms,400ms",
        ];
        tune(
            folder.path(),
            &[&vary[..], &["--jobs", jobs, "--format", "json"]].concat(),
        )
        .stdout
    };
    let one = page("1");
    assert!(one.len() > 1_000, "{one}");
    for jobs in ["2", "7"] {
        assert_eq!(page(jobs), one);
    }
}

/// What is printed as YAML does what was measured: the same numbers under the same seed.
#[test]
fn the_yaml_of_the_best_does_what_was_measured() {
    let folder = folder();
    let run = tune(
        folder.path(),
        &["--objective", "most goodput", "--format", "json"],
    );
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    let found = json(&run.stdout);
    let yaml = found["yaml"].as_str().expect("YAML");
    fs::write(folder.path().join("tuned.yml"), yaml).expect("written");
    let replay = ["replay", "small.yml", "--config", "tuned.yml", "--format", "json"];
    let replayed = json(&crossbridge_in(folder.path(), replay).stdout);
    for number in ["amplification", "goodput", "recovery_seconds"] {
        assert_eq!(replayed[number], found["best"][number], "{number}\n{yaml}");
    }
    assert_ne!(found["best"]["setting"], found["now"]["setting"]);
    let kept = |trial: &Value| trial["goodput"].as_f64().expect("calls");
    assert!(kept(&found["best"]) > kept(&found["now"]));
}

/// The words of a printed command after its program, as a shell reads them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in command.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().expect("a word").push(other),
        }
    }
    words.split_off(1)
}

/// Tunes, and runs every row again by the command that is printed with it; the commands.
fn repeated(scenario: &str, search: &str) -> Vec<String> {
    let folder = folder();
    fs::write(folder.path().join("small.yml"), scenario).expect("written");
    let search = format!("tune small.yml --format json --objective least~amplification {search}");
    let search = search.split(' ').map(|word| word.replace('~', " "));
    let found = json(&crossbridge_in(folder.path(), search).stdout);
    let frontier = found["frontier"].as_array().expect("a list");
    assert!(frontier.len() > 1, "{found}");
    let rows = [&found["now"], &found["best"]].into_iter().chain(frontier);
    rows.map(|row| {
        let command = row["repeat"].as_str().unwrap_or_else(|| panic!("{row}"));
        let args = words(command)
            .into_iter()
            .chain(["--format".into(), "json".into()]);
        let run = crossbridge_in(folder.path(), args);
        let replayed = json(&run.stdout);
        for number in ["amplification", "goodput", "recovery_seconds"] {
            assert_eq!(
                replayed[number], row[number],
                "{number}, {command}: {}",
                run.stderr
            );
        }
        command.to_owned()
    })
    .collect()
}

/// Where the path has policies to itself, by their values.
#[test]
fn a_row_is_repeated_by_its_command() {
    let vary = "--vary retry.max_attempts=1,2 --vary budget.ratio=0.05 --vary deadline=1s --vary attempt_timeout=500ms";
    let commands = repeated(SCENARIO, &format!("--seeds 1 --seed 9 {vary}"));
    assert_eq!(commands[0], "crossbridge replay small.yml --seed 9 --seeds 1");
    let values = "--set policies.retry.policies.db.max_attempts=1";
    assert!(commands[1].contains(values), "{}", commands[1]);
    assert!(
        commands
            .iter()
            .any(|command| command.contains("--set clients.workers.deadline=1s"))
    );
}

/// Where it has not, with policies of its own.
#[test]
fn a_row_of_shared_policies_is_repeated_by_its_command() {
    let shared = SCENARIO
        .replace("breaker: db } }", "breaker: db }, other: { retry: db } }")
        .replace(
            "  workers:",
            "  others: { count: 1, path: other, calls: db, arrivals: { poisson: 1/s } }\n  workers:",
        );
    let commands = repeated(&shared, "--seeds 1 --path db --vary retry.max_attempts=1,2");
    assert!(
        commands[1].contains("--set policies.paths.db.retry=db_tuned"),
        "{}",
        commands[1]
    );
    let built_in = SCENARIO.replace("{ retry: db, budget: db, breaker: db }", "{ retry: quick }");
    let commands = repeated(
        &built_in,
        "--seeds 1 --vary retry.max_attempts=1,5 --vary bulkhead.limit=2",
    );
    assert!(
        commands[1].contains("--set 'policies.bulkheads={"),
        "{}",
        commands[1]
    );
}

/// The seeds are those of `replay --seeds`.
#[test]
fn several_seeds_are_repeated_too() {
    let folder = folder();
    fs::write(folder.path().join("small.yml"), SCENARIO).expect("written");
    let search = "tune small.yml --seeds 3 --seed 9 --vary retry.max_attempts=2,3 --format json";
    let found = json(&crossbridge_in(folder.path(), search.split(' ')).stdout);
    for row in [&found["now"], &found["best"]] {
        let args = words(row["repeat"].as_str().expect("a command"));
        let replayed = json(
            &crossbridge_in(
                folder.path(),
                args.into_iter().chain(["--format".into(), "json".into()]),
            )
            .stdout,
        );
        // Every seed breaks a promise, so that the result names them all.
        let seeds: Vec<&Value> = replayed["seeds"]["failing"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|run| &run["seed"])
            .collect();
        assert_eq!(
            found["seeds"]
                .as_array()
                .expect("a list")
                .iter()
                .collect::<Vec<_>>(),
            seeds
        );
        // The worst of them, as `tune` counts.
        assert_eq!(
            replayed["seeds"]["recovery_seconds"]["max"],
            row["recovery_seconds"]
        );
    }
}

/// Policies in a file of their own are no part of the scenario, and no setting reaches them.
#[test]
fn a_configuration_is_not_set() {
    let folder = folder();
    let config = "runtime:\n  paths: { db: { retry: quick } }\n";
    fs::write(folder.path().join("own.yml"), config).expect("written");
    let found = json(
        &tune(
            folder.path(),
            &[
                "--config",
                "own.yml",
                "--format",
                "json",
                "--vary",
                "retry.max_attempts=1",
            ],
        )
        .stdout,
    );
    assert_eq!(
        found["now"]["repeat"],
        "crossbridge replay small.yml --config own.yml --seeds 1"
    );
    assert!(
        found["frontier"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|row| row["repeat"].is_null()),
        "{found}"
    );
}

/// Nothing on the frontier is beaten by anything else on it, and the best under no condition is on it.
#[test]
fn the_frontier_is_one() {
    let folder = folder();
    let found = json(
        &tune(
            folder.path(),
            &["--objective", "least amplification", "--format", "json"],
        )
        .stdout,
    );
    let point = |trial: &Value| {
        let number = |name: &str| trial[name].as_f64();
        (
            number("amplification").expect("attempts"),
            -number("goodput").expect("calls"),
            number("recovery_seconds").unwrap_or(f64::MAX),
        )
    };
    let frontier: Vec<_> = found["frontier"]
        .as_array()
        .expect("a list")
        .iter()
        .map(point)
        .collect();
    assert!(frontier.len() >= 3, "{frontier:?}");
    for one in &frontier {
        for other in &frontier {
            let no_worse = one.0 <= other.0 && one.1 <= other.1 && one.2 <= other.2;
            assert!(one == other || !no_worse, "{one:?} beats {other:?}");
        }
    }
    assert!(frontier.contains(&point(&found["best"])));
}

#[test]
fn conditions_that_nothing_meets_are_exit_1() {
    let folder = folder();
    let vary = ["--vary", "retry.max_attempts=1,2"];
    let run = tune(
        folder.path(),
        &[
            &vary[..],
            &["--objective", "least amplification with goodput >= 0.9999"],
        ]
        .concat(),
    );
    assert_eq!(run.status.code(), Some(1), "{}", run.stderr);
    assert!(
        run.stdout.contains("no setting meets the conditions"),
        "{}",
        run.stdout
    );
    // The scenario's own promises are conditions on request: of these two settings one keeps both.
    let ask = ["--objective", "most goodput with promises", "--format", "json"];
    let run = tune(folder.path(), &[&vary[..], &ask].concat());
    assert_eq!(run.status.code(), Some(0), "{}", run.stdout);
    assert_eq!(json(&run.stdout)["best"]["setting"]["retry.max_attempts"], "1");
}

#[test]
fn what_cannot_be_asked_is_exit_2() {
    let folder = folder();
    for (args, said) in [
        (
            &["--vary", "retry.attempts=3"][..],
            "unknown key `retry.attempts`",
        ),
        (
            &["--vary", "retry.max_attempts=3", "--vary", "retry.max_attempts=4"],
            "twice",
        ),
        (&["--objective", "least trouble"], "character 7"),
        (&["--objective", "fewest attempts"], "`least` or `most`"),
        (&["--path", "dbb"], "nobody in the scenario goes through it"),
    ] {
        let run = tune(folder.path(), args);
        assert_eq!(
            (run.status.code(), run.stdout.as_str()),
            (Some(2), ""),
            "{args:?}"
        );
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
    }
}

/// A first delay above the longest is refused by the core, and left out.
#[test]
fn settings_the_core_refuses_are_counted() {
    let folder = folder();
    let found = json(
        &tune(
            folder.path(),
            &["--vary", "retry.base_delay=10ms,1h", "--format", "json"],
        )
        .stdout,
    );
    assert_ne!(found["refused"], 0);
    assert_ne!(found["best"]["setting"]["retry.base_delay"], "1h");
}
