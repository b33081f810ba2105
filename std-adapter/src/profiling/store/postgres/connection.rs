//! One session with a server, every step of which ends at a deadline.
//!
//! The client library is tokio-postgres, whose calls are futures, on a runtime that belongs to the
//! session and runs on the caller's thread while it waits. This is the only file that knows. A future
//! can be given up at any point, which a blocking client cannot: a server that is frozen holds nobody
//! up, and dropping the session closes its socket.

use std::time::Duration;

use bytes::Bytes;
use crossbridge_core::{Clock as _, Instant};
use futures_util::{SinkExt as _, TryStreamExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::clock::SystemClock;
use crate::profiling::store::url::PostgresUrl;
use crate::tls::{self, TlsError};

/// A server, and how to talk to it.
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the certificates that the URL trusts, where it wants any.
    pub(super) fn of(url: &PostgresUrl) -> Result<Self, Failure> {
        let tls = match url.check() {
            None => None,
            Some(check) => Some(tls::client(check, url.authorities()).map_err(Failure::Tls)?),
        };
        Ok(Self {
            config: url.config(),
            tls: tls.map(MakeRustlsConnect::new),
        })
    }
}

/// When an attempt ends, whatever it is doing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    clock: SystemClock,
    started: Instant,
    span: Duration,
}

impl Deadline {
    /// So much later than now.
    pub(super) fn after(span: Duration) -> Self {
        let clock = SystemClock::new();
        Self {
            started: clock.now(),
            clock,
            span,
        }
    }

    /// The whole span.
    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    /// What is left of it.
    pub(super) fn left(&self) -> Duration {
        self.span
            .saturating_sub(self.clock.now().saturating_duration_since(self.started))
    }
}

/// Why a step did not end well.
#[derive(Debug)]
pub(super) enum Failure {
    /// The deadline came first.
    TimedOut(Duration),
    /// The client library says so: an answer of the server, or none.
    Client(Error),
    /// The connection cannot be made secure.
    Tls(TlsError),
    /// No runtime: out of file descriptors, usually.
    Runtime(std::io::Error),
}

impl Failure {
    /// The SQLSTATE, where the server answered with one.
    pub(super) fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Client(error) => error.code().map(tokio_postgres::error::SqlState::code),
            Self::TimedOut(_) | Self::Tls(_) | Self::Runtime(_) => None,
        }
    }
}

/// A session. Dropped, its socket is closed at once; the server rolls back what was open.
pub(super) struct Session {
    client: Client,
    /// What reads and writes the socket; it ends with the reason when the connection does.
    driver: Option<JoinHandle<Result<(), Error>>>,
    runtime: Waiting,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("closed", &self.client.is_closed())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Connects and authenticates.
    pub(super) fn connect(server: &Server, deadline: &Deadline) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(Failure::Runtime)?;
        let runtime = Waiting(Some(runtime));
        let (client, driver) = match &server.tls {
            None => {
                let (client, connection) = runtime.wait(deadline, server.config.connect(NoTls))?;
                (client, runtime.get().spawn(connection))
            }
            Some(tls) => {
                let connect = server.config.connect(tls.clone());
                let (client, connection) = runtime.wait(deadline, connect)?;
                (client, runtime.get().spawn(connection))
            }
        };
        Ok(Self {
            client,
            driver: Some(driver),
            runtime,
        })
    }

    /// Runs statements whose answers do not matter.
    pub(super) fn execute(&mut self, statements: &str, deadline: &Deadline) -> Result<(), Failure> {
        let done = self.runtime.wait(deadline, self.client.batch_execute(statements));
        done.map_err(|failure| self.reason(failure))
    }

    /// Runs one statement; how many rows it changed.
    pub(super) fn change(&mut self, statement: &str, deadline: &Deadline) -> Result<u64, Failure> {
        let done = self.runtime.wait(deadline, self.client.execute(statement, &[]));
        done.map_err(|failure| self.reason(failure))
    }

    /// The rows of a query.
    pub(super) fn query(
        &mut self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
        deadline: &Deadline,
    ) -> Result<Vec<Row>, Failure> {
        let done = self.runtime.wait(deadline, self.client.query(query, parameters));
        done.map_err(|failure| self.reason(failure))
    }

    /// Hands over the rows of a query one by one, as they come.
    pub(super) fn each_row(
        &mut self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
        deadline: &Deadline,
        mut each: impl FnMut(&Row),
    ) -> Result<(), Failure> {
        let mut read = || {
            let parameters = parameters.iter().copied();
            let rows = self
                .runtime
                .wait(deadline, self.client.query_raw(query, parameters))?;
            let mut rows = Box::pin(rows);
            while let Some(row) = self.runtime.wait(deadline, rows.try_next())? {
                each(&row);
            }
            Ok(())
        };
        read().map_err(|failure| self.reason(failure))
    }

    /// A statement the server keeps for this session.
    pub(super) fn prepare(&mut self, statement: &str, deadline: &Deadline) -> Result<Statement, Failure> {
        let done = self.runtime.wait(deadline, self.client.prepare(statement));
        done.map_err(|failure| self.reason(failure))
    }

    /// Streams the chunks into a `COPY … FROM STDIN`, one at a time: the next one is asked for when
    /// the one before is on its way. How many rows were taken.
    pub(super) fn copy(
        &mut self,
        statement: &Statement,
        chunks: impl Iterator<Item = Bytes>,
        deadline: &Deadline,
    ) -> Result<u64, Failure> {
        let copy = || {
            let sink = self.runtime.wait(deadline, self.client.copy_in(statement))?;
            let mut sink = Box::pin(sink);
            for chunk in chunks {
                self.runtime.wait(deadline, sink.send(chunk))?;
            }
            self.runtime.wait(deadline, sink.as_mut().finish())
        };
        copy().map_err(|failure| self.reason(failure))
    }

    /// The client knows only that the connection is gone; its driver knows why.
    fn reason(&mut self, failure: Failure) -> Failure {
        match failure {
            Failure::Client(error) if error.is_closed() => {
                let ended = self.driver.take().and_then(|driver| self.runtime.end_of(driver));
                Failure::Client(ended.unwrap_or(error))
            }
            Failure::Client(_) | Failure::TimedOut(_) | Failure::Tls(_) | Failure::Runtime(_) => failure,
        }
    }
}

/// The runtime of a session, which waits for nothing when it is dropped: not even for the system's
/// resolver, which cannot be interrupted.
struct Waiting(Option<Runtime>);

impl Waiting {
    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("taken by drop alone")
    }

    fn wait<T>(
        &self,
        deadline: &Deadline,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let _context = self.get().enter();
        let limited = tokio::time::timeout(deadline.left(), future);
        match self.get().block_on(limited) {
            Ok(done) => done.map_err(Failure::Client),
            Err(_elapsed) => Err(Failure::TimedOut(deadline.span())),
        }
    }

    /// The error a driver ends with.
    fn end_of(&self, driver: JoinHandle<Result<(), Error>>) -> Option<Error> {
        let _context = self.get().enter();
        let limited = tokio::time::timeout(REASON_TIMEOUT, driver);
        self.get().block_on(limited).ok()?.ok()?.err()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// How long a connection that is gone may take to say why.
const REASON_TIMEOUT: Duration = Duration::from_millis(100);
