use std::error::Error as _;

use rusqlite::Connection;

use super::*;
use crate::profiling::{EventType, Millis};
use crossbridge_core::Fault as _;

fn event(id: &str) -> Event {
    Event::new(id, "run", "test", EventType::TestEnd)
}

fn complaint(path: &Path) -> (FaultKind, String) {
    let error = SqliteStore::open(path, Some(Duration::ZERO)).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_file_keeps_what_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    SqliteStore::open(&path, None)
        .unwrap()
        .write(&[event("a"), event("b")], None)
        .unwrap();
    let mut again = SqliteStore::open(&path, None).unwrap();
    assert_eq!(again.count().unwrap(), 2);
    assert_eq!(again.get("a").unwrap(), Some(event("a")));
}

#[test]
fn a_lock_of_somebody_else_is_transient_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let mut store = SqliteStore::open(&path, None).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.write(&[event("a")], Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), FaultKind::Transient);
    assert_eq!(
        error.to_string(),
        format!("write {}: locked by another connection", path.display())
    );
    assert_eq!(store.count().unwrap(), 0, "a reader is not held up");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.write(&[event("a")], Some(Duration::ZERO)).unwrap().new, 1);
}

#[test]
fn a_new_file_locked_by_somebody_else_cannot_be_opened_yet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("BEGIN EXCLUSIVE; CREATE TABLE t (a)")
        .unwrap();
    let (kind, text) = complaint(&path);
    assert_eq!(kind, FaultKind::Transient);
    assert_eq!(
        text,
        format!("open {}: locked by another connection", path.display())
    );
}

#[test]
fn what_is_no_database_is_said_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);

    std::fs::write(
        at("text.db"),
        "this is a text of more than sixteen bytes\n".repeat(100),
    )
    .unwrap();
    let expected = format!("open {}: not a SQLite database", at("text.db").display());
    assert_eq!(complaint(&at("text.db")), (FaultKind::Permanent, expected));

    let expected = format!(
        "open {}: its directory does not exist",
        at("no/events.db").display()
    );
    assert_eq!(complaint(&at("no/events.db")), (FaultKind::Permanent, expected));

    let expected = format!(
        "open {}: a directory, expected a file",
        directory.path().display()
    );
    assert_eq!(complaint(directory.path()), (FaultKind::Permanent, expected));
}

#[test]
fn a_batch_that_breaks_in_its_middle_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(directory.path().join("events.db"), None).unwrap();
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON profiling_events WHEN new.event_id = 'bad' \
                BEGIN SELECT raise(ABORT, 'no'); END";
    store.connection.execute_batch(trap).unwrap();
    let error = store.write(&[event("good"), event("bad")], None).unwrap_err();
    assert_eq!(error.kind(), FaultKind::Permanent);
    assert_eq!(error.source().unwrap().to_string(), "no");
    assert_eq!(store.count().unwrap(), 0);
    assert_eq!(store.write(&[event("good")], None).unwrap().new, 1);
}

#[test]
fn a_full_disk_and_a_read_only_file_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let mut store = SqliteStore::open(&path, None).unwrap();
    // SQLite says the same as of a disk that is full.
    store
        .connection
        .execute_batch("PRAGMA max_page_count = 1")
        .unwrap();
    let batch: Vec<_> = (0..1_000)
        .map(|number| event(&format!("event {number}")))
        .collect();
    let error = store.write(&batch, None).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            FaultKind::Overloaded,
            format!("write {}: the disk is full", path.display())
        )
    );
    assert_eq!(store.count().unwrap(), 0);

    store
        .connection
        .execute_batch("PRAGMA max_page_count = 1000000; PRAGMA query_only = ON")
        .unwrap();
    let error = store.write(&batch, None).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            FaultKind::Permanent,
            format!("write {}: read-only", path.display())
        )
    );
}

#[test]
fn a_damaged_file_is_permanent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    {
        let mut store = SqliteStore::open(&path, None).unwrap();
        let batch: Vec<_> = (0..500).map(|number| event(&number.to_string())).collect();
        store.write(&batch, None).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.iter_mut().skip(1024).for_each(|byte| *byte = 0xff);
    std::fs::write(&path, &bytes).unwrap();
    let error = match SqliteStore::open(&path, None) {
        Ok(mut store) => store.write(&[event("x")], None).unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), FaultKind::Permanent);
    assert!(error.to_string().ends_with("the database is damaged"), "{error}");
}

#[test]
fn a_file_of_a_newer_release_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    drop(SqliteStore::open(&path, None).unwrap());
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 7")
        .unwrap();
    let expected = format!(
        "open {}: schema version 7, expected at most 1: written by a newer release",
        path.display()
    );
    assert_eq!(complaint(&path), (FaultKind::Permanent, expected));
}

#[test]
fn a_schema_that_clashes_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE tests (mine)").unwrap();
    assert_eq!(complaint(&path).0, FaultKind::Permanent);
    let tables: i64 = other
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, 1, "nothing of ours is left in a file of somebody else");
}

#[test]
fn batches_are_synced_and_logged_ahead() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("events.db"), None).unwrap();
    let mode: String = store
        .connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    let synchronous: i64 = store
        .connection
        .query_row("PRAGMA synchronous", [], |row| row.get(0))
        .unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
}

#[test]
fn the_views_answer_the_usual_questions() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(directory.path().join("events.db"), None).unwrap();
    let mut batch = Vec::new();
    let mut add = |kind: EventType, duration: f64, metadata: serde_json::Value| {
        let id = batch.len().to_string();
        let mut event = Event::new(id, "run", "test", kind);
        event.duration_ms = Some(Millis::new(duration).unwrap());
        event.step_name = Some("step".to_owned());
        event.created_at = Some("2026-11-21T16:53:04.5Z".parse().unwrap());
        event.metadata = serde_json::from_value(metadata).unwrap();
        batch.push(event);
    };
    add(
        EventType::TestEnd,
        250.125,
        serde_json::json!({"status": "passed", "attempts": 2, "flaky": true}),
    );
    add(EventType::TestEnd, 0.0, serde_json::json!({}));
    add(EventType::SetupEnd, 1.5, serde_json::json!({}));
    add(
        EventType::HttpRequest,
        2.0,
        serde_json::json!({"endpoint": "/a", "method": "GET", "status_code": 404}),
    );
    add(
        EventType::DriverCommand,
        3.0,
        serde_json::json!({"command": "click"}),
    );
    add(
        EventType::ResourceUsage,
        0.0,
        serde_json::json!({"cpu_percent": 12.5, "memory_mb": 300}),
    );
    store.write(&batch, None).unwrap();

    let ask = |question: &str| -> String {
        let mut statement = store.connection.prepare(question).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut out = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<_> = (0..columns)
                .map(|column| match row.get_ref(column).unwrap() {
                    rusqlite::types::ValueRef::Null => "-".to_owned(),
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    rusqlite::types::ValueRef::Real(number) => format!("{number:?}"),
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    rusqlite::types::ValueRef::Blob(_) => "blob".to_owned(),
                })
                .collect();
            out.push(cells.join("|"));
        }
        out.join("\n")
    };
    assert_eq!(
        ask("SELECT run_id, started_at, environment, framework, created_at FROM runs"),
        "run|2026-11-21T16:53:04.500000000Z|-|unknown|2026-11-21T16:53:04.500000000Z"
    );
    assert_eq!(
        ask("SELECT id, test_id, duration_ms, status, attempts, flaky FROM tests ORDER BY duration_ms DESC"),
        "1|test|250.125|passed|2|1\n2|test|0.0|unknown|1|0"
    );
    assert_eq!(
        ask("SELECT step_name, duration_ms, event_type FROM steps"),
        "step|1.5|setup_end"
    );
    assert_eq!(
        ask("SELECT endpoint, method, status_code, duration_ms FROM http_calls"),
        "/a|GET|404|2.0"
    );
    assert_eq!(
        ask("SELECT command, duration_ms, retry_count FROM driver_commands"),
        "click|3.0|0"
    );
    assert_eq!(
        ask("SELECT cpu_percent, memory_mb FROM system_metrics"),
        "12.5|300"
    );
}
