//! `crossbridge profile ingest`: the real program, real files, a real database, real trouble.

#[path = "support/profile.rs"]
mod support;
#[path = "profile_ingest/trouble.rs"]
mod trouble;

use std::fs::File;
use std::process::Command;

use serde_json::{Value, json};
use support::{Place, fixture, lines};

const DB: &str = "sqlite:events.db";

#[test]
fn a_report_is_stored_whole_and_once() {
    let place = Place::new();
    let report = fixture("pytest/pytest-xunit2.xml");
    let ran = place.ingest(&[&report]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let db = place
        .path(".crossbridge/crossbridge.db")
        .canonicalize()
        .unwrap()
        .display()
        .to_string();
    let run = place.sqlite3(&db, "select run_id from runs");
    assert_eq!(
        ran.stdout,
        format!(
            "{report}  JUnit XML, run {run}
  60 tests: 44 passed, 10 failed, 2 in error, 2 skipped, 2 xfailed; 1 flaky; 63 attempts; 1.6 s
  63 events: 63 new

Stored in {db}

  sqlite3 {db} \"select status, count(*) from tests where run_id = '{run}' group by status\"
"
        )
    );
    assert!(
        ran.stderr.contains(":1:39: warning: attribute `tests` says 67"),
        "{}",
        ran.stderr
    );
    // The line it gives works.
    let line = ran.stdout.lines().last().unwrap();
    let asked = Command::new("sh").args(["-c", line]).output().unwrap();
    let answer = "error|2\nfailed|10\npassed|44\nskipped|2\nxfailed|2\n";
    assert_eq!(String::from_utf8_lossy(&asked.stdout), answer);

    let (ran, object) = place.ingest_json(&[&report]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let counts = json!({
        "read": 63, "new": 0, "already_there": 63, "refused": 0, "spooled": 0, "lost": 0, "unwritten": 0, "rejected": 0, "warnings": 1
    });
    assert_eq!(
        (&object["schema"], &object["complete"], &object["totals"]),
        (&json!(1), &json!(true), &counts)
    );
    assert_eq!(place.count(&db), 63);
}

#[test]
fn reports_of_many_tools_go_into_one_file() {
    let place = Place::new();
    let names = [
        "pytest/pytest-xdist.xml",
        "pytest/pytest-no-tests.xml",
        "pytest/pytest-selenium-junit.xml",
        "nextest/nextest-ci.xml",
        "junit/ant-junit4-AccountTest.xml",
        "junit/junit5-console-jupiter.xml",
        "pytest/pytest-json-report.json",
        "robot/shop-output.xml",
        "playwright/shop.json",
        "jest/jest.json",
        "mocha/mocha-json.json",
        "mocha/mochawesome.json",
        "cypress/cypress-run.json",
        "har/full.har",
        "selenium/chromedriver.log",
    ];
    let files = names.map(fixture);
    let arguments: Vec<_> = files.iter().map(String::as_str).chain(["--store", DB]).collect();
    let (ran, object) = place.ingest_json(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let total = |key: &str| -> u64 {
        let files = object["files"].as_array().unwrap();
        files
            .iter()
            .map(|file| file["tests"][key].as_u64().unwrap())
            .sum()
    };
    let asked = |sql: &str| -> u64 { place.sqlite3("events.db", sql).parse().unwrap() };
    assert_eq!(asked("select count(*) from tests"), total("total"));
    assert_eq!(
        asked("select count(*) from tests where status = 'failed'"),
        total("failed")
    );
    assert_eq!(asked("select sum(attempts) from tests"), total("attempts"));
    assert_eq!(asked("select sum(flaky) from tests"), total("flaky"));
    assert_eq!(asked("select count(*) from runs"), 14);
    assert_eq!(object["totals"]["new"], place.count("events.db"));
    assert_eq!(
        asked("select count(*) from http_calls where status_code >= 400"),
        3
    );
}

#[test]
fn lines_that_are_no_events_cost_a_code_and_nothing_else() {
    let place = Place::new();
    let good = |test: &str| format!(r#"{{"run_id":"r","test_id":"{test}","event_type":"test_end"}}"#);
    let bad = r#"{"run_id":"r","test_id":"b","event_type":"test_edn"}"#;
    place.write("e.jsonl", &format!("{}\n{bad}\n\n{{\n{}\n", good("a"), good("c")));
    let ran = place.ingest(&["e.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stdout
            .contains("2 events: 2 new\n  2 lines rejected, see above"),
        "{}",
        ran.stdout
    );
    let reason = "field `event_type`: unknown event type `test_edn`, did you mean `test_end`?";
    let expected = format!("e.jsonl:2:52: {reason}\ne.jsonl:4:1: EOF while parsing an object\n");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    let error =
        format!("error: 2 of 4 lines are not events\n  --> e.jsonl:2:52\n   {reason}\nhint: the others");
    assert!(ran.stderr.contains(&error), "{}", ran.stderr);

    let (ran, object) = place.ingest_json(&["e.jsonl", "--store", DB]);
    assert_eq!(
        (ran.code, object["files"][0]["outcome"].as_str()),
        (Some(3), Some("partly_stored"))
    );
    assert_eq!(object["files"][0]["rejected_first"][0]["reason"], reason);
    let error: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&error["file"], &error["line"], &error["column"]),
        (&json!("e.jsonl"), &json!(2), &json!(52))
    );

    // Corrected, they are added; what was there is not added again.
    place.write(
        "e.jsonl",
        &format!("{}\n{}\n\n{}\n{}\n", good("a"), good("b"), good("d"), good("c")),
    );
    let (ran, object) = place.ingest_json(&["e.jsonl", "--store", DB]);
    assert_eq!(
        (
            ran.code,
            &object["totals"]["new"],
            &object["totals"]["already_there"]
        ),
        (Some(0), &json!(2), &json!(2))
    );
}

#[test]
fn a_file_without_a_single_event_is_not_said_to_be_stored() {
    let place = Place::new();
    place.write("list.json", r#"{"test-count":19}"#);
    let (ran, object) = place.ingest_json(&["list.json", "--store", DB]);
    assert_eq!(
        (ran.code, object["files"][0]["outcome"].as_str()),
        (Some(3), Some("invalid"))
    );
    let ran = place.ingest(&["list.json", "--store", DB]);
    let error = "error: 1 of 1 line is not an event\n  --> list.json:1:17\n   missing field `test_id`\n\
                 hint: nothing of it is stored; is it a file with one event per line?\n";
    assert!(ran.stderr.ends_with(error), "{}", ran.stderr);
}

#[test]
fn a_dash_is_standard_input() {
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    let mut command = place.command(&["-", "--store", DB]);
    let ran = command.stdin(File::open(&report).unwrap()).output().unwrap();
    let stdout = String::from_utf8(ran.stdout).unwrap();
    assert!(stdout.starts_with("-  JUnit XML, run "), "{stdout}");
    assert_eq!(place.count("events.db"), 6);
    // The same events as those of the file: what the input is called enters no id.
    let (_, object) = place.ingest_json(&[&report, "--store", DB]);
    assert_eq!(object["totals"]["already_there"], 6);
}

#[test]
fn of_many_bad_lines_the_first_are_told_and_the_rest_counted() {
    let place = Place::new();
    place.write("e.jsonl", &format!("{}{}", lines(2), "[]\n".repeat(50)));
    let ran = place.ingest(&["e.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(3));
    let told = ran.stderr.lines().filter(|line| line.starts_with("e.jsonl:"));
    assert_eq!(told.count(), 21, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("\ne.jsonl: and 30 more lines that are no events\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_that_cannot_be_used_does_not_keep_the_others_out() {
    let place = Place::new();
    let files = [
        fixture("hostile/truncated60-junit.xml"),
        fixture("hostile/zero-byte.xml"),
        fixture("hostile/html-error-page.json"),
        "missing.xml".to_owned(),
        fixture("pytest/pytest-all-pass.xml"),
    ];
    let arguments: Vec<_> = files.iter().map(String::as_str).chain(["--store", DB]).collect();
    let (ran, object) = place.ingest_json(&arguments);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let outcomes: Vec<_> = object["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["outcome"])
        .collect();
    assert_eq!(outcomes, ["invalid", "empty", "invalid", "unreadable", "stored"]);
    assert_eq!(place.count("events.db"), 6);

    let ran = place.ingest(&arguments);
    assert_eq!(ran.code, Some(3));
    let place_of_error = format!(
        "error: the report breaks off\n  --> {}:199:12\n   the file ends inside <failure>",
        files[0]
    );
    assert!(ran.stderr.contains(&place_of_error), "{}", ran.stderr);
    assert!(ran.stderr.contains("error: the file is empty"), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("error: the file cannot be read\n  --> missing.xml"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_store_that_cannot_be_used_is_code_4_and_says_why() {
    let place = Place::new();
    place.write(
        "not.db",
        "this is a text that is long enough to be looked at, and no database at all",
    );
    std::fs::create_dir(place.path("folder")).unwrap();
    let report = fixture("pytest/pytest-all-pass.xml");
    for (store, why, hint) in [
        (
            "sqlite:not.db",
            "open not.db: not a SQLite database\n",
            "hint: name another file",
        ),
        (
            "sqlite:folder",
            "open folder: a directory, expected a file\n",
            "hint: name another file",
        ),
        (
            "sqlite:no/such.db",
            "open no/such.db: its directory does not exist\n",
            "hint: make its directory",
        ),
        // Nobody can make files there, root included.
        (
            "sqlite:/proc/events.db",
            "unable to open database file",
            "hint: see that the file",
        ),
    ] {
        let ran = place.ingest(&[&report, "missing.xml", "--store", store]);
        assert_eq!(ran.code, Some(4), "{store}: {ran:?}");
        assert!(
            ran.stderr.contains("error: the store could not be used: open "),
            "{}",
            ran.stderr
        );
        for expected in [
            why,
            hint,
            "kept in the store: nothing of these files\n",
            "kept in the spool: 6 events, in ",
            "; then `crossbridge profile drain --store sqlite:",
            "error: the file cannot be read\n  --> missing.xml",
        ] {
            assert!(
                ran.stderr.contains(expected),
                "{store}, {expected}: {}",
                ran.stderr
            );
        }
        let (_, object) = place.ingest_json(&[&report, "--store", store]);
        assert_eq!(
            (&object["complete"], &object["totals"]["spooled"]),
            (&json!(false), &json!(6))
        );
    }
}

#[test]
fn a_connection_that_would_not_be_secure_is_not_made() {
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    for store in [
        "postgres://me:hunter2@127.0.0.1/x?sslmode=verify-full&sslrootcert=no/ca.pem",
        "influxdb+https://me:hunter2@127.0.0.1/x?ca=no/ca.pem",
    ] {
        let ran = place.ingest(&[&report, "--store", store]);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        for expected in [
            "no secure connection: `no/ca.pem`: No such file or directory",
            "kept in the spool: 6 events, in ",
            "hint: see that the server has the certificate it should have",
            // What stores the rest later is as secure.
            "=no/ca.pem` stores what is in the spool",
        ] {
            assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

#[test]
fn a_text_that_is_no_store_is_refused_without_its_password() {
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    for store in [
        "postgres://me:hunter2@db",
        "postgres://me:hunter2",
        "postgres://me:hunter2@db/x?sslmode=strict",
        "influxdb://db:8086/?token=hunter2",
        "mysql://me:hunter2@db/x",
        "events.db",
    ] {
        let ran = place.ingest(&[&report, "--store", store]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("hint: write "), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}
