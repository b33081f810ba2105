//! `crossbridge profile ingest` into a real PostgreSQL server.

#[path = "support/profile.rs"]
mod support;

use crossbridge_std::servers::{Postgres, Signal};
use support::running::{OUTLIVED, outlive};
use support::{Place, assert_no_database, fixture};

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

#[test]
fn a_server_that_is_killed_is_waited_for() {
    let mut server = start();
    let url = server.url("postgres");
    // Three batches are in the store.
    outlive(
        &mut server,
        &url,
        3,
        |server| server.kill(Signal::KILL).unwrap(),
        |server| server.restart().unwrap(),
    );
    let both = "select count(*), count(distinct event_id) from profiling.profiling_events";
    assert_eq!(server.sql(both).unwrap(), format!("{OUTLIVED}|{OUTLIVED}"));
}

#[test]
fn a_server_that_does_not_let_us_in_is_code_4_and_says_why() {
    assert_no_database(&start().url("nodb"), "make the database (`createdb`)");
}
