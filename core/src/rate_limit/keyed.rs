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
//!   [`KeyedLimiter::LATE`] smaller means that the clock stepped back, and all keys step with it: at no
//!   cost, unless the table has seen more than a year pass. Then every slot is written once.
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
mod owned;
#[cfg(target_has_atomic = "64")]
pub mod shared;
#[cfg(target_has_atomic = "64")]
mod shared_line;
mod time;

pub use line::Line;
pub use owned::KeyedLimiter;
#[cfg(target_has_atomic = "64")]
pub use shared::SharedKeyedLimiter;
#[cfg(target_has_atomic = "64")]
pub use shared_line::SharedLine;

use core::time::Duration;

use super::Answer;
use crate::time::Instant;
use line::Table;

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

/// How many slots are not idle.
fn active(table: &(impl Table + ?Sized), now: Instant) -> usize {
    let slots = (0..table.lines()).flat_map(|line| table.slots(line));
    slots.filter(|(_, slot)| !slot.is_idle(now)).count()
}
