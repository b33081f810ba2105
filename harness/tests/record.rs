//! `crossbridge record`: a log becomes a scenario that replays like the day it is of.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::event::LogObserver;
use crossbridge_core::{Event, FaultKind, Instant, Observer, StopReason, Verdict};
use crossbridge_harness::result::ReplayResult;
use crossbridge_harness::scenario;
use crossbridge_harness::world;
use crossbridge_std::logging::Format;
use jiff::Timestamp;
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::Value;
use support::{crossbridge_in, json};

/// What the facade was given, as the JSON log has it; the time is that of the event.
struct Lines(Mutex<(i64, Vec<String>)>);

static LINES: Lines = Lines(Mutex::new((0, Vec::new())));

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut lines = self.0.lock().expect("no test panics in here");
            let at = Timestamp::from_microsecond(BEGIN_US + lines.0).expect("in range");
            let line = Format::Json.line(at, record);
            lines.1.push(line);
        }
    }

    fn flush(&self) {}
}

/// One test at a time has the facade.
static TURN: Mutex<()> = Mutex::new(());

const TARGET: &str = "crossbridge::performance";
/// 2026-02-04, 10:00 UTC.
const BEGIN_US: i64 = 1_770_199_200_000_000;

/// Replays a scenario and logs what its clients' guards say by the real observer and the real format.
fn logged(file: &Path) -> (ReplayResult, Vec<String>) {
    let scenario = scenario::load(file, None, &|_| None).unwrap_or_else(|error| panic!("{}", error.render()));
    let mut trace = Vec::new();
    let outcome = world::run(&scenario, scenario.seed, Some(&mut trace), &mut |_| {}).expect("it runs");
    let _turn = TURN.lock();
    let _ = log::set_logger(&LINES);
    log::set_max_level(LevelFilter::Trace);
    let observer = LogObserver {
        target: TARGET,
        path: &scenario.clients[0].calls.path,
    };
    for line in String::from_utf8(trace).expect("UTF-8").lines() {
        if let Some((at, event)) = event(&json(line)) {
            LINES.0.lock().expect("nobody panics").0 =
                i64::try_from(at.as_nanos() / 1_000).expect("in range");
            observer.on_event(at, &event);
        }
    }
    let lines = std::mem::take(&mut LINES.0.lock().expect("nobody panics").1);
    (ReplayResult::new(&scenario, scenario.seed, &outcome), lines)
}

/// A line of a trace, as the event it was, as far as the log tells them apart.
fn event(line: &Value) -> Option<(Instant, Event)> {
    let number = |key: &str| line[key].as_u64().expect("a number");
    let at = Instant::from_nanos(number("at_ns"));
    let attempt = || u32::try_from(number("attempt")).expect("small");
    let took = || std::time::Duration::from_nanos(number("took_ns"));
    let fault = || {
        FaultKind::ALL
            .into_iter()
            .find(|kind| line["fault"] == kind.name())
    };
    let event = match line["event"].as_str()? {
        "attempt_started" => Event::AttemptStarted { number: attempt() },
        "attempt_ended" => Event::AttemptEnded {
            number: attempt(),
            fault: fault(),
            took: took(),
        },
        "breaker_changed" => Event::BreakerChanged {
            from: BreakerState::Closed,
            to: BreakerState::Open,
        },
        "call_ended" => Event::CallEnded {
            verdict: match line["verdict"].as_str()? {
                "succeeded" => Verdict::Succeeded,
                "breaker" => Verdict::Stopped {
                    reason: StopReason::Breaker { retry_at: None },
                    fault: None,
                },
                _ => Verdict::Stopped {
                    reason: StopReason::AttemptsExhausted,
                    fault: Some(FaultKind::Transient),
                },
            },
            attempts: u32::try_from(number("attempts")).expect("small"),
            took: took(),
        },
        _ => return None,
    };
    Some((at, event))
}

const POLICIES: &str = "\
runtime:
  retry:
    policies: { storage: { max_attempts: 4, base_delay: 100ms, max_delay: 2s, jitter: full } }
    budgets: { storage: { ratio: 0.2, min_per_second: 1, burst: 20 } }
  circuit_breakers:
    storage: { window: 10s, min_calls: 20, failure_rate: 0.5, open_wait: 1s, open_wait_max: 5s }
  paths:
    storage: { retry: storage, budget: storage, breaker: storage, attempt_timeout: 1s, deadline: 5s, idempotent: true }
";

fn scenario_text(faults: &str) -> String {
    format!(
        "\
scenario: original
duration: 90s
config: policies.yml
dependencies:
  db: {{ servers: 20, queue: 200, service_time: {{ lognormal: {{ median: 4ms, p99: 30ms }} }} }}
clients:
  workers: {{ count: 4, path: storage, calls: db, arrivals: {{ poisson: 15/s }} }}
faults:
{faults}"
    )
}

/// Writes a scenario and its log into a folder; its result.
fn day(folder: &Path, faults: &str) -> (ReplayResult, PathBuf) {
    fs::write(folder.join("policies.yml"), POLICIES).expect("written");
    let original = folder.join("original.yml");
    fs::write(&original, scenario_text(faults)).expect("written");
    let (result, lines) = logged(&original);
    let log = folder.join("app.log");
    fs::write(&log, lines.join("\n")).expect("written");
    (result, log)
}

fn recorded(folder: &Path, more: &[&str]) -> (Value, Value) {
    let fixed = [
        "record",
        "app.log",
        "-o",
        "out/again.yml",
        "--config",
        "policies.yml",
        "--clients",
        "4",
    ];
    let args = fixed.iter().chain(more).chain(&["--format", "json"]);
    let run = crossbridge_in(folder, args);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    let again = crossbridge_in(folder, ["replay", "out/again.yml", "--format", "json"]);
    assert_eq!(again.status.code(), Some(0), "{}", again.stderr);
    (json(&run.stdout), json(&again.stdout))
}

/// The numbers of a recording stay within these of the day itself: calls exactly, attempts within 5 %,
/// goodput within two points.
fn assert_alike(name: &str, day: &ReplayResult, again: &Value) {
    let number = |value: &Value| value.as_f64().expect("a number");
    // Those that were under way at the end are not in the log.
    let ended = day.calls.offered - day.calls.in_flight;
    assert_eq!(again["calls"]["offered"], ended, "{name}");
    let attempts = number(&again["attempts"]["total"]) / day.attempts.total as f64;
    let goodput = number(&again["goodput"]) - day.goodput.expect("calls");
    assert!((attempts - 1.0).abs() <= 0.05, "{name}: attempts {attempts}");
    assert!(goodput.abs() <= 0.02, "{name}: goodput {goodput}");
}

#[test]
fn a_recorded_day_replays_like_the_day() {
    for (name, faults, kind) in [
        (
            "refuse",
            "  - { at: 30s, for: 15s, on: db, kind: refuse }\n",
            "refuse",
        ),
        ("hang", "  - { at: 30s, for: 10s, on: db, kind: hang }\n", "hang"),
        (
            "errors",
            "  - { at: 20s, for: 40s, on: db, kind: error, code: 503, probability: 0.2 }\n",
            "error",
        ),
        (
            "throttle",
            "  - { at: 30s, for: 20s, on: db, kind: throttle, rate: 40/s, burst: 40 }\n",
            "throttle",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (day, _) = day(folder.path(), faults);
        let (record, again) = recorded(folder.path(), &[]);
        let outages = record["recording"]["paths"]["storage"]["outages"]
            .as_array()
            .expect("a list");
        assert!(
            outages.iter().any(|outage| outage["kind"] == kind),
            "{name}: {outages:?}"
        );
        assert_alike(name, &day, &again);
        if kind == "refuse" {
            let (_, fitted) = recorded(folder.path(), &["--service-times", "fitted"]);
            assert_alike("refuse, fitted", &day, &fitted);
            let scenario = fs::read_to_string(folder.path().join("out/again.yml")).expect("written");
            assert!(
                scenario.contains("service_time: { lognormal: { median: "),
                "{scenario}"
            );
        }
    }
}

#[test]
fn the_scenario_is_what_a_person_would_write() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    day(folder.path(), "  - { at: 30s, for: 15s, on: db, kind: refuse }\n");
    let args = ["record", "app.log", "-o", "again.yml", "--config", "policies.yml"];
    let run = crossbridge_in(folder.path(), args);
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
    let scenario = fs::read_to_string(folder.path().join("again.yml")).expect("written");
    insta::assert_snapshot!(format!("{}---\n{scenario}", run.stdout));
}

#[test]
fn bad_lines_are_named_and_the_rest_is_recorded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, log) = day(folder.path(), "  - { at: 30s, for: 1s, on: db, kind: refuse }\n");
    let good = fs::read_to_string(&log).expect("written");
    let broken =
        r#"{"message":"call failed","path":"storage","took_us":"long","timestamp":"2026-02-04T10:00:00Z"}"#;
    fs::write(&log, format!("not a line of ours\n{good}\n{broken}\n{{\"mess")).expect("written");
    let args = ["record", "app.log", "-o", "again.yml", "--config", "policies.yml"];
    let run = crossbridge_in(folder.path(), args);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    let lines = good.lines().count();
    let expected = [
        "app.log:1: no JSON object".to_owned(),
        format!(
            "app.log:{}: `took_us` is missing or something else, expected a whole number",
            lines + 2
        ),
        format!(
            "app.log:{}: no JSON object: EOF while parsing a string, character 6",
            lines + 3
        ),
    ];
    assert_eq!(run.stderr.lines().collect::<Vec<_>>(), expected);
    assert!(run.stdout.contains("and 3 cannot be read"), "{}", run.stdout);
}

#[test]
fn nothing_usable_is_exit_3_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("policies.yml"), POLICIES).expect("written");
    let stranger =
        r#"{"timestamp":"2026-02-04T10:00:00Z","message":"call failed","path":"storge","took_us":1}"#;
    let ended = |date: &str| stranger.replace("storge", "storage").replace("2026-02-04", date);
    let weeks = [ended("2026-02-04"), ended("2026-03-09")].join("\n");
    let endless = ended("2026-02-04").replace(":1}", ":18446744073709551615}");
    let for_ever = [ended("2026-02-04"), endless].join("\n");
    for (log, said) in [
        ("what\n", "1 of 1 lines cannot be read"),
        ("", "no line is about the end of a call"),
        (stranger, "did you mean `storage`?"),
        // Found by the fuzzer: it was recorded, and could not be replayed.
        (
            weeks.as_str(),
            "the log is of 33 days, and a scenario is of 30 at most",
        ),
        // Also found by it: the first instant there is was rounded down to a second.
        (for_ever.as_str(), "and a scenario is of 30 at most"),
    ] {
        fs::write(folder.path().join("app.log"), log).expect("written");
        let args = ["record", "app.log", "-o", "again.yml", "--config", "policies.yml"];
        let run = crossbridge_in(folder.path(), args);
        assert_eq!((run.status.code(), run.stdout.as_str()), (Some(3), ""));
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert!(!folder.path().join("again.yml").exists());
    }
    let run = crossbridge_in(folder.path(), ["record", "none.log", "-o", "x.yml"]);
    assert_eq!(run.status.code(), Some(3));
}

/// A log at the usual level has only what went wrong: it is recorded, and says so.
#[test]
fn a_log_without_successes_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, log) = day(folder.path(), "  - { at: 30s, for: 5s, on: db, kind: refuse }\n");
    let all = fs::read_to_string(&log).expect("written");
    let few: Vec<&str> = all.lines().filter(|line| !line.contains("\"TRACE\"")).collect();
    fs::write(&log, few.join("\n")).expect("written");
    let args = ["record", "app.log", "-o", "again.yml", "--config", "policies.yml"];
    let run = crossbridge_in(folder.path(), args);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("levels: { general: TRACE }"),
        "{}",
        run.stdout
    );
}
