//! `crossbridge profile ingest` into a real InfluxDB server.

#[path = "support/profile.rs"]
mod support;

use std::io::{BufRead as _, BufReader};

use crossbridge_std::servers::{InfluxDb, Signal};
use support::{Place, config, fixture, lines};

fn start() -> InfluxDb {
    let server = InfluxDb::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("tests").unwrap();
    server
}

/// How many points there are, of all measurements.
fn count(server: &InfluxDb) -> u64 {
    let answer = server.query("tests", "SELECT count(event) FROM /.*/").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let series = answer["results"][0]["series"].as_array().unwrap();
    series
        .iter()
        .map(|series| series["values"][0][1].as_u64().unwrap())
        .sum()
}

#[test]
fn a_report_is_stored_whole_and_once() {
    let server = start();
    let place = Place::new();
    let url = server.url("tests");
    let report = fixture("pytest/pytest-all-pass.xml");
    let (ran, object) = place.ingest_json(&[&report, "--store", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(object["store"]["url"], url.as_str());
    let stored = object["totals"]["new"].as_u64().unwrap();
    assert!(stored > 0);
    assert_eq!(count(&server), stored);
    let ran = place.ingest(&[&report, "--store", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("Stored in {url}\n")),
        "{}",
        ran.stdout
    );
    assert_eq!(count(&server), stored, "the same events are the same points");
}

/// The server dies in the middle and comes back; the guard sees to the rest.
#[test]
fn a_server_that_is_killed_is_waited_for() {
    let mut server = start();
    let place = Place::new();
    place.write("big.jsonl", &lines(30_000));
    place.write("c.yml", &config("5s", "120s", "TRACE"));
    let url = server.url("tests");
    let mut child = place
        .command(&[
            "big.jsonl",
            "--store",
            &url,
            "--config",
            "c.yml",
            "--format",
            "json",
        ])
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut wait_for = |message: &str, count: usize| {
        let mut seen = 0;
        let mut line = String::new();
        while seen < count {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended early");
            seen += usize::from(line.contains(message));
        }
    };
    // The store is open, and three batches are in it.
    wait_for("\"call succeeded\"", 4);
    server.kill(Signal::KILL).unwrap();
    wait_for("\"retry scheduled\"", 2);
    server.restart().unwrap();
    std::io::copy(&mut stderr, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["totals"]["unwritten"], 0);
    assert_eq!(count(&server), 30_000);
}

/// An event that the server will never take, among many that it takes.
#[test]
fn an_event_older_than_the_retention_is_refused_alone() {
    let server = start();
    server
        .query(
            "",
            "CREATE RETENTION POLICY week ON tests DURATION 7d REPLICATION 1 DEFAULT",
        )
        .unwrap();
    let place = Place::new();
    let now = jiff::Timestamp::try_from(crossbridge_std::clock::wall_clock()).unwrap();
    let line = |id: u32, at: &str| {
        format!(
            "{{\"event_id\":\"e{id}\",\"run_id\":\"r\",\"test_id\":\"t\",\"event_type\":\"test_end\",\"created_at\":\"{at}\"}}\n"
        )
    };
    let mut text: String = (0..300).map(|id| line(id, &now.to_string())).collect();
    text.push_str(&line(300, "2001-01-01T00:00:00Z"));
    place.write("events.jsonl", &text);
    let url = server.url("tests");
    let (ran, object) = place.ingest_json(&["events.jsonl", "--store", &url]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(object["totals"]["refused"], 1);
    assert_eq!(object["totals"]["new"], 300);
    assert!(
        ran.stderr.contains("points beyond retention policy"),
        "{}",
        ran.stderr
    );
    assert_eq!(count(&server), 300);
}

#[test]
fn a_server_without_the_database_is_code_4_and_says_why() {
    let server = start();
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    let url = server.url("nodb");
    let ran = place.ingest(&[&report, "--store", &url]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let expected =
        format!("error: the store could not be used: open {url}: the server has no such database\n");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    let expected = "hint: make the database (CREATE DATABASE in `influx`), or name another one in --store";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}
