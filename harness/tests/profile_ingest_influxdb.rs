//! `crossbridge profile ingest` into a real InfluxDB server.

#[path = "support/profile.rs"]
mod support;

use crossbridge_std::servers::{InfluxDb, Signal};
use support::running::{OUTLIVED, outlive};
use support::{Place, assert_no_database, fixture};

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

#[test]
fn a_server_that_is_killed_is_waited_for() {
    let mut server = start();
    let url = server.url("tests");
    // The store is open, and three batches are in it.
    outlive(
        &mut server,
        &url,
        4,
        |server| server.kill(Signal::KILL).unwrap(),
        |server| server.restart().unwrap(),
    );
    assert_eq!(count(&server), u64::from(OUTLIVED));
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
    assert_no_database(
        &start().url("nodb"),
        "make the database (CREATE DATABASE in `influx`)",
    );
}
