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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crossbridge_core::{BudgetConfig, Jitter, RetryPolicy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use super::budget::{self, BudgetFile};
use super::error::Problem;
use super::key_path::KeyPath;
use super::refused::refused;
use super::scalar::{Seconds, Share, Whole};

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

/// A policy. What is left out is the default of that policy, or of `default_policy`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RetryPolicy")]
struct PolicyFile {
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

/// A policy, and whether somebody said how throttled calls start.
#[derive(Clone, Copy)]
struct Layer {
    policy: RetryPolicy,
    throttled: Option<Duration>,
}

impl Layer {
    const fn preset(policy: RetryPolicy) -> Self {
        Self {
            policy,
            throttled: None,
        }
    }

    /// What the file says, completed by this layer. What cannot work is reported, and this layer
    /// stands in for it.
    fn merge(self, file: &PolicyFile, path: &KeyPath, problems: &mut Vec<Problem>) -> Self {
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

/// What each delay is multiplied by, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Factor(u32);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FactorVisitor;

        impl Visitor<'_> for FactorVisitor {
            type Value = Factor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, 1 to 100")
            }

            fn visit_f64<E: de::Error>(self, factor: f64) -> Result<Factor, E> {
                if !(1.0..=100.0).contains(&factor) {
                    return Err(E::invalid_value(Unexpected::Float(factor), &self));
                }
                // Between 1 000 and 100 000.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let permille = (factor * 1_000.0).round() as u32;
                Ok(Factor(permille))
            }

            fn visit_u64<E: de::Error>(self, factor: u64) -> Result<Factor, E> {
                match u32::try_from(factor) {
                    Ok(factor @ 1..=100) => Ok(Factor(factor * 1_000)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(factor), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, factor: i64) -> Result<Factor, E> {
                Err(E::invalid_value(Unexpected::Signed(factor), &self))
            }
        }

        deserializer.deserialize_f64(FactorVisitor)
    }
}

impl JsonSchema for Factor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Factor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 1, "maximum": 100 })
    }
}

/// `true` and `false` are the platform's own; names and shares are new.
#[derive(Clone, Copy, Debug)]
struct JitterFile(Jitter);

impl<'de> Deserialize<'de> for JitterFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JitterVisitor;

        impl Visitor<'_> for JitterVisitor {
            type Value = JitterFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, `none`, `full`, `equal`, `decorrelated` or a share, 0 to 1")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<JitterFile, E> {
                Ok(JitterFile(if on { Jitter::Full } else { Jitter::None }))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<JitterFile, E> {
                Ok(JitterFile(match name {
                    "none" => Jitter::None,
                    "full" => Jitter::Full,
                    "equal" => Jitter::Equal,
                    "decorrelated" => Jitter::Decorrelated,
                    _ => return Err(E::invalid_value(Unexpected::Str(name), &self)),
                }))
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> Result<JitterFile, E> {
                match Share::from_f64(share) {
                    Some(share) if share.per_mille().get() == 0 => Ok(JitterFile(Jitter::None)),
                    Some(share) => Ok(JitterFile(Jitter::Proportional(share.per_mille()))),
                    None => Err(E::invalid_value(Unexpected::Float(share), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, share: u64) -> Result<JitterFile, E> {
                match share {
                    0 => self.visit_f64(0.0),
                    1 => self.visit_f64(1.0),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(share), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, share: i64) -> Result<JitterFile, E> {
                Err(E::invalid_value(Unexpected::Signed(share), &self))
            }
        }

        deserializer.deserialize_any(JitterVisitor)
    }
}

impl JsonSchema for JitterFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Jitter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "enum": ["none", "full", "equal", "decorrelated", true, false] },
                { "type": "number", "minimum": 0, "maximum": 1 },
            ],
        })
    }
}
