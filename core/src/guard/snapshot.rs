//! A guard's state as a value: see [`crate::snapshot`].

use super::Policies;
use crate::breaker::BreakerSnapshot;
use crate::health::MonitorSnapshot;
use crate::rate_limit::RateLimiterSnapshot;
use crate::retry::BudgetSnapshot;
use crate::snapshot::RestoreError;

/// The state of a [`Guard`](super::Guard) or a [`SharedGuard`](super::SharedGuard): that of its
/// machines. Either restores what the other gave.
///
/// ```
/// use crossbridge_core::guard::Policies;
/// use crossbridge_core::{Guard, GuardConfig, Instant, Quota};
///
/// let config = GuardConfig { quota: Quota::per_minute(2)?, ..GuardConfig::DEFAULT };
/// let policies = Policies::new(config)?;
/// let mut guard = Guard::under(&policies, ());
/// let now = Instant::from_nanos(7_000_000_000);
/// let _ = guard.begin(now, None).poll(now, &mut crossbridge_core::draw::SplitMix64::new(1));
/// let kept = guard.snapshot(now);
///
/// // The next process, whose clock starts at zero, has one permit left too.
/// let restored = Guard::restore(&policies, (), &kept, Instant::ZERO).expect("its own state");
/// assert_eq!(restored.remaining(Instant::ZERO), 1);
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GuardSnapshot {
    /// Version of this form.
    pub version: u32,
    /// What the limiter has granted.
    pub limiter: RateLimiterSnapshot,
    /// The circuit.
    pub breaker: BreakerSnapshot,
    /// The retry budget.
    pub budget: BudgetSnapshot,
    /// The target's health, where it is watched.
    pub health: Option<MonitorSnapshot>,
}

impl GuardSnapshot {
    /// What no machine looks at by itself.
    pub(super) const fn check(&self, policies: &Policies) -> Result<(), RestoreError> {
        if let Err(refused) = RestoreError::check_version(self.version) {
            return Err(refused);
        }
        let found = self.health.is_some();
        let expected = if policies.health.is_some() {
            "the health of a target that is watched"
        } else {
            "nothing, for the target is not watched"
        };
        RestoreError::unless(
            found == policies.health.is_some(),
            "health",
            found as u64,
            expected,
        )
    }
}
