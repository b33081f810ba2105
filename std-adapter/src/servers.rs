//! Real servers that this process starts, freezes, kills and starts again: for tests, benchmarks and
//! replays against the real thing.
//!
//! A server gets a free port on 127.0.0.1 and a directory of its own, runs as a child of this process
//! and ends with its value, by its pid. Nothing that ran before is touched.
//!
//! ```text
//!   start ──▶ running ──signal(STOP)──▶ frozen
//!               │  ▲ ◀──signal(CONT)─────┘
//!       kill(…) │  │ restart: the same data, the same port
//!               ▼  │
//!              ended ──drop──▶ the directory is gone
//! ```
//!
//! | server | programs | Debian package |
//! |---|---|---|
//! | [`Postgres`] | `initdb`, `postgres`, `psql` | `postgresql` |
//! | [`Redis`] | `redis-server` | `redis-server` |
//! | [`InfluxDb`] | `influxd` | `influxdb` |
//! | [`VictoriaMetrics`] | `victoria-metrics` | `victoria-metrics` |
//!
//! ```no_run
//! use crossbridge_std::servers::{Postgres, Signal};
//!
//! let mut server = Postgres::start()?;
//! assert_eq!(server.sql("select 1")?, "1");
//! server.kill(Signal::KILL)?;
//! server.restart()?;
//! # Ok::<(), crossbridge_std::servers::ServerError>(())
//! ```

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

pub use rustix::process::Signal;

mod daemon;
pub mod influxdb;
pub mod postgres;
mod process;
pub mod redis;
pub mod victoriametrics;

pub use influxdb::InfluxDb;
pub use postgres::Postgres;
pub use redis::Redis;
pub use victoriametrics::VictoriaMetrics;

/// Why a server could not be started, asked or stopped.
#[derive(Debug)]
pub enum ServerError {
    /// Its programs are not installed.
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package it is in.
        package: &'static str,
    },
    /// A program ended with a failure.
    Failed {
        /// The program.
        program: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// It was waited for and did not get there.
    TimedOut {
        /// The program.
        program: &'static str,
        /// What was waited for.
        what: &'static str,
        /// For how long.
        waited: Duration,
        /// The end of what it said.
        said: String,
    },
    /// The operating system refused something.
    Io {
        /// What was being done.
        doing: &'static str,
        /// What it answered.
        source: io::Error,
    },
}

impl ServerError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program, package } => {
                write!(
                    f,
                    "`{program}` is not there; it is installed by: apt-get install {package}"
                )
            }
            Self::Failed { program, said } => write!(f, "`{program}` failed: {said}"),
            Self::TimedOut {
                program,
                what,
                waited,
                said,
            } => write!(f, "`{program}` did not {what} within {waited:?}: {said}"),
            Self::Io { doing, .. } => f.write_str(doing),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Missing { .. } | Self::Failed { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// Launches on a free port. Somebody else may take it before the server has it: then on another one.
fn on_free_port(
    launch: impl Fn(u16) -> Result<process::Process, ServerError>,
) -> Result<(process::Process, u16), ServerError> {
    let mut tries = PORT_TRIES;
    loop {
        let port = free_port()?;
        tries -= 1;
        match launch(port) {
            Ok(process) => return Ok((process, port)),
            // Servers write the first word as they like.
            Err(ServerError::Failed { said, .. }) if tries > 0 && said.contains("ddress already in use") => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ports to try before giving up.
const PORT_TRIES: u32 = 5;

/// A port of 127.0.0.1 that nobody has just now. Somebody may take it before it is used.
fn free_port() -> Result<u16, ServerError> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ServerError::io("find a free port"))?;
    Ok(listener
        .local_addr()
        .map_err(ServerError::io("find a free port"))?
        .port())
}

/// The last bytes of a text, from a character on.
fn tail(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let start = text.ceil_char_boundary(text.len().saturating_sub(MAX_SAID));
    text.get(start..).unwrap_or_default().to_owned()
}

/// How much of what a program said an error repeats.
const MAX_SAID: usize = 2_000;
