//! The table of one owner.

use core::time::Duration;

use super::line::{At, Entry, Line, Room, find, get, mix, move_back, put, room, same_ticks};
use super::time::{LATE, Seen, TableTime};
use super::{KeyedAnswer, KeyedStats, Overflow, active};
use crate::ConfigError;
use crate::rate_limit::Quota;
use crate::rate_limit::gcra::{self, Quick, Step, Tat};
use crate::time::Instant;

/// A table of limiters over any storage of [`Line`]s. See the [module](super) for the rules.
#[derive(Clone, Debug)]
pub struct KeyedLimiter<S> {
    slots: S,
    overflow: Overflow,
    stats: KeyedStats,
    time: TableTime,
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
    /// stepped back, as [`SharedRateLimiter`](crate::rate_limit::SharedRateLimiter) has it.
    pub const LATE: Duration = LATE;

    const fn over(slots: S, overflow: Overflow) -> Self {
        Self {
            slots,
            overflow,
            stats: KeyedStats {
                refused: 0,
                evicted: 0,
            },
            time: TableTime::new(),
        }
    }

    /// How often the table was too small.
    #[must_use]
    pub const fn stats(&self) -> KeyedStats {
        self.stats
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
                    Quick::NotBefore(until) => return KeyedAnswer::NotBefore(until).back(self.time.ahead()),
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
        answer.back(self.time.ahead())
    }

    /// What [`check`](Self::check) would answer, without taking or counting anything.
    pub fn would_grant(&self, now: Instant, key: u64, n: u32, quota: Quota) -> KeyedAnswer {
        if n == 0 || quota.is_unlimited() {
            return KeyedAnswer::Granted;
        }
        let (seen, key) = (self.peek(now), mix(key));
        let lines = self.slots.as_ref();
        let found = find(lines, key);
        let tat = found.map_or(Tat(0), |at| get(lines, at).moved(seen).tat(quota.shift()));
        let answer = match gcra::step(tat, seen.at, n, quota) {
            Step::Admit(_) if found.is_some() => KeyedAnswer::Granted,
            Step::Admit(_) => room(lines, key, seen.was).would_be(seen, self.overflow),
            Step::NotBefore(until) => KeyedAnswer::NotBefore(until),
            Step::Never => KeyedAnswer::Never,
        };
        answer.back(seen.ahead)
    }

    /// How many permits the key has at `now`; a key without a slot has them all.
    #[must_use]
    pub fn remaining(&self, now: Instant, key: u64, quota: Quota) -> u32 {
        let (seen, lines) = (self.peek(now), self.slots.as_ref());
        let slot = find(lines, mix(key)).map_or(Entry::EMPTY, |at| get(lines, at));
        gcra::remaining(slot.moved(seen).tat(quota.shift()), seen.at, quota)
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
        active(self.slots.as_ref(), self.peek(now).was)
    }

    /// The table's time at `now`.
    #[inline]
    fn observe(&mut self, now: Instant) -> Instant {
        match self.time.advance(now) {
            Some(at) => at,
            None => self.observe_back(now),
        }
    }

    /// A late `now`, or a clock that stepped back.
    #[cold]
    fn observe_back(&mut self, now: Instant) -> Instant {
        let (seen, noted) = self.time.after(now);
        self.time = noted;
        if seen.moves() {
            move_back(self.slots.as_mut(), seen);
        }
        seen.at
    }

    /// The same, not noted.
    fn peek(&self, now: Instant) -> Seen {
        self.time.after(now).0
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
