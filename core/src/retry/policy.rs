//! How often and how patiently to try again.

use core::time::Duration;

use super::backoff::Jitter;
use crate::ConfigError;
use crate::time::nanos;

/// When to try again, when to stop. A plain value: fill in what differs from a preset.
///
/// | preset | attempts | first delay | throttled | cap | factor | source |
/// |---|---|---|---|---|---|---|
/// | [`STANDARD`](Self::STANDARD) | 3 | 50 ms | 1 s | 20 s | 2 | AWS SDK retry 2.1 (`aws-smithy-types`, `RetrySpec::v2_1`) |
/// | [`QUICK`](Self::QUICK) | 2 | 100 ms | 1 s | 1 s | 2 | the platform's `quick_policy` |
/// | [`DEFAULT`](Self::DEFAULT) | 3 | 500 ms | 1 s | 5 s | 2 | the platform's `default_policy` |
/// | [`EXPENSIVE`](Self::EXPENSIVE) | 5 | 1 s | 1 s | 10 s | 2 | the platform's `expensive_policy` |
/// | [`CONSERVATIVE`](Self::CONSERVATIVE) | 3 | 2 s | 2 s | 30 s | 3 | the platform's `conservative_policy` |
///
/// All of them use full jitter, wait at most 60 s for a server that says when to come back, and
/// leave alone what a layer below already retried.
///
/// ```
/// use crossbridge_core::{Jitter, RetryPolicy};
///
/// const POLICY: RetryPolicy = RetryPolicy::STANDARD.attempts(5).jitter(Jitter::Equal);
/// assert_eq!(POLICY.attempts, 5);
/// assert!(POLICY.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RetryPolicy {
    /// Attempts in all, the first one included: 1 to 1 000.
    pub attempts: u32,
    /// The delay before the first retry, before jitter; at most `max_delay`.
    pub base_delay: Duration,
    /// The same after a [`Throttled`](crate::FaultKind::Throttled) failure; at most `max_delay`.
    pub throttled_base_delay: Duration,
    /// What each further delay is multiplied by, in thousandths: 1 000 to 100 000.
    pub factor_permille: u32,
    /// No delay is longer, jitter included. A server's hint may add up to 5 s. At most a day.
    pub max_delay: Duration,
    /// How delays are spread.
    pub jitter: Jitter,
    /// A server that asks for a longer wait than this ends the call; at most a day.
    pub max_hint: Duration,
    /// No retry starts later than this after the first failure.
    pub give_up_after: Option<Duration>,
    /// How long an attempt needs to be worth starting: a retry that leaves less before the
    /// deadline is not made.
    pub min_attempt: Duration,
    /// Retry also what a layer below already gave up on. Layers of retries multiply: with three
    /// attempts in each of `k` layers the lowest sees `3^k` requests.
    pub retry_exhausted: bool,
}

impl RetryPolicy {
    /// AWS SDK retry 2.1: quick on transient faults, a second on throttling.
    pub const STANDARD: Self = Self::preset(3, 50, 1_000, 2_000, 20_000);
    /// For cheap local calls: one retry soon after.
    pub const QUICK: Self = Self::preset(2, 100, 1_000, 2_000, 1_000);
    /// The platform's default.
    pub const DEFAULT: Self = Self::preset(3, 500, 1_000, 2_000, 5_000);
    /// For calls that cost much and are rarely made.
    pub const EXPENSIVE: Self = Self::preset(5, 1_000, 1_000, 2_000, 10_000);
    /// For a dependency that needs rest.
    pub const CONSERVATIVE: Self = Self::preset(3, 2_000, 2_000, 3_000, 30_000);
    /// A single attempt.
    pub const NEVER: Self = Self::preset(1, 0, 0, 1_000, 0);

    const fn preset(attempts: u32, base_ms: u64, throttled_ms: u64, factor: u32, cap_ms: u64) -> Self {
        Self {
            attempts,
            base_delay: Duration::from_millis(base_ms),
            throttled_base_delay: Duration::from_millis(throttled_ms),
            factor_permille: factor,
            max_delay: Duration::from_millis(cap_ms),
            jitter: Jitter::Full,
            max_hint: Duration::from_secs(60),
            give_up_after: None,
            min_attempt: Duration::ZERO,
            retry_exhausted: false,
        }
    }

    /// This policy with another number of attempts, the first one included.
    #[must_use]
    pub const fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// This policy with another jitter.
    #[must_use]
    pub const fn jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// Whether a machine accepts the policy.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.attempts == 0 || self.attempts > 1_000 {
            return Err(ConfigError::new("attempts", self.attempts as u64, "1 to 1000"));
        }
        if nanos(self.max_delay) > A_DAY {
            return Err(ConfigError::new(
                "max_delay",
                nanos(self.max_delay),
                "at most a day",
            ));
        }
        if nanos(self.base_delay) > nanos(self.max_delay) {
            return Err(ConfigError::new(
                "base_delay",
                nanos(self.base_delay),
                "at most max_delay",
            ));
        }
        if nanos(self.throttled_base_delay) > nanos(self.max_delay) {
            let found = nanos(self.throttled_base_delay);
            return Err(ConfigError::new(
                "throttled_base_delay",
                found,
                "at most max_delay",
            ));
        }
        if self.factor_permille < 1_000 || self.factor_permille > 100_000 {
            return Err(ConfigError::new(
                "factor_permille",
                self.factor_permille as u64,
                "1000 to 100000",
            ));
        }
        if nanos(self.max_hint) > A_DAY {
            return Err(ConfigError::new(
                "max_hint",
                nanos(self.max_hint),
                "at most a day",
            ));
        }
        Ok(())
    }
}

const A_DAY: u64 = 86_400 * 1_000_000_000;
