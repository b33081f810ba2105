//! The port events are written through, and its backends.
//!
//! A store makes **one attempt per call**: it does not sleep, repeat or queue. Retries, deadlines
//! and breakers are those of the guard around it, which acts on the [`Fault`] of the error. That is
//! safe because a write is
//!
//! - atomic: of a batch, everything is stored or nothing (InfluxDB: with an error, perhaps a part),
//! - idempotent: an event whose id is there already is left alone and counted as such. The first
//!   one stays, also where the second one differs.
//!
//! | backend | keeps events | needs |
//! |---|---|---|
//! | [`MemoryStore`] | as long as it lives | nothing; fails on demand, for tests of callers |
//! | `SqliteStore` | in one file | the feature `sqlite` |
//! | `PostgresStore` | in a schema of a PostgreSQL database | the feature `postgres`, and a server |
//! | `InfluxStore` | in a database of InfluxDB, as points | the feature `influxdb`, and a server |
//! | [`JsonlStore`] | in a directory, as lines of JSON | nothing |
//!
//! [`StoreUrl`] says in one text which one is meant, and opens it.
//! What is stored is asked for through [`reader`].

use std::fmt;
use std::io;
use std::time::Duration;

use crossbridge_core::{Fault, FaultKind};

use super::event::Event;

#[cfg(feature = "influxdb")]
pub mod influxdb;
mod json;
pub mod jsonl;
mod lazy;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
pub mod reader;
mod row;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;
pub mod url;

#[cfg(feature = "influxdb")]
pub use influxdb::InfluxStore;
pub use jsonl::JsonlStore;
pub use lazy::LazyStore;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresReader, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteReader, SqliteStore};
pub use url::{StoreUrl, UrlError};

/// Where events are kept.
pub trait EventStore {
    /// Stores a batch: all of it or, with an error, nothing that was not there before. Where a store
    /// cannot promise that, its page says so; the batch is then made whole by writing it again.
    ///
    /// An attempt takes about `timeout` at most, spent on waiting for others; `None` leaves the
    /// limit to the backend. An empty batch asks as much as [`check`](Self::check) does.
    ///
    /// # Errors
    ///
    /// [`StoreError`], whose [`kind`](Fault::kind) says whether the same call may succeed later.
    /// After [`FaultKind::Unknown`] the batch is stored or not; writing it again is harmless.
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError>;

    /// How many events there are.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the backend cannot be asked.
    fn count(&mut self) -> Result<u64, StoreError>;

    /// The event of that id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the backend cannot be asked, or holds something that is no event.
    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError>;

    /// Whether the store is there and takes writes, asked in the cheapest way it has: for a health
    /// monitor. Nothing is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] as from [`write`](Self::write).
    fn check(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        self.write(&[], timeout).map(drop)
    }

    /// What it is called in messages: its URL or file, without secrets.
    fn name(&self) -> &str {
        UNNAMED
    }
}

impl<S: EventStore + ?Sized> EventStore for Box<S> {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        (**self).write(batch, timeout)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        (**self).count()
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        (**self).get(event_id)
    }

    fn check(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        (**self).check(timeout)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// The name of a store that has none.
const UNNAMED: &str = "event store";

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events stored by this call.
    pub new: u64,
    /// Events whose id was there already, in the store or earlier in the batch.
    pub already_there: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, more: Self) {
        self.new += more.new;
        self.already_there += more.already_there;
    }
}

/// Why a store could not do something: what, where, and what kind of failure it is.
#[derive(Debug)]
pub struct StoreError {
    /// What was being done: `open`, `write`, …
    pub doing: &'static str,
    /// The file or the URL, without secrets; `None` for a store that has none.
    pub place: Option<String>,
    /// What kind of failure, by the code of the backend.
    pub kind: FaultKind,
    /// What is wrong.
    pub trouble: Trouble,
}

impl StoreError {
    /// Whether the store is at fault for certain, and none of the events that were written.
    #[must_use]
    pub const fn is_about_store(&self) -> bool {
        match self.trouble {
            Trouble::Backend(_) | Trouble::Unreadable(_) | Trouble::Scripted => false,
            Trouble::Unfit(_)
            | Trouble::Insecure(_)
            | Trouble::Locked
            | Trouble::NoDirectory
            | Trouble::IsDirectory
            | Trouble::ReadOnly
            | Trouble::NotADatabase
            | Trouble::Damaged
            | Trouble::Full
            | Trouble::Unreachable(_)
            | Trouble::Io(_)
            | Trouble::Busy(_)
            | Trouble::NotKept { .. }
            | Trouble::NoQueries
            | Trouble::TimedOut(_)
            | Trouble::NoDatabase
            | Trouble::NotBuilt(_)
            | Trouble::Newer { .. } => true,
        }
    }
}

/// What is wrong with a store.
#[derive(Debug)]
pub enum Trouble {
    /// The backend said so; the source says what.
    Backend(Box<dyn std::error::Error + Send + Sync>),
    /// The backend refuses whatever it is given: a table or a right is missing. No event is to blame.
    Unfit(Box<dyn std::error::Error + Send + Sync>),
    /// Another connection held the lock for as long as the attempt could wait.
    Locked,
    /// The directory of the file does not exist.
    NoDirectory,
    /// There is a directory in place of the file.
    IsDirectory,
    /// The file can be read but not written.
    ReadOnly,
    /// The file is something else.
    NotADatabase,
    /// The file is a database with damage.
    Damaged,
    /// The disk is full.
    Full,
    /// The connection would not be secure, and was asked to be; the source says why.
    Insecure(Box<dyn std::error::Error + Send + Sync>),
    /// There is no answer: not reached, or cut off.
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
    /// The operating system refused something about a file.
    Io(io::Error),
    /// The server asks for less.
    Busy(Box<Busy>),
    /// The server said yes, and does not show what it said yes to.
    NotKept {
        /// How many events are not there.
        missing: usize,
        /// Of how many.
        of: usize,
    },
    /// The store is written to only: it cannot be asked.
    NoQueries,
    /// There was no answer within the time of the attempt.
    TimedOut(Duration),
    /// The server has no such database.
    NoDatabase,
    /// This program is built without the feature of that name.
    NotBuilt(&'static str),
    /// A newer release has written the schema.
    Newer {
        /// The version of its schema.
        found: i64,
        /// The newest version this release knows.
        known: i64,
    },
    /// What was stored is no event; the text says what is wrong with it.
    Unreadable(String),
    /// A failure that a test asked for.
    Scripted,
}

/// A server that asks for less.
#[derive(Debug)]
pub struct Busy {
    /// How long it wants to be left alone, where it said so.
    pub retry_after: Option<Duration>,
    /// What it said.
    pub said: String,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Busy {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.doing)?;
        write!(f, "{}: ", self.place.as_deref().unwrap_or(UNNAMED))?;
        match &self.trouble {
            Trouble::Backend(_) | Trouble::Unfit(_) => f.write_str("the database refused"),
            Trouble::Insecure(_) => f.write_str("no secure connection"),
            Trouble::Locked => f.write_str("locked by another connection"),
            Trouble::IsDirectory => f.write_str("a directory, expected a file"),
            Trouble::NoDirectory => f.write_str("its directory does not exist"),
            Trouble::ReadOnly => f.write_str("read-only"),
            Trouble::NotADatabase => f.write_str("not a SQLite database"),
            Trouble::Damaged => f.write_str("the database is damaged"),
            Trouble::Full => f.write_str("the disk is full"),
            Trouble::Unreachable(_) => f.write_str("cannot be reached"),
            Trouble::Io(_) => f.write_str("the file system refused"),
            Trouble::Busy(busy) => match busy.retry_after {
                None => f.write_str("the server asks for less"),
                Some(after) => write!(f, "the server asks to be left alone for {after:?}"),
            },
            Trouble::NotKept { missing, of } => {
                write!(
                    f,
                    "{missing} of {of} events that the server acknowledged are not there"
                )
            }
            Trouble::NoQueries => f.write_str("it can be written to, but not asked"),
            Trouble::TimedOut(after) => write!(f, "no answer within {after:?}"),
            Trouble::NoDatabase => f.write_str("the server has no such database"),
            Trouble::NotBuilt(feature) => write!(f, "this program is built without the feature `{feature}`"),
            Trouble::Newer { found, known } => {
                write!(
                    f,
                    "schema version {found}, expected at most {known}: written by a newer release"
                )
            }
            Trouble::Unreadable(what) => f.write_str(what),
            Trouble::Scripted => write!(f, "scripted failure ({})", self.kind.name()),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.trouble {
            Trouble::Backend(error)
            | Trouble::Insecure(error)
            | Trouble::Unfit(error)
            | Trouble::Unreachable(error) => Some(error.as_ref()),
            Trouble::Busy(busy) => Some(busy.as_ref()),
            Trouble::Io(error) => Some(error),
            Trouble::Locked
            | Trouble::NoDirectory
            | Trouble::IsDirectory
            | Trouble::ReadOnly
            | Trouble::NotADatabase
            | Trouble::Damaged
            | Trouble::Full
            | Trouble::NotKept { .. }
            | Trouble::NoQueries
            | Trouble::TimedOut(_)
            | Trouble::NoDatabase
            | Trouble::NotBuilt(_)
            | Trouble::Newer { .. }
            | Trouble::Unreadable(_)
            | Trouble::Scripted => None,
        }
    }
}

impl Fault for StoreError {
    fn kind(&self) -> FaultKind {
        self.kind
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "one variant has a wait")]
    fn retry_after(&self) -> Option<Duration> {
        match &self.trouble {
            Trouble::Busy(busy) => busy.retry_after,
            _ => None,
        }
    }
}

/// An error and what is behind it, in one line.
///
/// ```
/// use crossbridge_std::profiling::store::{StoreUrl, chain};
///
/// let error = "sqlite:/nowhere/events.db".parse::<StoreUrl>()?.open(None).err().expect("no directory");
/// assert!(chain(&error).starts_with("open /nowhere/events.db: "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
