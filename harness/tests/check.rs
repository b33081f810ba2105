//! `crossbridge check`: what a user sees of a configuration.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Run, crossbridge_in};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn check(args: &[&str]) -> Run {
    let args = ["check"].into_iter().chain(args.iter().copied());
    crossbridge_in(&root(), args)
}

#[test]
fn the_effective_policies_as_a_page() {
    for file in ["platform", "crossbridge"] {
        let run = check(&[&format!("fixtures/config/{file}.yml")]);
        assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
        insta::assert_snapshot!(format!("page_{file}"), run.stdout);
    }
}

/// The README's own `crossbridge.yml`, which says all that its path needs.
#[test]
fn the_example_of_the_readme_is_accepted() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let (_, rest) = readme.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("crossbridge.yml"), example).expect("written");
    let run = crossbridge_in(folder.path(), ["check"]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    assert_eq!(run.stderr, "");
    for absent in ["warnings", "without effect"] {
        assert!(!run.stdout.contains(absent), "{}", run.stdout);
    }
    for line in [
        "breaker     storage: when 50% of the calls of the last 10s fail",
        "within the deadline of 10s",
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
}

#[test]
fn the_effective_policies_as_an_object() {
    let run = check(&["fixtures/config/platform.yml", "--format", "json"]);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).expect("one object");
    assert_eq!(object["schema"], 1);
    assert_eq!(object["file"], "fixtures/config/platform.yml");
    insta::assert_snapshot!(format!("{:#}", object["paths"]["profiling_storage"]));
}

#[test]
fn what_cannot_work_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "\
runtime:
  circuit_breakers:
    never: { failure_rate: off }
    forced: { mode: forced_open }
    slow: { slow_rate: 0.5 }
  bulkheads: { unused: { limit: 3 } }
  paths:
    database: { deadline: 10s, breaker: never, on_limit: wait }
    execution: { deadline: 5s, attempt_timeout: 2s, retry: expensive, breaker: forced }
    embedding: { deadline: none, breaker: slow }
";
    fs::write(folder.path().join("crossbridge.yml"), text).expect("written");
    // Found without being named, from a folder below.
    let below = folder.path().join("below");
    fs::create_dir(&below).expect("created");
    let run = crossbridge_in(&below, ["check"]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    let page = run.stdout;
    let warnings = page.find("\nwarnings\n").expect("a section of warnings");
    insta::assert_snapshot!(&page[warnings..]);
}

/// Each warning that follows from two sections together, once.
#[test]
fn what_cannot_work_together_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "\
runtime:
  rate_limiting: { defaults: { search: { capacity: 6, window_seconds: 60 } } }
  retry:
    policies:
      patient: { max_attempts: 6, base_delay: 5s, max_delay: 60s, give_up_after: 10s }
    budgets:
      spent: { ratio: 0, min_per_second: 0, burst: 3 }
      crowd: { max_concurrent: 0.1, min_concurrent: 0 }
  circuit_breakers:
    rare: { window: 30s, min_calls: 20 }
    stuck: { hanging_calls: 8, slow_call: 40s, probe_timeout: 90s }
  bulkheads: { few: { limit: 4 } }
  paths:
    a_rare_breaker: { rate_limit: search, breaker: rare }
    b_stuck_breaker: { breaker: stuck, bulkhead: few }
    c_patient: { retry: patient, deadline: 40s, attempt_timeout: 1s }
    d_spent: { budget: spent }
    e_crowd: { budget: crowd, bulkhead: few }
    f_quiet: { budget: crowd }
    g_never: { retry: never, budget: aws }
    h_forgetful: { bulkhead: few, attempt_timeout: none }
    i_bounded: { bulkhead: few, attempt_timeout: none, deadline: 40s }
";
    fs::write(folder.path().join("crossbridge.yml"), text).expect("written");
    let run = crossbridge_in(folder.path(), ["check"]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    let warnings = run.stdout.find("\nwarnings\n").expect("a section of warnings");
    insta::assert_snapshot!(&run.stdout[warnings..]);
}

/// Layers that retry what others gave up on, and how the rate of calls changes what is noticed when.
#[test]
fn layers_and_rates() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "\
runtime:
  retry: { policies: { stubborn: { max_attempts: 4, retry_exhausted: true } } }
  circuit_breakers: { db: { window: 10s, min_calls: 20, slow_start: 30s } }
  paths:
    front: { retry: stubborn, breaker: db, health: database, attempt_timeout: 2s }
    back: { retry: stubborn }
";
    fs::write(folder.path().join("crossbridge.yml"), text).expect("written");
    let mut pages = String::new();
    for rate in ["100/s", "1/s"] {
        let run = crossbridge_in(folder.path(), ["check", "--rate", rate]);
        assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
        let lines = run.stdout.lines();
        let from = lines
            .skip_while(|line| !line.contains("front  ("))
            .filter(|line| {
                ["outage", "detection", "recovery", "amplification"]
                    .iter()
                    .any(|word| line.contains(word))
            });
        let lines: Vec<&str> = from.collect();
        pages += &format!("--rate {rate}\n{}\n", lines.join("\n"));
    }
    insta::assert_snapshot!(pages);
    let run = crossbridge_in(folder.path(), ["check", "--rate", "often"]);
    assert_eq!(run.status.code(), Some(2));
}

#[test]
fn a_bad_file_is_exit_3_and_nothing_on_standard_output() {
    let file = "fixtures/config/bad/misspelt_key.yml";
    let run = check(&[file]);
    assert_eq!((run.status.code(), run.stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(run.stderr);

    let run = check(&[file, "--format", "json"]);
    assert_eq!((run.status.code(), run.stdout.as_str()), (Some(3), ""));
    let object: serde_json::Value = serde_json::from_str(&run.stderr).expect("one object");
    assert_eq!((&object["line"], &object["column"]), (&5.into(), &16.into()));
    assert_eq!(object["hint"], "did you mean `capacity`?");
}
