//! A policy that was checked, as numbers ready to decide with.

use super::{Jitter, RetryPolicy};
use crate::ConfigError;
use crate::time::{Instant, nanos};

/// A [`RetryPolicy`] that was checked once: what the machines decide by.
///
/// Spans are whole nanoseconds here, so that a decision converts none. Made in a constant, it costs
/// nothing at run time:
///
/// ```
/// use crossbridge_core::RetryPolicy;
/// use crossbridge_core::retry::RetryRules;
///
/// static STORAGE: RetryRules = match RetryRules::new(RetryPolicy::STANDARD.attempts(5)) {
///     Ok(rules) => rules,
///     Err(_) => panic!("refused"),
/// };
/// assert_eq!(STORAGE.attempts(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryRules {
    pub(super) base_delay: u64,
    pub(super) throttled_base_delay: u64,
    pub(super) max_delay: u64,
    pub(super) max_hint: u64,
    /// `u64::MAX` where there is none: an instant ends there, and nothing is later.
    pub(super) give_up_after: u64,
    /// At least one: an attempt that starts at the deadline is too late.
    min_attempt: u64,
    pub(super) attempts: u32,
    pub(super) factor_permille: u32,
    pub(super) jitter: Jitter,
    pub(super) retry_exhausted: bool,
}

impl RetryRules {
    /// The rules of this policy.
    ///
    /// # Errors
    /// What [`RetryPolicy::check`] refuses.
    pub const fn new(policy: RetryPolicy) -> Result<Self, ConfigError> {
        if let Err(refused) = policy.check() {
            return Err(refused);
        }
        Ok(Self {
            base_delay: nanos(policy.base_delay),
            throttled_base_delay: nanos(policy.throttled_base_delay),
            max_delay: nanos(policy.max_delay),
            max_hint: nanos(policy.max_hint),
            give_up_after: match policy.give_up_after {
                None => u64::MAX,
                Some(span) => nanos(span),
            },
            min_attempt: match nanos(policy.min_attempt) {
                0 => 1,
                least => least,
            },
            attempts: policy.attempts,
            factor_permille: policy.factor_permille,
            jitter: policy.jitter,
            retry_exhausted: policy.retry_exhausted,
        })
    }

    /// Attempts in all, the first one included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether an attempt that starts at `at` has its least time before the deadline.
    #[must_use]
    #[inline]
    pub const fn fits(&self, at: Instant, deadline: Option<Instant>) -> bool {
        match deadline {
            None => true,
            Some(deadline) => deadline.as_nanos().saturating_sub(at.as_nanos()) >= self.min_attempt,
        }
    }

    /// The delay that growth starts from.
    #[inline]
    pub(super) const fn base(&self, throttled: bool) -> u64 {
        if throttled {
            self.throttled_base_delay
        } else {
            self.base_delay
        }
    }
}
