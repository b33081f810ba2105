//! From a file into a store: nothing lost, nothing twice.

#![cfg(feature = "sqlite")]

mod profiling_support;

use std::fmt::Write as _;

use crossbridge_core::{Fault, FaultKind};
use crossbridge_std::profiling::{EventStore, EventType, MemoryStore, SqliteStore, Status, Written};
use profiling_support::{bytes, try_read};

/// A run of a few thousand events as a reporter would write it.
fn many_lines(tests: u32) -> String {
    let mut out = String::new();
    for number in 0..tests {
        let status = if number % 7 == 0 { "failed" } else { "passed" };
        let start = f64::from(number) / 8.0;
        writeln!(
            out,
            r#"{{"run_id":"run","test_id":"t{number}","event_type":"test_start","start_time":{start}}}"#
        )
        .unwrap();
        writeln!(
            out,
            r#"{{"run_id":"run","test_id":"t{number}","event_type":"test_end","start_time":{start},"end_time":{},"duration_ms":0.125,"metadata":{{"status":"{status}"}}}}"#,
            start + 0.000_125
        )
        .unwrap();
    }
    out
}

#[test]
fn thousands_of_lines_arrive_whole() {
    let (items, summary) = try_read("many.jsonl", many_lines(2_000).as_bytes()).unwrap();
    assert_eq!(
        (summary.events, summary.rejected, summary.warnings),
        (4_000, 0, 0)
    );
    assert_eq!(summary.by_type[&EventType::TestStart], 2_000);
    assert_eq!(summary.tests.get(Status::Failed), 286);
    assert_eq!(summary.tests.get(Status::Passed), 1_714);
    assert_eq!(summary.duration_ms, 250.0);

    let directory = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(directory.path().join("events.db"), None).unwrap();
    for expected in [4_000, 0] {
        let mut written = Written::default();
        for batch in items.events.chunks(100) {
            written += store.write(batch, None).unwrap();
        }
        assert_eq!(written.new, expected);
        assert_eq!(written.new + written.already_there, 4_000);
    }
    assert_eq!(store.count().unwrap(), 4_000);
}

#[test]
fn a_report_read_twice_is_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(directory.path().join("events.db"), None).unwrap();
    let content = bytes("pytest/pytest-xunit2.xml");
    for (name, expected) in [("a.xml", 63), ("moved/b.xml", 0)] {
        let (items, _) = try_read(name, &content).unwrap();
        assert_eq!(store.write(&items.events, None).unwrap().new, expected);
    }
    // Another file of the same tests is another run.
    let (items, _) = try_read("c.xml", &bytes("pytest/pytest-xdist.xml")).unwrap();
    assert_eq!(store.write(&items.events, None).unwrap().new, 63);
}

#[test]
fn a_write_with_an_unknown_end_is_repeated_without_harm() {
    let (items, _) = try_read("a.xml", &bytes("pytest/pytest-maxfail.xml")).unwrap();
    let mut store = MemoryStore::new();
    store.fail_next([FaultKind::Unknown, FaultKind::Transient]);
    assert_eq!(
        store.write(&items.events, None).unwrap_err().kind(),
        FaultKind::Unknown
    );
    assert_eq!(
        store.write(&items.events, None).unwrap_err().kind(),
        FaultKind::Transient
    );
    assert_eq!(
        store.write(&items.events, None).unwrap(),
        Written {
            new: 0,
            already_there: 2
        }
    );
    assert_eq!(store.events(), items.events);
}
