//! `rate_limiting:` how often each operation may run, and for whom more.
//!
//! ```yaml
//! rate_limiting:
//!   enabled: true
//!   defaults:
//!     ai_generate: { capacity: 20, window_seconds: 60 }
//!   overrides:
//!     org:premium:
//!       ai_generate: { capacity: 50 }        # the rest from the operation's default
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crossbridge_core::Quota;
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::Problem;
use super::key_path::KeyPath;
use super::refused::refused;
use super::scalar::{Seconds, Whole};

/// How often each operation may run, and for whom more.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RateLimiting")]
pub(super) struct RateLimitingFile {
    /// Whether anything is limited at all.
    #[schemars(extend("default" = true))]
    enabled: Option<bool>,
    /// By operation.
    defaults: Option<BTreeMap<String, LimitFile>>,
    /// Accepted, without effect: tables of limits have a fixed size.
    pub(super) cleanup_threshold: Option<Whole<1, { u32::MAX }>>,
    /// By subject (`user:12345`, `org:premium`), then by operation.
    overrides: Option<BTreeMap<String, BTreeMap<String, LimitFile>>>,
}

/// So many calls per window, all of them at once if they like. What is left out is the operation's default, else 30 per minute.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Limit")]
struct LimitFile {
    /// Calls per window, at least 1.
    #[schemars(extend("examples" = [20]))]
    capacity: Option<Whole<1, { u32::MAX }>>,
    /// The window, more than 0.
    #[schemars(extend("examples" = [60, "1m"]))]
    window_seconds: Option<Seconds>,
}

/// So many calls per window; all of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Calls per window, at least 1.
    pub capacity: u32,
    /// More than zero.
    pub window: Duration,
}

impl Limit {
    /// For an operation that no file and no table knows: 30 per minute.
    pub const FALLBACK: Self = Self::per_minute(30);

    const fn per_minute(capacity: u32) -> Self {
        Self {
            capacity,
            window: Duration::from_secs(60),
        }
    }

    /// The same for the core; [`Quota::UNLIMITED`] for numbers that it refuses, and a
    /// [`RateLimits`] holds none of those.
    #[must_use]
    pub fn quota(self) -> Quota {
        Quota::new(self.capacity, self.window).unwrap_or(Quota::UNLIMITED)
    }
}

/// The limits of every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Whether anything is limited at all.
    pub enabled: bool,
    /// By operation.
    pub defaults: BTreeMap<String, Limit>,
    /// By subject (`user:12345`, `org:premium`), then by operation.
    pub overrides: BTreeMap<String, BTreeMap<String, Limit>>,
}

impl RateLimits {
    /// The limit of an operation, for everybody or for one subject: the subject's own, else the
    /// operation's, else [`Limit::FALLBACK`].
    #[must_use]
    pub fn limit(&self, subject: Option<&str>, operation: &str) -> Limit {
        subject
            .and_then(|subject| self.overrides.get(subject)?.get(operation))
            .or_else(|| self.defaults.get(operation))
            .copied()
            .unwrap_or(Limit::FALLBACK)
    }

    /// The same for the core; unlimited where limits are switched off.
    #[must_use]
    pub fn quota(&self, subject: Option<&str>, operation: &str) -> Quota {
        if self.enabled {
            self.limit(subject, operation).quota()
        } else {
            Quota::UNLIMITED
        }
    }
}

impl Default for RateLimits {
    /// The platform's five operations.
    fn default() -> Self {
        let defaults =
            BUILT_IN.map(|(operation, capacity)| (operation.to_owned(), Limit::per_minute(capacity)));
        Self {
            enabled: true,
            defaults: defaults.into(),
            overrides: BTreeMap::new(),
        }
    }
}

/// Per minute, as the platform ships them.
const BUILT_IN: [(&str, u32); 5] = [
    ("search", 30),
    ("transform", 10),
    ("embed", 60),
    ("ai_generate", 20),
    ("health_check", 100),
];

pub(super) fn convert(file: &RateLimitingFile, path: &KeyPath, problems: &mut Vec<Problem>) -> RateLimits {
    let mut limits = RateLimits::default();
    limits.enabled = file.enabled.unwrap_or(limits.enabled);
    for (operation, limit) in file.defaults.iter().flatten() {
        let path = path.key("defaults").key(operation);
        let limit = merge(limits.limit(None, operation), limit, &path, problems);
        limits.defaults.insert(operation.clone(), limit);
    }
    for (subject, operations) in file.overrides.iter().flatten() {
        let path = path.key("overrides").key(subject);
        let merged = operations.iter().map(|(operation, limit)| {
            let limit = merge(
                limits.limit(None, operation),
                limit,
                &path.key(operation),
                problems,
            );
            (operation.clone(), limit)
        });
        let merged = merged.collect();
        limits.overrides.insert(subject.clone(), merged);
    }
    limits
}

fn merge(base: Limit, file: &LimitFile, path: &KeyPath, problems: &mut Vec<Problem>) -> Limit {
    let limit = Limit {
        capacity: file.capacity.map_or(base.capacity, Whole::get),
        window: file.window_seconds.map_or(base.window, Seconds::get),
    };
    match Quota::new(limit.capacity, limit.window) {
        Ok(_) => limit,
        Err(error) => {
            let key = if error.field == "window" {
                "window_seconds"
            } else {
                "capacity"
            };
            problems.push(refused(error, path.key(key), error.field == "window"));
            base
        }
    }
}
