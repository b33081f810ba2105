//! What a spool holds and what it has seen.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::{Spool, SpoolError, explain, now_millis, whole};

/// What a spool holds and what it has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolCounts {
    /// Events it was ever given.
    pub accepted: u64,
    /// Events it has let go of because the store has them, for the first or the second time.
    pub stored: u64,
    /// Events that wait for the store.
    pub spooled: u64,
    /// Their text in bytes, about.
    pub bytes: u64,
    /// Events that the store refuses.
    pub dead_letters: u64,
    /// Events that were dropped because there was no room.
    pub lost: u64,
    /// Dead letters that somebody has purged, or that came again and are kept once.
    pub purged: u64,
    /// How long the oldest event waits; `None` where none does.
    pub oldest: Option<Duration>,
}

impl SpoolCounts {
    /// Whether every event is accounted for:
    /// accepted = stored + spooled + dead letters + lost + purged.
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.accepted == self.stored + self.spooled + self.dead_letters + self.lost + self.purged
    }
}

impl Spool {
    /// What it holds and what it has seen.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] when the file cannot be read.
    pub fn counts(&mut self) -> Result<SpoolCounts, SpoolError> {
        let read = |connection: &Connection| {
            let mut counts = counters(connection)?;
            let oldest: Option<i64> = connection
                .prepare_cached("SELECT spooled_at FROM spooled ORDER BY seq LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            // A clock that was set back makes nothing older than it is.
            counts.oldest = oldest.map(|at| Duration::from_millis(whole(now_millis().saturating_sub(at))));
            Ok(counts)
        };
        read(&self.connection).map_err(|source| explain("count", &self.path, source).into())
    }
}

/// The counters alone.
pub(super) fn counters(connection: &Connection) -> rusqlite::Result<SpoolCounts> {
    let sql = "SELECT accepted, stored, spooled, bytes, dead_letters, lost, purged FROM counters";
    connection.prepare_cached(sql)?.query_row([], |row| {
        let number = |column| row.get::<_, i64>(column).map(whole);
        Ok(SpoolCounts {
            accepted: number(0)?,
            stored: number(1)?,
            spooled: number(2)?,
            bytes: number(3)?,
            dead_letters: number(4)?,
            lost: number(5)?,
            purged: number(6)?,
            oldest: None,
        })
    })
}

/// A change of the counters; part of the transaction that makes it true.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) accepted: i64,
    pub(super) stored: i64,
    pub(super) spooled: i64,
    pub(super) bytes: i64,
    pub(super) dead_letters: i64,
    pub(super) lost: i64,
    pub(super) purged: i64,
}

impl Change {
    pub(super) fn book(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "UPDATE counters SET accepted = accepted + ?1, stored = stored + ?2, \
            spooled = spooled + ?3, bytes = bytes + ?4, dead_letters = dead_letters + ?5, \
            lost = lost + ?6, purged = purged + ?7";
        transaction.prepare_cached(sql)?.execute([
            self.accepted,
            self.stored,
            self.spooled,
            self.bytes,
            self.dead_letters,
            self.lost,
            self.purged,
        ])?;
        Ok(())
    }
}
