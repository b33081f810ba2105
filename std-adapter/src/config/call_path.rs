//! `paths:` which policies each kind of call goes through.
//!
//! ```yaml
//! paths:
//!   profiling_storage:
//!     retry: storage            # retry.policies, or default, quick, expensive, conservative, standard, never
//!     rate_limit: none          # rate_limiting.defaults
//!     on_limit: refuse          # or wait
//!     breaker: storage          # circuit_breakers
//!     bulkhead: none            # bulkheads
//!     budget: aws               # retry.budgets
//!     health: database          # health_checks.providers
//!     deadline: 5s              # the whole call, waits included
//!     attempt_timeout: 1s       # each attempt; retry.network_timeout where there is none
//!     idempotent: true          # sending it twice does no harm
//!     log_category: performance
//! ```
//!
//! A name can be `none`, and so can the two times. Where the file is silent about one of the paths
//! below, this table speaks; any other path begins with the `default` policy and nothing else.
//!
//! | path | retry | rate limit | deadline | attempt | idempotent | health | category |
//! |---|---|---|---|---|---|---|---|
//! | `profiling_storage` | conservative | - | 60 s | 5 s | yes | database | performance |
//! | `coverage_repository` | default | - | - | 30 s | no | - | testing |
//! | `execution` | quick | - | - | 30 s | no | - | execution |
//! | `ai_provider` | expensive | `ai_generate`, wait | 3 min | 30 s | no | - | ai |
//! | `embedding` | expensive | `embed`, wait | 3 min | 30 s | no | - | ai |
//! | `database` | quick | - | - | 30 s | no | database | persistence |
//! | `flaky_detection` | quick | - | - | 30 s | no | - | testing |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, GuardConfig, OnLimit, Quota, RetryPolicy,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::document::MAX_PROBLEMS;
use super::error::Problem;
use super::health::HealthChecks;
use super::key_path::KeyPath;
use super::rate_limiting::RateLimits;
use super::retry::{Retries, policy_name};
use super::scalar::Seconds;
use crate::logging::Category;

/// The policies that one kind of call goes through. A name can be `none`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CallPath")]
pub(super) struct PathFile {
    /// A policy of `retry.policies`, or `default`, `quick`, `expensive`, `conservative`, `standard`,
    /// `never`.
    #[schemars(extend("examples" = ["default", "quick", "expensive", "conservative", "standard", "never"]))]
    retry: Option<String>,
    /// An operation of `rate_limiting.defaults`, or `none`.
    rate_limit: Option<String>,
    /// What a call does at the limit.
    #[schemars(extend("default" = "refuse"))]
    on_limit: Option<OnLimitFile>,
    /// One of `circuit_breakers`, or `none`.
    breaker: Option<String>,
    /// One of `bulkheads`, or `none`.
    bulkhead: Option<String>,
    /// One of `retry.budgets`, `aws`, or `none`.
    budget: Option<String>,
    /// One of `health_checks.providers`, or `none`.
    health: Option<String>,
    /// How long the whole call may take, waits included; more than 0, or `none`.
    deadline: Option<SpanOrNone>,
    /// How long each attempt may take; more than 0, or `none`. `retry.network_timeout` where it is left
    /// out.
    attempt_timeout: Option<SpanOrNone>,
    /// Sending it twice does no harm.
    idempotent: Option<bool>,
    /// What its log records are about.
    log_category: Option<Category>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum OnLimitFile {
    /// It is refused.
    Refuse,
    /// It waits, as far as its deadline allows.
    Wait,
}

/// One kind of call: the policies it goes through, ready for a guard, and what they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPath {
    /// The name of the path.
    pub name: String,
    /// The policies. A [`Guard`](crossbridge_core::Guard) accepts them.
    pub guard: GuardConfig,
    /// What its records are about.
    pub log_category: Category,
    /// HTTP statuses worth another attempt, in ascending order.
    pub retryable_codes: Vec<u16>,
    /// Where the policies come from.
    pub uses: Uses,
}

/// The names a path refers to; `None` where it goes without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    /// `retry.policies`, without `_policy`.
    pub retry: String,
    /// The operation in `rate_limiting.defaults`.
    pub rate_limit: Option<String>,
    /// `circuit_breakers`.
    pub breaker: Option<String>,
    /// `bulkheads`.
    pub bulkhead: Option<String>,
    /// `retry.budgets`.
    pub budget: Option<String>,
    /// `health_checks.providers`.
    pub health: Option<String>,
}

/// What paths can refer to.
pub(super) struct Shelves<'s> {
    pub(super) retries: &'s Retries,
    pub(super) limits: &'s RateLimits,
    pub(super) breakers: &'s BTreeMap<String, BreakerConfig>,
    pub(super) bulkheads: &'s BTreeMap<String, BulkheadConfig>,
    pub(super) health: &'s HealthChecks,
    /// Names that exist in the file, but whose content was refused.
    pub(super) refused: &'s [(&'static str, String)],
}

/// Every path of the file and of the table, by name.
pub(super) fn convert(
    files: &BTreeMap<String, PathFile>,
    path: &KeyPath,
    shelves: &Shelves<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, CallPath> {
    let mut merged = built_in();
    for (name, file) in files {
        let base = merged.remove(name).unwrap_or_default();
        merged.insert(name.clone(), file.clone().over(base));
    }
    merged
        .into_iter()
        .map(|(name, file)| {
            let path = path.key(&name);
            let call_path = resolve(name.clone(), &file, &path, shelves, problems);
            (name, call_path)
        })
        .collect()
}

impl PathFile {
    fn over(self, base: Self) -> Self {
        Self {
            retry: self.retry.or(base.retry),
            rate_limit: self.rate_limit.or(base.rate_limit),
            on_limit: self.on_limit.or(base.on_limit),
            breaker: self.breaker.or(base.breaker),
            bulkhead: self.bulkhead.or(base.bulkhead),
            budget: self.budget.or(base.budget),
            health: self.health.or(base.health),
            deadline: self.deadline.or(base.deadline),
            attempt_timeout: self.attempt_timeout.or(base.attempt_timeout),
            idempotent: self.idempotent.or(base.idempotent),
            log_category: self.log_category.or(base.log_category),
        }
    }

    /// Whether the path says what to do at a limit that it does not have.
    pub(super) fn says_on_limit(&self) -> bool {
        self.on_limit.is_some()
    }
}

fn built_in() -> BTreeMap<String, PathFile> {
    let name = |name: &str| Some(name.to_owned());
    let seconds = |seconds| Some(SpanOrNone(Some(Duration::from_secs(seconds))));
    let path = |retry: &str, log_category| PathFile {
        retry: name(retry),
        log_category: Some(log_category),
        ..PathFile::default()
    };
    let asking = |limit: &str| PathFile {
        rate_limit: name(limit),
        on_limit: Some(OnLimitFile::Wait),
        // Room for a window of the limit and for the five attempts of the policy.
        deadline: seconds(180),
        ..path("expensive", Category::Ai)
    };
    // An embedded database that another process has locked is free again within seconds: two more
    // attempts, seconds apart, and events are written by id, so that twice is once.
    let profiling_storage = PathFile {
        attempt_timeout: seconds(5),
        deadline: seconds(60),
        idempotent: Some(true),
        health: name("database"),
        ..path("conservative", Category::Performance)
    };
    let database = PathFile {
        health: name("database"),
        ..path("quick", Category::Persistence)
    };
    [
        ("profiling_storage", profiling_storage),
        ("coverage_repository", path("default", Category::Testing)),
        ("execution", path("quick", Category::Execution)),
        ("ai_provider", asking("ai_generate")),
        ("embedding", asking("embed")),
        ("database", database),
        ("flaky_detection", path("quick", Category::Testing)),
    ]
    .map(|(name, path)| (name.to_owned(), path))
    .into()
}

fn resolve(
    name: String,
    file: &PathFile,
    path: &KeyPath,
    shelves: &Shelves<'_>,
    problems: &mut Vec<Problem>,
) -> CallPath {
    let mut lookup = Lookup {
        path,
        refused: shelves.refused,
        problems,
    };
    let retries = shelves.retries;
    let retry = file.retry.as_deref().unwrap_or("default");
    let policy = match retries.policy(retry) {
        Some(policy) => policy,
        None => {
            lookup.unknown("retry", "retry policy", retry, retries.policies.keys());
            RetryPolicy::DEFAULT
        }
    };
    let rate_limit = named(file.rate_limit.as_deref());
    let quota = match rate_limit {
        None => Quota::UNLIMITED,
        Some(operation) => {
            lookup.find(
                "rate_limit",
                "operation",
                Some(operation),
                &shelves.limits.defaults,
            );
            shelves.limits.quota(None, operation)
        }
    };
    let breaker = named(file.breaker.as_deref());
    let bulkhead = named(file.bulkhead.as_deref());
    let budget = named(file.budget.as_deref());
    let health = named(file.health.as_deref());
    let breaker_config = lookup.find("breaker", "circuit breaker", breaker, shelves.breakers);
    let bulkhead_config = lookup.find("bulkhead", "bulkhead", bulkhead, shelves.bulkheads);
    let budget_config = lookup.find("budget", "retry budget", budget, &retries.budgets);
    lookup.find("health", "health provider", health, &shelves.health.providers);
    let timeout = file
        .attempt_timeout
        .map_or(Some(retries.network_timeout), |timeout| timeout.0);
    for (key, span) in [
        ("deadline", file.deadline.and_then(|deadline| deadline.0)),
        ("attempt_timeout", timeout),
    ] {
        if span.is_some_and(|span| span.is_zero()) {
            let expected = "more than 0, or `none`";
            lookup
                .problems
                .push(Problem::invalid(path.key(key), "0s", expected));
        }
    }
    let guard = GuardConfig {
        quota,
        on_limit: match file.on_limit {
            None | Some(OnLimitFile::Refuse) => OnLimit::Refuse,
            Some(OnLimitFile::Wait) => OnLimit::Wait,
        },
        retry: policy,
        budget: budget_config.unwrap_or(BudgetConfig::UNLIMITED),
        breaker: breaker_config.unwrap_or(BreakerConfig::DISABLED),
        bulkhead: bulkhead_config.unwrap_or(BulkheadConfig::UNLIMITED),
        health: health.and_then(|name| shelves.health.monitor(name)),
        deadline: file.deadline.and_then(|deadline| deadline.0),
        attempt_timeout: timeout,
        idempotent: file.idempotent.unwrap_or(false),
    };
    CallPath {
        name,
        guard,
        log_category: file.log_category.unwrap_or(Category::General),
        retryable_codes: retries.retryable_codes.clone(),
        uses: Uses {
            retry: policy_name(retry).to_owned(),
            rate_limit: rate_limit.map(str::to_owned),
            breaker: breaker.map(str::to_owned),
            bulkhead: bulkhead.map(str::to_owned),
            budget: budget.map(str::to_owned),
            health: health.map(str::to_owned),
        },
    }
}

/// A reference; `none` is one to nothing.
fn named(name: Option<&str>) -> Option<&str> {
    name.filter(|name| *name != "none")
}

struct Lookup<'l> {
    path: &'l KeyPath,
    refused: &'l [(&'static str, String)],
    problems: &'l mut Vec<Problem>,
}

impl Lookup<'_> {
    fn find<T: Copy>(
        &mut self,
        key: &'static str,
        what: &str,
        name: Option<&str>,
        shelf: &BTreeMap<String, T>,
    ) -> Option<T> {
        let name = name?;
        let found = shelf.get(name).copied();
        if found.is_none() {
            self.unknown(key, what, name, shelf.keys());
        }
        found
    }

    fn unknown<'k>(
        &mut self,
        key: &'static str,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'k String>,
    ) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        // What was refused where it is defined is not unknown here.
        if self
            .refused
            .iter()
            .any(|(shelf, refused)| *shelf == key && refused == name)
        {
            return;
        }
        let mut known: Vec<_> = known.map(String::as_str).collect();
        if key != "retry" {
            known.push("none");
        }
        let mut problem = Problem::unknown_name(self.path.key(key), what, name, &known);
        if problem.hint.is_none() {
            let section = match key {
                "retry" => "retry.policies",
                "budget" => "retry.budgets",
                "rate_limit" => "rate_limiting.defaults",
                "breaker" => "circuit_breakers",
                "bulkhead" => "bulkheads",
                _ => "health_checks.providers",
            };
            problem.hint = Some(format!("define it under `{section}`"));
        }
        self.problems.push(problem);
    }
}

/// A time, or `none` for no bound.
#[derive(Clone, Copy, Debug)]
struct SpanOrNone(Option<Duration>);

impl<'de> Deserialize<'de> for SpanOrNone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;

        impl Visitor<'_> for SpanVisitor {
            type Value = SpanOrNone;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, text like `250ms`, `2s`, `5m`, `1h`, or `none`")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<SpanOrNone, E> {
                bounded(de::value::U64Deserializer::new(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<SpanOrNone, E> {
                bounded(de::value::I64Deserializer::new(seconds))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<SpanOrNone, E> {
                bounded(de::value::F64Deserializer::new(seconds))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SpanOrNone, E> {
                match text {
                    "none" => Ok(SpanOrNone(None)),
                    _ => bounded(de::value::StrDeserializer::new(text)),
                }
            }
        }

        fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SpanOrNone, D::Error> {
            Seconds::deserialize(deserializer).map(|span| SpanOrNone(Some(span.get())))
        }

        deserializer.deserialize_any(SpanVisitor)
    }
}

impl JsonSchema for SpanOrNone {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SpanOrNone".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Seconds>(), { "const": "none" }] })
    }
}
