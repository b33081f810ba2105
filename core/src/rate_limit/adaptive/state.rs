//! What has been learnt of a server's limit, and the pure steps that change it.

use core::time::Duration;

use super::{AdaptiveConfig, Rate, Rise, cubic};
use crate::rate_limit::{Quota, RateLimiter};
use crate::time::{Instant, LastSeen};

/// The state; its configuration is kept elsewhere and comes with every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct AdaptiveState {
    pub(super) rate: Rate,
    /// The last throttle; `None` before the first one.
    pub(super) throttled: Option<Throttled>,
    pub(super) started_at: Instant,
    /// What is sent, measured over the half seconds that ended.
    pub(super) measured: Rate,
    pub(super) half_second: u64,
    pub(super) requests: u64,
    pub(super) last: LastSeen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Throttled {
    pub(super) at: Instant,
    pub(super) max: Rate,
    /// When the cubic is back at `max`.
    pub(super) plateau: Duration,
}

impl AdaptiveState {
    pub(super) const fn new(now: Instant, config: &AdaptiveConfig) -> Self {
        Self {
            rate: config.floor,
            throttled: None,
            started_at: now,
            measured: Rate::ZERO,
            half_second: half_second(now),
            requests: 0,
            last: LastSeen::at(now),
        }
    }

    pub(super) fn on_success(&mut self, config: &AdaptiveConfig, now: Instant) {
        let ended = self.measure(config, now);
        let wanted = match config.rise {
            Rise::Cubic { scale } => {
                let none = Throttled {
                    at: self.started_at,
                    max: Rate::ZERO,
                    plateau: Duration::ZERO,
                };
                let last = self.throttled.unwrap_or(none);
                let since = now.saturating_duration_since(last.at);
                cubic::rate(last.max, since, last.plateau, scale)
            }
            Rise::Additive { increase } if ended => self.rate.plus(increase),
            Rise::Additive { .. } => self.rate,
        };
        self.allow(config, wanted);
    }

    pub(super) fn on_throttled(&mut self, config: &AdaptiveConfig, now: Instant) {
        let _ = self.measure(config, now);
        let max = match self.throttled {
            Some(_) => self.measured.min(self.rate),
            None => self.measured,
        };
        self.throttled = Some(Throttled::new(config, now, max));
        self.allow(config, max.share(config.beta));
    }

    pub(super) const fn rate(&self) -> Option<Rate> {
        match self.throttled {
            Some(_) => Some(self.rate),
            None => None,
        }
    }

    pub(super) const fn quota(&self) -> Quota {
        match self.throttled {
            Some(_) => self.rate.quota(),
            None => Quota::UNLIMITED,
        }
    }

    pub(super) fn apply(&self, now: Instant, limiter: &mut RateLimiter) {
        let quota = self.quota();
        if quota != limiter.quota() {
            limiter.set_quota(now, quota);
        }
    }

    /// Counts a request. Whether a half second ended with it.
    fn measure(&mut self, config: &AdaptiveConfig, now: Instant) -> bool {
        let half_second = half_second(now);
        if let Some(step) = self.last.observe(now) {
            self.started_at = self.started_at.saturating_sub(step);
            if let Some(throttled) = &mut self.throttled {
                throttled.at = throttled.at.saturating_sub(step);
            }
            self.half_second = self.half_second.min(half_second);
        }
        self.requests = self.requests.saturating_add(1);
        let passed = half_second.saturating_sub(self.half_second);
        if passed == 0 {
            return false;
        }
        let newest = Rate::over_half_seconds(self.requests, passed);
        self.measured = self.measured.blend(newest, config.smoothing);
        self.half_second = half_second;
        self.requests = 0;
        true
    }

    fn allow(&mut self, config: &AdaptiveConfig, wanted: Rate) {
        let proven = self.measured.plus(self.measured);
        self.rate = wanted.min(proven).min(config.ceiling).max(config.floor);
    }
}

impl Throttled {
    /// Throttled at that rate.
    pub(super) fn new(config: &AdaptiveConfig, at: Instant, max: Rate) -> Self {
        let plateau = match config.rise {
            Rise::Cubic { scale } => cubic::plateau(max, config.beta, scale),
            Rise::Additive { .. } => Duration::ZERO,
        };
        Self { at, max, plateau }
    }
}

/// Which of the clock's half seconds it is.
pub(super) const fn half_second(now: Instant) -> u64 {
    now.as_nanos() / 500_000_000
}
