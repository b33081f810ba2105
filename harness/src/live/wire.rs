//! One attempt on a real connection: connect, ask, hear the answer, in time.
//!
//! ```text
//!   connect ─▶ greeting ─▶ request ─▶ answer ─▶ close        every read and write until the same instant
//!   └─ nothing was sent ─┘ └─ nobody knows ─┘
//! ```
//!
//! | server | greeting | request |
//! |---|---|---|
//! | PostgreSQL | startup, up to `ReadyForQuery` | `select pg_sleep(x)` |
//! | Redis | `PING` | `BLPOP` of a list that stays empty, with a timeout of x |
//! | HTTP | none | `GET /x` in microseconds |
//!
//! Failures are classified by codes, as adapters do: see [`crossbridge_std::classify`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crossbridge_core::retry::Failure;
use crossbridge_core::{Clock, FaultKind, Instant, Outcome};
use crossbridge_std::classify::io::{Phase, error_kind};
use crossbridge_std::clock::SystemClock;

use crate::proxy::script::Greeting;
use crate::scenario::RealServer;

mod http;
mod postgres;
mod redis;

/// What an attempt asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) clock: &'a SystemClock,
    /// When it is over, answered or not.
    pub(super) until: Instant,
    /// How long the server is to take.
    pub(super) work: Duration,
    /// HTTP statuses that are worth a retry.
    pub(super) codes: &'a [u16],
}

/// What came of it, and how much was said before the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The server, or the proxy for it, said that it failed.
    pub(super) is_error: bool,
    pub(super) greeting: Greeting,
}

/// Why an attempt failed.
#[derive(Debug)]
enum Trouble {
    /// The connection.
    Line(io::Error),
    /// The server's own words.
    Answered(Failure),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Line(error)
    }
}

impl Trouble {
    const fn answered(kind: FaultKind) -> Self {
        Self::Answered(Failure {
            kind,
            retry_after: None,
        })
    }
}

/// Makes an attempt.
pub(super) fn attempt(server: RealServer, address: SocketAddr, ask: &Ask<'_>) -> Answer {
    let mut line = match Line::connect(address, ask) {
        Ok(line) => line,
        Err(error) => {
            return Answer {
                outcome: Outcome::failed(kind(&error, Phase::Connecting)),
                is_error: false,
                greeting: Greeting::default(),
            };
        }
    };
    let ended = match server {
        RealServer::Postgres => postgres::exchange(&mut line, ask.work),
        RealServer::Redis => redis::exchange(&mut line, ask.work),
        RealServer::Http => http::exchange(&mut line, ask.work, ask.codes),
    };
    let is_error = matches!(ended, Err(Trouble::Answered(_)));
    let outcome = match ended {
        Ok(()) => Outcome::Success,
        Err(Trouble::Answered(failure)) => Outcome::Failure(failure),
        Err(Trouble::Line(error)) => Outcome::failed(kind(&error, line.phase)),
    };
    Answer {
        outcome,
        is_error,
        greeting: line.greeting,
    }
}

/// An attempt whose time is over is one nobody knows about, wherever it was: whoever watches the clock
/// over an attempt does not see how far it has come. So it is in the replay.
fn kind(error: &io::Error, phase: Phase) -> FaultKind {
    if error.kind() == ErrorKind::TimedOut {
        FaultKind::Unknown
    } else {
        error_kind(error.kind(), phase)
    }
}

/// A connection whose every read and write ends in time.
struct Line<'a> {
    stream: TcpStream,
    ask: &'a Ask<'a>,
    phase: Phase,
    said: Greeting,
    greeting: Greeting,
}

impl<'a> Line<'a> {
    fn connect(address: SocketAddr, ask: &'a Ask<'a>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, left(ask)?)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            ask,
            phase: Phase::Connecting,
            said: Greeting::default(),
            greeting: Greeting::default(),
        })
    }

    /// The request follows: from now on it may take effect.
    const fn request_follows(&mut self) {
        self.phase = Phase::Exchanging;
        self.greeting = self.said;
    }

    /// Waits for more; the end of the stream is an error.
    fn more(&mut self, heard: &mut impl Extend<u8>) -> io::Result<()> {
        let mut buffer = [0; 1024];
        let length = self.read(&mut buffer)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        heard.extend(buffer.iter().copied().take(length));
        Ok(())
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.ask)?))?;
        let length = self.stream.read(buffer).map_err(timed_out)?;
        self.said.received += length as u64;
        Ok(length)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.ask)?))?;
        let length = self.stream.write(bytes).map_err(timed_out)?;
        self.said.sent += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What is left of an attempt's time, which is never nothing.
fn left(ask: &Ask<'_>) -> io::Result<Duration> {
    let left = ask.until.saturating_duration_since(ask.clock.now());
    if left.is_zero() {
        Err(ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

/// A socket says that it would block when its time is over.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        ErrorKind::TimedOut.into()
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
