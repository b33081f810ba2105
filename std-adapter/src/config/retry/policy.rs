//! One policy of `retry:`, laid over the one that completes it.

use std::time::Duration;

use crossbridge_core::RetryPolicy;
use schemars::JsonSchema;
use serde::Deserialize;

use super::factor::Factor;
use super::jitter::JitterFile;
use crate::config::error::Problem;
use crate::config::key_path::KeyPath;
use crate::config::refused::refused;
use crate::config::scalar::{Seconds, Whole};

/// A policy. What is left out is the default of that policy, or of `default_policy`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RetryPolicy")]
pub(super) struct PolicyFile {
    /// Attempts in all, the first one included.
    #[schemars(extend("examples" = [3]))]
    max_attempts: Option<Whole<1, 1_000>>,
    /// The delay before the first retry, before jitter; at most `max_delay`.
    base_delay: Option<Seconds>,
    /// No delay is longer, jitter included; at most a day.
    max_delay: Option<Seconds>,
    /// What each further delay is multiplied by, 1 to 100.
    exponential_base: Option<Factor>,
    /// How delays are spread: `true` is `full`, `false` is `none`, a number is a share to either side.
    #[schemars(extend("default" = "full"))]
    jitter: Option<JitterFile>,
    /// Retry also what a layer below already gave up on: layers of retries multiply.
    #[schemars(extend("default" = RetryPolicy::DEFAULT.retry_exhausted))]
    retry_exhausted: Option<bool>,
    /// The delay before the first retry of a throttled call; at most `max_delay`. A second or
    /// `base_delay`, whichever is longer, where it is left out.
    throttled_base_delay: Option<Seconds>,
    /// A server that asks for a longer wait than this ends the call; at most a day.
    #[schemars(extend("default" = Seconds(RetryPolicy::DEFAULT.max_hint)))]
    max_hint: Option<Seconds>,
    /// No retry starts later than this after the first failure. No bound where it is left out.
    give_up_after: Option<Seconds>,
    /// A retry that leaves less time than this before the deadline is not made.
    #[schemars(extend("default" = Seconds(RetryPolicy::DEFAULT.min_attempt)))]
    min_attempt: Option<Seconds>,
}

/// A policy, and whether somebody said how throttled calls start.
#[derive(Clone, Copy)]
pub(super) struct Layer {
    pub(super) policy: RetryPolicy,
    throttled: Option<Duration>,
}

impl Layer {
    pub(super) const fn preset(policy: RetryPolicy) -> Self {
        Self {
            policy,
            throttled: None,
        }
    }

    /// What the file says, completed by this layer. What cannot work is reported, and this layer
    /// stands in for it.
    pub(super) fn merge(self, file: &PolicyFile, path: &KeyPath, problems: &mut Vec<Problem>) -> Self {
        let base = self.policy;
        let mut policy = RetryPolicy {
            attempts: file.max_attempts.map_or(base.attempts, Whole::get),
            base_delay: file.base_delay.map_or(base.base_delay, Seconds::get),
            throttled_base_delay: Duration::ZERO,
            factor_permille: file
                .exponential_base
                .map_or(base.factor_permille, |factor| factor.0),
            max_delay: file.max_delay.map_or(base.max_delay, Seconds::get),
            jitter: file.jitter.map_or(base.jitter, |jitter| jitter.0),
            max_hint: file.max_hint.map_or(base.max_hint, Seconds::get),
            give_up_after: file.give_up_after.map(Seconds::get).or(base.give_up_after),
            min_attempt: file.min_attempt.map_or(base.min_attempt, Seconds::get),
            retry_exhausted: file.retry_exhausted.unwrap_or(base.retry_exhausted),
        };
        let throttled = file.throttled_base_delay.map(Seconds::get).or(self.throttled);
        policy.throttled_base_delay = throttled.unwrap_or_else(|| {
            let start = policy.base_delay.max(THROTTLED_BASE_DELAY);
            start.min(policy.max_delay)
        });
        let before = problems.len();
        check_delays(&policy, file, path, problems);
        if problems.len() == before
            && let Err(error) = policy.check()
        {
            let (key, is_span) = match error.field {
                "attempts" => ("max_attempts", false),
                "factor_permille" => ("exponential_base", false),
                span => (span, true),
            };
            problems.push(refused(error, path.key(key), is_span));
        }
        if problems.len() == before {
            Self { policy, throttled }
        } else {
            self
        }
    }
}

/// AWS SDK retry 2.1 starts throttled retries from a second.
const THROTTLED_BASE_DELAY: Duration = Duration::from_secs(1);

/// No delay starts above the cap; the problem is put where the file says one of the two.
fn check_delays(policy: &RetryPolicy, file: &PolicyFile, path: &KeyPath, problems: &mut Vec<Problem>) {
    let starts = [
        ("base_delay", policy.base_delay, file.base_delay.is_some()),
        (
            "throttled_base_delay",
            policy.throttled_base_delay,
            file.throttled_base_delay.is_some(),
        ),
    ];
    let (cap, cap_given) = (Seconds(policy.max_delay), file.max_delay.is_some());
    let origin = |given| if given { "" } else { " by default" };
    for (key, start, given) in starts {
        if start <= policy.max_delay {
            continue;
        }
        let start = Seconds(start);
        let (at, found, expected) = if given || !cap_given {
            let expected = format!("at most `max_delay`, which is {cap}{}", origin(cap_given));
            (key, start, expected)
        } else {
            let expected = format!("at least `{key}`, which is {start}{}", origin(given));
            ("max_delay", cap, expected)
        };
        let mut problem = Problem::invalid(path.key(at), found, expected);
        problem.message = format!("`{key}` is longer than `max_delay`");
        problems.push(problem);
        return;
    }
}
