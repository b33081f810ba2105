//! What retries cost a dependency that is down.

use crossbridge_core::breaker::BreakerMode;

use super::super::call_path::CallPath;

/// Attempts per call while every attempt fails and is worth a retry, once the budget's burst is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amplification {
    /// Attempts per call, in thousandths: what calls earn, and never more than the policy makes.
    pub in_outage_permille: u32,
    /// Retries a second besides, for all calls together.
    pub retries_per_second: u32,
    /// Whether the path has a breaker that ends it.
    pub until_the_circuit_opens: bool,
}

impl CallPath {
    /// What its retries cost a dependency that is down.
    ///
    /// ```
    /// use crossbridge_std::config::{Config, Document};
    ///
    /// let text = "runtime: { retry: { budgets: { db: { ratio: 0.2, min_per_second: 1 } } }, \
    ///             paths: { database: { budget: db } } }";
    /// let config = Config::from_document(&Document::parse("demo.yml", text)?, &|_| None)?;
    /// let found = config.path("database")?.amplification();
    /// assert_eq!((found.in_outage_permille, found.retries_per_second), (1_200, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn amplification(&self) -> Amplification {
        let (retry, budget, breaker) = (&self.guard.retry, &self.guard.budget, &self.guard.breaker);
        let all = retry.attempts.saturating_mul(1_000);
        let retries = u64::from(budget.deposit_per_call) * 1_000;
        let (in_outage_permille, retries_per_second) = match budget.retry_cost {
            0 => (all, 0),
            _ if retry.attempts <= 1 => (all, 0),
            cost => {
                let earned = u32::try_from(retries / u64::from(cost)).unwrap_or(u32::MAX);
                (
                    earned.saturating_add(1_000).min(all),
                    budget.deposit_per_second / cost,
                )
            }
        };
        let has_a_rule = breaker.failure_rate.is_some() || breaker.consecutive_failures.is_some();
        Amplification {
            in_outage_permille,
            retries_per_second,
            until_the_circuit_opens: breaker.mode == BreakerMode::Auto && has_a_rule,
        }
    }
}
