//! How often the policies of a group of guards did what they are there for.
//!
//! A run in which the breaker never opened says nothing about the breaker. So each policy is counted
//! at the moment it decides something, and a report can name those that never did.
//!
//! | policy | counted |
//! |---|---|
//! | retry | attempts after the first |
//! | budget | calls that ended because no retry could be paid |
//! | breaker | times a circuit opened |
//! | rate limit | calls refused for want of a permit, and waits for one |
//! | bulkhead | calls refused because every slot was taken |

use crossbridge_core::breaker::BreakerMode;
use crossbridge_core::{BulkheadConfig, Event, GuardConfig, StopReason, Verdict};

use crate::tally::opens;

/// How often each policy decided something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Attempts after the first.
    pub retry: u64,
    /// Calls that ended because no retry could be paid.
    pub budget: u64,
    /// Times a circuit opened.
    pub breaker: u64,
    /// Calls refused for want of a permit, and waits for one.
    pub rate_limit: u64,
    /// Calls refused because every slot was taken.
    pub bulkhead: u64,
}

impl Uses {
    pub(crate) fn on_event(&mut self, event: &Event) {
        match *event {
            Event::AttemptStarted { number } => self.retry += u64::from(number > 1),
            Event::BreakerChanged { from, to } => self.breaker += u64::from(opens(from, to) == Some(true)),
            Event::WaitingForLimit { .. } => self.rate_limit += 1,
            Event::CallEnded {
                verdict: Verdict::Stopped { reason, .. },
                ..
            } => match reason {
                StopReason::RateLimit { .. } => self.rate_limit += 1,
                StopReason::Bulkhead => self.bulkhead += 1,
                StopReason::Budget => self.budget += 1,
                StopReason::Breaker { .. }
                | StopReason::Deadline
                | StopReason::AttemptsExhausted
                | StopReason::Permanent
                | StopReason::NotIdempotent
                | StopReason::Overloaded
                | StopReason::HintTooLong { .. }
                | StopReason::GaveUp => {}
            },
            Event::CallEnded { .. }
            | Event::AttemptEnded { .. }
            | Event::RetryScheduled { .. }
            | Event::HealthChanged { .. } => {}
        }
    }

    /// The count of each policy that `guard` has, by its name in the result.
    #[must_use]
    pub fn of(&self, guard: &GuardConfig) -> Vec<(&'static str, u64)> {
        let breaker = &guard.breaker;
        let can_trip = breaker.failure_rate.is_some()
            || breaker.slow_rate.is_some()
            || breaker.consecutive_failures.is_some()
            || breaker.hanging_calls.is_some();
        let budget = &guard.budget;
        [
            ("retry", self.retry, guard.retry.attempts > 1),
            (
                "budget",
                self.budget,
                budget.retry_cost > 0 || budget.concurrency.is_some(),
            ),
            (
                "breaker",
                self.breaker,
                breaker.mode == BreakerMode::Auto && can_trip,
            ),
            ("rate_limit", self.rate_limit, !guard.quota.is_unlimited()),
            (
                "bulkhead",
                self.bulkhead,
                guard.bulkhead != BulkheadConfig::UNLIMITED,
            ),
        ]
        .into_iter()
        .filter_map(|(name, count, there)| there.then_some((name, count)))
        .collect()
    }
}

/// What a policy with a count of zero did not do, as the end of a sentence.
#[must_use]
pub fn never(policy: &str) -> &'static str {
    match policy {
        "retry" => "no retry was made",
        "budget" => "the retry budget never ran dry",
        "breaker" => "the breaker never opened",
        "rate_limit" => "the rate limiter never refused",
        "bulkhead" => "the bulkhead was never full",
        _ => "a policy had nothing to do",
    }
}

#[cfg(test)]
mod tests {
    use crossbridge_core::breaker::BreakerState;
    use crossbridge_core::{BreakerConfig, Instant, Quota, RetryPolicy};

    use super::*;

    fn ended(reason: StopReason) -> Event {
        let verdict = Verdict::Stopped { reason, fault: None };
        Event::CallEnded {
            verdict,
            attempts: 1,
            took: core::time::Duration::ZERO,
        }
    }

    fn after(events: &[Event]) -> Uses {
        let mut uses = Uses::default();
        events.iter().for_each(|event| uses.on_event(event));
        uses
    }

    #[test]
    fn every_decision_counts_for_its_policy() {
        let none = Uses::default();
        let retry_at = Instant::ZERO;
        let changed = |from, to| Event::BreakerChanged { from, to };
        let (closed, open, half) = (BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen);
        for (event, uses) in [
            (Event::AttemptStarted { number: 1 }, none),
            (Event::AttemptStarted { number: 2 }, Uses { retry: 1, ..none }),
            (ended(StopReason::Budget), Uses { budget: 1, ..none }),
            (ended(StopReason::Bulkhead), Uses { bulkhead: 1, ..none }),
            (
                ended(StopReason::RateLimit {
                    not_before: Some(retry_at),
                }),
                Uses {
                    rate_limit: 1,
                    ..none
                },
            ),
            (
                Event::WaitingForLimit { until: retry_at },
                Uses {
                    rate_limit: 1,
                    ..none
                },
            ),
            (ended(StopReason::Deadline), none),
            (changed(closed, open), Uses { breaker: 1, ..none }),
            (changed(open, half), none),
            (changed(half, open), none),
            (changed(half, closed), none),
        ] {
            assert_eq!(after(&[event]), uses, "{event:?}");
        }
    }

    #[test]
    fn only_policies_that_are_there_are_named() {
        let mut guard = GuardConfig {
            retry: RetryPolicy {
                attempts: 1,
                ..RetryPolicy::STANDARD
            },
            breaker: BreakerConfig::DISABLED,
            ..GuardConfig::DEFAULT
        };
        let names = |guard: &GuardConfig| -> Vec<&str> {
            Uses::default()
                .of(guard)
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert!(names(&guard).is_empty());
        guard.retry.attempts = 2;
        guard.breaker = BreakerConfig::DEFAULT;
        guard.quota = Quota::per_second(1).expect("a quota");
        guard.bulkhead = BulkheadConfig { limit: 1 };
        guard.budget.retry_cost = 1;
        assert_eq!(
            names(&guard),
            ["retry", "budget", "breaker", "rate_limit", "bulkhead"]
        );
        for name in names(&guard) {
            assert_ne!(never(name), never("?"), "{name}");
        }
    }
}
