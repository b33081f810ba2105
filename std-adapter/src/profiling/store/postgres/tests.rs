//! Against a real server: what goes wrong with one, and what a table looks like from outside.

use std::time::Duration;

use crossbridge_core::Fault as _;
use serde_json::json;

use super::*;
use crate::profiling::store::StoreUrl;
use crate::profiling::{EventType, Millis};
use crate::servers::postgres::Options;
use crate::servers::{Postgres, Signal};

mod tls;
mod unfit;

fn event(id: &str) -> Event {
    Event::new(id, "run", "test", EventType::TestEnd)
}

fn url(text: &str) -> PostgresUrl {
    match text.parse() {
        Ok(StoreUrl::Postgres(url)) => url,
        other => panic!("{other:?}"),
    }
}

fn open(server: &Postgres) -> PostgresStore {
    PostgresStore::open(url(&server.url("postgres")), None).unwrap_or_else(|error| panic!("{error:?}"))
}

fn options() -> Options {
    Options {
        fsync: false,
        ..Options::default()
    }
}

/// Kind and text of an error and of its cause, without what changes from run to run.
fn told(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let place = error.place.as_deref().unwrap_or_default();
    let text = format!("{}: {error}{}", error.kind().name(), cause.unwrap_or_default());
    text.replace(place, "URL")
}

/// Every failure that the server can be made to answer with: its kind, and whether the session that
/// met it takes the next batch.
#[test]
fn answers_of_the_server_are_classified() {
    let server = options().start().unwrap();
    let mut store = open(&server);
    let trap = "create function trap() returns trigger language plpgsql as $$ begin \
                raise 'raised' using errcode = new.run_id; end $$; \
                create trigger trap before insert on profiling.events for each row \
                when (new.test_id = 'trap') execute function trap()";
    server.sql(trap).unwrap();
    let mut table = String::new();
    for code in [
        "08006", "22021", "23514", "25006", "40001", "40003", "40P01", "42501", "53000", "53100", "53200",
        "53300", "53400", "54000", "55P03", "57014", "57P01", "57P02", "57P03", "58030", "XX000",
    ] {
        let mut bad = event("bad");
        (bad.run_id, bad.test_id) = (code.to_owned(), "trap".to_owned());
        let error = store.write(&[event("good"), bad], None).unwrap_err();
        table.push_str(&format!("{code} {}\n", told(&error)));
        assert_eq!(store.write(&[event(code)], None).unwrap().new, 1, "{code}");
    }
    assert_eq!(store.get("good").unwrap(), None);
    insta::assert_snapshot!(table);
}

#[test]
fn servers_that_do_not_let_us_in_are_classified() {
    let mut server = options().start().unwrap();
    server.sql("create role picky login").unwrap();
    // Of the role and not of the server: a connection that was closed has its place there for a while.
    server.sql("create role crowd login connection limit 0").unwrap();
    let at = server.address();
    let refused = |url_text: &str| match PostgresStore::open(url(url_text), Some(Duration::from_secs(5))) {
        Ok(_) => "open".to_owned(),
        Err(error) => told(&error),
    };
    let mut table = String::new();
    let mut row = |name: &str, text: String| table.push_str(&format!("{name}: {text}\n"));
    row("no such database", refused(&server.url("nodb")));
    row(
        "no such role",
        refused(&format!("postgres://nobody@{at}/postgres")),
    );
    row(
        "may not make a schema",
        refused(&format!("postgres://picky@{at}/postgres")),
    );
    row(
        "too many connections",
        refused(&format!("postgres://crowd@{at}/postgres")),
    );
    // The read-only server has the schema.
    drop(open(&server));
    server
        .sql("alter system set default_transaction_read_only = on")
        .unwrap();
    server.sql("select pg_reload_conf()").unwrap();
    server.restart().unwrap();
    row(
        "read-only",
        refused(&format!("{}?schema=other", server.url("postgres"))),
    );
    row(
        "read-only, read-write wanted",
        refused(&format!(
            "{}?target_session_attrs=read-write",
            server.url("postgres")
        )),
    );
    let mut store = open(&server);
    row("check of a read-only one", told(&store.check(None).unwrap_err()));
    row(
        "write to a read-only one",
        told(&store.write(&[event("a")], None).unwrap_err()),
    );
    server.kill(Signal::INT).unwrap();
    row("nobody listens", refused(&server.url("postgres")));
    row("no such host", refused("postgres://x@no-such-host.invalid/db"));
    let text = table.replace(&at.to_string(), "SERVER");
    insta::with_settings!({filters => vec![
        ("lookup address information: .*", "lookup address information"),
    ]}, { insta::assert_snapshot!(text) });
}

#[test]
fn a_password_is_asked_for_and_shown_to_nobody() {
    let server = options().start().unwrap();
    server
        .sql("set password_encryption = 'scram-sha-256'; create role ci login superuser password 'hunter2'")
        .unwrap();
    let data = server.sql("show data_directory").unwrap();
    let rules = format!("{data}/pg_hba.conf");
    std::fs::write(
        &rules,
        "host all postgres all trust\nhost all all all scram-sha-256\n",
    )
    .unwrap();
    server.sql("select pg_reload_conf()").unwrap();
    let at = server.address();
    let with = |login: &str| PostgresStore::open(url(&format!("postgres://{login}@{at}/postgres")), None);
    assert!(with("ci:hunter2").is_ok());
    for (login, expected) in [
        (
            "ci:wrong",
            "permanent: open URL: the database refused: password authentication failed for user \"ci\" (SQLSTATE 28P01)",
        ),
        (
            "ci",
            "permanent: open URL: the database refused: password missing",
        ),
    ] {
        let error = with(login).unwrap_err();
        assert_eq!(told(&error), expected);
        assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
    }
    let store = with("ci:hunter2").unwrap();
    assert!(!store.name().contains("hunter2"));
    assert!(!format!("{store:?}").contains("hunter2"), "{store:?}");
}

/// The one thing a client must not do.
#[test]
fn a_frozen_server_holds_nobody_up() {
    let mut server = options().start().unwrap();
    let mut store = open(&server);
    assert_eq!(store.write(&[event("a")], None).unwrap().new, 1);
    let limit = Duration::from_millis(300);
    server.signal(Signal::STOP).unwrap();
    let clock = crate::clock::SystemClock::new();
    let started = crossbridge_core::Clock::now(&clock);
    let batch: Vec<_> = (0..100_000).map(|number| event(&number.to_string())).collect();
    // In a session, in the middle of a large COPY, and on the way to a new session.
    let kinds = [
        store.check(Some(limit)).unwrap_err().kind(),
        store.write(&[event("b")], Some(limit)).unwrap_err().kind(),
        PostgresStore::open(url(&server.url("postgres")), Some(limit))
            .unwrap_err()
            .kind(),
    ];
    assert_eq!(
        kinds,
        [FaultKind::Transient, FaultKind::NotSent, FaultKind::NotSent]
    );
    let took = crossbridge_core::Clock::now(&clock).saturating_duration_since(started);
    assert!(took >= limit * 3 && took < Duration::from_secs(60), "{took:?}");
    server.signal(Signal::CONT).unwrap();
    assert_eq!(store.write(&[event("b")], None).unwrap().new, 1);
    assert_eq!(store.count().unwrap(), 2);
    // The batch does not fit into what the kernel takes for a server that does not read.
    let mut session = store.session.take().unwrap();
    session.session.execute("BEGIN", &after(None)).unwrap();
    server.signal(Signal::STOP).unwrap();
    let failure = session
        .session
        .copy(&session.direct, Rows::new(&batch), &Deadline::after(limit))
        .unwrap_err();
    assert!(matches!(failure, Failure::TimedOut(_)), "{failure:?}");
}

/// What was acknowledged is there, what was not is written again, whoever dies and how.
#[test]
fn a_server_that_is_killed_loses_nothing_that_was_acknowledged() {
    let mut server = Postgres::start().unwrap();
    let mut store = open(&server);
    let mut number = 0;
    let mut acknowledged = 0;
    for signal in [Signal::KILL, Signal::QUIT, Signal::INT] {
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                loop {
                    let batch: Vec<_> = (0..50).map(|n| event(&format!("{number} {n}"))).collect();
                    match store.write(&batch, Some(Duration::from_secs(5))) {
                        Ok(written) => {
                            assert_eq!(
                                written,
                                Written {
                                    new: 50,
                                    already_there: 0
                                }
                            );
                            acknowledged += 1;
                            number += 1;
                        }
                        Err(error) => return error,
                    }
                }
            });
            while server.sql("select count(*) from profiling.events").unwrap() == "0" {}
            server.kill(signal).unwrap();
            let error = writer.join().unwrap();
            assert!(
                matches!(
                    error.kind(),
                    FaultKind::Transient | FaultKind::Unknown | FaultKind::NotSent
                ),
                "{error:?}"
            );
        });
        let error = store.check(Some(Duration::from_secs(5))).unwrap_err();
        assert_eq!(error.kind(), FaultKind::NotSent, "{error:?}");
        server.restart().unwrap();
        // The batch whose answer is missing: stored or not, and once afterwards.
        let batch: Vec<_> = (0..50).map(|n| event(&format!("{number} {n}"))).collect();
        store.write(&batch, None).unwrap();
        (number, acknowledged) = (number + 1, acknowledged + 1);
        assert_eq!(store.count().unwrap(), 50 * acknowledged);
    }
}

#[test]
fn a_schema_of_somebody_else_is_refused_whole_and_one_of_a_newer_release_left_alone() {
    let server = options().start().unwrap();
    server
        .sql("create schema profiling; create table profiling.tests (mine int)")
        .unwrap();
    let refused = || told(&PostgresStore::open(url(&server.url("postgres")), None).unwrap_err());
    assert_eq!(
        refused(),
        "permanent: open URL: the database refused: \"tests\" is not a view (SQLSTATE 42809)"
    );
    let ours = "select count(*) from pg_class where relnamespace = 'profiling'::regnamespace";
    assert_eq!(server.sql(ours).unwrap(), "1", "nothing of ours is left");
    server.sql("drop table profiling.tests").unwrap();
    drop(open(&server));
    server
        .sql("update profiling.schema_version set version = 7")
        .unwrap();
    assert_eq!(
        refused(),
        "permanent: open URL: schema version 7, expected at most 1: written by a newer release"
    );
}

#[test]
fn commits_are_as_durable_as_the_docs_say() {
    let server = options().start().unwrap();
    for (setting, expected) in [
        ("off", "on"),
        ("local", "on"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ] {
        server
            .sql(&format!(
                "alter database postgres set synchronous_commit = {setting}"
            ))
            .unwrap();
        let mut session = open(&server).session.take().unwrap().session;
        let rows = session
            .query("SHOW synchronous_commit", &[], &after(None))
            .unwrap();
        assert_eq!(rows[0].get::<_, &str>(0), expected, "{setting}");
    }
}

/// Answers that need somebody else: a lock that is held, a session that is ended from outside.
#[test]
fn locks_and_administrators_are_borne() {
    let server = options().start().unwrap();
    let (mut store, other) = (open(&server), open(&server));
    let mut other = { other }.session.take().unwrap().session;
    let forever = after(None);
    let lock = "BEGIN; LOCK TABLE profiling.events IN EXCLUSIVE MODE";
    other.execute(lock, &forever).unwrap();
    let error = store
        .write(&[event("a")], Some(Duration::from_secs(4)))
        .unwrap_err();
    assert_eq!(error.kind(), FaultKind::Transient);
    // By the server's own clock, half a second before ours ran out.
    assert!(told(&error).contains("SQLSTATE"), "{}", told(&error));
    other.execute("ROLLBACK", &forever).unwrap();
    assert_eq!(store.write(&[event("a")], None).unwrap().new, 1);

    server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'crossbridge'")
        .unwrap();
    let error = store.write(&[event("b")], None).unwrap_err();
    assert_eq!(
        told(&error),
        "transient: write URL: the database refused: terminating connection due to administrator command \
         (SQLSTATE 57P01)"
    );
    assert_eq!(store.write(&[event("b")], None).unwrap().new, 1);
}

/// A server that falls silent with the events under way has rolled them back, unless COMMIT was sent.
#[test]
fn only_the_answer_to_commit_leaves_a_question_open() {
    let mut server = options().start().unwrap();
    let mut store = open(&server);
    // COMMIT takes as long as this trigger, which is deferred to it.
    let slow = "create function slow() returns trigger language plpgsql as $$ begin \
                perform pg_sleep(60); return null; end $$; \
                create constraint trigger slow after insert on profiling.events \
                deferrable initially deferred for each row execute function slow()";
    server.sql(slow).unwrap();
    let error = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            store
                .write(&[event("a")], Some(Duration::from_secs(3)))
                .unwrap_err()
        });
        let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        while server.sql(sleeping).unwrap() == "0" {}
        server.signal(Signal::STOP).unwrap();
        writer.join().unwrap()
    });
    assert_eq!(told(&error), "unknown: write URL: no answer within 3s");
    server.signal(Signal::CONT).unwrap();
    // No timeout of the server's ends a COMMIT.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'";
    server.sql(end).unwrap();
    server.sql("drop trigger slow on profiling.events").unwrap();
    let written = store.write(&[event("a")], None).unwrap();
    assert_eq!(
        (written.new + written.already_there, store.count().unwrap()),
        (1, 1)
    );
}

#[test]
fn the_views_answer_the_usual_questions() {
    let server = options().start().unwrap();
    let mut store = open(&server);
    let mut batch = Vec::new();
    let mut add = |kind: EventType, duration: f64, metadata: serde_json::Value| {
        let id = format!("id {}", batch.len());
        let mut event = Event::new(id, "run", "test", kind);
        event.duration_ms = Some(Millis::new(duration).unwrap());
        event.step_name = Some("step".to_owned());
        event.created_at = Some("2026-11-21T16:53:04.5Z".parse().unwrap());
        event.metadata = serde_json::from_value(metadata).unwrap();
        batch.push(event);
    };
    let test = json!({"status": "passed", "attempts": 2, "flaky": true, "message": "a\0b"});
    add(EventType::TestEnd, 250.125, test);
    add(EventType::TestEnd, 0.0, json!({"attempts": "many"}));
    add(EventType::SetupEnd, 1.5, json!({}));
    let call = json!({"endpoint": "/a", "method": "GET", "status_code": 404});
    add(EventType::HttpRequest, 2.0, call);
    add(EventType::DriverCommand, 3.0, json!({"command": "click"}));
    add(
        EventType::ResourceUsage,
        0.0,
        json!({"cpu_percent": 12.5, "memory_mb": 300}),
    );
    let mut begun = event("30e76e67-0000-8007-a7e7-196d319f9dec");
    begun.event_type = EventType::TestStart;
    begun.start_time = Some(crate::profiling::Seconds::new(1_763_745_600.25).unwrap());
    batch.push(begun);
    store.write(&batch, None).unwrap();

    let ask = |question: &str| server.sql(&format!("set timezone = 'UTC'; {question}")).unwrap();
    assert_eq!(
        ask(
            "select count(*), count(distinct event_id), max(duration_ms)::text from profiling.profiling_events"
        ),
        "7|7|250.125"
    );
    assert_eq!(
        ask("select event_id, started_at from profiling.profiling_events where event_type = 'test_start'"),
        "30e76e67-0000-8007-a7e7-196d319f9dec|2025-11-21 17:20:00.25+00"
    );
    assert_eq!(
        ask("select run_id, started_at, environment, framework, events from profiling.runs"),
        "run|2026-11-21 16:53:04.5+00||unknown|7"
    );
    assert_eq!(
        ask(
            "select test_id, duration_ms, status, attempts, flaky, message from profiling.tests order by 2 desc"
        ),
        "test|250.125|passed|2|t|a\u{2400}b\ntest|0|unknown|1|f|"
    );
    assert_eq!(
        ask("select step_name, duration_ms, event_type from profiling.steps"),
        "step|1.5|setup_end"
    );
    assert_eq!(
        ask("select endpoint, method, status_code, duration_ms from profiling.http_calls"),
        "/a|GET|404|2"
    );
    assert_eq!(
        ask("select command, duration_ms, retry_count from profiling.driver_commands"),
        "click|3|0"
    );
    assert_eq!(
        ask("select cpu_percent, memory_mb from profiling.system_metrics"),
        "12.5|300"
    );
}
