//! Events out, once the store has them.

use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};

use super::counts::{Change, counters};
use super::{Spool, SpoolError, explain, now_millis, reserve};
use crate::profiling::event::{Event, heap};
use crate::profiling::ingest::{BATCH_BYTES, BATCH_EVENTS};
use crate::profiling::store::sqlite::row::{COLUMNS, read};

/// The oldest events of a spool, to be written to the store. They are still in the spool.
#[derive(Debug, Default)]
pub struct Taken {
    events: Vec<Event>,
    /// The numbers of their rows, ascending.
    rows: Vec<i64>,
    /// The last of them, for the spool to see as long as this lives.
    shipping: Arc<i64>,
}

impl Taken {
    /// The events, oldest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether there was nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The number of the first row; 0 where there is none.
    pub(super) fn first_row(&self) -> i64 {
        self.rows.first().copied().unwrap_or_default()
    }
}

/// An event of a batch that the store refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Its place in the batch, from 0.
    pub place: usize,
    /// What the store says.
    pub reason: String,
}

impl Spool {
    /// The oldest events: at most [`BATCH_EVENTS`], and no more once they take [`BATCH_BYTES`] of memory.
    ///
    /// A row that is no event (somebody has changed it) becomes a dead letter on the way.
    ///
    /// As long as the last batch that was asked for lives, nothing of it is dropped for newer events: the
    /// store may have it by then, and it would be counted as lost. Spools in other processes do not know.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] when the file cannot be read.
    pub fn peek(&mut self) -> Result<Taken, SpoolError> {
        loop {
            let read = read_front(&self.connection);
            let (mut taken, unreadable) = match read {
                Ok(read) => read,
                Err(source) => {
                    let error = explain("read", &self.path, source);
                    if !super::aside::is_damage(&error) {
                        return Err(error.into());
                    }
                    self.replace(&error)?;
                    continue;
                }
            };
            let Some((row, reason)) = unreadable else {
                taken.shipping = Arc::new(taken.rows.last().copied().unwrap_or_default());
                self.shipping = Arc::downgrade(&taken.shipping);
                return Ok(taken);
            };
            let now = now_millis();
            self.write_out("settle in", |transaction, _| {
                let mut change = Change::default();
                bury_row(transaction, row, &reason, now, &mut change)?;
                change.book(transaction)?;
                Ok(())
            })?;
        }
    }

    /// The number of the last row that is on its way to the store; 0 where there is none.
    pub(super) fn shipping(&self) -> i64 {
        self.shipping.upgrade().map_or(0, |last| *last)
    }

    /// The number of the newest row; 0 where there is none.
    pub(super) fn last_row(&mut self) -> Result<i64, SpoolError> {
        self.connection
            .query_row("SELECT coalesce(max(seq), 0) FROM spooled", [], |row| row.get(0))
            .map_err(|source| explain("read", &self.path, source).into())
    }

    /// Lets go of the first `settled` events of a batch: the store has them, but for the `dead` ones,
    /// which become dead letters. Settling twice is harmless.
    ///
    /// # Errors
    ///
    /// [`SpoolError`], and all of them are still there.
    pub fn settle(&mut self, taken: &Taken, settled: usize, dead: &[Dead]) -> Result<(), SpoolError> {
        let rows = taken.rows.get(..settled).unwrap_or(&taken.rows);
        let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else {
            return Ok(());
        };
        let now = now_millis();
        let empty = self.write_out("settle in", |transaction, _| {
            let mut change = Change::default();
            for dead in dead {
                if let Some(&row) = rows.get(dead.place) {
                    bury_row(transaction, row, &dead.reason, now, &mut change)?;
                }
            }
            let sum = "SELECT count(*), coalesce(sum(size), 0) FROM spooled WHERE seq BETWEEN ?1 AND ?2";
            let (events, bytes): (i64, i64) = transaction
                .prepare_cached(sum)?
                .query_row([first, last], |row| Ok((row.get(0)?, row.get(1)?)))?;
            transaction
                .prepare_cached("DELETE FROM spooled WHERE seq BETWEEN ?1 AND ?2")?
                .execute([first, last])?;
            change.stored += events;
            change.spooled -= events;
            change.bytes -= bytes;
            change.book(transaction)?;
            Ok(counters(transaction)?.spooled == 0)
        })?;
        if empty {
            self.shrink();
        }
        Ok(())
    }

    /// Gives the space of an outage back to the disk, as far as nobody is in the way.
    fn shrink(&self) {
        let free: i64 = self
            .connection
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))
            .unwrap_or_default();
        if free > WORTHWHILE_PAGES || !reserve::is_kept(&self.path) {
            // Quick, since there is next to nothing left to copy; the next time will do as well.
            let _ = self.connection.execute_batch("VACUUM");
            reserve::restore(&self.path, &self.connection);
        }
    }
}

/// The oldest rows, up to the first one that is no event; or that one, where it is the oldest.
fn read_front(connection: &Connection) -> rusqlite::Result<(Taken, Option<(i64, String)>)> {
    let sql = format!("SELECT {COLUMNS}, seq FROM spooled ORDER BY seq LIMIT {BATCH_EVENTS}");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([])?;
    let (mut taken, mut bytes) = (Taken::default(), 0);
    while bytes < MOST_BYTES
        && let Some(row) = rows.next()?
    {
        let seq = row.get(11)?;
        let event = match read(row) {
            Ok(raw) => raw.into_event(),
            Err(error @ rusqlite::Error::InvalidColumnType(..)) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        match event {
            Ok(event) => {
                bytes += heap::bytes(&event);
                taken.events.push(event);
                taken.rows.push(seq);
            }
            Err(reason) if taken.is_empty() => return Ok((taken, Some((seq, reason)))),
            Err(_) => break,
        }
    }
    Ok((taken, None))
}

/// Makes a spooled row a dead letter, if it is still there.
fn bury_row(
    transaction: &Transaction<'_>,
    row: i64,
    reason: &str,
    now: i64,
    change: &mut Change,
) -> rusqlite::Result<()> {
    let again: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM dead_letters \
             WHERE event_id = (SELECT event_id FROM spooled WHERE seq = ?1))",
        )?
        .query_row([row], |row| row.get(0))?;
    let sql = format!(
        "INSERT INTO dead_letters ({COLUMNS}, size, died_at, refusals, reason) \
         SELECT {COLUMNS}, size, ?2, refusals + 1, ?3 FROM spooled WHERE seq = ?1 \
         ON CONFLICT (event_id) DO UPDATE SET died_at = excluded.died_at, \
         refusals = refusals + excluded.refusals, reason = excluded.reason"
    );
    let moved = transaction
        .prepare_cached(&sql)?
        .execute(params![row, now, reason])?;
    if moved == 0 {
        return Ok(());
    }
    let size: i64 = transaction
        .prepare_cached("DELETE FROM spooled WHERE seq = ?1 RETURNING size")?
        .query_row([row], |row| row.get(0))?;
    change.spooled -= 1;
    change.bytes -= size;
    if again {
        change.purged += 1;
    } else {
        change.dead_letters += 1;
    }
    Ok(())
}

const MOST_BYTES: u64 = BATCH_BYTES as u64;

/// Free pages that are worth a rewrite of the file: 4 MiB.
const WORTHWHILE_PAGES: i64 = 1_024;
