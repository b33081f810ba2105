//! Logging: structured records, a level per category, secrets left out.
//!
//! A backend for the `log` facade, set up from `crossbridge.logging` of the configuration. Targets
//! are [categories](Category); what an event is about goes into key-values, and stays apart from
//! the text in every format.
//!
//! ```text
//!   log::warn!(target: "crossbridge::persistence", path = "profiling_storage", attempts = 4; "call failed")
//!
//!   simple    WARN call failed path=profiling_storage attempts=4
//!   detailed  2026-02-04T10:00:00.000000Z WARN persistence call failed path=profiling_storage attempts=4
//!   json      {"timestamp":"2026-02-04T10:00:00.000000Z","level":"WARN","category":"persistence",
//!              "target":"crossbridge::persistence","message":"call failed",
//!              "path":"profiling_storage","attempts":4}                                   (one line)
//! ```
//!
//! # Rules
//! - A record below the level of its target is neither formatted nor written. Libraries that are not
//!   ours are heard from `WARN` up only, whatever our own level is.
//! - Values of keys like `password`, `token`, `api_key` and passwords in URLs are written as `***`:
//!   see [`redact`].
//! - One record is one line: control characters are escaped.
//! - The console is stderr. Nothing is coloured. Times are UTC.
//!
//! ```no_run
//! use crossbridge_std::config::Config;
//! use crossbridge_std::logging;
//!
//! let config = Config::load(None)?;
//! let _guard = logging::install(config.logging())?;
//! log::info!(target: logging::Category::Cli.target(), seed = 7; "replay started");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod category;
mod fields;
pub mod format;
mod install;
pub mod redact;
mod rotating;

use std::collections::BTreeMap;
use std::path::PathBuf;

use log::LevelFilter;

pub use category::Category;
pub use format::Format;
pub use install::{LogError, LogGuard, build, install};

/// What is logged, how, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// For every category that `levels` does not have.
    pub level: LevelFilter,
    /// By category.
    pub levels: BTreeMap<Category, LevelFilter>,
    /// What a record looks like.
    pub format: Format,
    /// Whether records go to stderr.
    pub console: bool,
    /// The file they go to as well, or instead.
    pub file: Option<FileSettings>,
}

/// A log file that is put aside when it is full: as `crossbridge.log.1`, the one before it as
/// `crossbridge.log.2`, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The file that is written. Its directory is created.
    pub path: PathBuf,
    /// The most bytes it may have, unless a single record is longer.
    pub max_bytes: u64,
    /// How many of those put aside are kept.
    pub backups: u32,
}

impl LogSettings {
    /// The level of a target: that of its category, else the general one; for targets that are not
    /// ours at most `WARN`.
    ///
    /// ```
    /// use crossbridge_std::logging::{Category, LogSettings};
    /// use log::LevelFilter;
    ///
    /// let mut settings = LogSettings { level: LevelFilter::Debug, ..LogSettings::default() };
    /// settings.levels.insert(Category::Ai, LevelFilter::Error);
    /// assert_eq!(settings.level_of("crossbridge::ai"), LevelFilter::Error);
    /// assert_eq!(settings.level_of("crossbridge::testing"), LevelFilter::Debug);
    /// assert_eq!(settings.level_of("crossbridge_std::config"), LevelFilter::Debug);
    /// assert_eq!(settings.level_of("hyper::client"), LevelFilter::Warn);
    /// ```
    #[must_use]
    pub fn level_of(&self, target: &str) -> LevelFilter {
        match Category::of_target(target) {
            Some(category) => self.levels.get(&category).copied().unwrap_or(self.level),
            None if target.starts_with("crossbridge") => self.level,
            None => self.level.min(LevelFilter::Warn),
        }
    }
}

impl Default for LogSettings {
    /// From `INFO` up, detailed, to stderr.
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            levels: BTreeMap::new(),
            format: Format::Detailed,
            console: true,
            file: None,
        }
    }
}
