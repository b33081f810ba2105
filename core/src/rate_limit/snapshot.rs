//! A limiter's state as a value: see [`crate::snapshot`].

#[cfg(target_has_atomic = "64")]
use super::SharedRateLimiter;
use super::gcra::{self, Tat};
use super::{Quota, RateLimiter};
use crate::snapshot::{RestoreError, VERSION};
use crate::time::Instant;

/// The state of a [`RateLimiter`], in ticks of its quota.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RateLimiterSnapshot {
    /// Version of this form.
    pub version: u32,
    /// How many permits may go at once.
    pub capacity: u32,
    /// What one permit costs, in ticks of `2^-shift` nanoseconds.
    pub interval: u64,
    /// Fraction bits of a tick, 0 to 4.
    pub shift: u32,
    /// Until the bucket is full again, in ticks.
    pub owed: u64,
    /// How much more than a full bucket may be owed, in ticks: the wait of the furthest reservation.
    pub ahead: u64,
}

impl RateLimiter {
    /// The state at `now`.
    pub fn snapshot(&self, now: Instant) -> RateLimiterSnapshot {
        let tat = gcra::rewind_behind(self.tat, now, self.ahead, self.quota);
        RateLimiterSnapshot {
            version: VERSION,
            capacity: self.quota.capacity(),
            interval: self.quota.interval(),
            shift: self.quota.shift(),
            owed: tat.0.saturating_sub(gcra::ticks(now, self.quota.shift())),
            ahead: self.ahead,
        }
    }

    /// The limiter that the snapshot was taken of, at `now` of a clock that may be another one.
    /// Under another quota the used fraction stays, as with [`set_quota`](Self::set_quota).
    ///
    /// # Errors
    /// Another version, a quota that no constructor makes, more owed than a bucket and what is
    /// reserved.
    ///
    /// ```
    /// use crossbridge_core::rate_limit::{Answer, RateLimiter, RateLimiterSnapshot};
    /// use crossbridge_core::{Instant, Quota};
    ///
    /// let quota = Quota::per_minute(2)?;
    /// let mut limiter = RateLimiter::new(quota);
    /// let before = Instant::from_nanos(7_000_000_000);
    /// assert_eq!(limiter.check(before, 2), Answer::Granted);
    /// let kept = limiter.snapshot(before);
    ///
    /// // The next process, whose clock starts at zero.
    /// let mut next = RateLimiter::restore(quota, &kept, Instant::ZERO).unwrap();
    /// let half_a_minute = Instant::from_nanos(30_000_000_000);
    /// assert_eq!(next.check(Instant::ZERO, 1), Answer::NotBefore(half_a_minute));
    ///
    /// let newer = RateLimiterSnapshot { version: 2, ..kept };
    /// let refused = RateLimiter::restore(quota, &newer, Instant::ZERO).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: version is 2, expected 1");
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    pub fn restore(quota: Quota, snapshot: &RateLimiterSnapshot, now: Instant) -> Result<Self, RestoreError> {
        RestoreError::check_version(snapshot.version)?;
        let before = Quota::from_ticks(snapshot.capacity, snapshot.interval, snapshot.shift);
        let before = before.map_err(RestoreError::of)?;
        let RateLimiterSnapshot { owed, ahead, .. } = *snapshot;
        let most = before.tolerance().saturating_add(ahead);
        RestoreError::unless(
            owed <= most,
            "owed",
            owed,
            "at most a bucket and what is reserved",
        )?;
        let unlimited = before.is_unlimited() && ahead > 0;
        RestoreError::unless(!unlimited, "ahead", ahead, "0 without a limit")?;
        let tat = match owed {
            0 => 0,
            owed => gcra::ticks(now, before.shift()).saturating_add(owed),
        };
        let mut limiter = Self {
            quota: before,
            tat: Tat(tat),
            ahead,
        };
        if quota != before {
            limiter.set_quota(now, quota);
        }
        Ok(limiter)
    }
}

#[cfg(target_has_atomic = "64")]
impl SharedRateLimiter {
    /// The state at `now`.
    pub fn snapshot(&self, now: Instant) -> RateLimiterSnapshot {
        let owned = RateLimiter {
            quota: self.quota(),
            tat: self.tat(),
            ahead: 0,
        };
        owned.snapshot(now)
    }

    /// The limiter that the snapshot was taken of, shared or owned, at `now`: see
    /// [`RateLimiter::restore`].
    ///
    /// # Errors
    /// The same, and reservations, of which a shared limiter has none.
    pub fn restore(quota: Quota, snapshot: &RateLimiterSnapshot, now: Instant) -> Result<Self, RestoreError> {
        let ahead = snapshot.ahead;
        RestoreError::unless(ahead == 0, "ahead", ahead, "0, for nothing is reserved")?;
        Ok(Self::resume(
            quota,
            RateLimiter::restore(quota, snapshot, now)?.tat,
        ))
    }
}
