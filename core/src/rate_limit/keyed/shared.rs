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
//! - A late thread that asks for a key that is not there, at a `now` when others still owed what they
//!   have been forgotten for, is refused until that instant: it may be one of them.
//! - Under a smaller quota than before, a key may owe up to [`LATE`](SharedKeyedLimiter::LATE) more
//!   than an empty bucket: that is not told from a late thread.
//!
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

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::spin_loop;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::time::Duration;

use super::line::{At, Entry, Room, find, mix, other_home, room};
use super::shared_line::{Cell, Claimed, SharedLine, cell, claim, same_ticks};
use super::{KeyedAnswer, KeyedStats, Overflow, active};
use crate::ConfigError;
use crate::rate_limit::Quota;
use crate::rate_limit::gcra::{self, Quick, Step, Tat};
use crate::time::{Clock, Instant, nanos};

/// A table of limiters that many threads ask at once. See the [module](self) for the rules.
#[derive(Debug)]
pub struct SharedKeyedLimiter<S> {
    lines: S,
    overflow: Overflow,
    time: TableTime,
    changes: Changes,
}

/// What nearly every request reads and hardly any writes: a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct TableTime {
    /// The latest `now`, to a [`GRAIN`].
    newest: AtomicU64,
    /// How far the table's time is ahead of the clock after steps back.
    ahead: AtomicU64,
}

/// What only new keys read and write: apart, for the others shall not notice.
#[derive(Debug)]
#[repr(align(64))]
struct Changes {
    /// Shut while a key of this share is put in, so that no key is put in twice.
    doors: [AtomicU64; DOORS],
    /// Keys moved to their other line. Who looked for one meanwhile looks again.
    moves: AtomicU64,
    /// When the last of the keys that lost their slots to others became idle, in the table's time.
    forgotten: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
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
            time: TableTime {
                newest: AtomicU64::new(0),
                ahead: AtomicU64::new(0),
            },
            changes: Changes {
                doors: [const { AtomicU64::new(OPEN) }; DOORS],
                moves: AtomicU64::new(0),
                forgotten: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                evicted: AtomicU64::new(0),
            },
        }
    }

    /// How often the table was too small.
    #[must_use]
    pub fn stats(&self) -> KeyedStats {
        KeyedStats {
            refused: self.changes.refused.load(Relaxed),
            evicted: self.changes.evicted.load(Relaxed),
        }
    }

    /// The table's time at `now`, and how far it is ahead of the clock.
    #[inline]
    fn observe(&self, now: Instant) -> (Instant, u64) {
        let ahead = self.time.ahead.load(Relaxed);
        let at = now.as_nanos().saturating_add(ahead);
        let since = at.checked_sub(self.time.newest.load(Relaxed));
        if since.is_some_and(|since| since < GRAIN) {
            return (Instant::from_nanos(at), ahead);
        }
        self.observe_any(now)
    }

    /// The first to come in a while, a late one, a clock that stepped back.
    #[cold]
    fn observe_any(&self, now: Instant) -> (Instant, u64) {
        let mut ahead = self.time.ahead.load(Relaxed);
        loop {
            let at = now.as_nanos().saturating_add(ahead);
            let newest = self.time.newest.load(Relaxed);
            if at >= newest {
                self.time.newest.fetch_max(at, Relaxed);
            }
            let back = newest.saturating_sub(at);
            if back <= nanos(Self::LATE) {
                return (Instant::from_nanos(at), ahead);
            }
            let more = ahead.saturating_add(back);
            // Lost: somebody else noticed as well.
            match self.time.ahead.compare_exchange(ahead, more, Relaxed, Relaxed) {
                Ok(_) => ahead = more,
                Err(found) => ahead = found,
            }
        }
    }

    /// The same for a question, which notes nothing.
    fn peek(&self, now: Instant) -> (Instant, u64) {
        let ahead = self.time.ahead.load(Relaxed);
        let at = now.as_nanos().saturating_add(ahead);
        let back = self.time.newest.load(Relaxed).saturating_sub(at);
        let more = if back <= nanos(Self::LATE) { 0 } else { back };
        let at = Instant::from_nanos(at.saturating_add(more));
        (at, ahead.saturating_add(more))
    }

    /// When the last of the keys that lost their slots became idle.
    fn forgotten(&self) -> Instant {
        Instant::from_nanos(self.changes.forgotten.load(Acquire))
    }

    /// Goes through the door of the key: from here on only this thread puts that key in.
    fn enter(&self, key: u64) -> Option<&AtomicU64> {
        let door = self.changes.doors.get((key >> SHARE) as usize)?;
        while door.compare_exchange_weak(OPEN, SHUT, Acquire, Relaxed).is_err() {
            spin_loop();
        }
        Some(door)
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
        let ((now, ahead), key) = (self.peek(now), mix(key));
        let found = self.look(key);
        let tat = found.unwrap_or(Entry::EMPTY).tat(quota.shift());
        let answer = match judge(tat, now, n, quota) {
            Err((refusal, _)) => refusal,
            Ok(_) if found.is_some() => KeyedAnswer::Granted,
            Ok(_) if now < self.forgotten() => KeyedAnswer::NotBefore(self.forgotten()),
            Ok(_) => match room(self.lines.as_ref(), key, now) {
                Room::Taken(_, until) if self.overflow == Overflow::Refuse => KeyedAnswer::Full(until),
                Room::Idle(_) | Room::Move(..) | Room::Taken(..) => KeyedAnswer::Granted,
                Room::Nowhere => KeyedAnswer::Never,
            },
        };
        answer.back(ahead)
    }

    /// How many permits the key has at `now`; a key without a slot has them all.
    #[must_use]
    pub fn remaining(&self, now: Instant, key: u64, quota: Quota) -> u32 {
        let slot = self.look(mix(key)).unwrap_or(Entry::EMPTY);
        gcra::remaining(slot.tat(quota.shift()), self.peek(now).0, quota)
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
        active(self.lines.as_ref(), self.peek(now).0)
    }

    /// What the key has stored.
    fn look(&self, key: u64) -> Option<Entry> {
        let lines = self.lines.as_ref();
        loop {
            let moves = self.changes.moves.load(Acquire);
            if let Some(at) = find(lines, key) {
                let slot = cell(lines, at)?.read();
                if slot.is_of(key) {
                    return Some(slot);
                }
            } else if self.changes.moves.load(Acquire) == moves {
                return None;
            }
        }
    }

    /// Puts a key in that was not found, and does `then` with its slot: which is another thread's by
    /// now if that was faster.
    fn insert(&self, key: u64, now: Instant, then: impl Fn(Claimed<'_>) -> KeyedAnswer) -> KeyedAnswer {
        let Some(door) = self.enter(key) else {
            return KeyedAnswer::Never;
        };
        let answer = match self.claim_or_take(key, now) {
            Ok(claimed) => then(claimed),
            Err(refusal) => refusal,
        };
        door.store(OPEN, Release);
        answer
    }

    /// Behind the door: the slot of the key, or one that is made free for it.
    fn claim_or_take(&self, key: u64, now: Instant) -> Result<Claimed<'_>, KeyedAnswer> {
        let lines = self.lines.as_ref();
        loop {
            let moves = self.changes.moves.load(Acquire);
            if let Some(claimed) = claim(lines, key) {
                return Ok(claimed);
            }
            if self.changes.moves.load(Acquire) != moves {
                // It may have been moved past the look.
                continue;
            }
            // Keys that owed something until later than this late `now` have lost their slots, and
            // this one may be among them.
            let forgotten = self.forgotten();
            if now < forgotten {
                return Err(KeyedAnswer::NotBefore(forgotten));
            }
            match room(lines, key, now) {
                Room::Idle(at) => {
                    if let Some(claimed) = self.claim_idle(at, now) {
                        return Ok(claimed);
                    }
                }
                Room::Move(from, to) => self.relocate(from, to, now),
                Room::Taken(_, until) if self.overflow == Overflow::Refuse => {
                    self.changes.refused.fetch_add(1, Relaxed);
                    return Err(KeyedAnswer::Full(until));
                }
                Room::Taken(at, _) => {
                    if let Some(claimed) = cell(lines, at).and_then(Cell::try_claim) {
                        self.changes.evicted.fetch_add(1, Relaxed);
                        return Ok(claimed);
                    }
                }
                Room::Nowhere => return Err(KeyedAnswer::Never),
            }
        }
    }

    /// The slot here, if it is still idle and nobody else claims it. Whose it was is forgotten.
    fn claim_idle(&self, at: At, now: Instant) -> Option<Claimed<'_>> {
        let claimed = cell(self.lines.as_ref(), at)?.try_claim()?;
        let slot = claimed.slot();
        if !slot.is_idle(now) {
            claimed.leave();
            return None;
        }
        let until = slot.idle_at().as_nanos();
        if self.changes.forgotten.load(Relaxed) < until {
            self.changes.forgotten.fetch_max(until, Release);
        }
        Some(claimed)
    }

    /// Moves the key in one slot to the other, its other line, if both are still what they were.
    fn relocate(&self, from: At, to: At, now: Instant) {
        let lines = self.lines.as_ref();
        let Some(source) = cell(lines, from).and_then(Cell::try_claim) else {
            return;
        };
        let slot = source.slot();
        let wanted = !slot.is_idle(now) && other_home(slot.key, from, lines.len()) == to.line;
        // Two claims at once: whoever waited for the second might wait for somebody who waits for
        // the first.
        let target = if wanted { self.claim_idle(to, now) } else { None };
        let Some(target) = target else {
            return source.leave();
        };
        // In both places, counted, in the new one only: who finds the old one empty sees the count.
        target.put(slot);
        self.changes.moves.fetch_add(1, AcqRel);
        source.put(Entry::EMPTY);
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

const LATE: Duration = Duration::from_secs(1);

/// How far the newest `now` may be behind: it is written some eight times a second.
const GRAIN: u64 = 1 << 27;

/// Doors, one for each value of the upper bits of the mixed key.
const DOORS: usize = 64;
const SHARE: u32 = u64::BITS - DOORS.ilog2();

const OPEN: u64 = 0;
const SHUT: u64 = 1;
