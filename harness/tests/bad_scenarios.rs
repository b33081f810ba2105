//! What is wrong with a scenario is told with its place, before anything runs.

mod support;

use std::fmt::Write as _;
use std::fs;

use support::{Run, crossbridge_in, json};

const GOOD: &str = "\
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
expect: []
";

fn replay(text: &str, flags: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("scenario.yml"), text).expect("written");
    let args = ["replay", "scenario.yml"]
        .into_iter()
        .chain(flags.iter().copied());
    crossbridge_in(folder.path(), args)
}

#[test]
fn the_text_below_is_fine_as_it_is() {
    let run = replay(GOOD, &[]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
}

#[test]
fn mistakes() {
    let mistakes = [
        ("queue: 10", "queue: many"),
        ("servers: 2", "serverz: 2"),
        ("servers: 2", "servers: 0"),
        ("constant: 5ms", "constantly: 5ms"),
        ("{ constant: 5ms }", "{ lognormal: { median: 5ms, p99: 1ms } }"),
        ("calls: db", "calls: dbx"),
        ("path: p", "path: q"),
        ("count: 2", "count: 0"),
        ("poisson: 5/s", "poisson: 0/s"),
        ("poisson: 5/s", "every: 0s"),
        ("duration: 20s", "duration: 20 parsecs"),
        ("duration: 20s", "duration: 0s"),
        ("kind: refuse", "kind: gremlin"),
        ("kind: refuse", "kind: refuse, code: 503"),
        ("kind: refuse", "kind: error"),
        ("kind: refuse", "kind: error, code: 99"),
        ("kind: refuse", "kind: error, code: 200"),
        ("kind: refuse", "kind: slow"),
        ("kind: refuse", "kind: throttle"),
        ("kind: refuse", "kind: hang, probability: 1.5"),
        ("kind: refuse", "kind: hang, first: 0"),
        ("on: db", "on: c"),
        ("kind: refuse", "kind: restart"),
        ("on: db, kind: refuse", "on: cc, kind: restart"),
        ("kind: refuse", "kind: refuse, servers: 1"),
        ("kind: refuse", "kind: crash_restart, probability: 0.5"),
        ("kind: refuse", "kind: capacity"),
        ("kind: refuse", "kind: partition, bufer: true"),
        ("kind: refuse", "kind: refuse, ramp: 6s"),
        ("kind: refuse", "kind: partition, ramp: 1s"),
        ("kind: refuse", "kind: refuse, repeat: { every: 4s }"),
        ("kind: refuse", "kind: refuse, repeat: { every: 5s, times: 9 }"),
        (
            "for: 5s, on: db, kind: refuse",
            "on: db, kind: refuse, repeat: { every: 6s }",
        ),
        ("at: 5s, for: 5s", "at: 0s, for: 1us, repeat: { every: 1ms }"),
        ("on: db, kind: refuse", "on: c, kind: burst"),
        ("on: db, kind: refuse", "on: c, kind: burst, calls: 9000000"),
        ("on: db, kind: refuse", "on: c, kind: clock_step"),
        (
            "on: db, kind: refuse",
            "on: c, kind: clock_step, forward: 1s, back: 1s",
        ),
        ("on: db, kind: refuse", "on: c, kind: clock_drift"),
        ("on: db, kind: refuse", "on: c, kind: clock_drift, factor: 0"),
        ("queue: 10", "discipline: filo"),
        ("queue: 10", "shed: exspired"),
        ("queue: 10", "shed: { cannot_finish_within: 0s }"),
        ("queue: 10", "contention: ooc"),
        ("queue: 10", "cold: { factor: 0.5, requests: 0 }"),
        ("queue: 10", "latency: { constant: -5ms }"),
        ("{ constant: 5ms }", "{ normal: { mean: 5ms } }"),
        ("{ constant: 5ms }", "{ pareto: { min: 0s, shape: 0 } }"),
        ("{ constant: 5ms }", "{ trace: nowhere.txt }"),
        ("{ constant: 5ms }", "{ trace: scenario.yml }"),
        ("{ poisson: 5/s }", "{ trace: scenario.yml }"),
        ("{ poisson: 5/s }", "{ burst: { size: 0, every: 0s } }"),
        ("{ poisson: 5/s }", "{ burst: { size: 1, at: 20s } }"),
        ("poisson: 5/s", "every: 1ns"),
        ("at: 5s, for: 5s", "at: 25s"),
        ("at: 5s, for: 5s", "at: 18s, for: 5s"),
        ("max_attempts: 3", "max_attempts: 0"),
        ("retry: r }", "retry: s }"),
        ("expect: []", "expect: ['amplificatoin <= 2']"),
        ("expect: []", "expect: ['goodput(10s..30s) > 0']"),
        ("scenario: small", "name: small"),
        ("policies:", "config: nowhere.yml\npolicies:"),
        (
            "  db: {",
            "  db: { servers: 1, service_time: { constant: 1s } }\n  db: {",
        ),
        ("clients:", "clients: ["),
    ];
    let mut told = String::new();
    for (good, bad) in mistakes {
        assert!(GOOD.contains(good), "{good}");
        let run = replay(&GOOD.replacen(good, bad, 1), &[]);
        assert_eq!(run.status.code(), Some(3), "{bad}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.stdout, "", "{bad}");
        let _ = writeln!(told, "{bad}\n{}\n", run.stderr.trim_end());
    }
    insta::assert_snapshot!(told);
}

/// The limits of `scenario::limits`, each exceeded by a little.
#[test]
fn what_is_too_much_is_refused_before_it_runs() {
    let repeated =
        |line: &dyn Fn(usize) -> String, times: usize| -> String { (0..times).map(line).collect() };
    let group = |index: usize| format!("  c{index}: {{ path: p, calls: db, arrivals: {{ every: 10s }} }}\n");
    let too_much = [
        GOOD.replace("duration: 20s", "duration: 31d"),
        GOOD.replace("count: 2", "count: 10000001"),
        GOOD.replace("poisson: 5/s", "every: 1ns"),
        GOOD.replace("constant: 5ms", "trace: /dev/zero"),
        GOOD.replace("on: db, kind: refuse", "on: c, kind: burst, calls: 9000000"),
        GOOD.replace("at: 5s, for: 5s", "at: 0s, for: 1us, repeat: { every: 1ms }"),
        GOOD.replace("expect: []", &format!("expect:\n{}", "  - goodput >= 0\n".repeat(1_001))),
        GOOD.replacen("policies:", &format!("{}policies:", repeated(&group, 1_000)), 1),
        GOOD.replace("duration: 20s", "duration: 30d")
            .replacen("policies:", &format!("{}policies:", repeated(&group, 100)), 1),
        GOOD.replace(
            "clients:",
            &format!(
                "{}clients:",
                repeated(
                    &|index| format!("  d{index}: {{ service_time: {{ constant: 1ms }} }}\n"),
                    1_000
                )
            ),
        ),
        format!("{GOOD}#{}", "x".repeat(4 << 20)),
        GOOD.replace("expect: []", &format!("expect: {}{}", "[".repeat(200), "]".repeat(200))),
        GOOD.replace("expect: []", &format!("expect: {}", "[".repeat(1_001))),
        GOOD.replace(
            "scenario: small",
            "scenario: small\nabout: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
             d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]",
        ),
    ];
    let mut told = String::new();
    for text in too_much {
        let run = replay(&text, &[]);
        assert_eq!(run.status.code(), Some(3), "{}{}", run.stdout, run.stderr);
        let _ = writeln!(told, "{}\n", run.stderr.trim_end());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_circle_of_services_never_answers() {
    let circle = GOOD.replacen(
        "clients:",
        "services:\n  a: { service_time: { constant: 1ms }, path: p, calls: b }\n  b: { service_time: { constant: 1ms }, path: p, calls: a }\nclients:",
        1,
    );
    let run = replay(&circle, &[]);
    assert_eq!(run.status.code(), Some(3));
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn errors_are_objects_where_programs_ask() {
    let run = replay(
        &GOOD.replacen("calls: db", "calls: dbx", 1),
        &["--format", "json"],
    );
    assert_eq!(run.status.code(), Some(3));
    let error = json(&run.stderr);
    insta::assert_snapshot!(serde_json::to_string_pretty(&error).expect("JSON"));
}

#[test]
fn time_that_stands_still_is_no_endless_run() {
    let stuck = GOOD
        .replace("{ poisson: 5/s }", "{ closed: { think: 0s } }")
        .replace(
            "base_delay: 10ms, max_delay: 50ms",
            "base_delay: 0s, throttled_base_delay: 0s, max_delay: 0s",
        )
        .replace("duration: 20s", "duration: 10s");
    let run = replay(&stuck, &[]);
    assert_eq!(run.status.code(), Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("time stands still at 5."), "{}", run.stderr);
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = crossbridge_in(folder.path(), ["replay", "nowhere.yml"]);
    assert_eq!(run.status.code(), Some(3));
    assert!(run.stderr.contains("nowhere.yml"), "{}", run.stderr);
}
