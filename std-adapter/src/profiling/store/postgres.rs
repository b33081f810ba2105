//! A store on a PostgreSQL server, 12 or newer.
//!
//! ```text
//!   write ─▶ BEGIN ─▶ COPY into events ─▶ COMMIT ─▶ written
//!                         │ 23505: an id is there already
//!                         ▼
//!              ROLLBACK ─▶ COPY into staging ─▶ INSERT … ON CONFLICT DO NOTHING ─▶ COMMIT ─▶ written
//! ```
//!
//! # What survives what
//! A batch that was reported as written is committed with `synchronous_commit` at least `on`, whatever
//! the server's own setting: it survives a crash of the server, and a loss of power where the server
//! runs with `fsync`, its default. With synchronous standbys it is on those too.
//!
//! COMMIT is a statement of its own because only its answer tells: to a COPY that commits by itself,
//! the server answers before it commits.
//!
//! # Deadlines
//! Every step ends at the attempt's timeout, connecting and authenticating included, also when the
//! server is frozen; the socket is then closed and the next attempt connects anew. The server gets
//! the timeout too (`statement_timeout`, `lock_timeout`), a little shorter, so that it stops working
//! for nobody and mostly says so itself.
//!
//! A store waits on the thread that calls it. On a thread of an async runtime it panics, as everything
//! that blocks there should be kept off it.
//!
//! # Not there
//! - Certificates of clients: a server that asks for one refuses us.
//! - Poolers (pgbouncer) that share a session between clients: a session here has prepared statements and a
//!   temporary table, so a pooler has to pool sessions, not transactions.

use std::time::Duration;

use crossbridge_core::FaultKind;
use tokio_postgres::Statement;

use self::connection::{Deadline, Failure, Server, Session};
use self::copy::{COLUMNS, Rows};
use self::failure::{Phase, wrap};
use super::url::PostgresUrl;
use super::{EventStore, StoreError, Trouble, Written};
use crate::profiling::event::Event;

mod connection;
mod copy;
mod failure;
mod read;
mod reader;
mod schema;

pub use reader::PostgresReader;

/// Keeps events in a schema of a PostgreSQL database.
///
/// The tables to ask are the views `runs`, `tests`, `steps`, `http_calls`, `driver_commands`,
/// `system_metrics` and `profiling_events`, over the one table `events`.
///
/// ```no_run
/// use crossbridge_std::profiling::store::{PostgresStore, StoreUrl};
/// use crossbridge_std::profiling::{Event, EventStore, EventType};
///
/// let StoreUrl::Postgres(url) = "postgres://ci@localhost/metrics".parse()? else { unreachable!() };
/// let mut store = PostgresStore::open(url, None)?;
/// let batch = [Event::new("id", "run", "test", EventType::TestEnd)];
/// assert_eq!(store.write(&batch, None)?.new, 1);
/// assert_eq!(store.write(&batch, None)?.already_there, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PostgresStore {
    server: Server,
    name: String,
    schema: String,
    /// `schema.events`, quoted.
    table: String,
    session: Option<Prepared>,
    /// The last batch met ids that were there: the next one is expected to, and goes the way around
    /// at once.
    conflicts: bool,
}

/// A session that is set up, with the statements it has prepared.
#[derive(Debug)]
struct Prepared {
    session: Session,
    direct: Statement,
    staged: Option<Statement>,
}

impl PostgresStore {
    /// Connects and brings the schema up to date, within `timeout`, 30 s for `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the server cannot be reached ([`FaultKind::NotSent`]), refuses (by its
    /// SQLSTATE, see [`classify::sql`](crate::classify::sql)) or has a schema of a newer release.
    pub fn open(url: PostgresUrl, timeout: Option<Duration>) -> Result<Self, StoreError> {
        let name = url.to_string();
        let server = Server::of(&url).map_err(|failure| wrap("open", &name, failure, Phase::Connecting))?;
        let mut store = Self {
            server,
            name,
            schema: url.schema().to_owned(),
            table: format!("{}.events", schema::quoted(url.schema())),
            session: None,
            conflicts: false,
        };
        let deadline = after(timeout);
        let session = store.session("open", &deadline)?;
        store.session = Some(session);
        Ok(store)
    }

    /// The session there is, or a new one.
    fn session(&mut self, doing: &'static str, deadline: &Deadline) -> Result<Prepared, StoreError> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        let connected = Session::connect(&self.server, deadline);
        let mut session = connected.map_err(|failure| self.error(doing, failure, Phase::Connecting))?;
        // Nothing of the batch has left yet, so a failure here leaves no question open either.
        let failed = |failure| self.error(doing, failure, Phase::Connecting);
        session.execute(SETTINGS, deadline).map_err(failed)?;
        schema::prepare(&mut session, &self.schema, deadline).map_err(|refusal| match refusal {
            schema::Refusal::Failed(failure) => failed(failure),
            schema::Refusal::Newer { found, known } => StoreError {
                doing,
                place: Some(self.name.clone()),
                kind: FaultKind::Permanent,
                trouble: Trouble::Newer { found, known },
            },
        })?;
        let copy = format!("COPY {} ({COLUMNS}) FROM STDIN BINARY", self.table);
        let direct = session.prepare(&copy, deadline).map_err(failed)?;
        Ok(Prepared {
            session,
            direct,
            staged: None,
        })
    }

    /// Does something in a session, which is kept if that goes well.
    fn attempt<T>(
        &mut self,
        doing: &'static str,
        timeout: Option<Duration>,
        work: impl FnOnce(&mut Self, &mut Prepared, &Deadline, &mut Phase) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let deadline = after(timeout);
        let mut session = self.session(doing, &deadline)?;
        let mut phase = Phase::Working;
        match work(self, &mut session, &deadline, &mut phase) {
            Ok(done) => {
                self.session = Some(session);
                Ok(done)
            }
            Err(failure) => {
                // A row that is refused ends a COPY that has begun: the session is as good as before, and
                // whoever halves the batch comes back a hundred times. What met another error is not used
                // again: after a COPY that fails before it begins, the client library takes the answer to
                // one statement for that to the next (tokio-postgres 0.7.18 sends a Sync too many), and a
                // server that became read-only is left for the one that took over.
                if failure.sqlstate().is_some_and(failure::is_about_rows)
                    && session.session.execute("ROLLBACK", &deadline).is_ok()
                {
                    self.session = Some(session);
                }
                Err(self.error(doing, failure, phase))
            }
        }
    }

    fn error(&self, doing: &'static str, failure: Failure, phase: Phase) -> StoreError {
        wrap(doing, &self.name, failure, phase)
    }

    /// Straight into the table: `None` when an id is there already.
    fn write_direct(
        &self,
        to: &mut Prepared,
        batch: &[Event],
        deadline: &Deadline,
        phase: &mut Phase,
    ) -> Result<Option<Written>, Failure> {
        to.session.execute(&begin(deadline), deadline)?;
        match to.session.copy(&to.direct, Rows::new(batch), deadline) {
            Ok(new) => {
                commit(&mut to.session, deadline, phase)?;
                Ok(Some(Written {
                    new,
                    already_there: 0,
                }))
            }
            Err(failure) if failure.sqlstate() == Some(UNIQUE_VIOLATION) => {
                to.session.execute("ROLLBACK", deadline)?;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// By way of a temporary table; what is there already is left alone.
    fn write_staged(
        &self,
        to: &mut Prepared,
        batch: &[Event],
        deadline: &Deadline,
        phase: &mut Phase,
    ) -> Result<Written, Failure> {
        let table = &self.table;
        let statement = match &to.staged {
            Some(statement) => statement,
            None => {
                let create = format!(
                    "CREATE TEMP TABLE IF NOT EXISTS crossbridge_staging AS \
                     SELECT {COLUMNS} FROM {table} WHERE false"
                );
                to.session.execute(&create, deadline)?;
                let copy = format!("COPY pg_temp.crossbridge_staging ({COLUMNS}) FROM STDIN BINARY");
                let prepared = to.session.prepare(&copy, deadline)?;
                to.staged.insert(prepared)
            }
        };
        let begin = format!("{}; TRUNCATE pg_temp.crossbridge_staging", begin(deadline));
        to.session.execute(&begin, deadline)?;
        let sent = to.session.copy(statement, Rows::new(batch), deadline)?;
        // Of equal ids the first one of the batch. In the order of the keys, so that two writers of the
        // same events wait for each other and do not lock each other out.
        let insert = format!(
            "INSERT INTO {table} ({COLUMNS}) SELECT DISTINCT ON (event_key) {COLUMNS} \
             FROM pg_temp.crossbridge_staging ORDER BY event_key, ctid ON CONFLICT (event_key) DO NOTHING"
        );
        let new = to.session.change(&insert, deadline)?;
        commit(&mut to.session, deadline, phase)?;
        Ok(Written {
            new,
            already_there: sent.saturating_sub(new),
        })
    }
}

impl EventStore for PostgresStore {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        if batch.is_empty() {
            return self.check(timeout).map(|()| Written::default());
        }
        self.attempt("write", timeout, |store, to, deadline, phase| {
            if !store.conflicts
                && let Some(written) = store.write_direct(to, batch, deadline, phase)?
            {
                return Ok(written);
            }
            let written = store.write_staged(to, batch, deadline, phase)?;
            store.conflicts = written.already_there > 0;
            Ok(written)
        })
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        let query = format!("SELECT count(*) FROM {}", self.table);
        self.attempt("count", None, |_, to, deadline, _| {
            let rows = to.session.query(&query, &[], deadline)?;
            let count: i64 = rows.first().map_or(0, |row| row.get(0));
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS}, metadata::text FROM {} WHERE event_key = $1",
            self.table
        );
        let key = copy::key(event_id);
        let rows = self.attempt("read", None, |_, to, deadline, _| {
            to.session.query(&query, &[&key], deadline)
        })?;
        rows.first()
            .map(read::event)
            .transpose()
            .map_err(|what| StoreError {
                doing: "read",
                place: Some(self.name.clone()),
                kind: FaultKind::Permanent,
                trouble: Trouble::Unreadable(what),
            })
    }

    /// Has the server take no rows: that needs the table, its columns and the right to write to it, as
    /// a batch does.
    fn check(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        self.attempt("check", timeout, |_, to, deadline, _| {
            to.session.execute(&begin(deadline), deadline)?;
            to.session.copy(&to.direct, Rows::new(&[]), deadline)?;
            to.session.execute("ROLLBACK", deadline)
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn commit(session: &mut Session, deadline: &Deadline, phase: &mut Phase) -> Result<(), Failure> {
    *phase = Phase::Committing;
    session.execute("COMMIT", deadline)
}

/// Begins a transaction that the server ends itself, shortly before we would.
fn begin(deadline: &Deadline) -> String {
    let limit = schema::millis(deadline);
    let limit = limit - limit / 8;
    format!("BEGIN; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}")
}

fn after(timeout: Option<Duration>) -> Deadline {
    Deadline::after(timeout.unwrap_or(DEFAULT_TIMEOUT))
}

/// What a session is set to, whatever the server's defaults are. Its steps have the deadline of their
/// attempt; the timeout of 30 s is for the server, to which a client that is gone says nothing. A `synchronous_commit` that waits for
/// more than `on` stays. The notices of `IF NOT EXISTS` would end in the log.
const SETTINGS: &str = "SET client_min_messages = warning; SET DateStyle = 'ISO'; \
    SET default_transaction_isolation = 'read committed'; SET statement_timeout = 30000; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";

const UNIQUE_VIOLATION: &str = "23505";

/// How long an attempt without a timeout takes at most.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(all(test, feature = "servers"))]
mod tests;
