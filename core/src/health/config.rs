//! What a monitor is built from.

use core::time::Duration;

use super::flapping::FlapConfig;
use crate::{ConfigError, PerMille};

/// How many results change the state, and when to probe.
///
/// | field | default | source |
/// |---|---|---|
/// | `rise`, `fall` | 2, 3 | HAProxy |
/// | `interval`, `transition_interval`, `down_interval` | 30 s, 10 s, 30 s | the platform's `health_checks.interval` |
/// | `timeout` | 10 s | the platform's `health_checks.timeout` |
/// | `ttl` | 90 s | three intervals |
/// | `jitter` | ±10 % | HAProxy `spread-checks` |
/// | `flapping` | on: 30 %, 20 % | Nagios, see [`flapping`](super::flapping) |
///
/// Flap damping is on by default: whoever acts on each change of health is better served by a
/// steady "degraded" than by three outages within twenty results, and results that do not cross
/// between up and down never set it off. What it costs: an outage of a target that was flapping is
/// reported as degraded for up to twenty results. Where that is too long, switch it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MonitorConfig {
    /// Passes in a row that bring it up, 1 to 100.
    pub rise: u8,
    /// Failures in a row that bring it down, 1 to 100.
    pub fall: u8,
    /// Between probes while it is healthy; more than zero.
    pub interval: Duration,
    /// Between probes while results are mixed; more than zero.
    pub transition_interval: Duration,
    /// Between probes while it is down; more than zero.
    pub down_interval: Duration,
    /// After which a probe without a result has failed; more than zero.
    pub timeout: Duration,
    /// After which a result is too old to mean anything; more than zero.
    pub ttl: Duration,
    /// Each interval is drawn from this share around it, at most half.
    pub jitter: PerMille,
    /// Holds the health at degraded while it changes too often; `None` is off.
    #[cfg_attr(feature = "serde", serde(default = "FlapConfig::on"))]
    pub flapping: Option<FlapConfig>,
}

impl MonitorConfig {
    /// The defaults in the table.
    pub const DEFAULT: Self = Self {
        rise: 2,
        fall: 3,
        interval: Duration::from_secs(30),
        transition_interval: Duration::from_secs(10),
        down_interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        ttl: Duration::from_secs(90),
        jitter: match PerMille::new(100) {
            Ok(tenth) => tenth,
            Err(_) => PerMille::ZERO,
        },
        flapping: Some(FlapConfig::DEFAULT),
    };

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.rise == 0 || self.rise > 100 {
            return Err(ConfigError::new("rise", self.rise as u64, "1 to 100"));
        }
        if self.fall == 0 || self.fall > 100 {
            return Err(ConfigError::new("fall", self.fall as u64, "1 to 100"));
        }
        if self.interval.is_zero() {
            return Err(ConfigError::new("interval", 0, "more than 0"));
        }
        if self.transition_interval.is_zero() {
            return Err(ConfigError::new("transition_interval", 0, "more than 0"));
        }
        if self.down_interval.is_zero() {
            return Err(ConfigError::new("down_interval", 0, "more than 0"));
        }
        if self.timeout.is_zero() {
            return Err(ConfigError::new("timeout", 0, "more than 0"));
        }
        if self.ttl.is_zero() {
            return Err(ConfigError::new("ttl", 0, "more than 0"));
        }
        if self.jitter.get() > 500 {
            return Err(ConfigError::new(
                "jitter",
                self.jitter.get() as u64,
                "at most 500",
            ));
        }
        if let Some(flapping) = &self.flapping {
            return flapping.check();
        }
        Ok(())
    }
}
