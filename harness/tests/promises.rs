//! Promises about the control, about many seeds, and about a recovery that lasts.

mod support;

#[path = "support/scenario.rs"]
mod scenario;

use std::fs;

use scenario::{replay, text, with};
use serde_json::Value;
use support::{Run, crossbridge_in, json};

const SMALL: &str = "\
scenario: small
duration: 20s
dependencies:
  db: { servers: 2, queue: 10, service_time: { constant: 5ms } }
clients:
  c: { count: 2, path: p, calls: db, arrivals: { poisson: 5/s } }
policies:
  retry: { policies: { r: { max_attempts: 3, base_delay: 10ms, max_delay: 50ms } } }
  paths: { p: { retry: r } }
faults:
  - { at: 5s, for: 5s, on: db, kind: refuse }
expect:
";

fn run(promises: &[&str], flags: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list: String = promises
        .iter()
        .map(|promise| format!("  - {promise}\n"))
        .collect();
    fs::write(folder.path().join("small.yml"), format!("{SMALL}{list}")).expect("written");
    let args = ["replay", "small.yml"].into_iter().chain(flags.iter().copied());
    crossbridge_in(folder.path(), args)
}

fn held(result: &Value) -> Vec<bool> {
    let promises = result["expectations"].as_array().expect("promises");
    promises
        .iter()
        .map(|promise| promise["held"].as_bool().expect("a truth"))
        .collect()
}

#[test]
fn the_control_has_names_and_windows() {
    let promises = [
        "goodput <= control.goodput - 0.2",
        "goodput(12s..20s) == control.goodput(12s..20s)",
        "control.goodput(5s..10s) == 1",
        "calls.offered == control.calls.offered",
        "attempts.total > 1.2 * control.attempts.total",
        "control.amplification > 1",
        "latency_ms.p99 >= control.latency_ms.p50",
    ];
    let run = run(&promises, &["--format", "json"]);
    assert_eq!(run.status.code(), Some(1), "{}", run.stdout);
    let result = json(&run.stdout);
    assert_eq!(held(&result), [true, true, true, true, true, false, true]);
    assert_eq!(
        result["expectations"][5]["observed"],
        result["control"]["amplification"]
    );
}

/// `compare` prints no control, and judges promises about it all the same.
#[test]
fn every_command_that_judges_runs_the_control() {
    let promises = ["calls.offered == control.calls.offered"];
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(
        folder.path().join("small.yml"),
        format!("{SMALL}  - {}\n", promises[0]),
    )
    .expect("written");
    let policies =
        "runtime: { paths: { p: { retry: r } }, retry: { policies: { r: { max_attempts: 1 } } } }\n";
    fs::write(folder.path().join("other.yml"), policies).expect("written");
    let compared = crossbridge_in(folder.path(), ["compare", "small.yml", "--policy", "other.yml"]);
    assert_eq!(
        compared.status.code(),
        Some(0),
        "{}{}",
        compared.stdout,
        compared.stderr
    );
    let objective = "least amplification with promises";
    let tuned = [
        "tune",
        "small.yml",
        "--objective",
        objective,
        "--vary",
        "retry.max_attempts=1,2",
    ];
    let tuned = crossbridge_in(folder.path(), tuned);
    assert_eq!(tuned.status.code(), Some(0), "{}{}", tuned.stdout, tuned.stderr);
}

#[test]
fn promises_about_seeds_are_judged_over_seeds_and_not_before() {
    let promises = [
        "goodput >= 0.5",
        "seeds.recovered >= 95%",
        "seeds.recovery_time.p90 <= 1s",
        "seeds.never <= 0",
        "seeds.goodput.min >= 0.6 * control.goodput",
        "seeds.runs == 4",
    ];
    let alone = run(&promises, &["--format", "json"]);
    assert_eq!(alone.status.code(), Some(0), "{}", alone.stdout);
    let result = json(&alone.stdout);
    assert_eq!(held(&result), [true]);
    assert_eq!(result["not_judged"], Value::from(promises[1..].to_vec()));
    let page = run(&promises, &[]).stdout;
    assert!(page.contains("PASS, 1 of 1 promises kept"), "{page}");
    assert!(page.contains("- seeds.recovered >= 95%"), "{page}");
    assert!(
        page.contains("not judged: this is one seed, see --seeds"),
        "{page}"
    );

    let many = run(&promises, &["--format", "json", "--seeds", "4"]);
    assert_eq!(many.status.code(), Some(0), "{}", many.stdout);
    let result = json(&many.stdout);
    assert_eq!(result["not_judged"], Value::Null);
    let together = result["seeds"]["promises"].as_array().expect("promises");
    assert_eq!(together.len(), 5);
    assert!(
        together.iter().all(|promise| promise["held"] == true),
        "{together:?}"
    );
    assert_eq!(
        together[1]["observed"].as_f64(),
        result["seeds"]["recovery_seconds"]["p90"].as_f64()
    );

    // All seeds keep what each of them promises, and together they do not.
    let broken = run(&["goodput >= 0.5", "seeds.goodput.max < 0.5"], &["--seeds", "3"]);
    assert_eq!(broken.status.code(), Some(1), "{}", broken.stdout);
    assert!(
        broken.stdout.contains("Seeds  FAIL, 0 of 3 broke a promise"),
        "{}",
        broken.stdout
    );
    assert!(
        broken.stdout.contains("✘ seeds.goodput.max < 0.5"),
        "{}",
        broken.stdout
    );
}

#[test]
fn unknown_names_have_their_place() {
    for (promise, told) in [
        ("control.goodputt >= 1", "did you mean `control.goodput`?"),
        (
            "control.recovery_time >= 1",
            "unknown name `control.recovery_time`",
        ),
        ("seeds.recoverd >= 1", "did you mean `seeds.recovered`?"),
        (
            "seeds.recovery_time.p95 <= 1s",
            "unknown name `seeds.recovery_seconds.p95`",
        ),
        ("seeds.goodput(1s..2s) >= 1", "unknown name `seeds.goodput`"),
        ("relapse == 0", "did you mean `relapses`?"),
    ] {
        let run = run(&[promise], &[]);
        assert_eq!(run.status.code(), Some(3), "{promise}: {}", run.stdout);
        assert!(run.stderr.contains("small.yml:13:5"), "{promise}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{promise}: {}", run.stderr);
    }
    let many = ["least seeds.never"];
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(
        folder.path().join("small.yml"),
        format!("{SMALL}  - goodput >= 0\n"),
    )
    .expect("written");
    let tuned = crossbridge_in(folder.path(), ["tune", "small.yml", "--objective", many[0]]);
    assert_eq!(tuned.status.code(), Some(2), "{}", tuned.stderr);
}

/// A second fault is a relapse; so is what a storm does by itself after it seemed over.
#[test]
fn a_recovery_lasts_until_the_goodput_falls_again() {
    let well = replay(&text("metastable/queue-cap.yml"));
    assert_eq!((well.recovery_seconds, well.relapses), (Some(1.0), Some(0)));
    assert_eq!(well.recovery_lasts_seconds, Some(120.0 - 31.0));
    let never = replay(&text("metastable/as-it-was.yml"));
    assert_eq!((never.recovery_lasts_seconds, never.relapses), (None, None));

    // A burst long after the faults: more than the database serves in time.
    let again = with(
        &text("metastable/queue-cap.yml"),
        "faults:",
        "  herd: { path: database, calls: db, arrivals: { burst: { size: 5000, at: 60s } } }\nfaults:",
    );
    let again = replay(&again);
    assert_eq!(again.recovery_seconds, Some(1.0));
    assert_eq!(again.recovery_lasts_seconds, Some(60.0 - 31.0));
    assert!(again.relapses >= Some(1), "{:?}", again.relapses);
}
