//! `crossbridge profile query` on real stores.

#[path = "support/profile.rs"]
mod support;

use crossbridge_std::servers::{Postgres, Signal};
use support::{Place, fixture, lines};

const QUESTIONS: [&str; 5] = ["slow-tests", "slow-endpoints", "flaky", "failures", "runs"];

fn shop() -> Place {
    let place = Place::new();
    let ran = place.ingest(&[&fixture("jsonl/shop.jsonl"), "--store", "sqlite:e.db"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    place
}

#[test]
fn the_answers_as_tables() {
    let place = shop();
    let folder = place.path("").canonicalize().unwrap();
    let mut pages = String::new();
    for question in QUESTIONS {
        let ran = place.query(&[question, "--store", "sqlite:e.db"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        let page = ran.stdout.replace(folder.to_str().unwrap(), "[folder]");
        pages += &format!("$ crossbridge profile query {question} --store sqlite:e.db\n{page}\n");
    }
    let ran = place.query(&[
        "flaky",
        "--store",
        "sqlite:e.db",
        "--format",
        "csv",
        "--recent",
        "3",
    ]);
    pages += &format!(
        "$ crossbridge profile query flaky --store sqlite:e.db --format csv --recent 3\n{}",
        ran.stdout
    );
    insta::assert_snapshot!(pages);
}

#[test]
fn postgresql_and_sqlite_agree() {
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    let url = server.url("postgres");
    let place = shop();
    let ran = place.ingest(&[&fixture("jsonl/shop.jsonl"), "--store", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // A hook may write the status of a call as text.
    let mut odd = String::new();
    for (second, status) in [r#""503""#, r#""200""#, "404.0", r#""soon""#].iter().enumerate() {
        odd += &format!(
            r#"{{"run_id":"odd","test_id":"t","event_type":"http_request","duration_ms":1.5,"created_at":"2026-03-01T00:00:0{second}Z","metadata":{{"endpoint":"/odd","status_code":{status}}}}}"#
        );
        odd.push('\n');
    }
    place.write("odd.jsonl", &odd);
    for store in ["sqlite:e.db", &url] {
        let ran = place.ingest(&["odd.jsonl", "--store", store]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let (_, calls) = place.query_json(&["slow-endpoints", "--run", "odd", "--store", &url]);
    assert_eq!(calls["rows"][0]["errors"], 2, "{calls}");
    for filter in [
        &[][..],
        &["--run", "odd"],
        &["--test", "pay"],
        &["--test", "*::test_???"],
        &["--test", "test_pay[visa]"],
        &["--run", "nightly-04"],
        &["--since", "2026-02-10", "--limit", "2", "--recent", "1"],
        &["--test", "nowhere"],
    ] {
        for question in QUESTIONS {
            let ask = |store| {
                let (ran, mut object) = place.query_json(&[&[question, "--store", store], filter].concat());
                assert_eq!(ran.code, Some(0), "{ran:?}");
                object["store"].take();
                object
            };
            assert_eq!(ask("sqlite:e.db"), ask(&url), "{question} {filter:?}");
        }
    }
}

#[test]
fn what_is_filtered_out_is_not_counted() {
    let place = shop();
    let total = |arguments: &[&str]| {
        let (_, object) = place.query_json(&[&["--store", "sqlite:e.db"], arguments].concat());
        object["total"].as_u64().unwrap()
    };
    assert_eq!(total(&["slow-tests"]), 6);
    assert_eq!(total(&["slow-tests", "--test", "tests/test_search.py*"]), 2);
    assert_eq!(total(&["slow-tests", "--test", "仮名"]), 1);
    assert_eq!(total(&["slow-tests", "--test", "[visa]"]), 1);
    assert_eq!(
        total(&["slow-tests", "--test", "TEST_CART"]),
        0,
        "the case matters"
    );
    assert_eq!(total(&["runs", "--since", "2026-02-12T00:00:00Z"]), 2);
    assert_eq!(total(&["runs", "--run", "nightly-01"]), 1);
    assert_eq!(total(&["runs", "--since", "1s"]), 0);
    // A limit shortens the list, not the count.
    let (_, object) = place.query_json(&["runs", "--store", "sqlite:e.db", "--limit", "3"]);
    let rows = object["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &object["total"]), (3, &12.into()));
    assert_eq!(rows[0]["run_id"], "nightly-12");
    let ran = place.query(&["runs", "--store", "sqlite:e.db", "--limit", "3"]);
    assert!(
        ran.stdout.ends_with("3 of 12 runs; --limit shows more\n"),
        "{}",
        ran.stdout
    );
    let ran = place.query(&["--test", "nowhere", "--store", "sqlite:e.db"]);
    assert!(ran.stdout.ends_with("  no tests to show\n"), "{}", ran.stdout);
}

#[test]
fn formulas_and_control_characters_stay_texts() {
    let place = Place::new();
    let line = |test: &str| {
        let test = serde_json::Value::from(test);
        format!("{{\"run_id\":\"r\",\"test_id\":{test},\"event_type\":\"test_end\",\"duration_ms\":1.5}}\n")
    };
    place.write("e.jsonl", &(line("=cmd|' /C calc'!A0") + &line("a\u{1b}[2Jb")));
    assert_eq!(place.ingest(&["e.jsonl", "--store", "sqlite:e.db"]).code, Some(0));
    let ran = place.query(&["--store", "sqlite:e.db", "--format", "csv"]);
    assert!(
        ran.stdout.contains("\n'=cmd|' /C calc'!A0,1,0,1.5,1.5,1.5,1.5\n"),
        "{}",
        ran.stdout
    );
    let ran = place.query(&["--store", "sqlite:e.db"]);
    assert!(
        ran.stdout.contains(r"a\u{1b}[2Jb") && !ran.stdout.contains('\u{1b}'),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_store_that_cannot_be_asked_says_so_and_is_left_alone() {
    let place = Place::new();
    place.write(
        "text.txt",
        "not a database, and longer than the head of one, which is sixteen bytes",
    );
    assert_eq!(place.sqlite3("other.db", "create table t (x)"), "");
    for (store, code, what) in [
        ("jsonl:out", 2, "a store of the kind `jsonl` cannot be asked"),
        (
            "influxdb://localhost/db",
            2,
            "a store of the kind `influxdb` cannot be asked",
        ),
        ("sqlite:nothing.db", 4, "open nothing.db: there is no such file"),
        ("sqlite:.", 4, "a directory, expected a file"),
        ("sqlite:text.txt", 4, "not a SQLite database"),
        (
            "sqlite:other.db",
            4,
            "there are no profiling events in this database",
        ),
        ("postgres://ci@127.0.0.1:1/db", 4, "cannot be reached"),
    ] {
        let ran = place.query(&["--store", store]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(code), ""),
            "{store}: {ran:?}"
        );
        assert!(ran.stderr.contains(what), "{store}: {}", ran.stderr);
        assert!(ran.stderr.contains("\nhint: "), "{store}: {}", ran.stderr);
    }
    assert!(!place.path("nothing.db").exists());
    assert!(!place.path(".crossbridge").exists());
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    let ran = place.query(&["--store", &server.url("postgres")]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stderr
            .contains("there are no profiling events in the schema `profiling`"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        server
            .sql("select count(*) from pg_namespace where nspname = 'profiling'")
            .unwrap(),
        "0"
    );
}

#[test]
fn a_server_that_is_frozen_is_not_waited_for() {
    let mut server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    server.signal(Signal::STOP).unwrap();
    let ran = Place::new().query(&["--store", &server.url("postgres"), "--timeout", "1"]);
    server.signal(Signal::CONT).unwrap();
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stderr.contains("no answer within 1s\nhint: "),
        "{}",
        ran.stderr
    );
}

/// A role that may only read is enough.
#[test]
fn reading_needs_no_more_than_that() {
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new();
    place.write("e.jsonl", &lines(200));
    let ran = place.ingest(&["e.jsonl", "--store", &server.url("postgres")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let grants = "create role viewer login; grant usage on schema profiling to viewer; \
        grant select on all tables in schema profiling to viewer";
    server.sql(grants).unwrap();
    let port = server.address().port();
    let url = format!("postgres://viewer@127.0.0.1:{port}/postgres");
    let (ran, object) = place.query_json(&["--store", &url]);
    assert_eq!((ran.code, &object["total"]), (Some(0), &100.into()), "{ran:?}");
}

#[test]
fn a_wrong_time_or_format_is_refused_in_words() {
    let place = Place::new();
    for (arguments, what) in [
        (&["--since", "yesterday"][..], "expected 7d, 12h"),
        (&["--format", "yaml"], "[possible values: text, json, csv]"),
        (&["--limit", "0"], "0 is not in 1..=1000000"),
        (&["slowest"], "slow-tests"),
    ] {
        let ran = place.query(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(what), "{}", ran.stderr);
    }
}
