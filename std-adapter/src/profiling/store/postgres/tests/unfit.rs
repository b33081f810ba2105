//! A schema that somebody has changed, and a role that may not do everything: no event is to blame.

use crossbridge_core::{Guard, GuardConfig};

use super::*;
use crate::clock::SystemClock;
use crate::profiling::ingest::Cause;
use crate::profiling::{Ingest, Options as SourceOptions, source};
use crate::sleeper::ThreadSleeper;

#[test]
fn a_missing_column_is_a_fault_of_the_store_and_no_event_is_refused() {
    let server = options().start().unwrap();
    let mut store = open(&server);
    let column = |from: &str, to: &str| {
        let rename = format!("alter table profiling.events rename column {from} to {to}");
        server.sql(&rename).unwrap();
    };
    column("step_name", "step");
    let expected = "URL: the database refused: column \"step_name\" of relation \"events\" does not exist \
                    (SQLSTATE 42703)";
    let told_by = |done: Result<(), StoreError>| told(&done.unwrap_err());
    assert_eq!(told_by(store.check(None)), format!("permanent: check {expected}"));

    let line = r#"{"run_id":"r","test_id":"t","event_type":"test_end"}"#;
    let lines = format!("{line}\n").repeat(20);
    let mut guard = Guard::new(GuardConfig {
        idempotent: true,
        ..GuardConfig::DEFAULT
    })
    .unwrap();
    let mut ingest = |store: &mut PostgresStore| {
        let mut lines = source::open(lines.as_bytes(), SourceOptions::named("events.jsonl")).unwrap();
        Ingest::new(store, &mut guard).run(
            &mut lines,
            &SystemClock::new(),
            &mut ThreadSleeper,
            &mut crate::entropy::generator(),
            |_| {},
        )
    };
    let error = ingest(&mut store).unwrap_err();
    assert_eq!((error.counts.refused, error.counts.attempts), (0, 1));
    assert!(matches!(*error.cause, Cause::Store(_)), "{error:?}");
    column("step", "step_name");
    assert_eq!(ingest(&mut store).unwrap().new, 20);
}

#[test]
fn a_role_that_may_only_insert_needs_more_for_events_that_are_there() {
    let server = options().start().unwrap();
    drop(open(&server));
    let grant = "create role hook login; grant usage on schema profiling to hook; \
                 grant select on profiling.schema_version to hook; grant insert on profiling.events to hook";
    server.sql(grant).unwrap();
    let hook = url(&format!("postgres://hook@{}/postgres", server.address()));
    let mut store = PostgresStore::open(hook, None).unwrap();
    store.check(None).unwrap();
    assert_eq!(store.write(&[event("a")], None).unwrap().new, 1);
    let error = store.write(&[event("a")], None).unwrap_err();
    assert!(matches!(error.trouble, Trouble::Unfit(_)), "{error:?}");
    server.sql("revoke insert on profiling.events from hook").unwrap();
    let error = store.check(None).unwrap_err();
    assert!(matches!(error.trouble, Trouble::Unfit(_)), "{error:?}");
}

#[test]
fn a_row_that_is_refused_does_not_end_the_session() {
    let server = options().start().unwrap();
    let mut store = open(&server);
    let rule = "alter table profiling.events add constraint rule check (test_id <> 'bad')";
    server.sql(rule).unwrap();
    let mut bad = event("bad");
    bad.test_id = "bad".to_owned();
    let sessions = "select max(pid) from pg_stat_activity where application_name = 'crossbridge'";
    let before = server.sql(sessions).unwrap();
    let error = store.write(&[event("a"), bad], None).unwrap_err();
    assert!(matches!(error.trouble, Trouble::Backend(_)), "{error:?}");
    assert_eq!(store.write(&[event("a")], None).unwrap().new, 1);
    assert_eq!(server.sql(sessions).unwrap(), before);
}

#[test]
fn what_somebody_has_dropped_is_made_again() {
    let server = options().start().unwrap();
    let mut store = open(&server);
    store.write(&[event("a")], None).unwrap();
    server.sql("drop view profiling.tests").unwrap();
    let reader = || PostgresReader::open(&url(&server.url("postgres")), Duration::from_secs(5));
    assert_eq!(
        told(&reader().unwrap_err()),
        "permanent: open URL: the schema `profiling` has events, but no view `tests`: drop its table \
         `schema_version`, and the next ingest makes the view again"
    );
    server.sql("drop table profiling.schema_version").unwrap();
    assert_eq!(open(&server).count().unwrap(), 1);
    reader().unwrap();
    // To begin anew.
    server.sql("drop table profiling.events cascade").unwrap();
    assert_eq!(open(&server).count().unwrap(), 0);
    reader().unwrap();
}

#[test]
fn a_version_that_is_none_of_ours_is_refused() {
    let server = options().setting("statement_timeout", "20").start().unwrap();
    drop(open(&server));
    server.sql("drop table profiling.schema_version").unwrap();
    let refused = |table: &str| {
        server.sql(table).unwrap();
        let refused = PostgresStore::open(url(&server.url("postgres")), None);
        refused.map_or_else(|error| told(&error), |_| "open".to_owned())
    };
    assert_eq!(
        refused("create view profiling.schema_version as select 1 as version"),
        "open"
    );
    assert_eq!(
        refused(
            "drop view profiling.schema_version; create table profiling.schema_version as select 'x' as version"
        ),
        "permanent: open URL: the database refused: invalid input syntax for type bigint: \"x\" (SQLSTATE 22P02)"
    );
}
