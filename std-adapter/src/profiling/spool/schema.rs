//! The tables of a spool and their versions.

use std::path::Path;

use rusqlite::Connection;

use super::{LOCK_TIMEOUT, reserve};
use crate::profiling::store::StoreError;
use crate::profiling::store::sqlite;

/// Opens the file, or makes it, and brings it to the newest version.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = sqlite::connect(path, Some(LOCK_TIMEOUT), &MIGRATIONS)?;
    // Rows come and go in their order, so a few pages at either end are enough: 4 MiB. A larger commit
    // goes to the journal early, which takes no longer.
    connection
        .execute_batch("PRAGMA cache_size = -4096")
        .map_err(|source| sqlite::explain("open", path, source))?;
    // A file with damage in its middle opens all the same; one without our tables does not.
    connection
        .query_row("SELECT accepted FROM counters", [], |_| Ok(()))
        .and_then(|()| reserve::pace(path, &connection))
        .map_err(|source| sqlite::explain("open", path, source))?;
    Ok(connection)
}

/// One text per version, never changed once released.
///
/// `AUTOINCREMENT`, for a number that was used is never used again: whoever settles what it has
/// peeked at a while ago must not hit events that came in later.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE spooled (
    event_id    TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    test_id     TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    framework   TEXT NOT NULL,
    step_name   TEXT,
    start_time  REAL,
    end_time    REAL,
    duration_ms REAL,
    created_at  TEXT,
    metadata    TEXT NOT NULL,
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    size        INTEGER NOT NULL,
    spooled_at  INTEGER NOT NULL,
    refusals    INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE dead_letters (
    event_id    TEXT NOT NULL UNIQUE,
    run_id      TEXT NOT NULL,
    test_id     TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    framework   TEXT NOT NULL,
    step_name   TEXT,
    start_time  REAL,
    end_time    REAL,
    duration_ms REAL,
    created_at  TEXT,
    metadata    TEXT NOT NULL,
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    size        INTEGER NOT NULL,
    died_at     INTEGER NOT NULL,
    refusals    INTEGER NOT NULL,
    reason      TEXT NOT NULL
);
CREATE TABLE counters (
    only         INTEGER PRIMARY KEY CHECK (only = 1),
    accepted     INTEGER NOT NULL DEFAULT 0,
    stored       INTEGER NOT NULL DEFAULT 0,
    spooled      INTEGER NOT NULL DEFAULT 0,
    bytes        INTEGER NOT NULL DEFAULT 0,
    dead_letters INTEGER NOT NULL DEFAULT 0,
    lost         INTEGER NOT NULL DEFAULT 0,
    purged       INTEGER NOT NULL DEFAULT 0
);
INSERT INTO counters (only) VALUES (1);
"];
