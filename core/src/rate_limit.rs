//! How often: a rate limiter for one key.
//!
//! For callers that must not send more than so many requests in so long: a quota of a provider's
//! API, a share of a database. Each key (a subject and an operation) has a limiter of its own.
//!
//! ```text
//!              permits there
//!   capacity B ┤■■■■■■■■╲            ╱■■■■      one comes free every T = W / B
//!              │         ╲  granted ╱
//!            0 ┤          ╲________╱            here: refused, "not before …"
//!              └──────────────────────────▶ time
//! ```
//!
//! # Rules
//! - A new limiter has its whole capacity.
//! - In any interval of length `L` at most `B + floor(L / T)` permits are granted.
//! - A refusal takes nothing and names the first instant at which the same request is granted:
//!   one nanosecond earlier it is refused.
//! - Asking for more than the capacity is [`Answer::Never`], not a wait. Asking for nothing is
//!   granted and changes nothing.
//! - A clock that steps back locks nobody for longer than one refill, or one refill and the wait
//!   of the furthest reservation.
//! - A reservation is granted now for an instant to come. Whoever asks later is served later, and
//!   nothing that was reserved is forgotten.
//!
//! | form | state | for |
//! |---|---|---|
//! | [`RateLimiter`] | one number, `&mut self` | one owner; any target |
//! | [`SharedRateLimiter`] | one atomic word, `&self` | threads; targets with 64-bit atomics |
//! | [`keyed`] | a fixed table, 16 bytes a key | many subjects and operations |
//! | [`tiers`] | none of its own | user, organisation and everybody, checked as one |
//! | [`adaptive`] | a rate that follows what the server says | quotas nobody published |
//!
//! The rule is the generic cell rate algorithm (ITU-T I.371, 1996) in integers, see [`gcra`]. It
//! grants what a token bucket of the same capacity and rate grants.
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::{Instant, Quota, rate_limit::{Answer, RateLimiter}};
//!
//! let mut limiter = RateLimiter::new(Quota::per_minute(30)?.burst(2)?);
//! let start = Instant::ZERO;
//! assert_eq!(limiter.check(start, 1), Answer::Granted);
//! assert_eq!(limiter.check(start, 1), Answer::Granted);
//!
//! // Empty: the next permit is there two seconds later, and not a nanosecond before.
//! let next = Instant::from_nanos(2_000_000_000);
//! assert_eq!(limiter.check(start, 1), Answer::NotBefore(next));
//! assert_eq!(limiter.check(next, 1), Answer::Granted);
//! assert_eq!(limiter.check(next, 3), Answer::Never);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

pub mod adaptive;
pub mod gcra;
pub mod keyed;
pub(crate) mod level;
mod quota;
#[cfg(target_has_atomic = "64")]
mod shared;
mod snapshot;
pub mod tiers;

pub use keyed::KeyedLimiter;
#[cfg(target_has_atomic = "64")]
pub use keyed::SharedKeyedLimiter;
pub use quota::Quota;
#[cfg(target_has_atomic = "64")]
pub use shared::{Receipt, SharedRateLimiter};
pub use snapshot::RateLimiterSnapshot;

use core::time::Duration;

use crate::time::Instant;
use gcra::{Quick, Step, Tat};

/// What a limiter answers.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// Granted and charged.
    Granted,
    /// Refused, nothing charged. The same request is granted from this instant on, if nobody else
    /// is granted one before.
    NotBefore(Instant),
    /// Refused for good: more permits than the capacity, or past the end of the clock's range.
    Never,
}

/// A rate limiter for one key, owned by one caller. See the [module](self) for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RateLimiter {
    quota: Quota,
    tat: Tat,
    /// How far beyond a full bucket the furthest reservation was when it was made, in ticks. A
    /// `tat` within it is a promise that was made; one beyond it means that the clock stepped back.
    /// A span and not an instant, so that it holds under any clock.
    ahead: u64,
}

impl RateLimiter {
    /// A limiter with its whole capacity.
    #[must_use]
    pub const fn new(quota: Quota) -> Self {
        Self {
            quota,
            tat: Tat(0),
            ahead: 0,
        }
    }

    /// The quota it keeps.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Asks for `n` permits at `now` and takes them when they are there.
    #[inline]
    pub fn check(&mut self, now: Instant, n: u32) -> Answer {
        if n == 1 && self.ahead == 0 {
            match gcra::quick(self.tat, now, &self.quota) {
                Quick::Admit(next) => {
                    self.tat = next;
                    return Answer::Granted;
                }
                Quick::NotBefore(at) => return Answer::NotBefore(at),
                Quick::Ask => {}
            }
        }
        self.check_any(now, n)
    }

    /// Several permits, reservations ahead, a clock that stepped back.
    #[cold]
    fn check_any(&mut self, now: Instant, n: u32) -> Answer {
        match gcra::step(self.tat, now, n, self.quota) {
            Step::Admit(next) => {
                // `n = 0` is a question: it must not pull an old `tat` up to `now`.
                if n > 0 {
                    self.tat = next;
                    // Whoever is admitted now comes after every reservation.
                    self.ahead = 0;
                }
                Answer::Granted
            }
            Step::NotBefore(at) if self.ahead == 0 => {
                // Without it the promise would move on with every request after a step back.
                self.tat = gcra::rewind(self.tat, now, self.quota);
                Answer::NotBefore(at)
            }
            Step::NotBefore(_) => self.behind_reservations(now, n),
            Step::Never => Answer::Never,
        }
    }

    /// A refusal while reservations may be under way: the bucket owes more than a full one.
    #[cold]
    fn behind_reservations(&mut self, now: Instant, n: u32) -> Answer {
        self.tat = gcra::rewind_behind(self.tat, now, self.ahead, self.quota);
        match gcra::book(self.tat, now, n, self.quota) {
            Some(booking) => Answer::NotBefore(booking.at),
            None => Answer::Never,
        }
    }

    /// Takes `n` permits now for the first instant at which they may be used, at most `max_wait`
    /// away, and says which that is: `now` when they are there.
    ///
    /// Whoever asks later is served later, with [`check`](Self::check) too. A reservation that
    /// will not be used is given back with [`refund`](Self::refund).
    ///
    /// # Errors
    /// [`Answer::NotBefore`] is the first instant at which the same reservation is granted, and
    /// [`Answer::Never`] is more permits than the capacity. Nothing is taken then.
    ///
    /// ```
    /// use core::time::Duration;
    /// use crossbridge_core::{Instant, Quota, rate_limit::{Answer, RateLimiter}};
    ///
    /// let mut limiter = RateLimiter::new(Quota::per_second(1)?);
    /// let start = Instant::ZERO;
    /// let second = |n: u64| Instant::from_nanos(n * 1_000_000_000);
    /// let wait = Duration::from_secs(2);
    /// assert_eq!(limiter.reserve(start, 1, wait), Ok(start));
    /// assert_eq!(limiter.reserve(start, 1, wait), Ok(second(1)));
    /// assert_eq!(limiter.reserve(start, 1, wait), Ok(second(2)));
    /// // The next turn is at 3 s, and from 1 s on that is near enough.
    /// assert_eq!(limiter.reserve(start, 1, wait), Err(Answer::NotBefore(second(1))));
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    pub fn reserve(&mut self, now: Instant, n: u32, max_wait: Duration) -> Result<Instant, Answer> {
        if n == 0 {
            return Ok(now);
        }
        self.tat = gcra::rewind_behind(self.tat, now, self.ahead, self.quota);
        let Some(booking) = gcra::book(self.tat, now, n, self.quota) else {
            return Err(Answer::Never);
        };
        if booking.at.saturating_duration_since(now) > max_wait {
            return Err(Answer::NotBefore(booking.at.saturating_sub(max_wait)));
        }
        self.tat = booking.next;
        self.ahead = booking.ahead;
        Ok(booking.at)
    }

    /// Changes the quota. The used fraction of the bucket stays: half empty before is half empty
    /// after, rounded so that no permit comes free by the change. Reservations keep their instants.
    pub fn set_quota(&mut self, now: Instant, quota: Quota) {
        self.tat = gcra::rewind_behind(self.tat, now, self.ahead, self.quota);
        (self.tat, self.ahead) = gcra::convert(self.tat, now, self.quota, quota);
        self.quota = quota;
    }

    /// What [`check`](Self::check) would answer, without taking anything.
    pub fn would_grant(&self, now: Instant, n: u32) -> Answer {
        self.clone().check(now, n)
    }

    /// Gives back `n` permits that were granted and not used, never above the capacity: as if the
    /// last `n` had not been granted. For what is given back at once, as when the bulkhead refuses
    /// what the limiter granted; later on, [`give_back`](Self::give_back) counts the time since.
    pub fn refund(&mut self, n: u32) {
        self.tat = gcra::refund(self.tat, n, self.quota);
    }

    /// Gives back at `now` what was granted at `taken_at`, as far as it has not refilled since.
    ///
    /// A bucket that was full in between has forgotten the grant; giving it back whole would let
    /// somebody through above the quota.
    pub fn give_back(&mut self, now: Instant, taken_at: Instant, n: u32) {
        self.tat = gcra::give_back(self.tat, now, taken_at, n, self.quota);
    }

    /// The server asked to be left alone until `until`: nothing is granted before, for one emission
    /// interval at most. A number further ahead would read as a clock that stepped back; a longer
    /// pause is for the breaker, which opens until the server's hint.
    pub fn on_throttled(&mut self, now: Instant, until: Instant) {
        if !self.quota.is_unlimited() {
            self.tat = gcra::throttled(self.tat, now, until, self.quota);
        }
    }

    /// How many permits are there at `now`.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        gcra::remaining(self.tat, now, self.quota)
    }

    /// When the whole capacity is there again; `now` when it already is.
    #[must_use]
    pub fn full_at(&self, now: Instant) -> Instant {
        let tat = gcra::rewind_behind(self.tat, now, self.ahead, self.quota);
        gcra::full_after(tat, now, self.quota)
    }

    /// Fills the bucket and forgets every reservation.
    pub fn reset(&mut self) {
        self.tat = Tat(0);
        self.ahead = 0;
    }
}
