//! Dead letters: events that the store refuses for themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::append::{signed, size};
use super::counts::Change;
use super::{Spool, SpoolError, explain, now_millis, whole};
use crate::profiling::event::Event;
use crate::profiling::store::sqlite::row::{self, COLUMNS, read};

/// An event that the store refuses, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its id.
    pub event_id: String,
    /// The test it belongs to.
    pub test_id: String,
    /// The event; `None` where what was stored is none.
    pub event: Option<Event>,
    /// What the store says.
    pub reason: String,
    /// When it said so last.
    pub at: SystemTime,
    /// How often it has refused it.
    pub attempts: u64,
}

/// Which dead letters are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'w> {
    /// All of them.
    All,
    /// Those with these event ids.
    Ids(&'w [String]),
}

impl Spool {
    /// Hands the dead letters to `each`, oldest first, without holding them in memory.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] when the file cannot be read.
    pub fn dead_letters(&mut self, mut each: impl FnMut(DeadLetter)) -> Result<(), SpoolError> {
        let sql = format!("SELECT {COLUMNS}, died_at, refusals, reason FROM dead_letters ORDER BY number");
        let mut each_row = || {
            let mut select = self.connection.prepare_cached(&sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                each(letter(row)?);
            }
            Ok(())
        };
        let done: rusqlite::Result<()> = each_row();
        done.map_err(|source| explain("read", &self.path, source).into())
    }

    /// Puts dead letters back among what is shipped; how many.
    ///
    /// # Errors
    ///
    /// [`SpoolError`], and nothing has changed.
    pub fn retry(&mut self, which: Which<'_>) -> Result<u64, SpoolError> {
        let now = now_millis();
        self.write("change", |transaction, _| {
            let mut change = Change::default();
            each_number(transaction, which, |number| {
                let sql = format!(
                    "INSERT INTO spooled ({COLUMNS}, size, spooled_at, refusals) \
                     SELECT {COLUMNS}, size, ?2, refusals FROM dead_letters WHERE number = ?1"
                );
                transaction.prepare_cached(&sql)?.execute([number, now])?;
                change.bytes += remove(transaction, number)?;
                change.spooled += 1;
                change.dead_letters -= 1;
                Ok(())
            })?;
            change.book(transaction)?;
            Ok(whole(change.spooled))
        })
    }

    /// Deletes dead letters for good; how many.
    ///
    /// # Errors
    ///
    /// [`SpoolError`], and nothing has changed.
    pub fn purge(&mut self, which: Which<'_>) -> Result<u64, SpoolError> {
        self.write_out("change", |transaction, _| {
            let mut change = Change::default();
            each_number(transaction, which, |number| {
                remove(transaction, number)?;
                change.purged += 1;
                change.dead_letters -= 1;
                Ok(())
            })?;
            change.book(transaction)?;
            Ok(whole(change.purged))
        })
    }

    /// Keeps an event that never was in the spool, beside the reason.
    pub(super) fn bury_event(&mut self, event: &Event, reason: &str) -> Result<(), SpoolError> {
        self.still_there("append to")?;
        let now = now_millis();
        self.write("append to", |transaction, _| {
            let id = &event.event_id;
            let again = transaction
                .prepare_cached("SELECT number FROM dead_letters WHERE event_id = ?1")?
                .query_row([id], |row| row.get::<_, i64>(0))
                .optional()?;
            let mut change = Change {
                accepted: 1,
                ..Change::default()
            };
            if let Some(number) = again {
                let sql = "UPDATE dead_letters SET died_at = ?2, refusals = refusals + 1, reason = ?3 \
                    WHERE number = ?1";
                transaction
                    .prepare_cached(sql)?
                    .execute(rusqlite::params![number, now, reason])?;
                change.purged = 1;
            } else {
                let sql = format!(
                    "INSERT INTO dead_letters ({COLUMNS}, size, died_at, refusals, reason) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 1, ?14)"
                );
                let mut insert = transaction.prepare_cached(&sql)?;
                row::bind(&mut insert, event)?;
                insert.raw_bind_parameter(12, signed(size(event)))?;
                insert.raw_bind_parameter(13, now)?;
                insert.raw_bind_parameter(14, reason)?;
                insert.raw_execute()?;
                change.dead_letters = 1;
            }
            change.book(transaction)?;
            Ok(())
        })
    }
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let event = match read(row) {
        Ok(raw) => raw.into_event().ok(),
        Err(rusqlite::Error::InvalidColumnType(..)) => None,
        Err(error) => return Err(error),
    };
    // Whatever somebody has put there: it is shown, not trusted.
    let text = |column| {
        let value = row.get_ref(column)?;
        Ok::<_, rusqlite::Error>(value.as_str().unwrap_or_default().to_owned())
    };
    Ok(DeadLetter {
        event_id: text(0)?,
        test_id: text(2)?,
        event,
        at: UNIX_EPOCH + Duration::from_millis(whole(row.get(11)?)),
        attempts: whole(row.get(12)?),
        reason: text(13)?,
    })
}

/// Does something with the number of each letter that is meant.
fn each_number(
    transaction: &Transaction<'_>,
    which: Which<'_>,
    mut work: impl FnMut(i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    match which {
        Which::All => {
            let mut select = transaction.prepare_cached("SELECT number FROM dead_letters ORDER BY number")?;
            // Taken first: the work deletes what the statement reads.
            let numbers: Vec<i64> = select
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            numbers.into_iter().try_for_each(work)
        }
        Which::Ids(ids) => {
            let mut select =
                transaction.prepare_cached("SELECT number FROM dead_letters WHERE event_id = ?1")?;
            for id in ids {
                if let Some(number) = select.query_row([id], |row| row.get(0)).optional()? {
                    work(number)?;
                }
            }
            Ok(())
        }
    }
}

/// Deletes a letter; its size.
fn remove(transaction: &Transaction<'_>, number: i64) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("DELETE FROM dead_letters WHERE number = ?1 RETURNING size")?
        .query_row([number], |row| row.get(0))
}
