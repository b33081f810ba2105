//! The time of a table, which goes on where the clock steps back.
//!
//! A step back costs nothing that way, however many keys there are: what a slot holds stays as far
//! ahead as it was, and whoever had been idle before is idle still.
//!
//! ```text
//!   clock    100 ──▶ 40 ──▶ 50       back by 60
//!   ahead      0     60     60
//!   table    100 ──▶100 ──▶110
//! ```
//!
//! # Rules
//! - A little late is not back: up to [`LATE`].
//! - The table's time ends where the clock's does, and a table that had come there would refuse
//!   everything. After a step back from beyond [`FAR`] it is the clock's again, and what is owed moves
//!   back in every slot instead.

use core::time::Duration;

use crate::time::{Instant, nanos};

/// How much smaller than the last `now` the next may be before it counts as a clock that stepped
/// back.
pub(super) const LATE: Duration = Duration::from_secs(1);

/// 417 days. Few processes run for as long and few clocks step by as much; an order of magnitude
/// below the 36 years after which a quota with fraction bits is refused for good.
pub(super) const FAR: u64 = 1 << 55;

/// A request in the table's time.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// When it is.
    pub(super) at: Instant,
    /// How far that is ahead of the clock.
    pub(super) ahead: u64,
    /// When it was in the time that the slots are written in: later than `at` where they are to be
    /// moved back.
    pub(super) was: Instant,
}

impl Seen {
    pub(super) const fn new(now: Instant, ahead: u64) -> Self {
        let at = now.saturating_add_nanos(ahead);
        Self { at, ahead, was: at }
    }

    /// A clock that stepped back to `now`, when the table's time was `was` and `ahead` of it.
    pub(super) const fn stepped(now: Instant, was: Instant, ahead: u64) -> Self {
        if was.as_nanos() <= FAR {
            Self { at: was, ahead, was }
        } else {
            Self {
                at: now,
                ahead: 0,
                was,
            }
        }
    }

    /// Whether the slots are to be moved back.
    #[inline]
    pub(super) const fn moves(self) -> bool {
        self.was.as_nanos() > self.at.as_nanos()
    }

    /// An instant of the time that the slots are written in.
    pub(super) const fn moved(self, then: Instant) -> Instant {
        let back = self.was.as_nanos().saturating_sub(self.at.as_nanos());
        Instant::from_nanos(then.as_nanos().saturating_sub(back))
    }
}

/// The time of a table with one owner.
#[derive(Clone, Debug)]
pub(super) struct TableTime {
    /// The clock's last instant.
    last: Instant,
    ahead: u64,
}

impl TableTime {
    pub(super) const fn new() -> Self {
        Self {
            last: Instant::ZERO,
            ahead: 0,
        }
    }

    /// `now` in the table's time; `None` where it is before the last one.
    #[inline]
    pub(super) const fn advance(&mut self, now: Instant) -> Option<Instant> {
        if now.as_nanos() < self.last.as_nanos() {
            return None;
        }
        self.last = now;
        Some(now.saturating_add_nanos(self.ahead))
    }

    /// How far it is ahead of the clock.
    pub(super) const fn ahead(&self) -> u64 {
        self.ahead
    }

    /// `now` in the table's time, and what the time is once that is noted.
    pub(super) const fn after(&self, now: Instant) -> (Seen, Self) {
        let (last, at) = (self.last.as_nanos(), now.as_nanos());
        if at < last && last - at <= nanos(LATE) {
            return (Seen::new(self.last, self.ahead), Self { ..*self });
        }
        let seen = if at >= last {
            Seen::new(now, self.ahead)
        } else {
            let was = Seen::new(self.last, self.ahead).at;
            Seen::stepped(now, was, self.ahead.saturating_add(last - at))
        };
        let noted = Self {
            last: now,
            ahead: seen.ahead,
        };
        (seen, noted)
    }
}
