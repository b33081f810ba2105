//! What has been learnt of a server's limit, as a value: see [`crate::snapshot`].

use core::time::Duration;

use super::state::{AdaptiveState, Throttled, half_second};
use super::{Adaptive, AdaptiveConfig, Rate};
use crate::snapshot::{RestoreError, VERSION, since};
use crate::time::{Instant, LastSeen};

/// The state of an [`Adaptive`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct AdaptiveSnapshot {
    /// Version of this form.
    pub version: u32,
    /// The rate that is followed; of use once there was a throttle.
    pub rate: Rate,
    /// The last throttle.
    pub throttled: Option<ThrottledSnapshot>,
    /// Since the beginning.
    pub running_for: Duration,
    /// What was sent, measured.
    pub measured: Rate,
    /// Requests since it was measured.
    pub requests: u64,
    /// Half seconds since it was measured.
    pub half_seconds: u64,
}

/// A throttle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ThrottledSnapshot {
    /// Since then.
    pub ago: Duration,
    /// What was sent, or allowed where that was less.
    pub max: Rate,
}

impl Adaptive {
    /// The state at `now`.
    pub fn snapshot(&self, now: Instant) -> AdaptiveSnapshot {
        self.state.snapshot(now)
    }

    /// The machine that the snapshot was taken of, at `now` of a clock that may be another one. The
    /// half seconds are the clock's: where they begin elsewhere, what is measured ends earlier or
    /// later by less than one.
    ///
    /// ```
    /// use crossbridge_core::Instant;
    /// use crossbridge_core::rate_limit::adaptive::{Adaptive, AdaptiveConfig, AdaptiveSnapshot, Rate};
    ///
    /// let config = AdaptiveConfig::AWS;
    /// let mut rate = Adaptive::new(Instant::ZERO, config)?;
    /// rate.on_throttled(Instant::ZERO);
    /// let taken = rate.snapshot(Instant::ZERO);
    /// assert_eq!(Adaptive::restore(config, &taken, Instant::ZERO)?, rate);
    ///
    /// let broken = AdaptiveSnapshot { rate: Rate::ZERO, ..taken };
    /// let refused = Adaptive::restore(config, &broken, Instant::ZERO).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: rate is 0, expected floor to ceiling");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The snapshot has another version or a rate that this configuration does not allow; or the
    /// configuration itself is refused (field `config`).
    pub fn restore(
        config: AdaptiveConfig,
        from: &AdaptiveSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let state = AdaptiveState::restore(&config, from, now)?;
        Ok(Self { config, state })
    }
}

impl AdaptiveState {
    pub(super) fn snapshot(&self, now: Instant) -> AdaptiveSnapshot {
        // A clock that stepped back makes the spans those that were there before it did.
        let now = now.max(self.last.last());
        AdaptiveSnapshot {
            version: VERSION,
            rate: self.rate,
            throttled: self.throttled.map(|throttled| ThrottledSnapshot {
                ago: since(throttled.at, now),
                max: throttled.max,
            }),
            running_for: since(self.started_at, now),
            measured: self.measured,
            requests: self.requests,
            half_seconds: half_second(now).saturating_sub(self.half_second),
        }
    }

    /// # Errors
    /// See [`Adaptive::restore`].
    pub(super) fn restore(
        config: &AdaptiveConfig,
        from: &AdaptiveSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        RestoreError::unless(
            config.validate().is_ok(),
            "config",
            0,
            "a configuration that a new machine accepts",
        )?;
        RestoreError::unless(
            config.floor <= from.rate && from.rate <= config.ceiling,
            "rate",
            from.rate.billionths(),
            "floor to ceiling",
        )?;
        let throttled = from
            .throttled
            .map(|throttled| Throttled::new(config, now.saturating_sub(throttled.ago), throttled.max));
        Ok(Self {
            rate: from.rate,
            throttled,
            started_at: now.saturating_sub(from.running_for),
            measured: from.measured,
            half_second: half_second(now).saturating_sub(from.half_seconds),
            requests: from.requests,
            last: LastSeen::at(now),
        })
    }
}
