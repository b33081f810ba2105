//! Events in.

use std::ops::Range;

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
    /// held the lock for 5 s, the file cannot be written, or somebody has deleted it.
    pub fn append(&mut self, events: &[Event]) -> Result<u64, SpoolError> {
        Ok(self.append_share(events, Share::AsPolicySays)?.lost)
    }

    /// Keeps the events, for somebody who is told: where there is no room for all of them, they are
    /// refused also under [`Overflow::DropNewest`], which would drop them behind his back. Under
    /// [`Overflow::DropOldest`] they push out others.
    ///
    /// # Errors
    ///
    /// As from [`append`](Self::append).
    pub fn append_or_refuse(&mut self, events: &[Event]) -> Result<u64, SpoolError> {
        Ok(self.append_share(events, Share::All)?.lost)
    }

    /// Keeps the events; with [`Overflow::Refuse`] as many of the first ones as there is room for.
    ///
    /// # Errors
    ///
    /// As from [`append`](Self::append): there is no room for the first one either.
    pub(in crate::profiling) fn append_front(&mut self, events: &[Event]) -> Result<Appended, SpoolError> {
        self.append_share(events, Share::Front)
    }

    fn append_share(&mut self, events: &[Event], share: Share) -> Result<Appended, SpoolError> {
        if events.is_empty() {
            return Ok(Appended::default());
        }
        self.still_there("append to")?;
        // Without a reserve, what is appended now could not leave a full disk.
        if let Err(error) = reserve::keep(&self.path)
            && reserve::is_full(&error)
        {
            let full = store::sqlite::error("append to", &self.path, FaultKind::Overloaded, Trouble::Full);
            return Err(full.into());
        }
        let (now, shipping) = (now_millis(), self.shipping());
        let appended = self.write("append to", |transaction, limits| {
            let terms = Terms {
                limits,
                share,
                shipping,
            };
            append(transaction, &terms, events, now)
        })?;
        let lost = appended.lost;
        if lost > 0 {
            log::error!(
                target: Category::Persistence.target(),
                spool = self.path.display().to_string(),
                lost = lost;
                "the spool is full, events are lost"
            );
        }
        Ok(appended)
    }
}

/// What is kept of a batch that there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// What the policy leaves of it.
    AsPolicySays,
    /// All of it, or nothing.
    All,
    /// The same as the policy says, and where that refuses, the first ones that fit.
    Front,
}

struct Terms<'l> {
    limits: &'l Limits,
    share: Share,
    /// The last row that is on its way to the store; nothing up to there is dropped.
    shipping: i64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::profiling) struct Appended {
    /// Events of the batch that are in the spool, or lost.
    pub(in crate::profiling) done: usize,
    /// Events that were dropped, of these or earlier ones.
    lost: u64,
    /// Events of the batch that were dropped.
    pub(in crate::profiling) lost_of_these: u64,
}

impl Appended {
    /// So many are in the spool.
    #[cfg(test)]
    pub(in crate::profiling) fn all(done: usize) -> Self {
        Self {
            done,
            ..Self::default()
        }
    }
}

fn append(
    transaction: &Transaction<'_>,
    terms: &Terms<'_>,
    events: &[Event],
    now: i64,
) -> Result<Appended, Stop> {
    let limits = terms.limits;
    let held = counters(transaction)?;
    let room = Room {
        events: limits.events.saturating_sub(held.spooled),
        bytes: limits.bytes.saturating_sub(held.bytes),
    };
    let no_room = || Stop::NoRoom {
        spooled: held.spooled,
        bytes: held.bytes,
    };
    let events = if limits.overflow == Overflow::Refuse && terms.share == Share::Front {
        // Tried again and again while it is full: what does not fit is not even weighed.
        events.get(..room.fits(events.iter().map(size))).unwrap_or(events)
    } else {
        events
    };
    if events.is_empty() {
        return Err(no_room());
    }
    let sizes: Vec<u64> = events.iter().map(size).collect();
    let mut change = Change {
        accepted: signed(count(events)),
        ..Change::default()
    };
    let kept = if room.fits(sizes.iter().copied()) == events.len() {
        0..events.len()
    } else {
        make_room(transaction, terms, &room, &sizes, &mut change)?.ok_or_else(no_room)?
    };
    let coming = events.get(kept.clone()).unwrap_or_default();
    let sizes = sizes.get(kept).unwrap_or_default();
    let lost_of_these = count(events) - count(coming);
    change.lost += signed(lost_of_these);
    change.spooled += signed(count(coming));
    change.bytes += signed(sizes.iter().sum());
    let sql = insert_sql();
    let mut insert = transaction.prepare_cached(&sql)?;
    for (event, size) in coming.iter().zip(sizes) {
        row::bind(&mut insert, event)?;
        insert.raw_bind_parameter(12, signed(*size))?;
        insert.raw_bind_parameter(13, now)?;
        insert.raw_execute()?;
    }
    change.book(transaction)?;
    Ok(Appended {
        done: events.len(),
        lost: u64::try_from(change.lost).unwrap_or(0),
        lost_of_these,
    })
}

/// Makes room for a batch that does not fit, as the policy says: for which part of it. `None` where it is
/// refused.
fn make_room(
    transaction: &Transaction<'_>,
    terms: &Terms<'_>,
    room: &Room,
    sizes: &[u64],
    change: &mut Change,
) -> rusqlite::Result<Option<Range<usize>>> {
    match (terms.limits.overflow, terms.share) {
        (Overflow::Refuse, _) | (Overflow::DropNewest, Share::All) => Ok(None),
        (Overflow::DropNewest, Share::AsPolicySays | Share::Front) => {
            Ok(Some(0..room.fits(sizes.iter().copied())))
        }
        (Overflow::DropOldest, share) => {
            let shipping = held_up_to(transaction, terms.shipping)?;
            let most = Room {
                events: terms.limits.events.saturating_sub(shipping.events),
                bytes: terms.limits.bytes.saturating_sub(shipping.bytes),
            };
            // Of a batch that is larger than the spool, the end stays.
            let first = sizes.len() - most.fits(sizes.iter().rev().copied());
            if share == Share::All && first > 0 {
                return Ok(None);
            }
            let coming = sizes.get(first..).unwrap_or_default();
            let missing = Room {
                events: u64::try_from(coming.len())
                    .unwrap_or(u64::MAX)
                    .saturating_sub(room.events),
                bytes: coming.iter().sum::<u64>().saturating_sub(room.bytes),
            };
            drop_oldest(transaction, terms.shipping, &missing, change)?;
            Ok(Some(first..sizes.len()))
        }
    }
}

/// What the rows up to this one take.
fn held_up_to(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<Room> {
    let sql = "SELECT count(*), coalesce(sum(size), 0) FROM spooled WHERE seq <= ?1";
    transaction.prepare_cached(sql)?.query_row([last], |row| {
        Ok(Room {
            events: super::whole(row.get(0)?),
            bytes: super::whole(row.get(1)?),
        })
    })
}

/// Deletes from the front, but for what is being shipped, until so much is free.
fn drop_oldest(
    transaction: &Transaction<'_>,
    shipping: i64,
    missing: &Room,
    change: &mut Change,
) -> rusqlite::Result<()> {
    let (mut events, mut bytes, mut last) = (0, 0, None);
    let mut select =
        transaction.prepare_cached("SELECT seq, size FROM spooled WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = select.query([shipping])?;
    while (events < missing.events || bytes < missing.bytes)
        && let Some(row) = rows.next()?
    {
        last = Some(row.get::<_, i64>(0)?);
        events += 1;
        bytes += super::whole(row.get(1)?);
    }
    let Some(last) = last else { return Ok(()) };
    transaction.execute(
        "DELETE FROM spooled WHERE seq > ?1 AND seq <= ?2",
        [shipping, last],
    )?;
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
    fn fits(&self, sizes: impl Iterator<Item = u64>) -> usize {
        let mut bytes = 0u64;
        (0..self.events)
            .zip(sizes)
            .take_while(|(_, size)| {
                bytes = bytes.saturating_add(*size);
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
