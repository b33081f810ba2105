//! Many keys: a fixed table of limiters, one slot of 16 bytes for each key that owes something.
//!
//! For quotas per user, per address, per (subject, operation). The caller hands in a 64-bit hash
//! of the key, see [`hash`]; the table neither allocates nor sweeps, and looks at 16 slots at most,
//! however many keys there are and whatever they do.
//!
//! ```text
//!   hash ──▶ bucket a (8 slots)  ■■■□■■■■        □ idle or never used: whoever comes may have it
//!       └──▶ bucket b (8 slots)  ■■■■■□□■        ■ owes something until its instant
//!            found in either: that slot    else: an idle one of the emptier bucket
//!                                          else: the overflow rule
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
//!   hash can be made to collide or to crowd two buckets. Where that matters, hash with a secret
//!   seed and a function made for it, `SipHash` as in `std`'s `RandomState`.
//!
//! # Capacity
//! With two buckets to choose from, a table of a million slots fills to 70 % before the first key is
//! turned away: allow three slots for two keys that are active at once. The storage is an array, where it fits the stack or a `static`, or
//! anything that lends out a slice: `Box<[Slot]>` or `Vec<Slot>` for millions, `&mut [Slot]`.
//!
//! ```
//! use crossbridge_core::rate_limit::keyed::{KeyedAnswer, KeyedLimiter, Overflow, Slot, hash::KeyHash};
//! use crossbridge_core::{Instant, Quota};
//!
//! let hash = KeyHash::new(0x5EED);
//! let quota = Quota::per_minute(2)?;
//! let mut table = KeyedLimiter::<[Slot; 64]>::with_slots(Overflow::Refuse);
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
//! // A million keys: the same table over memory that the caller allocated.
//! let mut large = KeyedLimiter::new(vec![Slot::EMPTY; 1 << 20], Overflow::EvictNearestIdle)?;
//! assert_eq!(large.check(start, search, 1, quota), KeyedAnswer::Granted);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! # Sources
//! Two choices and the emptier one: Azar, Broder, Karlin, Upfal, *Balanced Allocations* (1994);
//! buckets of eight: Dietzfelbinger and Weidling, *Balanced Allocation and Dictionaries with
//! Tightly Packed Constant Size Bins* (2007).

pub mod hash;
mod slot;

pub use slot::Slot;

use core::time::Duration;

use super::gcra::{self, Step, Tat};
use super::{Answer, Quota};
use crate::ConfigError;
use crate::time::{Instant, nanos};
use slot::{BUCKET, Place, find, mix, put, slot};

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
    /// Refused because all 16 slots of a new key are taken, under [`Overflow::Refuse`]. One of them
    /// comes free at this instant, for whoever asks first.
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
    const fn back(self, ahead: Duration) -> Self {
        match self {
            Self::NotBefore(at) => Self::NotBefore(at.saturating_sub(ahead)),
            Self::Full(at) => Self::Full(at.saturating_sub(ahead)),
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

/// A table of limiters over any storage of [`Slot`]s. See the [module](self) for the rules.
#[derive(Clone, Debug)]
pub struct KeyedLimiter<S> {
    slots: S,
    overflow: Overflow,
    stats: KeyedStats,
    /// The last `now`, and how far the table's time is ahead of the clock after steps back.
    last: Instant,
    ahead: Duration,
}

impl<const SLOTS: usize> KeyedLimiter<[Slot; SLOTS]> {
    /// An empty table of `SLOTS` slots, a multiple of 8.
    #[must_use]
    pub const fn with_slots(overflow: Overflow) -> Self {
        const { assert!(SLOTS > 0 && SLOTS.is_multiple_of(BUCKET), "a multiple of 8 slots") };
        Self::over([Slot::EMPTY; SLOTS], overflow)
    }
}

impl<S> KeyedLimiter<S> {
    /// How many slots are looked at for one request at most.
    pub const PROBES: usize = 2 * BUCKET;

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
            ahead: Duration::ZERO,
        }
    }

    /// How often the table was too small.
    #[must_use]
    pub const fn stats(&self) -> KeyedStats {
        self.stats
    }

    /// The table's time at `now`, which never goes back: the last `now` and what is ahead of it.
    const fn time(&self, now: Instant) -> (Instant, Duration) {
        let back = self.last.saturating_duration_since(now);
        if back.is_zero() {
            (now, self.ahead)
        } else if nanos(back) <= nanos(Self::LATE) {
            (self.last, self.ahead)
        } else {
            (now, self.ahead.saturating_add(back))
        }
    }

    fn observe(&mut self, now: Instant) -> Instant {
        (self.last, self.ahead) = self.time(now);
        self.last.saturating_add(self.ahead)
    }
}

impl<S: AsRef<[Slot]> + AsMut<[Slot]>> KeyedLimiter<S> {
    /// A table over `slots`, which start [`Slot::EMPTY`].
    ///
    /// # Errors
    /// A number of slots that is not a multiple of 8, or none.
    pub fn new(mut slots: S, overflow: Overflow) -> Result<Self, ConfigError> {
        let len = slots.as_mut().len();
        if len == 0 || !len.is_multiple_of(BUCKET) || len as u64 / 8 > u64::from(u32::MAX) {
            return Err(ConfigError::new("slots", len as u64, "a multiple of 8"));
        }
        slots.as_mut().fill(Slot::EMPTY);
        Ok(Self::over(slots, overflow))
    }

    /// Asks for `n` permits for the key with this hash and takes them when they are there.
    #[inline]
    pub fn check(&mut self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let (now, key) = (self.observe(now), mix(key));
        let slots = self.slots.as_mut();
        let place = find(slots, key, now);
        let (answer, next) = judge(slots, place, self.overflow, now, n, quota);
        match (answer, place) {
            (KeyedAnswer::Granted, Place::Found(home, at) | Place::Idle(home, at)) => {
                put(slots, home, at, Slot::new(key, next, quota.shift()));
            }
            (KeyedAnswer::Granted, Place::Taken(home, at)) => {
                put(slots, home, at, Slot::new(key, next, quota.shift()));
                self.stats.evicted = self.stats.evicted.saturating_add(1);
            }
            (KeyedAnswer::Full(_), _) => self.stats.refused = self.stats.refused.saturating_add(1),
            (KeyedAnswer::NotBefore(_), Place::Found(home, at)) => {
                // More than this quota's bucket, charged under a larger one: it counts as an empty
                // bucket, and has to stay one for the promise to hold.
                let tat = owed(slots, place, quota);
                let least = gcra::rewind(tat, now, quota);
                if least != tat {
                    put(slots, home, at, Slot::new(key, least, quota.shift()));
                }
            }
            (KeyedAnswer::Granted | KeyedAnswer::NotBefore(_) | KeyedAnswer::Never, _) => {}
        }
        answer.back(self.ahead)
    }

    /// What [`check`](Self::check) would answer, without taking or counting anything.
    pub fn would_grant(&self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let (last, ahead) = self.time(now);
        let (now, key) = (last.saturating_add(ahead), mix(key));
        let slots = self.slots.as_ref();
        let (answer, _) = judge(slots, find(slots, key, now), self.overflow, now, n, quota);
        answer.back(ahead)
    }

    /// How many permits the key has at `now`; a key without a slot has them all.
    #[must_use]
    pub fn remaining(&self, now: Instant, key: u64, quota: Quota) -> u32 {
        let (last, ahead) = self.time(now);
        let (now, key) = (last.saturating_add(ahead), mix(key));
        let slots = self.slots.as_ref();
        gcra::remaining(owed(slots, find(slots, key, now), quota), now, quota)
    }

    /// Gives back at `now` what the key was granted at `taken_at`, as far as it has not refilled.
    pub fn give_back(&mut self, now: Instant, taken_at: Instant, key: u64, n: u32, quota: Quota) {
        // What a step back in between hides from the elapsed time was no time for the key either.
        let since = now.saturating_duration_since(taken_at);
        let (now, key) = (self.observe(now), mix(key));
        let slots = self.slots.as_mut();
        if let place @ Place::Found(home, at) = find(slots, key, now) {
            let tat = owed(slots, place, quota);
            let tat = gcra::give_back(tat, now, now.saturating_sub(since), n, quota);
            put(slots, home, at, Slot::new(key, tat, quota.shift()));
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
        let slots = self.slots.as_mut();
        let place = find(slots, key, now);
        let tat = gcra::throttled(owed(slots, place, quota), now, now.saturating_add(wait), quota);
        let slot = Slot::new(key, tat, quota.shift());
        match place {
            Place::Found(home, at) | Place::Idle(home, at) => put(slots, home, at, slot),
            Place::Taken(home, at) if self.overflow == Overflow::EvictNearestIdle => {
                put(slots, home, at, slot);
                self.stats.evicted = self.stats.evicted.saturating_add(1);
            }
            Place::Taken(..) | Place::Nowhere => {
                self.stats.refused = self.stats.refused.saturating_add(1);
                return false;
            }
        }
        true
    }

    /// Fills the key's bucket.
    pub fn reset(&mut self, key: u64) {
        let (now, key) = (self.last.saturating_add(self.ahead), mix(key));
        let slots = self.slots.as_mut();
        if let Place::Found(home, at) = find(slots, key, now) {
            put(slots, home, at, Slot::EMPTY);
        }
    }

    /// How many keys owe something at `now`. Looks at every slot: for reports, not for requests.
    #[must_use]
    pub fn active(&self, now: Instant) -> usize {
        let (last, ahead) = self.time(now);
        let now = last.saturating_add(ahead);
        let slots = self.slots.as_ref().iter();
        slots.filter(|slot| !slot.is_idle(now)).count()
    }
}

/// What the key at this place owes; without a slot, nothing.
#[inline]
fn owed(slots: &[Slot], place: Place, quota: Quota) -> Tat {
    match place {
        Place::Found(home, at) => slot(slots, home, at).tat(quota.shift()),
        Place::Idle(..) | Place::Taken(..) | Place::Nowhere => Tat(0),
    }
}

/// The answer in the table's time, and what to store when it is granted.
#[inline]
fn judge(
    slots: &[Slot],
    place: Place,
    overflow: Overflow,
    now: Instant,
    n: u32,
    quota: Quota,
) -> (KeyedAnswer, Tat) {
    match (gcra::step(owed(slots, place, quota), now, n, quota), place) {
        (Step::Admit(_), Place::Nowhere) | (Step::Never, _) => (KeyedAnswer::Never, Tat(0)),
        (Step::Admit(_), Place::Taken(home, at)) if overflow == Overflow::Refuse => {
            (KeyedAnswer::Full(slot(slots, home, at).idle_at()), Tat(0))
        }
        (Step::Admit(next), _) => (KeyedAnswer::Granted, next),
        (Step::NotBefore(at), _) => (KeyedAnswer::NotBefore(at), Tat(0)),
    }
}
