//! Many keys: a fixed table of limiters, one slot of 16 bytes for each key that owes something.
//!
//! For quotas per user, per address, per (subject, operation). The caller hands in a 64-bit hash
//! of the key, see [`hash`]; the table neither allocates nor sweeps. A key that is there is found in
//! one or two cache lines, however many keys there are and whatever they do.
//!
//! ```text
//!   hash ──▶ first line   ■■■■ ── full ──▶ second line   ■□■■       □ idle or never used: whoever
//!            a cache line of 4 slots                                  comes may have it
//!                                                                   ■ owes something until its instant
//!   a new key   an idle slot in the first line, else in the second
//!               else one of these 8 keys goes to its own other line, in two steps if need be
//!               else the overflow rule
//! ```
//!
//! # Rules
//! - A key whose bucket is full again holds no information. Its slot is reused without changing
//!   any answer, so the table is exact as long as the keys that owe something fit.
//! - A new key with nowhere to go is refused with [`KeyedAnswer::Full`] and the instant at which a
//!   slot comes free, or takes the place of the key that is nearest to idle: see [`Overflow`].
//!   Both are counted in [`KeyedLimiter::stats`].
//! - The quota is given with each call, so that every key may have its own. A slot holds an
//!   instant in the ticks of the quota it was last charged with. Under another quota it is the same
//!   instant: what a key owes is kept as time, and counts as an empty bucket at most.
//! - A `now` smaller than the last one counts as the last one; one that is more than
//!   [`KeyedLimiter::LATE`] smaller means that the clock stepped back, and all keys step with it.
//! - Two keys share a limiter when 61 bits of their mixed hashes are the same (three bits of a slot
//!   say what a tick is). Among `k` keys with a good hash the chance that any two do is about
//!   `k * k / 2^62`: 1 in 4 million for a million keys. Keys chosen by an enemy who knows the
//!   hash can be made to collide or to crowd two lines. Where that matters, hash with a secret
//!   seed and a function made for it, `SipHash` as in `std`'s `RandomState`.
//!
//! # Capacity
//! How full a table gets before the first key is turned away, by chance of the hashes:
//!
//! | slots | lines | keys that fit |
//! |--:|--:|---|
//! | 4, 8 | 1, 2 | all |
//! | 64 | 16 | 97 %, rarely below 83 % |
//! | 16 384 | 4 096 | 90 % |
//! | 1 048 576 | 262 144 | 84 % |
//!
//! Four slots for three keys that are active at once are enough: a line for every three keys, 21
//! bytes a key. With more room, more keys are in their first line and are found sooner.
//!
//! The storage is an array, where it fits the stack or a `static`, or anything that lends out a
//! slice: `Box<[Line]>` or `Vec<Line>` for millions, `&mut [Line]`.
//!
//! # Cost
//! | request | cache lines |
//! |---|---|
//! | a key in its first line, nine of ten at two thirds | 1 |
//! | a key in its second line, a new key with an idle slot in either | 2 |
//! | a new key when both lines are full | up to [`KeyedLimiter::LOOKS`] |
//!
//! | form | for |
//! |---|---|
//! | [`KeyedLimiter`] | one owner, `&mut self`; any target |
//! | `SharedKeyedLimiter` | threads, `&self`; targets with 64-bit atomics |
//!
//! ```
//! use crossbridge_core::rate_limit::keyed::{KeyedAnswer, KeyedLimiter, Line, Overflow, hash::KeyHash};
//! use crossbridge_core::{Instant, Quota};
//!
//! let hash = KeyHash::new(0x5EED);
//! let quota = Quota::per_minute(2)?;
//! // 16 lines: 64 slots.
//! let mut table = KeyedLimiter::<[Line; 16]>::with_slots(Overflow::Refuse);
//! let search = hash.pair(hash.text("alice"), hash.text("search"));
//! let embed = hash.pair(hash.text("alice"), hash.text("embed"));
//!
//! let start = Instant::ZERO;
//! assert_eq!(table.check(start, search, 2, quota), KeyedAnswer::Granted);
//! let next = Instant::from_nanos(30_000_000_000);
//! assert_eq!(table.check(start, search, 1, quota), KeyedAnswer::NotBefore(next));
//! // Another operation of hers is another bucket.
//! assert_eq!(table.check(start, embed, 1, quota), KeyedAnswer::Granted);
//! assert_eq!(table.active(start), 2);
//!
//! // A million slots: the same table over memory that the caller allocated.
//! let mut large = KeyedLimiter::new(vec![Line::EMPTY; 1 << 18], Overflow::EvictNearestIdle)?;
//! assert_eq!(large.check(start, search, 1, quota), KeyedAnswer::Granted);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! # Sources
//! Two lines for each key, and moving the keys that are there: Pagh and Rodler, *Cuckoo Hashing*
//! (2004); four to a line: Dietzfelbinger and Weidling, *Balanced Allocation and Dictionaries with
//! Tightly Packed Constant Size Bins* (2007). Here at most two are moved, so that the worst case is
//! a constant.

pub mod hash;
mod line;
#[cfg(target_has_atomic = "64")]
pub mod shared;
#[cfg(target_has_atomic = "64")]
mod shared_line;

pub use line::Line;
#[cfg(target_has_atomic = "64")]
pub use shared::SharedKeyedLimiter;
#[cfg(target_has_atomic = "64")]
pub use shared_line::SharedLine;

use core::time::Duration;

use super::gcra::{self, Quick, Step, Tat};
use super::{Answer, Quota};
use crate::ConfigError;
use crate::time::{Instant, nanos};
use line::{At, Entry, Room, Table, find, get, mix, put, room, same_ticks};

/// What a keyed limiter answers.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyedAnswer {
    /// Granted and charged.
    Granted,
    /// Refused, nothing charged. The same request is granted from this instant on, if nobody else
    /// is granted one before.
    NotBefore(Instant),
    /// Refused for good: more permits than the capacity, or past the end of the clock's range.
    Never,
    /// Refused because the slots of a new key are taken, under [`Overflow::Refuse`]. One of its
    /// eight comes free at this instant, for whoever asks first.
    Full(Instant),
}

impl KeyedAnswer {
    /// The same without the difference between no permit and no slot.
    pub const fn answer(self) -> Answer {
        match self {
            Self::Granted => Answer::Granted,
            Self::NotBefore(at) | Self::Full(at) => Answer::NotBefore(at),
            Self::Never => Answer::Never,
        }
    }

    /// From the table's time to the caller's.
    const fn back(self, ahead: u64) -> Self {
        match self {
            Self::NotBefore(at) => Self::NotBefore(at.saturating_sub(Duration::from_nanos(ahead))),
            Self::Full(at) => Self::Full(at.saturating_sub(Duration::from_nanos(ahead))),
            answer @ (Self::Granted | Self::Never) => answer,
        }
    }
}

/// What happens to a new key when all its slots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Overflow {
    /// It is refused until one comes free: nobody is ever above a quota.
    Refuse,
    /// It takes the slot of the key that would be idle first. What that key owed is forgotten,
    /// which is the least that can be.
    EvictNearestIdle,
}

/// How often the table was too small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct KeyedStats {
    /// Requests refused for want of a slot.
    pub refused: u64,
    /// Keys whose debt was forgotten.
    pub evicted: u64,
}

/// A table of limiters over any storage of [`Line`]s. See the [module](self) for the rules.
#[derive(Clone, Debug)]
pub struct KeyedLimiter<S> {
    slots: S,
    overflow: Overflow,
    stats: KeyedStats,
    /// The last `now`, and how far the table's time is ahead of the clock after steps back.
    last: Instant,
    ahead: u64,
}

impl<const LINES: usize> KeyedLimiter<[Line; LINES]> {
    /// An empty table of `LINES` lines, four slots each.
    #[must_use]
    pub const fn with_slots(overflow: Overflow) -> Self {
        const { assert!(LINES > 0, "at least one line") };
        Self::over([Line::EMPTY; LINES], overflow)
    }
}

impl<S> KeyedLimiter<S> {
    /// How many lines are looked at for one request at most: two for a key that is there. A new one
    /// whose lines are full looks at the other lines of their eight keys, and at the other lines of
    /// the keys in those.
    pub const LOOKS: usize = 2 + 8 + 8 * 4;

    /// How much smaller than the last `now` the next may be before it counts as a clock that
    /// stepped back, as [`SharedRateLimiter`](super::SharedRateLimiter) has it.
    pub const LATE: Duration = Duration::from_secs(1);

    const fn over(slots: S, overflow: Overflow) -> Self {
        Self {
            slots,
            overflow,
            stats: KeyedStats {
                refused: 0,
                evicted: 0,
            },
            last: Instant::ZERO,
            ahead: 0,
        }
    }

    /// How often the table was too small.
    #[must_use]
    pub const fn stats(&self) -> KeyedStats {
        self.stats
    }

    /// The clock's last instant once `now` is seen, and how far the table's time is ahead of it.
    const fn time(&self, now: Instant) -> (Instant, u64) {
        let (last, at) = (self.last.as_nanos(), now.as_nanos());
        if at >= last {
            (now, self.ahead)
        } else if last - at <= nanos(Self::LATE) {
            (self.last, self.ahead)
        } else {
            (now, self.ahead.saturating_add(last - at))
        }
    }

    /// The table's time at `now`, which never goes back.
    #[inline]
    const fn observe(&mut self, now: Instant) -> Instant {
        if now.as_nanos() < self.last.as_nanos() {
            self.observe_late(now);
        } else {
            self.last = now;
        }
        Instant::from_nanos(self.last.as_nanos().saturating_add(self.ahead))
    }

    #[cold]
    const fn observe_late(&mut self, now: Instant) {
        (self.last, self.ahead) = self.time(now);
    }

    /// The same, not noted.
    const fn peek(&self, now: Instant) -> (Instant, u64) {
        let (last, ahead) = self.time(now);
        (Instant::from_nanos(last.as_nanos().saturating_add(ahead)), ahead)
    }
}

impl<S: AsRef<[Line]> + AsMut<[Line]>> KeyedLimiter<S> {
    /// A table over these lines, which are emptied.
    ///
    /// # Errors
    /// No line, or 2^32 and more.
    pub fn new(mut slots: S, overflow: Overflow) -> Result<Self, ConfigError> {
        let lines = slots.as_mut();
        if lines.is_empty() || lines.len() as u64 > u64::from(u32::MAX) {
            return Err(ConfigError::new("lines", lines.len() as u64, "1 to 4294967295"));
        }
        lines.fill(Line::EMPTY);
        Ok(Self::over(slots, overflow))
    }

    /// Asks for `n` permits for the key with this hash and takes them when they are there.
    #[inline]
    pub fn check(&mut self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 1 {
            let (seen, shift) = (self.observe(now), quota.shift());
            if let Some(tat) = same_ticks(self.slots.as_mut(), mix(key) | u64::from(shift)) {
                match gcra::quick(Tat(*tat), seen, &quota) {
                    Quick::Admit(next) => {
                        *tat = next.0;
                        return KeyedAnswer::Granted;
                    }
                    Quick::NotBefore(until) => return KeyedAnswer::NotBefore(until).back(self.ahead),
                    Quick::Ask => {}
                }
            }
        }
        self.check_any(now, key, n, quota)
    }

    /// A new key, several permits, another quota than the last time.
    #[cold]
    fn check_any(&mut self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let (now, key) = (self.observe(now), mix(key));
        let place = self.place(key, now);
        let tat = self.owed(place, quota);
        let answer = match (gcra::step(tat, now, n, quota), place) {
            (Step::Admit(_), Place::Nowhere) | (Step::Never, _) => KeyedAnswer::Never,
            (Step::Admit(_), Place::Full(until)) => {
                self.stats.refused = self.stats.refused.saturating_add(1);
                KeyedAnswer::Full(until)
            }
            (Step::Admit(next), _) => {
                self.store(place, Entry::new(key, next, quota.shift()));
                KeyedAnswer::Granted
            }
            (Step::NotBefore(until), _) => {
                // More than this quota's bucket, charged under a larger one: it counts as an empty
                // bucket, and has to stay one for the promise to hold.
                let least = gcra::rewind(tat, now, quota);
                if least != tat {
                    self.store(place, Entry::new(key, least, quota.shift()));
                }
                KeyedAnswer::NotBefore(until)
            }
        };
        answer.back(self.ahead)
    }

    /// What [`check`](Self::check) would answer, without taking or counting anything.
    pub fn would_grant(&self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let ((now, ahead), key) = (self.peek(now), mix(key));
        let lines = self.slots.as_ref();
        let found = find(lines, key);
        let slot = found.map_or(Entry::EMPTY, |at| get(lines, at));
        let answer = match gcra::step(slot.tat(quota.shift()), now, n, quota) {
            Step::Admit(_) if found.is_some() => KeyedAnswer::Granted,
            Step::Admit(_) => match room(lines, key, now) {
                Room::Taken(_, until) if self.overflow == Overflow::Refuse => KeyedAnswer::Full(until),
                Room::Idle(_) | Room::Move(..) | Room::Taken(..) => KeyedAnswer::Granted,
                Room::Nowhere => KeyedAnswer::Never,
            },
            Step::NotBefore(until) => KeyedAnswer::NotBefore(until),
            Step::Never => KeyedAnswer::Never,
        };
        answer.back(ahead)
    }

    /// How many permits the key has at `now`; a key without a slot has them all.
    #[must_use]
    pub fn remaining(&self, now: Instant, key: u64, quota: Quota) -> u32 {
        let (now, _) = self.peek(now);
        let lines = self.slots.as_ref();
        let slot = find(lines, mix(key)).map_or(Entry::EMPTY, |at| get(lines, at));
        gcra::remaining(slot.tat(quota.shift()), now, quota)
    }

    /// Gives back at `now` what the key was granted at `taken_at`, as far as it has not refilled.
    pub fn give_back(&mut self, now: Instant, taken_at: Instant, key: u64, n: u32, quota: Quota) {
        // What a step back in between hides from the elapsed time was no time for the key either.
        let since = now.saturating_duration_since(taken_at);
        let (now, key) = (self.observe(now), mix(key));
        let lines = self.slots.as_mut();
        if let Some(at) = find(lines, key) {
            let tat = get(lines, at).tat(quota.shift());
            let tat = gcra::give_back(tat, now, now.saturating_sub(since), n, quota);
            put(lines, at, Entry::new(key, tat, quota.shift()));
        }
    }

    /// The server asked to leave this key alone until `until`: nothing is granted before, for one
    /// emission interval at most. `false`: there is no slot to remember it in.
    pub fn on_throttled(&mut self, now: Instant, until: Instant, key: u64, quota: Quota) -> bool {
        if quota.is_unlimited() {
            return true;
        }
        let wait = until.saturating_duration_since(now);
        let (now, key) = (self.observe(now), mix(key));
        let place = self.place(key, now);
        if let Place::Full(_) | Place::Nowhere = place {
            self.stats.refused = self.stats.refused.saturating_add(1);
            return false;
        }
        let tat = gcra::throttled(self.owed(place, quota), now, now.saturating_add(wait), quota);
        self.store(place, Entry::new(key, tat, quota.shift()));
        true
    }

    /// Fills the key's bucket.
    pub fn reset(&mut self, key: u64) {
        let lines = self.slots.as_mut();
        if let Some(at) = find(lines, mix(key)) {
            put(lines, at, Entry::EMPTY);
        }
    }

    /// How many keys owe something at `now`. Looks at every slot: for reports, not for requests.
    #[must_use]
    pub fn active(&self, now: Instant) -> usize {
        let (now, _) = self.peek(now);
        active(self.slots.as_ref(), now)
    }

    /// Where the key is, or the slot that is made free for it.
    fn place(&mut self, key: u64, now: Instant) -> Place {
        let overflow = self.overflow;
        let lines = self.slots.as_mut();
        if let Some(at) = find(lines, key) {
            return Place::Found(at);
        }
        for _ in 0..MOVES {
            let Room::Move(from, to) = room(lines, key, now) else {
                break;
            };
            put(lines, to, get(lines, from));
            put(lines, from, Entry::EMPTY);
        }
        match room(lines, key, now) {
            Room::Idle(at) => Place::Idle(at),
            Room::Taken(_, until) if overflow == Overflow::Refuse => Place::Full(until),
            Room::Taken(at, _) => Place::Taken(at),
            // Two moves always make room, unless the storage lends out other lines each time.
            Room::Move(..) | Room::Nowhere => Place::Nowhere,
        }
    }

    /// What the key at this place owes; without a slot, nothing.
    fn owed(&self, place: Place, quota: Quota) -> Tat {
        match place {
            Place::Found(at) => get(self.slots.as_ref(), at).tat(quota.shift()),
            Place::Idle(_) | Place::Taken(_) | Place::Full(_) | Place::Nowhere => Tat(0),
        }
    }

    fn store(&mut self, place: Place, new: Entry) {
        match place {
            Place::Found(at) | Place::Idle(at) => put(self.slots.as_mut(), at, new),
            Place::Taken(at) => {
                put(self.slots.as_mut(), at, new);
                self.stats.evicted = self.stats.evicted.saturating_add(1);
            }
            Place::Full(_) | Place::Nowhere => {}
        }
    }
}

/// How many slots are not idle.
fn active(table: &(impl Table + ?Sized), now: Instant) -> usize {
    let slots = (0..table.lines()).flat_map(|line| table.slots(line));
    slots.filter(|(_, slot)| !slot.is_idle(now)).count()
}

/// Where a key's debt is to be written.
#[derive(Clone, Copy)]
enum Place {
    Found(At),
    /// Not there yet, and this slot is free.
    Idle(At),
    /// Not there, and whoever is here has to go.
    Taken(At),
    /// Not there, and nobody goes before this instant.
    Full(Instant),
    /// The storage lends out no line.
    Nowhere,
}

/// How many keys are moved to their other lines for a new one, at most.
const MOVES: usize = 2;
