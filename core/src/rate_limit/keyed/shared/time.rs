//! The time of a table that threads share, see [`time`](crate::rate_limit::keyed::time).

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::rate_limit::keyed::time::{LATE, Seen};
use crate::sync::atomic::AtomicU64;
use crate::time::{Instant, nanos};

/// What nearly every request reads and hardly any writes: a cache line of its own.
///
/// `newest` is read first and written last: who sees it moved back sees `ahead` begin again.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct SharedTime {
    /// The latest `now` in the table's time, to a [`GRAIN`].
    newest: AtomicU64,
    /// How far the table's time is ahead of the clock after steps back.
    ahead: AtomicU64,
}

impl SharedTime {
    pub(super) const fn new() -> Self {
        Self {
            newest: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
        }
    }

    /// `now` in the table's time and how far that is ahead of the clock, where there is nothing to
    /// note.
    #[inline]
    pub(super) fn quick(&self, now: Instant) -> Option<(Instant, u64)> {
        let newest = self.newest.load(Acquire);
        let ahead = self.ahead.load(Relaxed);
        let at = now.as_nanos().saturating_add(ahead);
        let since = at.checked_sub(newest)?;
        (since < GRAIN).then_some((Instant::from_nanos(at), ahead))
    }

    /// The same where the first comes in a while, one is late or the clock stepped back. That is
    /// noted, except where the slots [move](Seen::moves).
    pub(super) fn observe(&self, now: Instant) -> Seen {
        loop {
            let newest = self.newest.load(Acquire);
            let ahead = self.ahead.load(Relaxed);
            let seen = Seen::new(now, ahead);
            let at = seen.at.as_nanos();
            if at > newest
                && self
                    .newest
                    .compare_exchange(newest, at, Relaxed, Relaxed)
                    .is_err()
            {
                // Somebody saw something newer, or the clock step back.
                continue;
            }
            let back = newest.saturating_sub(at);
            if back <= nanos(LATE) {
                return seen;
            }
            let stepped = Seen::stepped(now, Instant::from_nanos(newest), ahead.saturating_add(back));
            if stepped.moves() {
                return stepped;
            }
            // Lost or won: somebody noticed.
            let _ = self
                .ahead
                .compare_exchange(ahead, stepped.ahead, Relaxed, Relaxed);
        }
    }

    /// The same for a question, which notes nothing.
    pub(super) fn peek(&self, now: Instant) -> Seen {
        let newest = self.newest.load(Acquire);
        let ahead = self.ahead.load(Relaxed);
        let seen = Seen::new(now, ahead);
        let back = newest.saturating_sub(seen.at.as_nanos());
        if back <= nanos(LATE) {
            return seen;
        }
        Seen::stepped(now, Instant::from_nanos(newest), ahead.saturating_add(back))
    }

    /// From here on the table's time is the clock's, which shows `now`.
    pub(super) fn restart(&self, now: Instant) {
        self.ahead.store(0, Relaxed);
        self.newest.store(now.as_nanos(), Release);
    }
}

/// How far the newest `now` may be behind: it is written some eight times a second.
const GRAIN: u64 = 1 << 27;
