//! The policies of one call path, checked and made ready.

use crate::ConfigError;
use crate::breaker::BreakerRules;
use crate::health::MonitorRules;
use crate::rate_limit::Quota;
use crate::retry::{BudgetRules, RetryRules};
use crate::time::{Instant, nanos};

use super::{GuardConfig, OnLimit};

/// The policies of one call path, checked once and kept in whole nanoseconds.
///
/// A guard either owns its policies or lends them out: with `&'static Policies` in flash, or an
/// `Rc<Policies>` for ten thousand clients under the same rules, a guard is its state alone.
///
/// ```
/// use crossbridge_core::guard::Policies;
/// use crossbridge_core::{Guard, GuardConfig};
///
/// static STORAGE: Policies = match Policies::new(GuardConfig::DEFAULT) {
///     Ok(policies) => policies,
///     Err(_) => panic!("refused"),
/// };
/// let guard = Guard::under(&STORAGE, ());
/// assert!(size_of_val(&guard) < size_of::<Guard>());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policies {
    pub(super) quota: Quota,
    pub(super) breaker: BreakerRules,
    pub(super) retry: RetryRules,
    pub(super) budget: BudgetRules,
    pub(super) health: Option<MonitorRules>,
    /// Calls in flight at once.
    pub(super) limit: u32,
    /// In nanoseconds; `u64::MAX` where there is none.
    pub(super) deadline: u64,
    /// In nanoseconds; `u64::MAX` where there is none.
    pub(super) attempt_timeout: u64,
    /// What a call has to take to be evidence of a slow target, in nanoseconds.
    pub(super) slow_call: u64,
    pub(super) on_limit: OnLimit,
    pub(super) idempotent: bool,
}

impl Policies {
    /// Checks the policies.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub const fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        let retry = match RetryRules::new(config.retry) {
            Ok(rules) => rules,
            Err(refused) => return Err(refused),
        };
        let breaker = match BreakerRules::new(config.breaker) {
            Ok(rules) => rules,
            Err(refused) => return Err(refused),
        };
        if let Err(refused) = config.bulkhead.check() {
            return Err(refused);
        }
        let budget = match BudgetRules::new(config.budget) {
            Ok(rules) => rules,
            Err(refused) => return Err(refused),
        };
        let health = match config.health {
            None => None,
            Some(health) => match MonitorRules::new(health) {
                Ok(rules) => Some(rules),
                Err(refused) => return Err(refused),
            },
        };
        let deadline = match config.deadline {
            None => u64::MAX,
            Some(span) if span.is_zero() => return Err(ConfigError::new("deadline", 0, "more than 0")),
            Some(span) => nanos(span),
        };
        let attempt_timeout = match config.attempt_timeout {
            None => u64::MAX,
            Some(span) if span.is_zero() => {
                return Err(ConfigError::new("attempt_timeout", 0, "more than 0"));
            }
            Some(span) => nanos(span),
        };
        Ok(Self {
            quota: config.quota,
            breaker,
            retry,
            budget,
            health,
            limit: config.bulkhead.limit,
            deadline,
            attempt_timeout,
            slow_call: nanos(config.breaker.slow_call),
            on_limit: config.on_limit,
            idempotent: config.idempotent,
        })
    }

    /// Whether an attempt that starts at `at` has its least time before the deadline.
    #[inline]
    pub(super) fn fits(&self, at: Instant, deadline: Instant) -> bool {
        self.retry
            .fits(at, (deadline != Instant::MAX).then_some(deadline))
    }
}
