//! `replay --live`: the prediction holds on real servers.

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use crossbridge_core::Sleeper as _;
use crossbridge_harness::live::{Live, Plan, Servers, Stop};
use crossbridge_harness::scenario::{Scenario, load};
use crossbridge_std::sleeper::ThreadSleeper;
use serde_json::Value;
use support::{command, crossbridge, crossbridge_in, fixture, json};

const HTTP: &str = "\
scenario: small
duration: 2s
dependencies:
  api: { live: http, servers: 20, service_time: { constant: 2ms } }
clients:
  c: { count: 5, path: p, calls: api, arrivals: { every: 100ms } }
policies:
  retry: { policies: { r: { max_attempts: 3, base_delay: 10ms, max_delay: 50ms } } }
  paths: { p: { retry: r, attempt_timeout: 500ms, idempotent: true } }
faults:
  - { at: 1s, on: api, kind: error, code: 503, first: 3 }
expect:
  - goodput >= 0.9
";

fn scenarios() -> Vec<(PathBuf, Scenario)> {
    let folder = fs::read_dir(fixture("scenarios/live")).expect("fixtures/scenarios/live is there");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let scenario = load(&path, None, &|_| None).unwrap_or_else(|error| panic!("{error}"));
        (path, scenario)
    };
    files.into_iter().map(read).collect()
}

/// A folder with this scenario in it.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("scenario.yml"), text).expect("written");
    folder
}

/// A third of them at the same time, because each takes as long as its day does, and not all of them,
/// because each connection is a process of PostgreSQL: of those days, at most two fall together.
#[test]
fn every_prediction_holds_on_real_servers() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 8, "the scenarios are not there");
    let servers = Servers::start(scenarios.iter().map(|(_, scenario)| scenario));
    let servers = servers.unwrap_or_else(|error| panic!("{error}"));
    let stop = Stop::default();
    let run = &|scenario: &Scenario| {
        let plan = Plan::new(scenario, scenario.seed)?;
        plan.run(&servers, &stop, &mut |_| {})
    };
    let mut lives: Vec<Live> = Vec::new();
    for third in [0, 1, 2] {
        let these = scenarios.iter().skip(third).step_by(3);
        thread::scope(|scope| {
            let threads: Vec<_> = these
                .map(|(_, scenario)| scope.spawn(move || run(scenario)))
                .collect();
            for thread in threads {
                let live = thread.join().expect("no panic");
                lives.push(live.unwrap_or_else(|error| panic!("{error}")));
            }
        });
    }
    let mut told = String::new();
    for live in &lives {
        let result = &live.result;
        told += &format!("{} {:?} {:?}\n", result.scenario, result.verdict, result.late_ms);
        for one in &result.comparison {
            told += &format!("    {one:?}\n");
        }
        // A tolerance that allows for everything says nothing.
        let tolerance = |metric: &str| {
            let mut numbers = result.comparison.iter();
            numbers.find(|one| one.metric == metric).map(|one| one.tolerance)
        };
        assert!(tolerance("goodput") <= Some(0.12), "{told}");
        assert!(tolerance("amplification") <= Some(0.2), "{told}");
        // The fault was there, and the guards had to do with it.
        assert!(result.measurement.attempts.retries > 10, "{told}");
    }
    for live in &lives {
        let result = &live.result;
        assert!(
            result.comparison.iter().all(|one| one.within),
            "{}: {told}",
            result.scenario
        );
        for promise in &result.measurement.expectations {
            assert!(promise.held, "{}: {promise:?}\n{told}", result.scenario);
        }
    }
}

/// What people and programs read of a run, and that it is the same calls in both.
#[test]
fn both_are_printed() {
    let folder = folder(HTTP);
    let text = thread::scope(|scope| {
        let text = scope.spawn(|| crossbridge_in(folder.path(), ["replay", "scenario.yml", "--live"]));
        let args = ["replay", "scenario.yml", "--live", "--format", "json"];
        let run = crossbridge_in(folder.path(), args);
        assert_eq!(run.status.code(), Some(0), "{}{}", run.stdout, run.stderr);
        let result = json(&run.stdout);
        assert_eq!(result["verdict"], "pass");
        assert_eq!(
            result["prediction"]["series"]["offered"],
            result["measurement"]["series"]["offered"]
        );
        assert!(result["measurement"]["attempts"]["retries"].as_u64() > Some(0));
        assert_eq!(result["servers"][0]["server"], "http");
        let names: Vec<&Value> = result["comparison"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| &one["metric"])
            .collect();
        assert_eq!(names.len(), 7, "{names:?}");
        text.join().expect("no panic")
    });
    assert_eq!(text.status.code(), Some(0), "{}{}", text.stdout, text.stderr);
    for words in [
        "2s of real time, 100 calls",
        "HTTP behind the fault proxy",
        "✔ goodput",
        "7 of 7 numbers",
        "--live",
    ] {
        assert!(text.stdout.contains(words), "{words}: {}", text.stdout);
    }
}

/// A promise that is broken is exit code 1, whatever the numbers say.
#[test]
fn a_broken_promise_is_exit_1() {
    let folder = folder(&HTTP.replace("goodput >= 0.9", "attempts.retries == 0"));
    let run = crossbridge_in(folder.path(), ["replay", "scenario.yml", "--live"]);
    assert_eq!(run.status.code(), Some(1), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("0 of 1 promises kept in both"),
        "{}",
        run.stdout
    );
}

/// Each is refused with its place, before anything starts.
#[test]
fn what_a_real_server_does_not_do_is_refused() {
    let mistakes = [
        ("live: http, ", ""),
        ("live: http", "live: kafka"),
        ("live: http", "live: redis"),
        ("servers: 20", "servers: 20, latency: { constant: 1ms }"),
        ("servers: 20", "servers: 20, shed: expired"),
        (
            "servers: 20, service_time: { constant: 2ms }",
            "service_time: { constant: 30ms }",
        ),
        ("duration: 2s", "duration: 3600s"),
        ("count: 5", "count: 201"),
        ("every: 100ms", "every: 1ms"),
        ("code: 503", "code: \"40001\""),
        ("code: 503", "code: 503, retry_after: 100ms"),
        ("code: 503", "code: 503, ramp: 100ms"),
        ("kind: error, code: 503", "kind: refuse"),
        ("kind: error, code: 503, first: 3", "kind: capacity, servers: 1"),
        ("kind: error, code: 503, first: 3", "kind: crash_restart"),
        (
            "on: api, kind: error, code: 503, first: 3",
            "on: c, kind: burst, calls: 1",
        ),
        ("goodput >= 0.9", "invariants.violations == 0"),
    ];
    let mut told = String::new();
    for (right, wrong) in mistakes {
        let folder = folder(&HTTP.replace(right, wrong));
        let run = crossbridge_in(folder.path(), ["replay", "scenario.yml", "--live"]);
        assert_eq!(
            run.status.code(),
            Some(3),
            "{wrong}: {}{}",
            run.stdout,
            run.stderr
        );
        told += &format!("{right}  =>  {wrong}\n{}\n", run.stderr);
    }
    insta::assert_snapshot!(told);
}

/// A report that a live run does not write is refused, rather than left out in silence.
#[test]
fn reports_of_the_simulation_are_refused() {
    let scenario = "fixtures/scenarios/live/redis-reset.yml";
    for flag in ["--trace", "--html", "--svg", "--png", "--junit"] {
        let args = ["replay", scenario, "--live", flag, "report"];
        let run = crossbridge_in(&support::root(), args);
        assert_eq!(run.status.code(), Some(2), "{flag}: {}", run.stderr);
        assert!(run.stderr.contains(flag), "{flag}: {}", run.stderr);
    }
}

#[test]
fn a_server_that_is_not_installed_is_named() {
    let output = command(&support::root())
        .args(["replay", "fixtures/scenarios/live/redis-reset.yml", "--live"])
        .env("PATH", "/nowhere")
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(4));
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(told.contains("hint: apt-get install -y redis-server"), "{told}");
}

/// A signal stops the run, and the server with it.
#[test]
fn a_signal_stops_the_servers() {
    let mut child = command(&support::root())
        .args(["replay", "fixtures/scenarios/live/redis-reset.yml", "--live"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let pid = child.id();
    let server = loop {
        assert!(child.try_wait().expect("a child").is_none(), "it has ended");
        if let Some(server) = children(pid).first() {
            break *server;
        }
        ThreadSleeper.sleep(Duration::from_millis(5));
    };
    let killed = Command::new("kill").args(["-INT", &pid.to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let told: Vec<String> = BufReader::new(child.stderr.take().expect("piped"))
        .lines()
        .map(|line| line.expect("UTF-8"))
        .collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(4), "{told:?}");
    assert!(told.concat().contains("stopped by a signal"), "{told:?}");
    assert!(
        !Path::new(&format!("/proc/{server}")).exists(),
        "the server is still there"
    );
}

/// The processes that this one has started, from whichever thread.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    pids.filter_map(|child| child.parse().ok()).collect()
}

#[test]
fn it_goes_alone() {
    let run = crossbridge([
        "replay",
        "fixtures/scenarios/postgres-blip.yml",
        "--live",
        "--seeds",
        "5",
    ]);
    assert_eq!(run.status.code(), Some(2), "{}", run.stderr);
}
