//! `crossbridge profile ingest` into a real PostgreSQL server.

#[path = "support/profile.rs"]
mod support;

use std::io::{BufRead as _, BufReader};

use crossbridge_std::servers::{Postgres, Signal};
use support::{Place, config, fixture, lines};

fn start() -> Postgres {
    Postgres::start().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_report_is_stored_whole_and_once() {
    let server = start();
    server.sql("create database metrics").unwrap();
    let place = Place::new();
    let url = server.url("metrics");
    let report = fixture("pytest/pytest-all-pass.xml");
    let ran = place.ingest(&[&report, "--store", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("Stored in {url}\n")),
        "{}",
        ran.stdout
    );
    // The command it offers works as it stands, but for a quoted text that a shell would take apart.
    let ask = ran.stdout.lines().find(|line| line.contains("psql")).unwrap();
    let question = ask.split('"').nth(1).unwrap();
    let answer = server.sql_in("metrics", question).unwrap();
    assert!(answer.starts_with("passed|"), "{answer}");

    let (ran, object) = place.ingest_json(&[&report, "--store", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(object["totals"]["new"], 0);
    assert_eq!(object["store"]["url"], url.as_str());
    let both = "select count(*) = count(distinct event_id), count(*) from profiling.profiling_events";
    let stored = format!("t|{}", object["totals"]["already_there"]);
    assert_eq!(server.sql_in("metrics", both).unwrap(), stored);
}

/// The server dies in the middle and comes back; the guard sees to the rest.
#[test]
fn a_server_that_is_killed_is_waited_for() {
    let mut server = start();
    let place = Place::new();
    place.write("big.jsonl", &lines(30_000));
    place.write("c.yml", &config("5s", "120s", "TRACE"));
    let url = server.url("postgres");
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
    // Three batches are in the store.
    wait_for("\"call succeeded\"", 3);
    server.kill(Signal::KILL).unwrap();
    wait_for("\"retry scheduled\"", 2);
    server.restart().unwrap();
    std::io::copy(&mut stderr, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["totals"]["unwritten"], 0);
    let both = "select count(*), count(distinct event_id) from profiling.profiling_events";
    assert_eq!(server.sql(both).unwrap(), "30000|30000");
}

#[test]
fn a_server_that_does_not_let_us_in_is_code_4_and_says_why() {
    let server = start();
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    let url = server.url("nodb");
    let ran = place.ingest(&[&report, "--store", &url]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let expected =
        format!("error: the store could not be used: open {url}: the server has no such database\n");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    let expected = "hint: make the database (`createdb`), or name another one in --store";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}
