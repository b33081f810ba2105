//! The store is locked, shared, picky, or its writer is killed.

use serde_json::{Value, json};

use super::DB;
use super::support::running::{Pipe, Running, succeeded, will_retry};
use super::support::{Place, Ran, config, fixture, lines};

#[test]
fn a_writer_that_is_killed_leaves_whole_batches_and_the_next_one_completes_them() {
    let place = Place::new();
    let text = lines(12_000);
    // It cannot come to its end: the last batch is held back.
    let input = Pipe::new(&place, "pipe.jsonl", &text, 10_000);
    place.write("c.yml", &config("5s", "60s", "TRACE"));
    let mut writer = Running::start(place.command(&["pipe.jsonl", "--store", DB, "--config", "c.yml"]));
    writer.wait_for(3, succeeded);
    writer.kill();
    input.open();
    let kept = place.count("events.db");
    assert!(
        (6_000..12_000).contains(&kept) && kept.is_multiple_of(2_000),
        "{kept}"
    );

    place.write("big.jsonl", &text);
    let (ran, object) = place.ingest_json(&["big.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(object["totals"]["already_there"], kept);
    assert_eq!(object["totals"]["new"], 12_000 - kept);
    let distinct = place.sqlite3(
        "events.db",
        "select count(*), count(distinct event_id) from profiling_events",
    );
    assert_eq!(distinct, "12000|12000");
    assert_eq!(
        place.sqlite3("events.db", "select count(distinct test_id) from tests"),
        "6000"
    );
    assert_eq!(place.sqlite3("events.db", "pragma integrity_check"), "ok");
}

#[test]
fn a_lock_of_seconds_is_ridden_out() {
    let place = Place::new();
    assert_eq!(
        place
            .ingest(&[&fixture("pytest/pytest-maxfail.xml"), "--store", DB])
            .code,
        Some(0)
    );
    place.write("c.yml", &config("300ms", "120s", "DEBUG"));
    let lock = place.lock("events.db");
    let report = fixture("pytest/pytest-all-pass.xml");
    let mut writer = Running::start(place.command(&[&report, "--store", DB, "--config", "c.yml"]));
    writer.wait_for(2, will_retry);
    // By the writer's own clock.
    let seen = writer.wait_for(1, |record: &Value| {
        will_retry(record) && record["at_us"].as_u64() >= Some(2_000_000)
    });
    assert!(
        seen.iter()
            .all(|line| line.contains(r#""path":"profiling_storage""#)),
        "{seen:#?}"
    );
    assert!(
        seen.iter()
            .any(|line| line.contains(r#""target":"crossbridge::performance""#)),
        "{seen:#?}"
    );
    assert_eq!(place.count("events.db"), 2);
    lock.release();

    let ran = writer.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("6 events: 6 new"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("call succeeded after retries"),
        "{}",
        ran.stderr
    );
    let retries = ran
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("The store was busy: "))
        .unwrap();
    let retries: u32 = retries.split(' ').next().unwrap().parse().unwrap();
    assert!(retries >= 3, "{retries}");
    assert_eq!(place.count("events.db"), 8);
}

#[test]
fn a_lock_that_is_never_released_ends_in_the_spool_and_drain_completes_it() {
    let place = Place::new();
    place.write("c.yml", &config("100ms", "2s", "TRACE"));
    // Two batches, then the lock, then a part of a third.
    let text = lines(5_000);
    let input = Pipe::new(&place, "pipe.jsonl", &text, 4_000);
    let rest = fixture("pytest/pytest-maxfail.xml");
    let arguments = ["pipe.jsonl", &rest, "--store", DB, "--config", "c.yml"];
    let mut writer = Running::start(place.command(&arguments));
    writer.wait_for(2, succeeded);
    let lock = place.lock("events.db");
    input.open();

    let ran = writer.end();
    assert_eq!(ran.code, Some(4), "{ran:?}");
    for expected in [
        "error: the store could not be used: write events.db: locked by another connection\n   gave up after ",
        "of waiting: the deadline leaves no time\n   kept in the store: 4,000 events (4,000 new, 0 already there)\n",
        "\n   kept in the spool: 1,002 events, in /",
        "\nhint: end the program that holds the lock (`fuser events.db` names it); then `crossbridge profile \
         drain --store sqlite:events.db` stores what is in the spool",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}\n{}", ran.stderr);
    }
    assert!(
        ran.stdout
            .contains("5,000 events: 4,000 new, 1,000 kept in the spool"),
        "{}",
        ran.stdout
    );
    lock.release();
    assert_eq!(place.count("events.db"), 4_000);

    let drained = Ran::from(place.profile(&["drain", "--store", DB]).output().unwrap());
    assert_eq!(drained.code, Some(0), "{drained:?}");
    assert!(
        drained
            .stdout
            .contains("Shipped from the spool: 1,002 events (1002 new,"),
        "{drained:?}"
    );
    assert_eq!(place.count("events.db"), 5_002);

    // The same input again adds what is missing.
    place.write("all.jsonl", &text);
    let (ran, object) = place.ingest_json(&["all.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let totals = &object["totals"];
    assert_eq!(
        (&totals["new"], &totals["already_there"]),
        (&json!(0), &json!(5_000))
    );
}

#[test]
fn writers_at_the_same_time_store_everything_once() {
    let place = Place::new();
    place.write("big.jsonl", &lines(6_000));
    let start = |_| place.command(&["big.jsonl", "--store", DB]).spawn().unwrap();
    let children: Vec<_> = (0..4).map(start).collect();
    for child in children {
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(place.count("events.db"), 6_000);
}

#[test]
fn an_event_the_database_refuses_is_named_and_the_others_are_stored() {
    let place = Place::new();
    place.write("e.jsonl", &lines(20));
    assert_eq!(
        place
            .ingest(&[&fixture("pytest/pytest-maxfail.xml"), "--store", DB])
            .code,
        Some(0)
    );
    let trigger = "create trigger no before insert on profiling_events when new.test_id = 't3' \
                   begin select raise(abort, 'not in my house'); end";
    place.sqlite3("events.db", trigger);
    let (ran, object) = place.ingest_json(&["e.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let file = &object["files"][0];
    assert_eq!(
        (&file["new"], &file["refused"], &file["outcome"]),
        (&json!(18), &json!(2), &json!("partly_stored"))
    );
    assert_eq!(file["refused_first"][1]["test_id"], "t3");
    assert!(ran.stderr.contains("not in my house"), "{}", ran.stderr);
    assert_eq!(place.count("events.db"), 20);
}
