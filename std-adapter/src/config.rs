//! `crossbridge.yml`: the policies that production reads, and the replay too.
//!
//! ```text
//!   --config, CROSSBRIDGE_CONFIG, ./crossbridge.yml and up ──▶ Document ──▶ sections ──▶ Config
//!                                                               text,       strict,      policies,
//!                                                               positions   ${VAR}       call paths
//! ```
//!
//! # Rules
//! - Ours are `runtime.{rate_limiting, retry, health_checks, circuit_breakers, bulkheads, paths}` and
//!   `crossbridge.logging`. In them an unknown key, a wrong type and a number out of range are errors,
//!   all reported at once, each with file, line, column, path, what was found and what was expected.
//! - Every other section is left alone ([`Config::ignored`]), unless its name is nearly one of ours.
//! - What is left out has a default; a section without content has all of them. A partial policy is
//!   completed by the defaults of that policy.
//! - `${VAR}` and `${VAR:-default}` are expanded in our sections and then typed as if written so, in
//!   quotes or not. Inside `{ }` and `[ ]` YAML itself needs the quotes.
//! - Bare numbers are seconds; `250ms`, `2s`, `5m` are times too.
//! - A key that is accepted and does nothing is in [`Config::not_in_use`].
//!
//! # Example
//! ```
//! use crossbridge_core::Guard;
//! use crossbridge_std::config::{Config, Document};
//!
//! let text = "
//! runtime:
//!   retry:
//!     policies:
//!       storage: { max_attempts: \"${ATTEMPTS:-4}\", base_delay: 100ms, max_delay: 2s }
//!   paths:
//!     profiling_storage: { retry: storage, deadline: 5s }
//! ";
//! let document = Document::parse("crossbridge.yml", text)?;
//! let config = Config::from_document(&document, &|_| None)?;
//! let path = config.path("profiling_storage")?;
//! assert_eq!(path.guard.retry.attempts, 4);
//! let guard = Guard::new(path.guard)?;
//! # let _ = guard;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The pages of the sections: [`rate_limiting`], [`retry`], [`budget`], [`breaker`], [`bulkhead`],
//! [`health`], [`call_path`], [`logging`]. The layer below them is for other files of ours as well,
//! scenarios among them: [`Document`], [`KeyPath`], [`Problem`], [`FileError`], [`Seconds`], [`Rate`].

mod arithmetic;
pub mod breaker;
pub mod budget;
mod build;
pub mod bulkhead;
pub mod call_path;
mod deserialize;
mod document;
pub mod error;
pub mod expand;
pub mod health;
mod key_path;
mod locate;
pub mod logging;
mod not_in_use;
pub mod profiling;
pub mod rate_limiting;
mod refused;
pub mod retry;
mod runtime;
mod scalar;
pub mod schema;
mod search;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crossbridge_core::{BreakerConfig, BulkheadConfig, GuardConfig, Quota};

pub use arithmetic::{Amplification, BreakerReaction, HealthReaction, Layers, Reaction, WorstCase};
pub use call_path::CallPath;
pub use document::Document;
pub use error::{FileError, Position, Problem, Target};
pub use expand::{Environment, process_environment};
pub use key_path::{KeyPath, ParseKeyPathError, Segment};
pub use not_in_use::NotInUse;
pub use scalar::{ParseRateError, ParseSpanError, Rate, Seconds, Share, Whole, parse_span};
pub use search::{FILE_NAME, FILE_VARIABLE, find};

use self::error::did_you_mean;
use self::health::HealthChecks;
use self::rate_limiting::RateLimits;
use self::retry::Retries;
use crate::logging::LogSettings;
use crate::profiling::ProfilingSettings;

/// Everything the file says, completed and checked.
#[derive(Clone, Debug)]
pub struct Config {
    source: Option<PathBuf>,
    limits: RateLimits,
    retries: Retries,
    breakers: BTreeMap<String, BreakerConfig>,
    bulkheads: BTreeMap<String, BulkheadConfig>,
    health: HealthChecks,
    paths: BTreeMap<String, CallPath>,
    logging: LogSettings,
    profiling: ProfilingSettings,
    ignored: Vec<KeyPath>,
    not_in_use: Vec<NotInUse>,
}

impl Config {
    /// Reads the file that [`find`] finds from the working directory, with the variables of this
    /// process; the defaults where it finds none.
    ///
    /// # Errors
    /// The file cannot be read, or anything in it cannot be used.
    pub fn load(explicit: Option<&Path>) -> Result<Self, FileError> {
        let directory = std::env::current_dir().unwrap_or_default();
        Self::load_from(explicit, &process_environment, &directory)
    }

    /// The same with everything handed in.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(
        explicit: Option<&Path>,
        environment: Environment<'_>,
        directory: &Path,
    ) -> Result<Self, FileError> {
        let Some(path) = find(explicit, environment, directory) else {
            log::info!(target: TARGET, directory:% = directory.display(); "no configuration file, using the defaults");
            return Ok(Self::default());
        };
        let document = Document::read(&path)?;
        let config = Self {
            source: Some(path),
            ..Self::from_document(&document, environment)?
        };
        log::info!(target: TARGET, file = document.name(); "configuration loaded");
        for section in &config.ignored {
            log::debug!(target: TARGET, file = document.name(), section:% = section; "section ignored");
        }
        Ok(config)
    }

    /// The configuration in a document of the form of `crossbridge.yml`.
    ///
    /// # Errors
    /// Everything in it that cannot be used.
    pub fn from_document(document: &Document, environment: Environment<'_>) -> Result<Self, FileError> {
        runtime::whole_file(document, environment)
    }

    /// The configuration in one mapping with the same keys as `runtime:`, such as the `policies:` of
    /// a scenario. Nothing there is ignored.
    ///
    /// # Errors
    /// Everything in it that cannot be used, with positions in the document.
    pub fn from_policies(
        document: &Document,
        path: &KeyPath,
        environment: Environment<'_>,
    ) -> Result<Self, FileError> {
        runtime::policies(document, path, environment)
    }

    /// The file it was read from; `None` for the defaults and for what came from a text.
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        self.source.as_deref()
    }

    /// The path of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn path(&self, name: &str) -> Result<&CallPath, UnknownPath> {
        self.paths.get(name).ok_or_else(|| UnknownPath {
            name: name.to_owned(),
            known: self.paths.keys().cloned().collect(),
        })
    }

    /// Every path, by name: those of the file and the built-in ones.
    pub fn paths(&self) -> impl Iterator<Item = &CallPath> {
        self.paths.values()
    }

    /// How often an operation may run, for everybody or for one subject: the subject's own limit, else
    /// the operation's, else 30 per minute. Unlimited where limits are switched off.
    #[must_use]
    pub fn quota(&self, subject: Option<&str>, operation: &str) -> Quota {
        self.limits.quota(subject, operation)
    }

    /// The policies of a path for one subject: its own limit instead of everybody's, where it has one.
    ///
    /// ```
    /// use crossbridge_std::config::{Config, Document};
    ///
    /// let text = "runtime: { rate_limiting: { overrides: { 'org:premium': { embed: { capacity: 500 } } } } }";
    /// let config = Config::from_document(&Document::parse("demo.yml", text)?, &|_| None)?;
    /// let path = config.path("embedding")?;
    /// assert_eq!(config.guard_for(path, Some("org:premium")).quota.capacity(), 500);
    /// assert_eq!(config.guard_for(path, Some("org:other")), path.guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn guard_for(&self, path: &CallPath, subject: Option<&str>) -> GuardConfig {
        match &path.uses.rate_limit {
            None => path.guard,
            Some(operation) => GuardConfig {
                quota: self.quota(subject, operation),
                ..path.guard
            },
        }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// The retry policies and budgets.
    #[must_use]
    pub const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// The circuit breakers, by name.
    #[must_use]
    pub const fn breakers(&self) -> &BTreeMap<String, BreakerConfig> {
        &self.breakers
    }

    /// The bulkheads, by name.
    #[must_use]
    pub const fn bulkheads(&self) -> &BTreeMap<String, BulkheadConfig> {
        &self.bulkheads
    }

    /// What is watched.
    #[must_use]
    pub const fn health(&self) -> &HealthChecks {
        &self.health
    }

    /// What to log, and where to.
    #[must_use]
    pub const fn logging(&self) -> &LogSettings {
        &self.logging
    }

    /// How much of what is on its way to the event store is kept, and where.
    #[must_use]
    pub const fn profiling(&self) -> &ProfilingSettings {
        &self.profiling
    }

    /// The sections of the file that are somebody else's, in its order.
    #[must_use]
    pub fn ignored(&self) -> &[KeyPath] {
        &self.ignored
    }

    /// The keys that are accepted and have no effect.
    #[must_use]
    pub fn not_in_use(&self) -> &[NotInUse] {
        &self.not_in_use
    }
}

impl Default for Config {
    /// What an empty file says.
    fn default() -> Self {
        runtime::empty()
    }
}

/// A path that no file and no table knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPath {
    /// The name asked for.
    pub name: String,
    /// Those there are.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = error::one_of(&self.known);
        write!(f, "unknown path `{}`, expected {known}", self.name)?;
        match did_you_mean(&self.name, &self.known) {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownPath {}

/// Where this module's own records go.
const TARGET: &str = crate::logging::Category::General.target();
