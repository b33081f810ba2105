//! One key's slot, and where in the table it may be.

use crate::rate_limit::gcra::{self, Tat};
use crate::time::Instant;

/// Slots a bucket has: two cache lines of 64 bytes.
pub(super) const BUCKET: usize = 8;

/// One key: 61 bits of its hash, what a tick is, and when its bucket is full again. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot {
    /// The fraction bits of a tick are the lowest three.
    key: u64,
    tat: u64,
}

const SHIFT_BITS: u64 = 0b111;

impl Slot {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self { key: 0, tat: 0 };

    pub(super) const fn new(key: u64, tat: Tat, shift: u32) -> Self {
        Self {
            key: (key & !SHIFT_BITS) | (shift as u64 & SHIFT_BITS),
            tat: tat.0,
        }
    }

    const fn shift(self) -> u32 {
        (self.key & SHIFT_BITS) as u32
    }

    /// Its instant in ticks with so many fraction bits.
    #[inline]
    pub(super) const fn tat(self, shift: u32) -> Tat {
        if self.shift() == shift {
            Tat(self.tat)
        } else {
            Tat(gcra::rescale(self.tat, self.shift(), shift))
        }
    }

    const fn is(self, key: u64) -> bool {
        (self.key ^ key) & !SHIFT_BITS == 0
    }

    pub(super) const fn is_idle(self, now: Instant) -> bool {
        self.tat <= gcra::ticks(now, self.shift())
    }

    pub(super) const fn idle_at(self) -> Instant {
        gcra::instant(self.tat, self.shift())
    }
}

/// Where a key is or may go: a bucket, and a slot in it.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Found(usize, usize),
    /// Not there, and this slot is free.
    Idle(usize, usize),
    /// Not there, and of all its slots this one comes free first.
    Taken(usize, usize),
    /// The storage lends out no bucket.
    Nowhere,
}

/// Looks in both buckets of the mixed key, 16 slots.
#[inline]
pub(super) fn find(slots: &[Slot], key: u64, now: Instant) -> Place {
    let buckets = slots.as_chunks::<BUCKET>().0;
    let (a, b) = homes(key, buckets.len());
    for home in [a, b] {
        if let Some(at) = position(buckets, home, key) {
            return Place::Found(home, at);
        }
    }
    vacancy(buckets, a, b, now)
}

/// The slot at a place that [`find`] found.
#[inline]
pub(super) fn slot(slots: &[Slot], home: usize, at: usize) -> Slot {
    let bucket = slots.as_chunks::<BUCKET>().0.get(home);
    bucket
        .and_then(|bucket| bucket.get(at))
        .copied()
        .unwrap_or_default()
}

#[inline]
pub(super) fn put(slots: &mut [Slot], home: usize, at: usize, new: Slot) {
    let bucket = slots.as_chunks_mut::<BUCKET>().0.get_mut(home);
    if let Some(slot) = bucket.and_then(|bucket| bucket.get_mut(at)) {
        *slot = new;
    }
}

/// Spreads hashes that are only numbers in a row, over the buckets and away from the three bits
/// that a slot does not keep. One to one, so that no two keys become one here.
#[inline]
pub(super) const fn mix(key: u64) -> u64 {
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

/// The two buckets of a key, each from one half of the mixed hash.
const fn homes(mixed: u64, buckets: usize) -> (usize, usize) {
    // The constructor allows less than 2^32 buckets, so that the products fit and the quotients
    // are below the number of buckets.
    let a = ((mixed >> 32).wrapping_mul(buckets as u64)) >> 32;
    let b = ((mixed & 0xFFFF_FFFF).wrapping_mul(buckets as u64)) >> 32;
    (a as usize, b as usize)
}

#[inline]
fn position(buckets: &[[Slot; BUCKET]], home: usize, key: u64) -> Option<usize> {
    buckets.get(home)?.iter().position(|slot| slot.is(key))
}

/// Where a new key goes: into the emptier bucket, so that neither fills up before it must.
#[cold]
fn vacancy(buckets: &[[Slot; BUCKET]], a: usize, b: usize, now: Instant) -> Place {
    let slots = |home: usize| buckets.get(home).into_iter().flatten();
    let idle = |home: usize| slots(home).filter(|slot| slot.is_idle(now)).count();
    let (in_a, in_b) = (idle(a), idle(b));
    let home = if in_b > in_a { b } else { a };
    if let Some(at) = slots(home).position(|slot| slot.is_idle(now)) {
        return Place::Idle(home, at);
    }
    let soonest = |home: usize| slots(home).enumerate().min_by_key(|(_, slot)| slot.idle_at());
    match (soonest(a), soonest(b)) {
        (Some((_, first)), Some((at, other))) if other.idle_at() < first.idle_at() => Place::Taken(b, at),
        (Some((at, _)), _) => Place::Taken(a, at),
        (None, _) => Place::Nowhere,
    }
}
