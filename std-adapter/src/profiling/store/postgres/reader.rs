//! A PostgreSQL database that is only read: a role that may `SELECT` is enough.

use std::time::Duration;

use crossbridge_core::FaultKind;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::{Deadline, Server, Session};
use super::failure::{Phase, wrap};
use super::schema::{millis, quoted};
use crate::profiling::event::Status;
use crate::profiling::store::reader::{Call, EventReader, Filter, Groups, MESSAGE, TestEnd};
use crate::profiling::store::url::PostgresUrl;
use crate::profiling::store::{StoreError, Trouble};

/// Reads the events of a PostgreSQL database, and never changes them.
#[derive(Debug)]
pub struct PostgresReader {
    name: String,
    /// Quoted.
    schema: String,
    timeout: Duration,
    session: Session,
}

impl PostgresReader {
    /// Connects. This and every question end within `timeout`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the server cannot be reached or refuses, or nothing was ever stored there.
    pub fn open(url: &PostgresUrl, timeout: Duration) -> Result<Self, StoreError> {
        let name = url.to_string();
        let deadline = Deadline::after(timeout);
        let failed = |failure| wrap("open", &name, failure, Phase::Connecting);
        let mut session = Session::connect(&Server::of(url).map_err(failed)?, &deadline).map_err(failed)?;
        let settings = format!("{SETTINGS}; SET statement_timeout = {}", millis(&deadline));
        session.execute(&settings, &deadline).map_err(failed)?;
        let tables = "SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace spaces \
            ON spaces.oid = relnamespace WHERE nspname = $1 AND relkind IN ('r', 'p', 'v')";
        let found = session
            .query(tables, &[&url.schema()], &deadline)
            .map_err(failed)?;
        let found: Vec<&str> = found.iter().filter_map(|row| row.try_get(0).ok()).collect();
        let missing = ["profiling_events", "tests"]
            .into_iter()
            .find(|view| !found.contains(view));
        if let Some(view) = missing {
            let schema = url.schema();
            let what = if found.contains(&"events") {
                format!(
                    "the schema `{schema}` has events, but no view `{view}`: \
                     drop its table `schema_version`, and the next ingest makes the view again"
                )
            } else {
                format!("there are no profiling events in the schema `{schema}`")
            };
            return Err(unreadable("open", &name, what));
        }
        Ok(Self {
            schema: quoted(url.schema()),
            name,
            timeout,
            session,
        })
    }

    fn rows(
        &mut self,
        query: &str,
        values: &[&(dyn ToSql + Sync)],
        mut each: impl FnMut(&Row) -> Result<(), tokio_postgres::Error>,
    ) -> Result<(), StoreError> {
        let deadline = Deadline::after(self.timeout);
        let mut bad = None;
        let done = self.session.each_row(query, values, &deadline, |row| {
            if bad.is_none() {
                bad = each(row).err();
            }
        });
        done.map_err(|failure| wrap("read", &self.name, failure, Phase::Working))?;
        bad.map_or(Ok(()), |bad| Err(unreadable("read", &self.name, bad.to_string())))
    }
}

impl EventReader for PostgresReader {
    fn tests(
        &mut self,
        filter: &Filter,
        groups: Groups,
        each: &mut dyn FnMut(TestEnd),
    ) -> Result<(), StoreError> {
        let (conditions, values) = conditions(filter);
        let group = groups.column();
        let query = format!(
            "SELECT test_id, run_id, framework, status, duration_ms, attempts > 1 OR flaky, \
             left(message, {MESSAGE}), (extract(epoch FROM created_at) * 1000000)::bigint \
             FROM {}.tests WHERE {conditions} ORDER BY {group} COLLATE \"C\", created_at NULLS FIRST, id",
            self.schema
        );
        self.rows(&query, &borrowed(&values), |row| {
            let created_at: Option<i64> = row.try_get(7)?;
            each(TestEnd {
                test_id: row.try_get(0)?,
                run_id: row.try_get(1)?,
                framework: row.try_get(2)?,
                status: Status::from_name(row.try_get(3)?),
                duration_ms: row.try_get(4)?,
                retried: row.try_get::<_, Option<bool>>(5)?.unwrap_or(false),
                message: row.try_get(6)?,
                created_at: created_at.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
            });
            Ok(())
        })
    }

    fn calls(&mut self, filter: &Filter, each: &mut dyn FnMut(Call)) -> Result<(), StoreError> {
        let (conditions, values) = conditions(filter);
        let query = format!(
            "SELECT coalesce(metadata ->> 'method', '') AS method, \
             coalesce(metadata ->> 'endpoint', '') AS endpoint, \
             coalesce(substring(metadata ->> 'status_code' FROM '^[0-9]{{1,9}}')::integer >= 400, false) \
             OR coalesce(metadata ->> 'failed' IN ('1', 'true'), false), duration_ms \
             FROM {schema}.profiling_events \
             WHERE event_type IN ('http_request', 'api_call') AND {conditions} \
             ORDER BY coalesce(metadata ->> 'method', '') COLLATE \"C\", \
             coalesce(metadata ->> 'endpoint', '') COLLATE \"C\", created_at NULLS FIRST, event_id",
            schema = self.schema
        );
        self.rows(&query, &borrowed(&values), |row| {
            each(Call {
                method: row.try_get(0)?,
                endpoint: row.try_get(1)?,
                failed: row.try_get(2)?,
                duration_ms: row.try_get(3)?,
            });
            Ok(())
        })
    }
}

type Value = Box<dyn ToSql + Sync>;

/// The filter as SQL, and the values of its parameters.
fn conditions(filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions = "true".to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        conditions.push_str(&format!(" AND {condition}${}", values.len()));
    };
    if let Some(run) = &filter.run {
        add("run_id = ", Box::new(run.clone()));
    }
    if let Some(since) = filter.since {
        add(
            "(extract(epoch FROM created_at) * 1000000)::bigint >= ",
            Box::new(since.as_microsecond()),
        );
    }
    if let Some(test) = &filter.test {
        add("test_id LIKE ", Box::new(test.like()));
    }
    (conditions, values)
}

fn borrowed(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(AsRef::as_ref).collect()
}

fn unreadable(doing: &'static str, name: &str, what: String) -> StoreError {
    StoreError {
        doing,
        place: Some(name.to_owned()),
        kind: FaultKind::Permanent,
        trouble: Trouble::Unreadable(what),
    }
}

/// A long sort on the server is worth more memory than the 4 MB of the default.
const SETTINGS: &str = "SET client_min_messages = warning; SET default_transaction_read_only = on; \
    SET work_mem = '64MB'";
