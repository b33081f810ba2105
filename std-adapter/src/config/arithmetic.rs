//! What the numbers of a path add up to, and which of them cannot work together.

mod amplification;
mod layers;
mod reaction;
mod warnings;

use std::time::Duration;

use crossbridge_core::{Jitter, OnLimit, RetryPolicy};

pub use self::amplification::Amplification;
pub use self::layers::Layers;
pub use self::reaction::{BreakerReaction, HealthReaction, Reaction};
use super::call_path::CallPath;

/// The worst a call on a path can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// Attempts in all, the first one included. Layers of retries multiply these.
    pub attempts: u32,
    /// All delays between them at their longest, after transient failures. A server's hint can add
    /// 5 s to each.
    pub waits: Duration,
    /// The same after throttled ones.
    pub throttled_waits: Duration,
    /// Attempts and delays together, after transient failures; `None` where an attempt has no bound.
    pub sum: Option<Duration>,
    /// The same after throttled ones.
    pub throttled_sum: Option<Duration>,
    /// The longest a call can take: the larger sum, or the deadline if that is less. `None` without a
    /// bound, which is also how waiting for a permit without a deadline counts.
    pub call: Option<Duration>,
}

impl CallPath {
    /// What its numbers add up to.
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossbridge_std::config::Config;
    ///
    /// // quick: two attempts of at most 30 s, and up to a second between them.
    /// let config = Config::default();
    /// let worst = config.path("execution")?.worst_case();
    /// assert_eq!((worst.attempts, worst.call), (2, Some(Duration::from_secs(61))));
    /// # Ok::<(), crossbridge_std::config::UnknownPath>(())
    /// ```
    #[must_use]
    pub fn worst_case(&self) -> WorstCase {
        let guard = &self.guard;
        let attempts = guard.retry.attempts;
        let waits = longest_waits(&guard.retry, guard.retry.base_delay);
        let throttled_waits = longest_waits(&guard.retry, guard.retry.throttled_base_delay);
        let with = |waits: Duration| {
            let timeout = guard.attempt_timeout?;
            Some(timeout.saturating_mul(attempts).saturating_add(waits))
        };
        let (sum, throttled_sum) = (with(waits), with(throttled_waits));
        let by_policy = sum.max(throttled_sum).filter(|_| !self.waits_for_permits());
        WorstCase {
            attempts,
            waits,
            throttled_waits,
            sum,
            throttled_sum,
            call: match (guard.deadline, by_policy) {
                (Some(deadline), Some(sum)) => Some(deadline.min(sum)),
                (bound, None) | (None, bound) => bound,
            },
        }
    }

    fn waits_for_permits(&self) -> bool {
        self.guard.on_limit == OnLimit::Wait && !self.guard.quota.is_unlimited()
    }
}

/// The sum of the delays between all attempts, each at its longest.
fn longest_waits(policy: &RetryPolicy, base: Duration) -> Duration {
    let mut size = base;
    let mut sum = Duration::ZERO;
    for _ in 1..policy.attempts {
        let (longest, next) = match policy.jitter {
            Jitter::None | Jitter::Full | Jitter::Equal => (size, grown(size, policy)),
            Jitter::Proportional(share) => {
                let spread = size.saturating_mul(u32::from(share.get())) / 1_000;
                (size.saturating_add(spread), grown(size, policy))
            }
            // Up to three times the delay before, whatever the attempt.
            Jitter::Decorrelated => (size.saturating_mul(3), size.saturating_mul(3)),
        };
        sum = sum.saturating_add(longest.min(policy.max_delay));
        size = next.min(policy.max_delay);
    }
    sum
}

fn grown(size: Duration, policy: &RetryPolicy) -> Duration {
    size.saturating_mul(policy.factor_permille) / 1_000
}
