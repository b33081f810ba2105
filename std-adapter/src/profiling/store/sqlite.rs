//! A store in one SQLite file, which plain `sqlite3` can be asked about.
//!
//! ```text
//!   sqlite3 events.db "select status, count(*) from tests group by status"
//!   sqlite3 events.db "select test_id, duration_ms from tests order by duration_ms desc limit 10"
//! ```
//!
//! # What survives what
//!
//! The journal is a write-ahead log and `synchronous` is `FULL`: a batch that was reported as
//! written survives a crash of the process, of the machine and a loss of power. A batch that was
//! not is gone as a whole. It costs one sync per batch, so batches of hundreds are cheap and
//! batches of one are not.
//!
//! # Waiting
//!
//! The timeout of an attempt becomes SQLite's `busy_timeout`: for so long it waits for a lock that
//! another connection holds, then the attempt fails as transient. The lock is taken at the start of
//! the batch (`BEGIN IMMEDIATE`), so nothing is waited for in its middle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbridge_core::FaultKind;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use self::row::Raw;
use super::{EventStore, StoreError, Trouble, Written};
use crate::classify;
use crate::profiling::event::{Event, format_timestamp};

mod reader;
pub(in crate::profiling) mod row;
mod schema;

pub use reader::SqliteReader;

/// Keeps events in a SQLite file.
///
/// A batch that was reported as written survives a crash of the process, of the machine and a loss
/// of power (write-ahead log, `synchronous = FULL`); one that was not is gone as a whole. Each batch
/// costs a sync, so write hundreds of events at a time. The tables to ask are the views `runs`,
/// `tests`, `steps`, `http_calls`, `driver_commands` and `system_metrics`, and `profiling_events`
/// below them.
///
/// ```
/// use crossbridge_std::profiling::{Event, EventStore, EventType, SqliteStore};
///
/// let directory = tempfile::tempdir()?;
/// let mut store = SqliteStore::open(directory.path().join("events.db"), None)?;
/// let batch = [Event::new("id", "run", "test", EventType::TestEnd)];
/// assert_eq!(store.write(&batch, None)?.new, 1);
/// assert_eq!(store.write(&batch, None)?.already_there, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    name: String,
    connection: Connection,
}

impl SqliteStore {
    /// Opens the file, or makes it, and brings its schema up to date.
    ///
    /// Waits for a lock for `timeout` at most, 5 s for `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] with the path: the directory does not exist, the file is read-only, damaged,
    /// no database or written by a newer release (all permanent), or locked (transient).
    pub fn open(path: impl Into<PathBuf>, timeout: Option<Duration>) -> Result<Self, StoreError> {
        let path = path.into();
        let connection = connect(&path, timeout, &schema::MIGRATIONS)?;
        let name = format!("sqlite:{}", path.display());
        Ok(Self {
            path,
            name,
            connection,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the file, or makes it, and brings it to the newest of the migrations.
pub(in crate::profiling) fn connect(
    path: &Path,
    timeout: Option<Duration>,
    migrations: &[&str],
) -> Result<Connection, StoreError> {
    let refuse = |trouble| error("open", path, FaultKind::Permanent, trouble);
    // SQLite says the same to this as to a directory in place of the file.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(refuse(Trouble::NoDirectory));
    }
    if path.is_dir() {
        return Err(refuse(Trouble::IsDirectory));
    }
    let wrap = |source| explain("open", path, source);
    // Without SQLITE_OPEN_URI: a path is a path, whatever it begins with.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(wrap)?;
    connection.busy_timeout(busy(timeout)).map_err(wrap)?;
    match schema::prepare(&mut connection, migrations) {
        Ok(()) => Ok(connection),
        Err(schema::Refusal::Sqlite(source)) => Err(wrap(source)),
        Err(schema::Refusal::Newer { found, known }) => Err(refuse(Trouble::Newer { found, known })),
        Err(schema::Refusal::ReadOnly) => Err(refuse(Trouble::ReadOnly)),
    }
}

impl EventStore for SqliteStore {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        let path = &self.path;
        let wrap = |source| explain("write", path, source);
        self.connection.busy_timeout(busy(timeout)).map_err(wrap)?;
        // Dropped without a commit, a transaction is rolled back.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrap)?;
        let mut written = Written::default();
        {
            let mut insert = transaction.prepare_cached(INSERT).map_err(wrap)?;
            for event in batch {
                let metadata = serde_json::to_string(&event.metadata).map_err(|source| {
                    error(
                        "write",
                        path,
                        FaultKind::Permanent,
                        Trouble::Backend(Box::new(source)),
                    )
                })?;
                let changed = insert
                    .execute(params![
                        event.event_id,
                        event.run_id,
                        event.test_id,
                        event.event_type.as_str(),
                        event.framework,
                        event.step_name,
                        event.start_time.map(crate::profiling::Seconds::get),
                        event.end_time.map(crate::profiling::Seconds::get),
                        event.duration_ms.map(crate::profiling::Millis::get),
                        event.created_at.map(format_timestamp),
                        metadata,
                    ])
                    .map_err(wrap)?;
                if changed == 0 {
                    written.already_there += 1;
                } else {
                    written.new += 1;
                }
            }
        }
        transaction.commit().map_err(wrap)?;
        Ok(written)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.connection
            .query_row("SELECT count(*) FROM profiling_events", [], |row| {
                row.get::<_, i64>(0)
            })
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(|source| explain("count", &self.path, source))
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        let path = &self.path;
        let wrap = |source| explain("read", path, source);
        let mut select = self.connection.prepare_cached(SELECT).map_err(wrap)?;
        let raw = select.query_row([event_id], row::read).optional().map_err(wrap)?;
        raw.map(Raw::into_event)
            .transpose()
            .map_err(|what| error("read", path, FaultKind::Permanent, Trouble::Unreadable(what)))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

pub(in crate::profiling) fn error(
    doing: &'static str,
    path: &Path,
    kind: FaultKind,
    trouble: Trouble,
) -> StoreError {
    StoreError {
        doing,
        place: Some(path.display().to_string()),
        kind,
        trouble,
    }
}

/// An error of SQLite, by its code.
pub(in crate::profiling) fn explain(doing: &'static str, path: &Path, source: rusqlite::Error) -> StoreError {
    // What has no code is a mistake of ours: a column that is not there, a wrong type.
    let Some(code) = source.sqlite_error().map(|failure| failure.extended_code) else {
        return error(
            doing,
            path,
            FaultKind::Permanent,
            Trouble::Backend(Box::new(source)),
        );
    };
    let trouble = match code & 0xff {
        rusqlite::ffi::SQLITE_BUSY | rusqlite::ffi::SQLITE_LOCKED => Trouble::Locked,
        rusqlite::ffi::SQLITE_READONLY => Trouble::ReadOnly,
        rusqlite::ffi::SQLITE_NOTADB => Trouble::NotADatabase,
        rusqlite::ffi::SQLITE_CORRUPT => Trouble::Damaged,
        rusqlite::ffi::SQLITE_FULL => Trouble::Full,
        _ => Trouble::Backend(Box::new(source)),
    };
    error(doing, path, classify::sql::sqlite_code(code), trouble)
}

/// The timeout as SQLite takes it: in `i32` milliseconds, so an hour is as good as for ever.
fn busy(timeout: Option<Duration>) -> Duration {
    timeout.unwrap_or(DEFAULT_TIMEOUT).min(Duration::from_secs(3600))
}

/// How long an attempt without a timeout waits for a lock.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

// Not `INSERT OR IGNORE`, which would ignore every other violated constraint as well.
const INSERT: &str = "INSERT INTO profiling_events (event_id, run_id, test_id, event_type, framework, \
    step_name, start_time, end_time, duration_ms, created_at, metadata) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (event_id) DO NOTHING";
const SELECT: &str = "SELECT event_id, run_id, test_id, event_type, framework, step_name, start_time, \
    end_time, duration_ms, created_at, metadata FROM profiling_events WHERE event_id = ?1";

#[cfg(test)]
mod tests;
