//! The table of keys, shared by threads without a lock around it.
//!
//! For servers: one table, any number of threads, `&self`. The decision is the pure step of the
//! exclusive form; a slot is changed by whoever has claimed it.
//!
//! ```text
//!   check ─▶ in one of its two lines? ──yes─▶ step ─▶ NotBefore: read only, done
//!                 │ no                          └───▶ Admit: claim the slot ─▶ store ─▶ let go
//!                 ▼
//!      door of the key (one of 64)      only behind it is a key put in: never into two slots
//!                 │
//!                 ├─ there by now ─────────────▶ claim, step, store, let go
//!                 ├─ an idle slot ─────────────▶ claim, still idle? ─▶ it is this key's
//!                 ├─ a key that can be moved ──▶ claim both, copy, count the move, empty the old one
//!                 └─ none ─────────────────────▶ overflow rule
//! ```
//!
//! # Rules
//! - Those of the [exclusive table](super). A thread alone gets the same answers.
//! - No key is above its quota, in any interval of the callers' clock, however many threads ask.
//! - Keys do not wait for each other: a grant is one compare-and-swap and two stores on the cache
//!   line of the key, a refusal only reads it. Two threads with the same key take turns, as do two
//!   that put in new keys behind the same door.
//! - A thread holds a slot for some ten nanoseconds. One that loses its core meanwhile keeps those
//!   with the same key waiting until it has it back. Not for interrupt handlers, for that reason:
//!   one that interrupts the owner of a slot on its own core would wait for ever.
//! - Threads read the clock before they ask, so `now` may be older than another's: up to
//!   [`LATE`](SharedKeyedLimiter::LATE) older nothing moves back. Older still, the clock stepped back, and
//!   all keys step with it. The latest `now` is noted some eight times a second, so a step that
//!   is up to an eighth of a second longer may also count as a late thread; keys are then
//!   locked for so much longer than one refill.
//! - A step back from more than a year of the table's time goes through every slot, behind all doors.
//!   A thread that still asks by the old time meanwhile may leave its key's slot taken until that
//!   key asks again.
//! - A late thread that asks for a key that is not there, at a `now` when others still owed what they
//!   have been forgotten for, is refused until that instant: it may be one of them.
//! - Under a smaller quota than before, a key may owe up to [`LATE`](SharedKeyedLimiter::LATE) more
//!   than an empty bucket: that is not told from a late thread.
//! - A key takes two slots while it is moved, so that a table with one slot left may seem full then.
//!
//! # Why a key is never in two slots
//! - It is put in only behind its door, after a look through both its lines. What others do
//!   meanwhile is to move it, or to forget it.
//! - A move writes the new place before it empties the old one. A look that passed the new place too
//!   early and the old one too late finds that a move was counted, and looks again. While it is in
//!   both, the old one stays claimed: it cannot be charged there, and whoever waits for it looks
//!   again.
//!
//! # Capacity and cost
//! As for the exclusive table: a line of 64 bytes for every three keys that are active at once.
//!
//! ```
//! use crossbridge_core::rate_limit::keyed::{
//!     KeyedAnswer, Overflow, SharedKeyedLimiter, SharedLine, hash::KeyHash,
//! };
//! use crossbridge_core::{Instant, Quota};
//!
//! static USERS: SharedKeyedLimiter<[SharedLine; 16]> = SharedKeyedLimiter::with_slots(Overflow::Refuse);
//!
//! let (hash, quota) = (KeyHash::new(0x5EED), Quota::per_minute(30)?);
//! let ask = |name| USERS.check(Instant::ZERO, hash.text(name), 10, quota);
//! let granted = std::thread::scope(|scope| {
//!     let threads = [(); 4].map(|()| scope.spawn(|| ask("alice")));
//!     threads.map(|thread| thread.join().expect("no panic") == KeyedAnswer::Granted)
//! });
//! assert_eq!(granted.iter().filter(|granted| **granted).count(), 3);
//!
//! // A million slots, over memory that the caller allocated.
//! let mut lines = Vec::new();
//! lines.resize_with(1 << 18, SharedLine::new);
//! let large = SharedKeyedLimiter::new(lines, Overflow::EvictNearestIdle)?;
//! assert_eq!(large.check(Instant::ZERO, hash.text("bob"), 1, quota), KeyedAnswer::Granted);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

mod insert;
mod time;

use core::time::Duration;

use super::line::{Entry, find, mix, room};
use super::shared_line::{Claimed, SharedLine, cell, claim, same_ticks};
use super::time::LATE;
use super::{KeyedAnswer, KeyedStats, Overflow, active};
use crate::ConfigError;
use crate::rate_limit::Quota;
use crate::rate_limit::gcra::{self, Quick, Step, Tat};
use crate::time::{Clock, Instant, nanos};
use insert::Changes;
use time::SharedTime;

/// A table of limiters that many threads ask at once. See the [module](self) for the rules.
#[derive(Debug)]
pub struct SharedKeyedLimiter<S> {
    lines: S,
    overflow: Overflow,
    time: SharedTime,
    changes: Changes,
}

impl<const LINES: usize> SharedKeyedLimiter<[SharedLine; LINES]> {
    /// An empty table of `LINES` lines, four slots each.
    #[must_use]
    pub const fn with_slots(overflow: Overflow) -> Self {
        const { assert!(LINES > 0, "at least one line") };
        Self::over([const { SharedLine::new() }; LINES], overflow)
    }
}

impl<S> SharedKeyedLimiter<S> {
    /// How much older than another thread's a `now` may be before it counts as a clock that
    /// stepped back, as [`SharedRateLimiter`](crate::rate_limit::SharedRateLimiter) has it.
    pub const LATE: Duration = LATE;

    const fn over(lines: S, overflow: Overflow) -> Self {
        Self {
            lines,
            overflow,
            time: SharedTime::new(),
            changes: Changes::new(),
        }
    }

    /// How often the table was too small.
    #[must_use]
    pub fn stats(&self) -> KeyedStats {
        self.changes.stats()
    }
}

impl<S: AsRef<[SharedLine]>> SharedKeyedLimiter<S> {
    /// A table over these lines, which are emptied.
    ///
    /// # Errors
    /// No line, or 2^32 and more.
    pub fn new(lines: S, overflow: Overflow) -> Result<Self, ConfigError> {
        let len = lines.as_ref().len() as u64;
        if len == 0 || len > u64::from(u32::MAX) {
            return Err(ConfigError::new("lines", len, "1 to 4294967295"));
        }
        lines.as_ref().iter().for_each(SharedLine::clear);
        Ok(Self::over(lines, overflow))
    }

    /// Asks for `n` permits for the key with this hash and takes them when they are there.
    #[inline]
    pub fn check(&self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 1 {
            let (at, ahead) = self.observe(now);
            let stored = mix(key) | u64::from(quota.shift());
            if let Some(cell) = same_ticks(self.lines.as_ref(), stored) {
                // Whose it is, is known once it is claimed, or read again.
                let seen = cell.tat();
                match gcra::quick(Tat(seen), at, &quota) {
                    Quick::Admit(Tat(tat)) => {
                        if let Some(claimed) = cell.claim(stored) {
                            if claimed.slot().tat == seen {
                                claimed.put(Entry { key: stored, tat });
                                return KeyedAnswer::Granted;
                            }
                            claimed.leave();
                        }
                    }
                    Quick::NotBefore(until) if cell.still(stored, seen) => {
                        return KeyedAnswer::NotBefore(until).back(ahead);
                    }
                    Quick::NotBefore(_) | Quick::Ask => {}
                }
            }
        }
        self.check_any(now, key, n, quota)
    }

    /// A new key, several permits, another quota than the last time, a lost race, a late thread.
    #[cold]
    fn check_any(&self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let (now, ahead) = self.observe(now);
        let key = mix(key);
        let answer = match claim(self.lines.as_ref(), key) {
            Some(claimed) => charge(claimed, key, now, n, quota),
            // Nothing is owed, so that a first request is refused only where every one would be.
            None => match gcra::step(Tat(0), now, n, quota) {
                Step::Admit(_) => self.insert(key, now, |claimed| charge(claimed, key, now, n, quota)),
                Step::NotBefore(until) => KeyedAnswer::NotBefore(until),
                Step::Never => KeyedAnswer::Never,
            },
        };
        answer.back(ahead)
    }

    /// What [`check`](Self::check) would answer, without taking or counting anything.
    pub fn would_grant(&self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let (seen, key) = (self.time.peek(now), mix(key));
        let found = self.look(key);
        let tat = found.unwrap_or(Entry::EMPTY).moved(seen).tat(quota.shift());
        let answer = match judge(tat, seen.at, n, quota) {
            Err((refusal, _)) => refusal,
            Ok(_) if found.is_some() => KeyedAnswer::Granted,
            Ok(_) => {
                let forgotten = seen.moved(self.changes.forgotten());
                if seen.at < forgotten {
                    KeyedAnswer::NotBefore(forgotten)
                } else {
                    room(self.lines.as_ref(), key, seen.was).would_be(seen, self.overflow)
                }
            }
        };
        answer.back(seen.ahead)
    }

    /// How many permits the key has at `now`; a key without a slot has them all.
    #[must_use]
    pub fn remaining(&self, now: Instant, key: u64, quota: Quota) -> u32 {
        let slot = self.look(mix(key)).unwrap_or(Entry::EMPTY);
        let seen = self.time.peek(now);
        gcra::remaining(slot.moved(seen).tat(quota.shift()), seen.at, quota)
    }

    /// Gives back what the key was granted at `taken_at`, as far as it has not refilled since.
    ///
    /// It takes the clock and not an instant: the time has to be read after the slot, so that
    /// nobody can have been granted anything at a later instant than the one it is judged by.
    pub fn give_back(
        &self,
        taken_at: Instant,
        key: u64,
        n: u32,
        quota: Quota,
        clock: &(impl Clock + ?Sized),
    ) {
        let key = mix(key);
        while let Some(seen) = self.look(key) {
            let now = clock.now();
            let since = now.saturating_duration_since(taken_at);
            let (at, _) = self.observe(now);
            let Some(claimed) = claim(self.lines.as_ref(), key) else {
                continue;
            };
            if claimed.slot() != seen {
                claimed.leave();
                continue;
            }
            let tat = seen.tat(quota.shift());
            let tat = gcra::give_back(tat, at, at.saturating_sub(since), n, quota);
            return claimed.put(Entry::new(key, tat, quota.shift()));
        }
    }

    /// The server asked to leave this key alone until `until`: nothing is granted before, for one
    /// emission interval at most. `false`: there is no slot to remember it in.
    pub fn on_throttled(&self, now: Instant, until: Instant, key: u64, quota: Quota) -> bool {
        if quota.is_unlimited() {
            return true;
        }
        let wait = until.saturating_duration_since(now);
        let ((now, _), key) = (self.observe(now), mix(key));
        let throttle = |claimed: Claimed<'_>| {
            let tat = claimed.slot().tat_of(key, quota.shift());
            let tat = gcra::throttled(tat, now, now.saturating_add(wait), quota);
            claimed.put(Entry::new(key, tat, quota.shift()));
            KeyedAnswer::Granted
        };
        let done = match claim(self.lines.as_ref(), key) {
            Some(claimed) => throttle(claimed),
            None => self.insert(key, now, throttle),
        };
        done == KeyedAnswer::Granted
    }

    /// Fills the key's bucket.
    pub fn reset(&self, key: u64) {
        if let Some(claimed) = claim(self.lines.as_ref(), mix(key)) {
            claimed.put(Entry::EMPTY);
        }
    }

    /// How many keys owe something at `now`. Looks at every slot: for reports, not for requests.
    #[must_use]
    pub fn active(&self, now: Instant) -> usize {
        active(self.lines.as_ref(), self.time.peek(now).was)
    }

    /// `now` in the table's time, and how far that is ahead of the clock.
    #[inline]
    fn observe(&self, now: Instant) -> (Instant, u64) {
        match self.time.quick(now) {
            Some(seen) => seen,
            None => self.observe_any(now),
        }
    }

    #[cold]
    fn observe_any(&self, now: Instant) -> (Instant, u64) {
        loop {
            let seen = self.time.observe(now);
            if !seen.moves() {
                return (seen.at, seen.ahead);
            }
            self.move_back(now);
        }
    }

    /// What the key has stored.
    fn look(&self, key: u64) -> Option<Entry> {
        let lines = self.lines.as_ref();
        loop {
            let moves = self.changes.moves();
            if let Some(at) = find(lines, key) {
                let slot = cell(lines, at)?.read();
                if slot.is_of(key) {
                    return Some(slot);
                }
            } else if self.changes.moves() == moves {
                return None;
            }
        }
    }
}

/// Charges the key in its slot, or in one that was another's until now.
fn charge(claimed: Claimed<'_>, key: u64, now: Instant, n: u32, quota: Quota) -> KeyedAnswer {
    let tat = claimed.slot().tat_of(key, quota.shift());
    match judge(tat, now, n, quota) {
        Ok(next) => {
            claimed.put(Entry::new(key, next, quota.shift()));
            KeyedAnswer::Granted
        }
        Err((refusal, least)) => {
            if least == tat {
                claimed.leave();
            } else {
                claimed.put(Entry::new(key, least, quota.shift()));
            }
            refusal
        }
    }
}

/// The step: what to store when it is granted, or the refusal and what to store with that.
fn judge(tat: Tat, now: Instant, n: u32, quota: Quota) -> Result<Tat, (KeyedAnswer, Tat)> {
    match gcra::step(tat, now, n, quota) {
        Step::Admit(next) => Ok(next),
        Step::Never => Err((KeyedAnswer::Never, tat)),
        Step::NotBefore(until) => {
            let least = gcra::rewind(tat, now, quota);
            let late = gcra::ticks(Instant::from_nanos(nanos(LATE)), quota.shift());
            if tat.0.saturating_sub(least.0) > late || tat == least {
                return Err((KeyedAnswer::NotBefore(until), least));
            }
            // Others were granted permits at a later `now`: what they took stays taken.
            let booked = gcra::book(tat, now, n, quota);
            let refusal = booked.map_or(KeyedAnswer::Never, |booking| KeyedAnswer::NotBefore(booking.at));
            Err((refusal, tat))
        }
    }
}
