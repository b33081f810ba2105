//! A monitor's configuration, made ready for use.

use super::MonitorConfig;
use super::flapping::FlapConfig;
use crate::time::nanos;
use crate::{ConfigError, PerMille};

/// A [`MonitorConfig`] that has been checked, in the units that decisions are made in.
///
/// Many monitors of targets of one kind can share it: what a monitor learns is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MonitorRules {
    // Spans are in nanoseconds, cut at the end of `u64`.
    pub(super) ttl: u64,
    pub(super) timeout: u64,
    pub(super) interval: u64,
    pub(super) transition_interval: u64,
    pub(super) down_interval: u64,
    pub(super) flapping: Option<FlapConfig>,
    pub(super) jitter: PerMille,
    pub(super) rise: u8,
    /// The largest value of the counter, `rise + fall - 1`: at most 199.
    pub(super) top: u8,
}

impl MonitorRules {
    /// Checks the configuration.
    ///
    /// # Errors
    /// See [`MonitorConfig::check`].
    pub const fn new(config: MonitorConfig) -> Result<Self, ConfigError> {
        match config.check() {
            Ok(()) => Ok(Self {
                ttl: nanos(config.ttl),
                timeout: nanos(config.timeout),
                interval: nanos(config.interval),
                transition_interval: nanos(config.transition_interval),
                down_interval: nanos(config.down_interval),
                flapping: config.flapping,
                jitter: config.jitter,
                rise: config.rise,
                top: config.rise + config.fall - 1,
            }),
            Err(refused) => Err(refused),
        }
    }

    /// What jitter takes from an interval, and adds to it.
    pub(super) const fn spread(&self, interval: u64) -> u64 {
        self.jitter.of(interval)
    }
}
