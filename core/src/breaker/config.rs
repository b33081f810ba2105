//! What trips a breaker and how it comes back.

use core::time::Duration;

use crate::time::nanos;
use crate::{ConfigError, PerMille};

/// Over which calls the failure and slow rates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum WindowKind {
    /// The last so many calls, 1 to 128.
    Calls(u8),
    /// The calls of the last so long, in ten buckets: 10 ms to a day.
    Time(Duration),
}

/// Whether the breaker decides, or is overruled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BreakerMode {
    /// The breaker decides.
    Auto,
    /// Everything is refused, until the mode changes.
    ForcedOpen,
    /// Everything is admitted and nothing is counted.
    Disabled,
    /// Everything is admitted; the states it would have are counted and reported.
    MetricsOnly,
}

/// When a breaker trips and how it recovers. The defaults and where they come from stand in the
/// [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BreakerConfig {
    /// Whether the breaker decides at all.
    pub mode: BreakerMode,
    /// Over which calls the rates are taken.
    pub window: WindowKind,
    /// No rate trips before the window holds this many calls: 1 up to the window.
    pub min_calls: u32,
    /// Trips when this share of the window failed.
    pub failure_rate: Option<PerMille>,
    /// Trips when this share of the window was slow.
    pub slow_rate: Option<PerMille>,
    /// A call that takes at least this long is slow; more than zero.
    pub slow_call: Duration,
    /// Trips after this many failures in a row, whatever the window holds. At least 1.
    pub consecutive_failures: Option<u32>,
    /// How long the first trip keeps the circuit open, before jitter; more than zero.
    pub open_wait: Duration,
    /// The wait doubles with every trip in a row up to this; at most a day.
    pub open_wait_max: Duration,
    /// Probes in flight at once while half open, 1 to 8.
    pub half_open_concurrent: u8,
    /// Probes in all while half open, at least `half_open_successes`.
    pub half_open_calls: u16,
    /// Probes that must succeed for the circuit to close, at least 1.
    pub half_open_successes: u16,
    /// A probe without a result for this long has failed; more than zero.
    pub probe_timeout: Duration,
    /// Half open for this long without a decision has failed; more than zero.
    pub half_open_timeout: Duration,
    /// Trips when so many calls are in flight for longer than `slow_call`, which is then at least a
    /// millisecond. Noticed between `slow_call` and 8/7 of it. At least 1.
    pub hanging_calls: Option<u32>,
    /// For so long after closing a growing share of the calls is admitted, from
    /// [`SLOW_START_SHARE`](super::SLOW_START_SHARE) to all; more than zero, at most a day.
    pub slow_start: Option<Duration>,
    /// Spreads the open waits of a fleet: give each instance another number.
    pub jitter_seed: u64,
}

impl BreakerConfig {
    /// The defaults in the table.
    pub const DEFAULT: Self = Self {
        mode: BreakerMode::Auto,
        window: WindowKind::Calls(100),
        min_calls: 20,
        failure_rate: Some(PerMille::HALF),
        slow_rate: None,
        slow_call: Duration::from_secs(60),
        consecutive_failures: None,
        open_wait: Duration::from_secs(5),
        open_wait_max: Duration::from_secs(60),
        half_open_concurrent: 1,
        half_open_calls: 3,
        half_open_successes: 2,
        probe_timeout: Duration::from_secs(30),
        half_open_timeout: Duration::from_secs(60),
        hanging_calls: None,
        slow_start: None,
        jitter_seed: 0,
    };

    /// Admits everything, counts nothing.
    pub const DISABLED: Self = Self {
        mode: BreakerMode::Disabled,
        ..Self::DEFAULT
    };

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        match self.window {
            WindowKind::Calls(calls) => {
                if calls == 0 || calls > 128 {
                    return Err(ConfigError::new("window", calls as u64, "1 to 128 calls"));
                }
                if self.min_calls > calls as u32 {
                    let found = self.min_calls as u64;
                    return Err(ConfigError::new("min_calls", found, "at most the window"));
                }
            }
            WindowKind::Time(span) => {
                if nanos(span) < 10_000_000 || nanos(span) > A_DAY {
                    return Err(ConfigError::new("window", nanos(span), "10 ms to a day"));
                }
            }
        }
        if self.min_calls == 0 {
            return Err(ConfigError::new("min_calls", 0, "at least 1"));
        }
        if matches!(self.failure_rate, Some(share) if share.get() == 0) {
            return Err(ConfigError::new("failure_rate", 0, "more than 0"));
        }
        if matches!(self.slow_rate, Some(share) if share.get() == 0) {
            return Err(ConfigError::new("slow_rate", 0, "more than 0"));
        }
        if matches!(self.consecutive_failures, Some(0)) {
            return Err(ConfigError::new("consecutive_failures", 0, "at least 1"));
        }
        if self.slow_call.is_zero() {
            return Err(ConfigError::new("slow_call", 0, "more than 0"));
        }
        if self.open_wait.is_zero() {
            return Err(ConfigError::new("open_wait", 0, "more than 0"));
        }
        if nanos(self.open_wait) > nanos(self.open_wait_max) || nanos(self.open_wait_max) > A_DAY {
            let found = nanos(self.open_wait_max);
            return Err(ConfigError::new("open_wait_max", found, "open_wait to a day"));
        }
        if self.half_open_concurrent == 0 || self.half_open_concurrent > 8 {
            let found = self.half_open_concurrent as u64;
            return Err(ConfigError::new("half_open_concurrent", found, "1 to 8"));
        }
        if self.half_open_successes == 0 {
            return Err(ConfigError::new("half_open_successes", 0, "at least 1"));
        }
        if self.half_open_calls < self.half_open_successes {
            let found = self.half_open_calls as u64;
            return Err(ConfigError::new(
                "half_open_calls",
                found,
                "at least half_open_successes",
            ));
        }
        if self.probe_timeout.is_zero() {
            return Err(ConfigError::new("probe_timeout", 0, "more than 0"));
        }
        if self.half_open_timeout.is_zero() {
            return Err(ConfigError::new("half_open_timeout", 0, "more than 0"));
        }
        if self.hanging_calls.is_some() && nanos(self.slow_call) < 1_000_000 {
            let found = nanos(self.slow_call);
            return Err(ConfigError::new(
                "slow_call",
                found,
                "at least 1 ms where hanging calls trip",
            ));
        }
        if matches!(self.hanging_calls, Some(0)) {
            return Err(ConfigError::new("hanging_calls", 0, "at least 1"));
        }
        if let Some(span) = self.slow_start
            && (span.is_zero() || nanos(span) > A_DAY)
        {
            let found = nanos(span);
            return Err(ConfigError::new(
                "slow_start",
                found,
                "more than 0, at most a day",
            ));
        }
        Ok(())
    }
}

const A_DAY: u64 = 86_400 * 1_000_000_000;
