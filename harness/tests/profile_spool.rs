//! `crossbridge profile status`, `drain` and `dead-letters`: the real program, a store that is locked,
//! picky, or not there.

#[path = "support/profile.rs"]
mod support;

use crossbridge_std::profiling::{Limits, Spool};
use serde_json::{Value, json};
use support::{Place, Ran, config, fixture, lines};

const DB: &str = "sqlite:events.db";

fn run(place: &Place, arguments: &[&str]) -> Ran {
    place
        .profile(&[arguments, &["--store", DB]].concat())
        .output()
        .unwrap()
        .into()
}

fn run_json(place: &Place, arguments: &[&str]) -> (Ran, Value) {
    let ran = run(place, &[arguments, &["--format", "json"]].concat());
    let object = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran, object)
}

/// A store with two events of a report in it, that somebody else has locked.
fn locked(place: &Place) -> support::Lock {
    place.write("c.yml", &config("50ms", "300ms", "OFF"));
    let ran = place.ingest(&[&fixture("pytest/pytest-maxfail.xml"), "--store", DB]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    place.lock("events.db")
}

#[test]
fn what_a_locked_store_does_not_take_is_spooled_told_and_drained() {
    let place = Place::new();
    let lock = locked(&place);
    place.write("big.jsonl", &lines(9_000));
    let (ran, object) = place.ingest_json(&["big.jsonl", "--store", DB, "--config", "c.yml"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let file = &object["files"][0];
    assert_eq!(
        (&file["outcome"], &file["spooled"]),
        (&json!("spooled"), &json!(9_000))
    );
    assert_eq!(
        (&object["complete"], &object["totals"]["unwritten"]),
        (&json!(false), &json!(0))
    );
    let error: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(error["spool"]["spooled"], 9_000);

    let (ran, status) = run_json(&place, &["status", "--config", "c.yml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        (
            &status["spooled"],
            &status["in_memory"],
            &status["lost"],
            &status["dead_lettered"]
        ),
        (&json!(9_000), &json!(0), &json!(0), &json!(0))
    );
    assert!(
        status["oldest_spooled_seconds"]
            .as_f64()
            .is_some_and(|age| age < 60.0)
    );
    // A lock keeps writers out, not readers.
    assert_eq!(status["stored"], 2);

    let ran = run(&place, &["drain", "--config", "c.yml"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stderr.contains("kept in the spool: 9,000 events, in /"),
        "{}",
        ran.stderr
    );
    lock.release();

    // Whoever comes next takes what is in the spool along.
    let ran = place.ingest(&[&fixture("pytest/pytest-all-pass.xml"), "--store", DB]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("Shipped from the spool: 9,000 events"),
        "{}",
        ran.stdout
    );
    assert_eq!(place.count("events.db"), 9_008);
    let (ran, object) = run_json(&place, &["drain"]);
    assert_eq!((ran.code, &object["complete"]), (Some(0), &json!(true)));
    let (_, status) = run_json(&place, &["status"]);
    assert_eq!(
        (
            &status["stored"],
            &status["spooled"],
            &status["oldest_spooled_seconds"],
            &status["store"]["health"]
        ),
        (&json!(9_008), &json!(0), &Value::Null, &json!("healthy"))
    );
}

#[test]
fn what_another_process_has_to_ship_is_not_waited_for() {
    let place = Place::new();
    let lock = locked(&place);
    place.write("e.jsonl", &lines(10));
    let ingest = ["e.jsonl", "--store", DB, "--config", "c.yml"];
    assert_eq!(place.ingest(&ingest).code, Some(4));
    lock.release();
    let (_, status) = run_json(&place, &["status"]);
    let spool = status["spool"]["path"].as_str().unwrap();
    // Whoever looks by another name is told where it waits.
    let ran: Ran = place
        .profile(&["status", "--store", "sqlite:other.db"])
        .output()
        .unwrap()
        .into();
    let expected = format!("10 events of another --store: {spool}\n");
    assert!(ran.stdout.contains(&expected), "{}", ran.stdout);
    let spool = Spool::open(spool, Limits::DEFAULT).unwrap();
    let right = spool.ship_lock().unwrap().unwrap();
    place.write("more.jsonl", &lines(20));
    let ran = place.ingest(&["more.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("Another process is shipping"),
        "{}",
        ran.stdout
    );
    drop(right);
    assert_eq!(run(&place, &["drain"]).code, Some(0));
}

#[test]
fn a_store_that_comes_back_in_the_middle_takes_the_rest_and_the_spool() {
    let place = Place::new();
    place.write("e.jsonl", &lines(100));
    std::fs::create_dir(place.path("events.db")).unwrap();
    let ran = place.ingest(&["e.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    std::fs::remove_dir(place.path("events.db")).unwrap();
    // The same input again: new in the store, and already there when the spool comes.
    let (ran, object) = place.ingest_json(&["e.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        (&object["totals"]["new"], &object["complete"]),
        (&json!(100), &json!(true))
    );
    assert_eq!(object["spool"]["shipped"]["already_there"], 100);
    assert_eq!(place.count("events.db"), 100);
}

#[test]
fn what_a_full_spool_drops_is_not_said_to_be_kept() {
    let place = Place::new();
    let limits = "runtime:\n  profiling: { spool: { max_events: 10, overflow: drop_newest } }\n";
    place.write(
        "c.yml",
        &config("50ms", "300ms", "OFF").replace("runtime:\n", limits),
    );
    // A directory is no store.
    std::fs::create_dir(place.path("events.db")).unwrap();
    place.write("e.jsonl", &lines(30));
    let ran = place.ingest(&["e.jsonl", "--store", DB, "--config", "c.yml"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let told = "30 events: 30 put into the spool, which lost 20 for want of room, these or older ones\n";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    let kept = ["kept in the spool: 10 events,", "lost: 20 events"];
    assert!(
        kept.iter().all(|words| ran.stderr.contains(words)),
        "{}",
        ran.stderr
    );
}

#[test]
fn dead_letters_are_listed_retried_and_purged() {
    let place = Place::new();
    assert_eq!(
        place
            .ingest(&[&fixture("pytest/pytest-maxfail.xml"), "--store", DB])
            .code,
        Some(0)
    );
    let trigger = "create trigger no before insert on profiling_events when new.test_id = 't3' \
                   begin select raise(abort, 'not in my house'); end";
    place.sqlite3("events.db", trigger);
    place.write("e.jsonl", &lines(20));
    let ran = place.ingest(&["e.jsonl", "--store", DB]);
    assert_eq!(ran.code, Some(3), "{ran:?}");

    let ran = run(&place, &["dead-letters", "list", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let letters: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(letters.len(), 2);
    assert_eq!(
        (&letters[0]["test_id"], &letters[0]["attempts"]),
        (&json!("t3"), &json!(1))
    );
    assert!(letters[0]["reason"].as_str().unwrap().contains("not in my house"));
    assert_eq!(letters[0]["event"]["run_id"], "run");
    let ran = run(&place, &["dead-letters", "list"]);
    assert!(ran.stdout.contains("  1 refusal  t3  "), "{}", ran.stdout);

    // Still refused.
    let id = letters[0]["event_id"].as_str().unwrap();
    let ran = run(&place, &["dead-letters", "retry", id]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let (_, status) = run_json(&place, &["status"]);
    assert_eq!(
        (&status["dead_lettered"], &status["spooled"]),
        (&json!(2), &json!(0))
    );

    // One that is not there: none of them is touched.
    for command in ["retry", "purge"] {
        let ran = run(&place, &["dead-letters", command, id, "nobody"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("the event id `nobody`"), "{}", ran.stderr);
    }

    let ran = run(&place, &["dead-letters", "purge", id]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "1 dead letter purged\n")
    );
    place.sqlite3("events.db", "drop trigger no");
    let ran = run(&place, &["dead-letters", "retry", "--all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(place.count("events.db"), 21);
    let (_, status) = run_json(&place, &["status"]);
    assert_eq!(
        (&status["dead_lettered"], &status["spool"]["purged"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(run(&place, &["dead-letters", "purge"]).code, Some(2));
}

#[test]
fn nothing_is_made_where_somebody_only_looks() {
    let place = Place::new();
    let (ran, status) = run_json(&place, &["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        (&status["stored"], &status["store"]["health"]),
        (&json!(0), &json!("absent"))
    );
    assert_eq!(run(&place, &["drain"]).code, Some(0));
    assert_eq!(run(&place, &["dead-letters", "list"]).stdout, "");
    assert!(!place.path("events.db").exists() && !place.path(".crossbridge").exists());
}

#[test]
fn a_spool_that_cannot_be_written_is_said_and_so_is_what_nobody_keeps() {
    let place = Place::new();
    let lock = locked(&place);
    place.write("e.jsonl", &lines(10));
    place.write(".crossbridge", "a file in place of the folder of our state");
    let ran = place.ingest(&["e.jsonl", "--store", DB, "--config", "c.yml"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    for expected in [
        "error: the store could not be used: write events.db: locked by another connection\n",
        "spool: make the directory ",
        "not stored: 10 events read from e.jsonl, and whatever follows them\n",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    lock.release();
}

#[test]
fn a_damaged_spool_is_put_aside_and_told_by_every_command() {
    let place = Place::new();
    let lock = locked(&place);
    place.write("e.jsonl", &lines(10));
    let ingest = ["e.jsonl", "--store", DB, "--config", "c.yml"];
    assert_eq!(place.ingest(&ingest).code, Some(4));
    let (_, status) = run_json(&place, &["status"]);
    let spool = status["spool"]["path"].as_str().unwrap().to_owned();
    std::fs::write(
        &spool,
        "what a broken disk has made of it: no database, and long enough to be looked at",
    )
    .unwrap();
    let (ran, status) = run_json(&place, &["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let damaged = status["spool"]["damaged"][0].as_str().unwrap().to_owned();
    assert!(
        std::fs::read_to_string(&damaged)
            .unwrap()
            .starts_with("what a broken disk")
    );
    assert_eq!(place.ingest(&ingest).code, Some(4));
    lock.release();
    let ran = run(&place, &["drain"]);
    // Not before somebody has seen to what is in it.
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stdout
            .contains(&format!("A damaged spool was put aside: {damaged}\n")),
        "{}",
        ran.stdout
    );
    std::fs::remove_file(&damaged).unwrap();
    assert_eq!(run(&place, &["drain"]).code, Some(0));
    assert_eq!(place.count("events.db"), 12);
}
