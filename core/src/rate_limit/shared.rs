//! The limiter for one key, shared by threads: one atomic word around the same pure step.

use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use super::gcra::{self, Quick, Step, Tat};
use super::{Answer, Quota};
use crate::sync::{atomic::AtomicU64, back_off};
use crate::time::{Clock, Instant};

/// A rate limiter for one key, asked by many threads at once, without a lock.
///
/// ```text
///   load tat ──▶ step(tat, now, n) ──▶ NotBefore: done, nothing was written
///      ▲               │ Admit(next)
///      └─ back off ◀─ lost ─ compare-and-swap ──▶ granted
/// ```
///
/// # Rules
/// - Those of the [module](super): in any interval of the callers' clock at most `B + floor(L / T)`
///   permits are granted, however many threads ask.
/// - A refusal is a load and a compare. A grant is one compare-and-swap; a lost one means that
///   another thread was granted something, and is tried again after a pause of half a microsecond.
/// - Threads read the clock before they ask, so `now` may be older than another's: up to
///   [`LATE`](Self::LATE) older nothing moves back. Further back the clock stepped, and the key
///   is locked for no longer than one refill and [`LATE`](Self::LATE).
/// - What was taken with [`take`](Self::take) and not used is given back with the receipt, as far
///   as it has not refilled since: exact at the same instant, never above the quota later.
///
/// The targets are those with 64-bit atomics. Elsewhere a [`RateLimiter`](super::RateLimiter)
/// belongs to one owner.
///
/// ```
/// use crossbridge_core::rate_limit::{Answer, SharedRateLimiter};
/// use crossbridge_core::testing::ManualClock;
/// use crossbridge_core::{Instant, Quota};
///
/// static SEARCH: SharedRateLimiter = SharedRateLimiter::new(match Quota::per_minute(30) {
///     Ok(quota) => quota,
///     Err(_) => panic!(),
/// });
/// let now = Instant::ZERO;
/// assert_eq!(SEARCH.check(now, 29), Answer::Granted);
///
/// // Taken, then not needed: the receipt gives it back.
/// let receipt = SEARCH.take(now, 1).unwrap();
/// assert_eq!(SEARCH.remaining(now), 0);
/// SEARCH.refund(receipt, &ManualClock::new());
/// assert_eq!(SEARCH.remaining(now), 1);
/// ```
#[derive(Debug)]
pub struct SharedRateLimiter {
    quota: Quota,
    // Every access is Relaxed. The word publishes no other memory, so there is nothing to acquire
    // or release; and the changes of one atomic have one order that all threads agree on, so each
    // successful compare-and-swap applies the step to the value it replaces.
    tat: AtomicU64,
}

impl SharedRateLimiter {
    /// How much older than another thread's a `now` may be before it counts as a clock that
    /// stepped back: as long as a thread may be off its core between reading the clock and asking.
    pub const LATE: Duration = Duration::from_secs(1);

    /// A limiter with its whole capacity.
    #[must_use]
    pub const fn new(quota: Quota) -> Self {
        Self {
            quota,
            tat: AtomicU64::new(0),
        }
    }

    pub(super) const fn resume(quota: Quota, tat: Tat) -> Self {
        Self {
            quota,
            tat: AtomicU64::new(tat.0),
        }
    }

    pub(super) fn tat(&self) -> Tat {
        Tat(self.tat.load(Relaxed))
    }

    /// The quota it keeps.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Asks for `n` permits at `now` and takes them when they are there.
    #[inline]
    pub fn check(&self, now: Instant, n: u32) -> Answer {
        if n == 1 {
            let seen = self.tat.load(Relaxed);
            match gcra::quick(Tat(seen), now, &self.quota) {
                Quick::Admit(Tat(next)) => {
                    if self
                        .tat
                        .compare_exchange_weak(seen, next, Relaxed, Relaxed)
                        .is_ok()
                    {
                        return Answer::Granted;
                    }
                    back_off();
                }
                Quick::NotBefore(at) => return Answer::NotBefore(at),
                Quick::Ask => {}
            }
        }
        self.check_any(now, n)
    }

    /// Several permits, a lost race, a late thread, a clock that stepped back.
    #[cold]
    fn check_any(&self, now: Instant, n: u32) -> Answer {
        let mut seen = self.tat.load(Relaxed);
        loop {
            match gcra::step(Tat(seen), now, n, self.quota) {
                Step::Admit(next) => {
                    if n == 0 {
                        return Answer::Granted;
                    }
                    let taken = self.tat.compare_exchange_weak(seen, next.0, Relaxed, Relaxed);
                    if taken.is_ok() {
                        return Answer::Granted;
                    }
                    back_off();
                    seen = self.tat.load(Relaxed);
                }
                Step::NotBefore(at) => match self.behind(seen, now, n, at) {
                    Ok(answer) => return answer,
                    Err(found) => seen = found,
                },
                Step::Never => return Answer::Never,
            }
        }
    }

    /// A refusal. More is owed than a full bucket holds when this thread is late or the clock
    /// stepped back; `Err` is a newer value to decide on.
    #[inline]
    fn behind(&self, seen: u64, now: Instant, n: u32, at: Instant) -> Result<Answer, u64> {
        let latest = gcra::rewind(Tat(seen), now, self.quota);
        if latest.0 == seen {
            return Ok(Answer::NotBefore(at));
        }
        if self.is_late(seen, latest) {
            return Ok(self.answer_late(seen, now, n));
        }
        // The clock stepped back. Somebody else may have noticed as well: decide on theirs.
        match self.tat.compare_exchange(seen, latest.0, Relaxed, Relaxed) {
            Ok(_) => Err(latest.0),
            Err(found) => Err(found),
        }
    }

    /// After a refusal by [`would_grant`](Self::would_grant), which writes nothing.
    pub(crate) fn note_step_back(&self, now: Instant) {
        let seen = self.tat.load(Relaxed);
        let latest = gcra::rewind(Tat(seen), now, self.quota);
        if !self.is_late(seen, latest) {
            // Lost means that somebody else has written something newer.
            let _ = self.tat.compare_exchange(seen, latest.0, Relaxed, Relaxed);
        }
    }

    fn is_late(&self, seen: u64, latest: Tat) -> bool {
        let late = gcra::ticks(Instant::ZERO.saturating_add(Self::LATE), self.quota.shift());
        seen.saturating_sub(latest.0) <= late
    }

    /// Others were granted permits at a later `now`. Moving the word back to this one would grant
    /// them twice, so the answer is what the word says.
    #[cold]
    fn answer_late(&self, seen: u64, now: Instant, n: u32) -> Answer {
        match gcra::book(Tat(seen), now, n, self.quota) {
            Some(booking) => Answer::NotBefore(booking.at),
            None => Answer::Never,
        }
    }

    /// [`check`](Self::check) with a receipt, for permits that may have to be given back.
    ///
    /// # Errors
    /// What `check` answers when it refuses.
    pub fn take(&self, now: Instant, n: u32) -> Result<Receipt, Answer> {
        match self.check(now, n) {
            Answer::Granted => Ok(Receipt { taken_at: now, n }),
            refused @ (Answer::NotBefore(_) | Answer::Never) => Err(refused),
        }
    }

    /// What [`check`](Self::check) would answer now, without taking anything.
    pub fn would_grant(&self, now: Instant, n: u32) -> Answer {
        let seen = self.tat.load(Relaxed);
        match gcra::step(Tat(seen), now, n, self.quota) {
            Step::Admit(_) => Answer::Granted,
            Step::NotBefore(at) => {
                let latest = gcra::rewind(Tat(seen), now, self.quota);
                if latest.0 < seen && self.is_late(seen, latest) {
                    return self.answer_late(seen, now, n);
                }
                Answer::NotBefore(at)
            }
            Step::Never => Answer::Never,
        }
    }

    /// Gives back what was taken and not used, as far as it has not refilled since.
    ///
    /// It takes the clock and not an instant: the time has to be read after the word, so that
    /// nobody can have been granted anything at a later instant than the one it is judged by.
    pub fn refund(&self, receipt: Receipt, clock: &(impl Clock + ?Sized)) {
        let Receipt { taken_at, n } = receipt;
        let mut seen = self.tat.load(Relaxed);
        loop {
            let next = gcra::give_back(Tat(seen), clock.now(), taken_at, n, self.quota);
            let given = self.tat.compare_exchange_weak(seen, next.0, Relaxed, Relaxed);
            if given.is_ok() {
                return;
            }
            back_off();
            seen = self.tat.load(Relaxed);
        }
    }

    /// The server asked to be left alone until `until`: nothing is granted before, for one emission
    /// interval at most. A number further ahead would read as a clock that stepped back; a longer
    /// pause is for the breaker, which opens until the server's hint.
    pub fn on_throttled(&self, now: Instant, until: Instant) {
        if !self.quota.is_unlimited() {
            // The pure rule is a maximum with a number that does not depend on the word.
            let least = gcra::throttled(Tat(0), now, until, self.quota);
            self.tat.fetch_max(least.0, Relaxed);
        }
    }

    /// How many permits are there at `now`, unless somebody takes them.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        gcra::remaining(Tat(self.tat.load(Relaxed)), now, self.quota)
    }

    /// When the whole capacity is there again; `now` when it already is.
    #[must_use]
    pub fn full_at(&self, now: Instant) -> Instant {
        gcra::full_at(Tat(self.tat.load(Relaxed)), now, self.quota)
    }

    /// Fills the bucket.
    pub fn reset(&self) {
        self.tat.store(0, Relaxed);
    }
}

/// What [`SharedRateLimiter::take`] granted. Dropped, the permits count as used.
#[must_use = "the permits are taken: use them, or give the receipt back"]
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receipt {
    taken_at: Instant,
    n: u32,
}

impl Receipt {
    /// How many permits it stands for.
    #[must_use]
    pub const fn permits(&self) -> u32 {
        self.n
    }
}
