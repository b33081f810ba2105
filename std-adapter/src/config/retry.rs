//! `retry:` how often and how patiently to try again.
//!
//! ```yaml
//! retry:
//!   default_policy: { max_attempts: 3, base_delay: 0.5, max_delay: 5.0, exponential_base: 2.0, jitter: true }
//!   policies:
//!     storage: { max_attempts: 4, base_delay: 100ms, max_delay: 2s, jitter: full }
//!   budgets:
//!     storage: { ratio: 0.2, min_per_second: 1, burst: 20 }
//!   retryable_codes: [429, 500, 502, 503, 504]
//!   network_timeout: 30
//! ```
//!
//! A partial policy is completed by the defaults of that policy, a policy of another name by
//! `default_policy`. A throttled call starts from `throttled_base_delay`; where none is given, from
//! a second or the base delay, whichever is longer, as far as `max_delay` allows.

mod factor;
mod jitter;
mod policy;

use std::collections::BTreeMap;
use std::time::Duration;

use crossbridge_core::{BudgetConfig, RetryPolicy};
use schemars::JsonSchema;
use serde::Deserialize;

use self::policy::{Layer, PolicyFile};
use super::budget::{self, BudgetFile};
use super::error::Problem;
use super::key_path::KeyPath;
use super::scalar::{Seconds, Whole};

/// How often and how patiently to try again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Retry")]
pub(super) struct RetryFile {
    /// Whether anything is retried at all.
    #[schemars(extend("default" = true))]
    enabled: Option<bool>,
    /// For every path that names no other: 3 attempts, from 0.5 s to 5 s apart.
    default_policy: Option<PolicyFile>,
    /// For calls that cost much and are rarely made: 5 attempts, from 1 s to 10 s apart.
    expensive_policy: Option<PolicyFile>,
    /// For cheap local calls: 2 attempts, 0.1 s apart.
    quick_policy: Option<PolicyFile>,
    /// For a dependency that needs rest: 3 attempts, from 2 s to 30 s apart.
    conservative_policy: Option<PolicyFile>,
    /// By name, for `paths` to refer to.
    policies: Option<BTreeMap<String, PolicyFile>>,
    /// By name: what all retries of a path together may cost. `aws` is always there.
    budgets: Option<BTreeMap<String, BudgetFile>>,
    /// HTTP statuses worth another attempt.
    #[schemars(extend("default" = Retries::default().retryable_codes))]
    retryable_codes: Option<Vec<Whole<100, 599>>>,
    /// How long an attempt may take where its path does not say.
    #[schemars(extend("default" = Seconds(Retries::default().network_timeout)))]
    network_timeout: Option<Seconds>,
}

/// The section, completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Whether anything is retried at all.
    pub enabled: bool,
    /// By name; the four old names without `_policy`, and `standard` and `never` of the core.
    pub policies: BTreeMap<String, RetryPolicy>,
    /// By name; `aws` is always there.
    pub budgets: BTreeMap<String, BudgetConfig>,
    /// HTTP statuses worth another attempt, in ascending order.
    pub retryable_codes: Vec<u16>,
    /// How long an attempt may take where its path does not say; more than zero.
    pub network_timeout: Duration,
}

impl Retries {
    /// The policy of this name, with or without `_policy` at its end. Switched off, every policy
    /// makes one attempt.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<RetryPolicy> {
        let policy = *self.policies.get(policy_name(name))?;
        Some(if self.enabled { policy } else { policy.attempts(1) })
    }
}

impl Default for Retries {
    fn default() -> Self {
        let policies = BUILT_IN.map(|(name, policy)| (name.to_owned(), policy));
        Self {
            enabled: true,
            policies: policies.into(),
            budgets: [("aws".to_owned(), BudgetConfig::AWS)].into(),
            retryable_codes: vec![429, 500, 502, 503, 504],
            network_timeout: Duration::from_secs(30),
        }
    }
}

const BUILT_IN: [(&str, RetryPolicy); 6] = [
    ("default", RetryPolicy::DEFAULT),
    ("expensive", RetryPolicy::EXPENSIVE),
    ("quick", RetryPolicy::QUICK),
    ("conservative", RetryPolicy::CONSERVATIVE),
    ("standard", RetryPolicy::STANDARD),
    ("never", RetryPolicy::NEVER),
];

/// `quick` and `quick_policy` are the same; other names are what they are.
pub(super) fn policy_name(name: &str) -> &str {
    match name.strip_suffix("_policy") {
        Some(short) if BUILT_IN.iter().any(|(known, _)| *known == short) => short,
        _ => name,
    }
}

/// Whether the core or the platform brings a policy of this name.
pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name)
}

pub(super) fn convert(file: &RetryFile, path: &KeyPath, problems: &mut Vec<Problem>) -> Retries {
    let mut retries = Retries::default();
    retries.enabled = file.enabled.unwrap_or(retries.enabled);

    let default = match &file.default_policy {
        None => Layer::preset(RetryPolicy::DEFAULT),
        Some(given) => {
            Layer::preset(RetryPolicy::DEFAULT).merge(given, &path.key("default_policy"), problems)
        }
    };
    retries.policies.insert("default".to_owned(), default.policy);
    for (name, preset, given) in [
        ("expensive", RetryPolicy::EXPENSIVE, &file.expensive_policy),
        ("quick", RetryPolicy::QUICK, &file.quick_policy),
        (
            "conservative",
            RetryPolicy::CONSERVATIVE,
            &file.conservative_policy,
        ),
    ] {
        if let Some(given) = given {
            let path = path.key(format!("{name}_policy"));
            let layer = Layer::preset(preset).merge(given, &path, problems);
            retries.policies.insert(name.to_owned(), layer.policy);
        }
    }
    for (name, given) in file.policies.iter().flatten() {
        let path = path.key("policies").key(name);
        let short = policy_name(name);
        if is_built_in(short) {
            problems.push(built_in_again(path, short));
            continue;
        }
        let layer = default.merge(given, &path, problems);
        retries.policies.insert(name.clone(), layer.policy);
    }
    for (name, given) in file.budgets.iter().flatten() {
        let path = path.key("budgets").key(name);
        if let Some(budget) = budget::convert(given, &path, problems) {
            retries.budgets.insert(name.clone(), budget);
        }
    }
    if let Some(codes) = &file.retryable_codes {
        let codes = codes.iter().filter_map(|code| u16::try_from(code.get()).ok());
        retries.retryable_codes = codes.collect();
        retries.retryable_codes.sort_unstable();
        retries.retryable_codes.dedup();
    }
    match file.network_timeout {
        Some(Seconds(Duration::ZERO)) => {
            problems.push(Problem::invalid(path.key("network_timeout"), "0s", "more than 0"));
        }
        Some(Seconds(timeout)) => retries.network_timeout = timeout,
        None => {}
    }
    retries
}

fn built_in_again(path: KeyPath, name: &str) -> Problem {
    let hint = match name {
        "standard" | "never" => "give it another name".to_owned(),
        _ => format!("write its settings under `retry.{name}_policy`"),
    };
    Problem::new(path, format!("`{name}` is the name of a built-in policy"))
        .at_key()
        .hint(hint)
}
