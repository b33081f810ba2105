//! The schema and its versions.
//!
//! `PRAGMA user_version` counts the migrations that a file has had. Each runs once, all that are
//! missing in one transaction, so a file is never between two versions; opening a file twice, or
//! from two processes at once, changes nothing the second time.

use rusqlite::{Connection, TransactionBehavior};

/// Why a file is not used.
pub(super) enum Refusal {
    Sqlite(rusqlite::Error),
    Newer { found: i64, known: i64 },
    ReadOnly,
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Sets the connection up and brings the file to the newest version.
pub(super) fn prepare(connection: &mut Connection, migrations: &[&str]) -> Result<(), Refusal> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    // The first look at the file itself: what is no database is noticed here.
    let found = version(connection)?;
    if found > known {
        return Err(Refusal::Newer { found, known });
    }
    if connection.is_readonly("main")? {
        return Err(Refusal::ReadOnly);
    }
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        // The switch does not wait for a lock as everything else does (it needs the file for
        // itself), so it is waited for before.
        connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
        // Answers with the mode it has; a file system without shared memory keeps the old one,
        // which is slower and as safe.
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    // 32 MiB of pages: with the usual 2 the index of ids no longer fits after some 50 000 events.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -32768")?;
    if found < known {
        migrate(connection, migrations, known)?;
    }
    Ok(())
}

fn migrate(connection: &mut Connection, migrations: &[&str], known: i64) -> Result<(), Refusal> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: another process may have been faster.
    let found = version(&transaction)?;
    if found > known {
        return Err(Refusal::Newer { found, known });
    }
    for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// One text per version, never changed once released.
///
/// The views have the names and columns of the tables of the Python implementation, which wrote
/// them one by one and cut durations to whole milliseconds; further columns follow after those.
pub(super) const MIGRATIONS: [&str; 1] = ["
CREATE TABLE profiling_events (
    event_id    TEXT PRIMARY KEY NOT NULL,
    run_id      TEXT NOT NULL,
    test_id     TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    framework   TEXT NOT NULL,
    step_name   TEXT,
    start_time  REAL,
    end_time    REAL,
    duration_ms REAL,
    created_at  TEXT,
    metadata    TEXT NOT NULL
);
CREATE INDEX idx_profiling_events_run ON profiling_events (run_id, event_type);
CREATE INDEX idx_profiling_events_test ON profiling_events (test_id, created_at)
    WHERE event_type = 'test_end';

CREATE VIEW runs AS
SELECT run_id, min(created_at) AS started_at, max(metadata ->> '$.environment') AS environment,
       min(framework) AS framework, min(created_at) AS created_at,
       count(*) AS events
FROM profiling_events GROUP BY run_id;

CREATE VIEW tests AS
SELECT rowid AS id, run_id, test_id, duration_ms,
       coalesce(metadata ->> '$.status', 'unknown') AS status, framework, created_at,
       coalesce(metadata ->> '$.attempts', 1) AS attempts,
       coalesce(metadata ->> '$.flaky', 0) AS flaky,
       metadata ->> '$.message' AS message
FROM profiling_events WHERE event_type = 'test_end';

CREATE VIEW steps AS
SELECT rowid AS id, run_id, test_id, step_name, duration_ms, event_type, framework, created_at
FROM profiling_events WHERE event_type IN ('step_end', 'setup_end', 'teardown_end');

CREATE VIEW http_calls AS
SELECT rowid AS id, run_id, test_id, metadata ->> '$.endpoint' AS endpoint,
       metadata ->> '$.method' AS method, metadata ->> '$.status_code' AS status_code,
       duration_ms, created_at
FROM profiling_events WHERE event_type IN ('http_request', 'api_call');

CREATE VIEW driver_commands AS
SELECT rowid AS id, run_id, test_id, metadata ->> '$.command' AS command, duration_ms,
       coalesce(metadata ->> '$.retry_count', 0) AS retry_count, created_at
FROM profiling_events WHERE event_type = 'driver_command';

CREATE VIEW system_metrics AS
SELECT rowid AS id, run_id, test_id, metadata ->> '$.cpu_percent' AS cpu_percent,
       metadata ->> '$.memory_mb' AS memory_mb, created_at
FROM profiling_events WHERE event_type = 'resource_usage';
"];
