//! What a store cannot take now, kept on disk until it can.
//!
//! ```text
//!   append ──▶ spooled ── peek ── the store said yes ── settle ──▶ gone, counted as stored
//!                │ ▲                    │ refused for itself
//!                │ └──── retry ────┐    ▼
//!                │ no room          dead letters ── purge ──▶ gone, counted as purged
//!                ▼
//!          refuse the batch, or drop the oldest or the newest: gone, counted as lost
//! ```
//!
//! A spool is one SQLite file per destination, so plain `sqlite3` can look into it.
//!
//! # Rules
//! - **An append that has returned survives** a crash of the process, of the machine and a loss of
//!   power (write-ahead log, `synchronous = FULL`, one commit per append). One that has not is there
//!   as a whole or not at all, also where the disk is full.
//! - **Nothing leaves before the store said yes**: [`peek`](Spool::peek), write,
//!   [`settle`](Spool::settle). A crash in between ships the batch twice, which a store that keeps one
//!   event per id does not notice.
//! - **The books balance**, in every commit: accepted = stored + spooled + dead letters + lost +
//!   purged ([`SpoolCounts::balance`]). They are part of the file and survive with it.
//! - **A full disk keeps nothing from leaving**: 8 MiB are set aside for that beside the file, in
//!   `NAME.db.reserve`.
//! - **It is bounded** ([`Limits`]). What happens at the bound is the user's choice ([`Overflow`](super::Overflow)).
//!   What this process is just bringing to the store is not dropped. What a store has taken without an answer
//!   is not known to be there, and may be dropped and counted as lost.
//! - **Several processes** may append, ship and look at the same time. Two that ship the same batch
//!   settle it once; [`ship_lock`](Spool::ship_lock) is there to spare the second one the work.
//! - **A damaged file** is put aside under another name, never deleted, and said
//!   ([`set_aside`](Spool::set_aside)); a new one takes its place. That waits until no other process
//!   has it open.
//! - Not for a directory on a network: locks there are not to be relied on.
//!
//! # Example
//! ```
//! use crossbridge_std::profiling::{Event, EventType, Limits, Spool};
//!
//! let directory = tempfile::tempdir()?;
//! let mut spool = Spool::open(directory.path().join("spool/events.db"), Limits::DEFAULT)?;
//! spool.append(&[Event::new("id", "run", "test", EventType::TestEnd)])?;
//!
//! let taken = spool.peek()?;
//! assert_eq!(taken.events().len(), 1); // written to the store here
//! spool.settle(&taken, 1, &[])?;
//! assert_eq!((spool.counts()?.spooled, spool.counts()?.stored), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::event::Event;
use super::ingest::{Keep, KeepError};
use super::settings::Limits;
pub(super) use super::store::chain;
use super::store::sqlite::explain;
use super::store::{StoreError, Trouble};
use crate::clock::wall_clock;

mod append;
mod aside;
mod counts;
mod dead;
mod error;
mod place;
mod reserve;
mod schema;
mod ship;
mod take;
#[cfg(test)]
mod tests;

pub(super) use append::Appended;
use aside::Inode;
pub use aside::ShipLock;
pub use counts::SpoolCounts;
pub use dead::{DeadLetter, Which};
pub use error::SpoolError;
pub use place::SpoolPlace;
pub(super) use ship::{Sent, send};
pub use ship::{ShipCause, ShipError, Shipped, drain};
pub use take::{Dead, Taken};

/// Events on disk that a store has not taken yet. See the [module](self) for the rules.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    limits: Limits,
    connection: Connection,
    /// Which file is open.
    inode: Inode,
    /// Held shared as long as the file is open, so that nobody moves it away.
    presence: File,
    /// The last row of what was taken and may be on its way to the store.
    shipping: Weak<i64>,
    set_aside: Vec<PathBuf>,
}

impl Spool {
    /// Opens the file, or makes it and its directory.
    ///
    /// # Errors
    ///
    /// [`SpoolError`]: the directory cannot be made, the file is read-only, locked for 5 s or written
    /// by a newer release; or it is damaged and another process has it open. A damaged file that
    /// nobody else uses is no error: it is put [aside](Self::set_aside).
    pub fn open(path: impl Into<PathBuf>, limits: Limits) -> Result<Self, SpoolError> {
        let path = path.into();
        let presence = aside::announce(&path)?;
        // As much as there is: appending says when there is none.
        let _ = reserve::keep(&path);
        let mut set_aside = Vec::new();
        let connection = match schema::connect(&path) {
            Err(error) if aside::is_damage(&error) => {
                set_aside.push(aside::put_aside(&path, &presence)?);
                schema::connect(&path)?
            }
            opened => opened?,
        };
        Ok(Self {
            inode: Inode::of(&path).map_err(|source| aside::failed("find", path.clone(), source))?,
            path,
            limits,
            connection,
            presence,
            shipping: Weak::new(),
            set_aside,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds at most, and what happens then.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Files that this one has put aside because they were damaged. What is in them may be saved:
    /// `sqlite3 FILE .recover`.
    #[must_use]
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.set_aside
    }

    /// Does something in one transaction, taken for writing at its start. Where the file turns out to
    /// be damaged, it is put aside, and the same is done with a new one.
    fn write<T>(
        &mut self,
        doing: &'static str,
        mut work: impl FnMut(&Transaction<'_>, &Limits) -> Result<T, Stop>,
    ) -> Result<T, SpoolError> {
        match self.write_once(doing, &mut work) {
            Err(SpoolError::File(error)) if aside::is_damage(&error) => {
                self.replace(&error)?;
                self.write_once(doing, &mut work)
            }
            done => done,
        }
    }

    /// The same for what lets events go, which a full disk does not prevent while there is a reserve.
    fn write_out<T>(
        &mut self,
        doing: &'static str,
        mut work: impl FnMut(&Transaction<'_>, &Limits) -> Result<T, Stop>,
    ) -> Result<T, SpoolError> {
        match self.write(doing, &mut work) {
            Err(SpoolError::File(error))
                if matches!(error.trouble, Trouble::Full)
                    && reserve::release(&self.path, &self.connection) =>
            {
                self.write(doing, work)
            }
            done => done,
        }
    }

    fn write_once<T>(
        &mut self,
        doing: &'static str,
        work: &mut impl FnMut(&Transaction<'_>, &Limits) -> Result<T, Stop>,
    ) -> Result<T, SpoolError> {
        let path = &self.path;
        let wrap = |source| SpoolError::File(explain(doing, path, source));
        // Dropped without a commit, a transaction is rolled back.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrap)?;
        let done = work(&transaction, &self.limits).map_err(|stop| match stop {
            Stop::Sqlite(source) => wrap(source),
            Stop::NoRoom { spooled, bytes } => SpoolError::NoRoom {
                path: path.clone(),
                spooled,
                bytes,
                limits: self.limits,
            },
        })?;
        transaction.commit().map_err(wrap)?;
        Ok(done)
    }

    /// Puts the damaged file aside and begins a new one.
    fn replace(&mut self, damage: &StoreError) -> Result<(), SpoolError> {
        // Only a closed file can be moved without taking its journal apart.
        let nowhere = Connection::open_in_memory().map_err(|source| explain("open", &self.path, source))?;
        let damaged = std::mem::replace(&mut self.connection, nowhere);
        drop(damaged);
        let moved = aside::put_aside(&self.path, &self.presence);
        if let Ok(moved) = &moved {
            log::error!(
                target: crate::logging::Category::Persistence.target(),
                spool = self.path.display().to_string(),
                set_aside = moved.display().to_string(),
                reason = damage.to_string();
                "the spool is damaged, it was put aside"
            );
        }
        // Also where it could not be moved: the next call says the same again.
        self.connection = schema::connect(&self.path)?;
        self.inode =
            Inode::of(&self.path).map_err(|source| aside::failed("find", self.path.clone(), source))?;
        self.set_aside.push(moved?);
        Ok(())
    }

    /// Fails where the file that is open has been deleted, also if there is another one of its name by
    /// now: SQLite would write on, and nobody would find it.
    fn still_there(&self, doing: &'static str) -> Result<(), SpoolError> {
        let source = match Inode::of(&self.path) {
            Ok(inode) if inode == self.inode => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => error,
            Ok(_) | Err(_) => io::Error::new(io::ErrorKind::NotFound, "somebody has deleted it"),
        };
        Err(aside::failed(doing, self.path.clone(), source))
    }
}

impl Keep for Spool {
    fn keep(&mut self, events: &[Event]) -> Result<u64, KeepError> {
        Ok(self.append(events)?)
    }

    fn bury(&mut self, event: &Event, reason: &StoreError) -> Result<(), KeepError> {
        Ok(self.bury_event(event, &chain(reason))?)
    }
}

/// Why a transaction is not committed.
enum Stop {
    Sqlite(rusqlite::Error),
    NoRoom { spooled: u64, bytes: u64 },
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The time of day in milliseconds since 1970.
fn now_millis() -> i64 {
    let since = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What SQLite counts, as we count.
fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// How long another process is waited for: longer than any transaction of ours takes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
