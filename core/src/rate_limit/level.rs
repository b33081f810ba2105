//! A limiter's state apart from its quota, for a guard that lends out its policies.

use super::gcra::{self, Quick, Tat};
use super::{Answer, Quota, RateLimiter, RateLimiterSnapshot};
use crate::snapshot::RestoreError;
use crate::time::Instant;

/// How full the bucket is: a [`RateLimiter`] without its quota and without reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Level(Tat);

impl Level {
    /// A full bucket.
    pub(crate) const FULL: Self = Self(Tat(0));

    /// What is left after [`take`](Self::take), where that grants without a further look.
    #[inline]
    pub(crate) fn take_quickly(self, quota: &Quota, now: Instant) -> Option<Self> {
        match gcra::quick(self.0, now, quota) {
            Quick::Admit(next) => Some(Self(next)),
            Quick::NotBefore(_) | Quick::Ask => None,
        }
    }

    /// Asks for one permit.
    pub(crate) fn take(&mut self, quota: &Quota, now: Instant) -> Answer {
        match gcra::quick(self.0, now, quota) {
            Quick::Admit(next) => {
                self.0 = next;
                Answer::Granted
            }
            Quick::NotBefore(at) => Answer::NotBefore(at),
            Quick::Ask => self.take_otherwise(quota, now),
        }
    }

    #[cold]
    fn take_otherwise(&mut self, quota: &Quota, now: Instant) -> Answer {
        let mut limiter = self.limiter(quota);
        let answer = limiter.check(now, 1);
        self.0 = limiter.tat;
        answer
    }

    /// Gives back the permit that was taken last.
    #[inline]
    pub(crate) fn refund(&mut self, quota: &Quota) {
        self.0 = gcra::refund(self.0, 1, *quota);
    }

    pub(crate) fn remaining(self, quota: &Quota, now: Instant) -> u32 {
        gcra::remaining(self.0, now, *quota)
    }

    pub(crate) fn snapshot(self, quota: &Quota, now: Instant) -> RateLimiterSnapshot {
        self.limiter(quota).snapshot(now)
    }

    /// # Errors
    /// See [`RateLimiter::restore`]; reservations are refused, for there is nobody who made them.
    pub(crate) fn restore(
        quota: &Quota,
        from: &RateLimiterSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::unless(from.ahead == 0, "ahead", from.ahead, "0, for nothing is reserved")?;
        Ok(Self(RateLimiter::restore(*quota, from, now)?.tat))
    }

    const fn limiter(self, quota: &Quota) -> RateLimiter {
        RateLimiter {
            quota: *quota,
            tat: self.0,
            ahead: 0,
        }
    }
}
