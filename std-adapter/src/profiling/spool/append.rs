//! Events in.

use crossbridge_core::FaultKind;
use rusqlite::Transaction;

use super::counts::{Change, counters};
use super::{Spool, SpoolError, Stop, now_millis, reserve};
use crate::logging::Category;
use crate::profiling::event::Event;
use crate::profiling::ingest::batch;
use crate::profiling::settings::{Limits, Overflow};
use crate::profiling::store::sqlite::row;
use crate::profiling::store::{self, Trouble};

impl Spool {
    /// Keeps the events. Once it returns, they survive a crash and a loss of power. The number is
    /// that of events dropped for want of room, of these or earlier ones: 0 with
    /// [`Overflow::Refuse`].
    ///
    /// # Errors
    ///
    /// [`SpoolError`], and none of them is kept: there is no room, the disk is full, another process
    /// held the lock for 5 s, the file cannot be written.
    pub fn append(&mut self, events: &[Event]) -> Result<u64, SpoolError> {
        self.append_within(events, self.limits)
    }

    /// Keeps the events, for somebody who is told: where there is no room for all of them, they are
    /// refused also under [`Overflow::DropNewest`], which would drop them behind his back. Under
    /// [`Overflow::DropOldest`] they push out others.
    ///
    /// # Errors
    ///
    /// As from [`append`](Self::append).
    pub fn append_or_refuse(&mut self, events: &[Event]) -> Result<u64, SpoolError> {
        let overflow = match self.limits.overflow {
            Overflow::DropOldest if batch_fits(events, &self.limits) => Overflow::DropOldest,
            Overflow::Refuse | Overflow::DropNewest | Overflow::DropOldest => Overflow::Refuse,
        };
        self.append_within(
            events,
            Limits {
                overflow,
                ..self.limits
            },
        )
    }

    fn append_within(&mut self, events: &[Event], limits: Limits) -> Result<u64, SpoolError> {
        if events.is_empty() {
            return Ok(0);
        }
        // Without a reserve, what is appended now could not leave a full disk.
        if let Err(error) = reserve::keep(&self.path)
            && reserve::is_full(&error)
        {
            let full = store::sqlite::error("append to", &self.path, FaultKind::Overloaded, Trouble::Full);
            return Err(full.into());
        }
        let now = now_millis();
        let lost = self.write("append to", |transaction, _| {
            append(transaction, &limits, events, now)
        })?;
        if lost > 0 {
            log::error!(
                target: Category::Persistence.target(),
                spool = self.path.display().to_string(),
                lost = lost;
                "the spool is full, events are lost"
            );
        }
        Ok(lost)
    }
}

/// Whether an empty spool would hold all of them.
fn batch_fits(events: &[Event], limits: &Limits) -> bool {
    count(events) <= limits.events && events.iter().map(size).sum::<u64>() <= limits.bytes
}

fn append(transaction: &Transaction<'_>, limits: &Limits, events: &[Event], now: i64) -> Result<u64, Stop> {
    let held = counters(transaction)?;
    let sizes: Vec<u64> = events.iter().map(size).collect();
    let bytes: u64 = sizes.iter().sum();
    let room = Room {
        events: limits.events.saturating_sub(held.spooled),
        bytes: limits.bytes.saturating_sub(held.bytes),
    };
    let mut change = Change {
        accepted: signed(count(events)),
        ..Change::default()
    };
    let mut kept = 0..events.len();
    if count(events) > room.events || bytes > room.bytes {
        match limits.overflow {
            Overflow::Refuse => {
                return Err(Stop::NoRoom {
                    spooled: held.spooled,
                    bytes: held.bytes,
                });
            }
            Overflow::DropNewest => kept.end = room.fits(sizes.iter()),
            Overflow::DropOldest => {
                let whole = Room {
                    events: limits.events,
                    bytes: limits.bytes,
                };
                // Of a batch that is larger than the spool, the end stays.
                kept.start = events.len() - whole.fits(sizes.iter().rev());
                let coming = sizes.get(kept.clone()).unwrap_or_default();
                let missing = Room {
                    events: u64::try_from(coming.len())
                        .unwrap_or(u64::MAX)
                        .saturating_sub(room.events),
                    bytes: coming.iter().sum::<u64>().saturating_sub(room.bytes),
                };
                drop_oldest(transaction, &missing, &mut change)?;
            }
        }
    }
    let coming = events.get(kept.clone()).unwrap_or_default();
    let coming_bytes: u64 = sizes.get(kept).unwrap_or_default().iter().sum();
    change.lost += signed(count(events) - count(coming));
    change.spooled += signed(count(coming));
    change.bytes += signed(coming_bytes);
    let sql = insert_sql();
    let mut insert = transaction.prepare_cached(&sql)?;
    for event in coming {
        row::bind(&mut insert, event)?;
        insert.raw_bind_parameter(12, signed(size(event)))?;
        insert.raw_bind_parameter(13, now)?;
        insert.raw_execute()?;
    }
    change.book(transaction)?;
    Ok(u64::try_from(change.lost).unwrap_or(0))
}

/// Deletes from the front until so much is free.
fn drop_oldest(transaction: &Transaction<'_>, missing: &Room, change: &mut Change) -> rusqlite::Result<()> {
    let (mut events, mut bytes, mut last) = (0, 0, None);
    let mut select = transaction.prepare_cached("SELECT seq, size FROM spooled ORDER BY seq")?;
    let mut rows = select.query([])?;
    while (events < missing.events || bytes < missing.bytes)
        && let Some(row) = rows.next()?
    {
        last = Some(row.get::<_, i64>(0)?);
        events += 1;
        bytes += super::whole(row.get(1)?);
    }
    let Some(last) = last else { return Ok(()) };
    transaction.execute("DELETE FROM spooled WHERE seq <= ?1", [last])?;
    change.lost += signed(events);
    change.spooled -= signed(events);
    change.bytes -= signed(bytes);
    Ok(())
}

/// What there is space for.
struct Room {
    events: u64,
    bytes: u64,
}

impl Room {
    /// How many of these, in this order, fit.
    fn fits<'s>(&self, sizes: impl Iterator<Item = &'s u64>) -> usize {
        let mut bytes = 0u64;
        sizes
            .zip(0..self.events)
            .take_while(|(size, _)| {
                bytes = bytes.saturating_add(**size);
                bytes <= self.bytes
            })
            .count()
    }
}

fn insert_sql() -> String {
    let columns = row::COLUMNS;
    format!(
        "INSERT INTO spooled ({columns}, size, spooled_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    )
}

pub(super) fn size(event: &Event) -> u64 {
    u64::try_from(batch::size(event)).unwrap_or(u64::MAX)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(events: &[Event]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}
