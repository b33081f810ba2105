//! Several limits for one request, checked as one: a user's, the organisation's and everybody's.
//!
//! Asked one after another, a request that the last tier refuses has been charged to the others:
//! a user with 10 permits behind an organisation with 3 loses all 10 in ten tries. Here all tiers
//! admit or none is charged.
//!
//! ```text
//!              ask every tier                    charge every tier
//!   user          granted ─┐                        charged ─┐
//!   organisation  granted ─┼─ all granted ────────▶ charged ─┼─▶ granted
//!   everybody     granted ─┘                        refused ─┘   only with threads: somebody took
//!                     │ one refuses                    │         the last permit in between
//!                     ▼                                ▼
//!        refused: which tier, and when       what was charged is given back
//! ```
//!
//! # Rules
//! - All tiers admit, or none is charged.
//! - A refusal names the tier whose instant is the latest; before that instant the request is
//!   refused, and at it granted, if nobody else is granted anything. A tier that never grants goes
//!   before all instants.
//! - The tiers are asked in the order given. Limiters of one owner alone have a shorter way,
//!   [`check_owned`].
//! - Under threads no tier is ever above its quota. What a lost race took is given back, so that
//!   at one instant it is all there again; in between another thread may be refused for it.
//!
//! A tier is anything that is a [`Tier`]: a [`RateLimiter`] of one owner, a
//! `SharedRateLimiter` behind [`Shared`] with the clock that the receipt needs, or one key of a
//! table as [`Keyed`].
//!
//! ```
//! use crossbridge_core::rate_limit::tiers::{self, Keyed, Refused, Tier};
//! use crossbridge_core::rate_limit::keyed::{KeyedLimiter, Line, Overflow};
//! use crossbridge_core::rate_limit::{Answer, RateLimiter};
//! use crossbridge_core::{Instant, Quota};
//!
//! let mut users = KeyedLimiter::<[Line; 16]>::with_slots(Overflow::Refuse);
//! let mut organisation = RateLimiter::new(Quota::per_minute(3)?);
//! let mut everybody = RateLimiter::new(Quota::per_minute(1_000)?);
//! let (alice, per_user) = (0xA11CE, Quota::per_minute(10)?);
//!
//! let now = Instant::ZERO;
//! let mut ask = || {
//!     let mut user = Keyed::new(&mut users, alice, per_user);
//!     tiers::check(now, 1, &mut [&mut user, &mut organisation, &mut everybody])
//! };
//! assert_eq!([ask(), ask(), ask()], [Ok(()), Ok(()), Ok(())]);
//! let next = Answer::NotBefore(Instant::from_nanos(20_000_000_000));
//! assert_eq!(ask(), Err(Refused { tier: 1, answer: next }));
//! // Seven of ten are left: the refusal cost her nothing.
//! assert_eq!(users.remaining(now, alice, per_user), 7);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

#[cfg(target_has_atomic = "64")]
use core::fmt;

use super::gcra::{self, Step, Tat};
use super::keyed::{KeyedAnswer, KeyedLimiter, Line};
use super::{Answer, Quota, RateLimiter};
#[cfg(target_has_atomic = "64")]
use super::{Receipt, SharedRateLimiter};
#[cfg(target_has_atomic = "64")]
use crate::time::Clock;
use crate::time::Instant;

/// Which tier refused, and until when.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refused {
    /// Its place in the order the tiers were given, from zero.
    pub tier: usize,
    /// What it answered: of all refusals the one that lasts longest. Not [`Answer::Granted`].
    pub answer: Answer,
}

/// One of several limits for the same request.
pub trait Tier {
    /// What [`take`](Self::take) would answer now; nothing is taken. What a refusal has to write
    /// down, that the clock stepped back or that a table was full, it does write.
    fn ask(&mut self, now: Instant, n: u32) -> Answer;

    /// Takes `n` permits when they are there.
    fn take(&mut self, now: Instant, n: u32) -> Answer;

    /// Gives back what the last `take` at `now` took. Called once for it at most.
    fn undo(&mut self, now: Instant, n: u32);
}

/// Asks all tiers for `n` permits: takes them from every one, or from none.
///
/// # Errors
/// The tier that refused the longest. Nothing is charged then.
pub fn check(now: Instant, n: u32, tiers: &mut [&mut dyn Tier]) -> Result<(), Refused> {
    if let Some(refused) = longest(now, n, tiers) {
        return Err(refused);
    }
    let mut taken = 0;
    for tier in tiers.iter_mut() {
        match tier.take(now, n) {
            Answer::Granted => taken += 1,
            // Somebody was faster.
            answer @ (Answer::NotBefore(_) | Answer::Never) => {
                let lost = Refused { tier: taken, answer };
                for tier in tiers.iter_mut().take(taken).rev() {
                    tier.undo(now, n);
                }
                // Another tier may be empty for longer by now.
                return Err(match longest(now, n, tiers) {
                    Some(other) if rank(other.answer) > rank(answer) => other,
                    Some(_) | None => lost,
                });
            }
        }
    }
    Ok(())
}

/// [`check`] for limiters of one owner: each is asked once and nothing has to be undone.
///
/// # Errors
/// The tier that refused the longest. Nothing is charged then.
#[inline]
pub fn check_owned<const N: usize>(
    now: Instant,
    n: u32,
    mut tiers: [&mut RateLimiter; N],
) -> Result<(), Refused> {
    let mut next = [Tat(0); N];
    for (next, tier) in next.iter_mut().zip(&tiers) {
        match gcra::step(tier.tat, now, n, tier.quota) {
            Step::Admit(tat) => *next = tat,
            Step::NotBefore(_) | Step::Never => {
                // This one refuses there as well, so that there is a longest.
                let mut tiers = tiers.map(|tier| tier as &mut dyn Tier);
                return longest(now, n, &mut tiers).map_or(Ok(()), Err);
            }
        }
    }
    if n > 0 {
        for (next, tier) in next.iter().zip(&mut tiers) {
            tier.tat = *next;
            tier.ahead = 0;
        }
    }
    Ok(())
}

/// The refusal that lasts longest, the first of several that last as long.
fn longest(now: Instant, n: u32, tiers: &mut [&mut dyn Tier]) -> Option<Refused> {
    let mut found: Option<Refused> = None;
    for (tier, limit) in tiers.iter_mut().enumerate() {
        let answer = limit.ask(now, n);
        if rank(answer) > found.map_or(rank(Answer::Granted), |refused| rank(refused.answer)) {
            found = Some(Refused { tier, answer });
        }
    }
    found
}

/// Answers by how long they refuse.
const fn rank(answer: Answer) -> (u8, u64) {
    match answer {
        Answer::Granted => (0, 0),
        Answer::NotBefore(at) => (1, at.as_nanos()),
        Answer::Never => (2, 0),
    }
}

impl Tier for RateLimiter {
    fn ask(&mut self, now: Instant, n: u32) -> Answer {
        match self.would_grant(now, n) {
            Answer::Granted => Answer::Granted,
            // Nobody else has it: the request is refused the same way.
            Answer::NotBefore(_) | Answer::Never => self.check(now, n),
        }
    }

    fn take(&mut self, now: Instant, n: u32) -> Answer {
        self.check(now, n)
    }

    fn undo(&mut self, now: Instant, n: u32) {
        self.give_back(now, now, n);
    }
}

/// One key of a table.
#[derive(Debug)]
pub struct Keyed<'a, S> {
    table: &'a mut KeyedLimiter<S>,
    key: u64,
    quota: Quota,
}

impl<'a, S> Keyed<'a, S> {
    /// The key with this hash, under this quota.
    pub const fn new(table: &'a mut KeyedLimiter<S>, key: u64, quota: Quota) -> Self {
        Self { table, key, quota }
    }
}

impl<S: AsRef<[Line]> + AsMut<[Line]>> Tier for Keyed<'_, S> {
    fn ask(&mut self, now: Instant, n: u32) -> Answer {
        match self.table.would_grant(now, self.key, n, self.quota) {
            KeyedAnswer::Granted => Answer::Granted,
            KeyedAnswer::NotBefore(_) | KeyedAnswer::Never | KeyedAnswer::Full(_) => self.take(now, n),
        }
    }

    fn take(&mut self, now: Instant, n: u32) -> Answer {
        self.table.check(now, self.key, n, self.quota).answer()
    }

    fn undo(&mut self, now: Instant, n: u32) {
        self.table.give_back(now, now, self.key, n, self.quota);
    }
}

/// A limiter that other threads ask as well, and the clock by which a lost race is undone.
#[cfg(target_has_atomic = "64")]
pub struct Shared<'a, C: ?Sized> {
    limiter: &'a SharedRateLimiter,
    clock: &'a C,
    receipt: Option<Receipt>,
}

#[cfg(target_has_atomic = "64")]
impl<'a, C: Clock + ?Sized> Shared<'a, C> {
    /// The tier for one request; `clock` is the one that `now` is read from.
    pub const fn new(limiter: &'a SharedRateLimiter, clock: &'a C) -> Self {
        Self {
            limiter,
            clock,
            receipt: None,
        }
    }

    /// What the request took, to be given back if it is not used.
    pub const fn receipt(&mut self) -> Option<Receipt> {
        self.receipt.take()
    }
}

#[cfg(target_has_atomic = "64")]
impl<C: ?Sized> fmt::Debug for Shared<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("limiter", self.limiter)
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}

#[cfg(target_has_atomic = "64")]
impl<C: Clock + ?Sized> Tier for Shared<'_, C> {
    fn ask(&mut self, now: Instant, n: u32) -> Answer {
        let answer = self.limiter.would_grant(now, n);
        if answer != Answer::Granted {
            self.limiter.note_step_back(now);
        }
        answer
    }

    fn take(&mut self, now: Instant, n: u32) -> Answer {
        match self.limiter.take(now, n) {
            Ok(receipt) => {
                self.receipt = Some(receipt);
                Answer::Granted
            }
            Err(refused) => refused,
        }
    }

    fn undo(&mut self, _: Instant, _: u32) {
        if let Some(receipt) = self.receipt.take() {
            self.limiter.refund(receipt, self.clock);
        }
    }
}
