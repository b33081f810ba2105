//! The policies of one call path.

use core::time::Duration;

use crate::breaker::BreakerConfig;
use crate::bulkhead::BulkheadConfig;
use crate::health::MonitorConfig;
use crate::rate_limit::Quota;
use crate::retry::{BudgetConfig, RetryPolicy};

/// What a call does when the rate limiter has no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum OnLimit {
    /// It ends.
    Refuse,
    /// It waits for one, where that leaves time before the deadline.
    Wait,
}

/// The policies of one call path. Everything is off in [`DEFAULT`](Self::DEFAULT) but three
/// attempts of [`RetryPolicy::STANDARD`] and the breaker's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GuardConfig {
    /// How often.
    pub quota: Quota,
    /// What to do above it.
    pub on_limit: OnLimit,
    /// How often to try again.
    pub retry: RetryPolicy,
    /// What all retries together may cost.
    pub budget: BudgetConfig,
    /// When to stop asking.
    pub breaker: BreakerConfig,
    /// How many at once.
    pub bulkhead: BulkheadConfig,
    /// Whether, and how, outcomes count as evidence for the target's health.
    pub health: Option<MonitorConfig>,
    /// How long a call may take in all, waits included; more than zero.
    pub deadline: Option<Duration>,
    /// How long one attempt may take; more than zero. The adapter enforces it: [`Permit::timeout`](super::Permit::timeout).
    pub attempt_timeout: Option<Duration>,
    /// Whether doing it twice is the same as doing it once: if not, an attempt that was sent and
    /// not answered is not repeated.
    pub idempotent: bool,
}

impl GuardConfig {
    /// Retries and a breaker, no limits.
    pub const DEFAULT: Self = Self {
        quota: Quota::UNLIMITED,
        on_limit: OnLimit::Refuse,
        retry: RetryPolicy::STANDARD,
        budget: BudgetConfig::UNLIMITED,
        breaker: BreakerConfig::DEFAULT,
        bulkhead: BulkheadConfig::UNLIMITED,
        health: None,
        deadline: None,
        attempt_timeout: None,
        idempotent: false,
    };
}
