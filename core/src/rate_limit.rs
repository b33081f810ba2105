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
//! - A clock that steps back locks nobody for longer than one refill.
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

pub mod gcra;
mod quota;

pub use quota::Quota;

use crate::time::Instant;
use gcra::{Step, Tat};

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
}

impl RateLimiter {
    /// A limiter with its whole capacity.
    #[must_use]
    pub const fn new(quota: Quota) -> Self {
        Self { quota, tat: Tat(0) }
    }

    /// The quota it keeps.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Asks for `n` permits at `now` and takes them when they are there.
    #[inline]
    pub fn check(&mut self, now: Instant, n: u32) -> Answer {
        match gcra::step(self.tat, now, n, self.quota) {
            Step::Admit(next) => {
                // `n = 0` is a question: it must not pull an old `tat` up to `now`.
                if n > 0 {
                    self.tat = next;
                }
                Answer::Granted
            }
            Step::NotBefore(at) => {
                // Without it the promise would move on with every request after a step back.
                self.tat = gcra::rewind(self.tat, now, self.quota);
                Answer::NotBefore(at)
            }
            Step::Never => Answer::Never,
        }
    }

    /// What [`check`](Self::check) would answer, without taking anything.
    pub fn would_grant(&self, now: Instant, n: u32) -> Answer {
        self.clone().check(now, n)
    }

    /// Gives back `n` permits that were granted and not used, never above the capacity.
    pub fn refund(&mut self, n: u32) {
        self.tat = gcra::refund(self.tat, n, self.quota);
    }

    /// The server asked to be left alone until `until`: nothing is granted before, as far as one
    /// whole bucket reaches.
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
        gcra::full_at(self.tat, now, self.quota)
    }

    /// Fills the bucket.
    pub fn reset(&mut self) {
        self.tat = Tat(0);
    }
}
