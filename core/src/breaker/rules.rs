//! A breaker's configuration as its machine reads it.

use core::num::NonZeroU64;

use super::circuit::Phase;
use super::hanging;
use super::window::{BUCKETS, Counts};
use super::{BreakerConfig, BreakerMode, BreakerState, Refused, WindowKind};
use crate::time::nanos;
use crate::{ConfigError, PerMille};

/// What is decided once for any number of circuits: a checked [`BreakerConfig`] in nanoseconds.
///
/// A circuit holds what happened and these hold what it means, so that a thousand circuits may
/// share one configuration, which firmware keeps in flash.
///
/// ```
/// use crossbridge_core::breaker::{BreakerConfig, BreakerRules};
/// use crossbridge_core::ConfigError;
///
/// const RULES: Result<BreakerRules, ConfigError> = BreakerRules::new(BreakerConfig::DEFAULT);
/// assert!(RULES.is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BreakerRules {
    // Read by every call of a closed circuit.
    /// The phase in which a call is admitted, and a quick success counted, without a further look.
    pub(super) quick: Option<Phase>,
    pub(super) mode: BreakerMode,
    /// Calls in a window of calls. So many good results overwrite everything it holds.
    pub(super) size: u8,
    pub(super) slow_call: u64,
    /// Width of a bucket of a window of time, at least a millisecond. In its type, so that firmware
    /// links no panic for a division by zero.
    pub(super) bucket: Option<NonZeroU64>,

    // Read when a result may trip.
    pub(super) failure_rate: Option<PerMille>,
    pub(super) slow_rate: Option<PerMille>,
    pub(super) min_calls: u32,
    consecutive_failures: Option<u32>,
    pub(super) hanging_calls: Option<u32>,
    /// Width of a slice of calls in flight, where hanging ones trip.
    pub(super) slice: Option<NonZeroU64>,

    // Read when the circuit opens or closes, and while it does neither.
    pub(super) open_wait: NonZeroU64,
    pub(super) open_wait_max: u64,
    pub(super) jitter_seed: u64,
    pub(super) probe_timeout: u64,
    pub(super) half_open_timeout: u64,
    /// Zero where there is none.
    pub(super) slow_start: u64,
    pub(super) half_open_calls: u16,
    pub(super) half_open_successes: u16,
    pub(super) half_open_concurrent: u8,
}

impl BreakerRules {
    /// The rules of a configuration.
    ///
    /// # Errors
    /// See [`BreakerConfig::check`].
    pub const fn new(config: BreakerConfig) -> Result<Self, ConfigError> {
        if let Err(refused) = config.check() {
            return Err(refused);
        }
        let (size, bucket) = match config.window {
            WindowKind::Calls(size) => (size, None),
            WindowKind::Time(span) => (0, NonZeroU64::new(nanos(span) / BUCKETS as u64)),
        };
        let slow_call = nanos(config.slow_call);
        let slice = match config.hanging_calls {
            Some(_) => Some(hanging::slice(slow_call)),
            None => None,
        };
        let quick = match config.mode {
            // Hanging calls are only known to who counts all that are in flight.
            BreakerMode::Auto | BreakerMode::MetricsOnly if slice.is_none() => Some(Phase::Closed),
            BreakerMode::Auto
            | BreakerMode::MetricsOnly
            | BreakerMode::Disabled
            | BreakerMode::ForcedOpen => None,
        };
        Ok(Self {
            quick,
            mode: config.mode,
            size,
            slow_call,
            bucket,
            failure_rate: config.failure_rate,
            slow_rate: config.slow_rate,
            min_calls: config.min_calls,
            consecutive_failures: config.consecutive_failures,
            hanging_calls: config.hanging_calls,
            slice,
            open_wait: match NonZeroU64::new(nanos(config.open_wait)) {
                Some(wait) => wait,
                // Just checked not to be.
                None => NonZeroU64::MIN,
            },
            open_wait_max: nanos(config.open_wait_max),
            jitter_seed: config.jitter_seed,
            probe_timeout: nanos(config.probe_timeout),
            half_open_timeout: nanos(config.half_open_timeout),
            slow_start: match config.slow_start {
                Some(span) => nanos(span),
                None => 0,
            },
            half_open_calls: config.half_open_calls,
            half_open_successes: config.half_open_successes,
            half_open_concurrent: config.half_open_concurrent,
        })
    }

    /// Whether circuits need an [annex](super::annex): for a window of time, or for calls in flight.
    pub(super) const fn need_annex(&self) -> bool {
        self.bucket.is_some() || self.slice.is_some()
    }

    /// The same, refused where there is none.
    pub(crate) const fn fit(self, annexes: usize) -> Result<Self, ConfigError> {
        if annexes > 0 || !self.need_annex() {
            Ok(self)
        } else if self.bucket.is_some() {
            Err(ConfigError::new("window", 0, "a number of calls"))
        } else {
            Err(ConfigError::new("hanging_calls", 0, "none without room for them"))
        }
    }

    /// Whether a failure or a slow call that leaves these behind trips.
    pub(super) fn trip(&self, failures_in_a_row: u32, counts: Counts) -> bool {
        let in_a_row = self
            .consecutive_failures
            .is_some_and(|limit| failures_in_a_row >= limit);
        let reached =
            |rate: Option<PerMille>, part| rate.is_some_and(|rate| rate.reached_by(part, counts.calls));
        let enough = counts.calls >= self.min_calls;
        in_a_row
            || (enough && (reached(self.failure_rate, counts.failed) || reached(self.slow_rate, counts.slow)))
    }

    /// `min(open_wait_max, open_wait * 2^level)` in nanoseconds. The level stops growing where the
    /// product passes the maximum, which is at most a day: below 2^47.
    pub(super) fn open_wait(&self, level: u8) -> u64 {
        let doubled = self.open_wait.get().saturating_mul(1 << level.min(MAX_LEVEL));
        doubled.min(self.open_wait_max)
    }

    /// What the mode answers, where it does not ask the circuit.
    pub(super) const fn overrule(&self) -> Option<Result<(), Refused>> {
        match self.mode {
            BreakerMode::Disabled => Some(Ok(())),
            BreakerMode::ForcedOpen => Some(Err(Refused {
                state: BreakerState::Open,
                retry_at: None,
            })),
            BreakerMode::Auto | BreakerMode::MetricsOnly => None,
        }
    }
}

/// 2^47 ns are more than a day: no wait is doubled more often.
pub(super) const MAX_LEVEL: u8 = 47;
