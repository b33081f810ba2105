//! A SQLite file that is only read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbridge_core::FaultKind;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};

use super::{busy, error, explain};
use crate::profiling::event::{Status, format_timestamp};
use crate::profiling::store::reader::{Call, EventReader, Filter, Groups, MESSAGE, TestEnd};
use crate::profiling::store::{StoreError, Trouble};

/// Reads the events of a SQLite file, and never changes it.
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
    connection: Connection,
}

impl SqliteReader {
    /// Opens a file that is there. Every question waits for a lock for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`] with the path: there is no such file, or it is not one of ours.
    pub fn open(path: impl Into<PathBuf>, timeout: Duration) -> Result<Self, StoreError> {
        let path = path.into();
        let refuse = |trouble| Err(error("open", &path, FaultKind::Permanent, trouble));
        if path.is_dir() {
            return refuse(Trouble::IsDirectory);
        }
        if !path.exists() {
            return refuse(Trouble::Unreadable("there is no such file".to_owned()));
        }
        let wrap = |source| explain("open", &path, source);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(wrap)?;
        connection.busy_timeout(busy(Some(timeout))).map_err(wrap)?;
        let views = "SELECT count(*) FROM sqlite_schema WHERE name IN ('profiling_events', 'tests')";
        let views: i64 = connection.query_row(views, [], |row| row.get(0)).map_err(wrap)?;
        if views < 2 {
            return refuse(Trouble::Unreadable(
                "there are no profiling events in this database".to_owned(),
            ));
        }
        Ok(Self { path, connection })
    }

    fn rows(
        &self,
        query: &str,
        values: Vec<Value>,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let read = || {
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                each(row)?;
            }
            Ok(())
        };
        read().map_err(|source| unreadable(&self.path, source))
    }
}

impl EventReader for SqliteReader {
    fn tests(
        &mut self,
        filter: &Filter,
        groups: Groups,
        each: &mut dyn FnMut(TestEnd),
    ) -> Result<(), StoreError> {
        let (conditions, values) = conditions(filter);
        let group = groups.column();
        let query = format!(
            "SELECT test_id, run_id, framework, CAST(status AS TEXT), duration_ms, \
             CAST(attempts AS INTEGER) > 1 OR CAST(flaky AS TEXT) IN ('1', 'true'), \
             substr(CAST(message AS TEXT), 1, {MESSAGE}), created_at \
             FROM tests WHERE {conditions} ORDER BY {group}, created_at NULLS FIRST, id"
        );
        self.rows(&query, values, |row| {
            let (status, created_at): (String, Option<String>) = (row.get(3)?, row.get(7)?);
            each(TestEnd {
                test_id: row.get(0)?,
                run_id: row.get(1)?,
                framework: row.get(2)?,
                status: Status::from_name(&status),
                duration_ms: row.get(4)?,
                retried: row.get::<_, Option<bool>>(5)?.unwrap_or(false),
                message: row.get(6)?,
                created_at: created_at.and_then(|text| text.parse().ok()),
            });
            Ok(())
        })
    }

    fn calls(&mut self, filter: &Filter, each: &mut dyn FnMut(Call)) -> Result<(), StoreError> {
        let (conditions, values) = conditions(filter);
        let query = format!(
            "SELECT coalesce(CAST(metadata ->> '$.method' AS TEXT), '') AS method, \
             coalesce(CAST(metadata ->> '$.endpoint' AS TEXT), '') AS endpoint, \
             coalesce(CAST(metadata ->> '$.status_code' AS INTEGER) >= 400, false) \
             OR coalesce(CAST(metadata ->> '$.failed' AS TEXT) IN ('1', 'true'), false), duration_ms \
             FROM profiling_events WHERE event_type IN ('http_request', 'api_call') AND {conditions} \
             ORDER BY method, endpoint, created_at NULLS FIRST, rowid"
        );
        self.rows(&query, values, |row| {
            each(Call {
                method: row.get(0)?,
                endpoint: row.get(1)?,
                failed: row.get(2)?,
                duration_ms: row.get(3)?,
            });
            Ok(())
        })
    }
}

/// The filter as SQL, and the values of its parameters.
fn conditions(filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions = vec!["true"];
    let mut values = Vec::new();
    let mut add = |condition, value: String| {
        conditions.push(condition);
        values.push(Value::Text(value));
    };
    if let Some(run) = &filter.run {
        add("run_id = ?", run.clone());
    }
    if let Some(since) = filter.since {
        // Texts of one length in UTC: their order is that of the times.
        add("created_at >= ?", format_timestamp(since));
    }
    if let Some(test) = &filter.test {
        add("test_id GLOB ?", test.glob());
    }
    (conditions.join(" AND "), values)
}

/// Somebody may have written other types with `sqlite3`.
fn unreadable(path: &Path, source: rusqlite::Error) -> StoreError {
    if source.sqlite_error().is_some() {
        return explain("read", path, source);
    }
    let what = Trouble::Unreadable(source.to_string());
    error("read", path, FaultKind::Permanent, what)
}
