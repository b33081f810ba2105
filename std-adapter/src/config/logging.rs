//! `crossbridge.logging:` what is logged, how, and where to.
//!
//! ```yaml
//! crossbridge:
//!   logging:
//!     level: INFO                     # TRACE DEBUG INFO SUCCESS WARNING ERROR CRITICAL OFF
//!     format: detailed                # simple detailed json
//!     log_to_console: true
//!     log_to_file: true
//!     log_file_path: logs/crossbridge.log
//!     max_file_size_mb: 10
//!     backup_count: 5
//!     ai_level: DEBUG
//!     levels: { execution: DEBUG }    # any category; null = as `level`
//! ```
//!
//! A file is written where one is asked for, by `log_to_file: true` or by a section that says
//! nothing about it; without the section nothing is created in anybody's working directory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use log::LevelFilter;
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use super::scalar::Whole;
use crate::logging::{Category, FileSettings, Format, LogSettings};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoggingFile {
    level: Option<LevelFile>,
    format: Option<FormatFile>,
    log_to_file: Option<bool>,
    log_file_path: Option<String>,
    log_to_console: Option<bool>,
    max_file_size_mb: Option<Whole<1, 1_048_576>>,
    backup_count: Option<Whole<0, 10_000>>,
    translation_level: Option<LevelFile>,
    ai_level: Option<LevelFile>,
    database_level: Option<LevelFile>,
    observer_level: Option<LevelFile>,
    levels: Option<BTreeMap<Category, Option<LevelFile>>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatFile {
    Simple,
    Detailed,
    Json,
}

/// The settings of a section that is there.
pub(super) fn convert(file: &LoggingFile) -> LogSettings {
    let mut levels = BTreeMap::new();
    for (category, level) in [
        // The platform translates tests from one framework to another: its migration.
        (Category::Migration, file.translation_level),
        (Category::Ai, file.ai_level),
        (Category::Persistence, file.database_level),
        (Category::Observer, file.observer_level),
    ] {
        levels.extend(level.map(|level| (category, level.0)));
    }
    for (category, level) in file.levels.iter().flatten() {
        levels.extend(level.map(|level| (*category, level.0)));
    }
    let default = LogSettings::default();
    let to_file = file.log_to_file.unwrap_or(true).then(|| FileSettings {
        path: file
            .log_file_path
            .as_ref()
            .map_or_else(|| PathBuf::from("logs/crossbridge.log"), PathBuf::from),
        max_bytes: u64::from(file.max_file_size_mb.map_or(10, Whole::get)) << 20,
        backups: file.backup_count.map_or(5, Whole::get),
    });
    LogSettings {
        level: file.level.map_or(default.level, |level| level.0),
        levels,
        format: match file.format {
            Some(FormatFile::Simple) => Format::Simple,
            None | Some(FormatFile::Detailed) => Format::Detailed,
            Some(FormatFile::Json) => Format::Json,
        },
        console: file.log_to_console.unwrap_or(default.console),
        file: to_file,
    }
}

/// The platform's level names, in any case.
#[derive(Clone, Copy, Debug)]
struct LevelFile(LevelFilter);

impl<'de> Deserialize<'de> for LevelFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelVisitor;

        impl Visitor<'_> for LevelVisitor {
            type Value = LevelFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "one of `TRACE`, `DEBUG`, `INFO`, `SUCCESS`, `WARNING`, `ERROR`, `CRITICAL`, `OFF`",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<LevelFile, E> {
                Ok(LevelFile(match name.to_ascii_lowercase().as_str() {
                    "trace" => LevelFilter::Trace,
                    "debug" => LevelFilter::Debug,
                    // `log` has five levels: success is told at info, and the critical as an error.
                    "info" | "success" => LevelFilter::Info,
                    "warning" | "warn" => LevelFilter::Warn,
                    "error" | "critical" => LevelFilter::Error,
                    "off" => LevelFilter::Off,
                    _ => return Err(E::invalid_value(Unexpected::Str(name), &self)),
                }))
            }
        }

        deserializer.deserialize_str(LevelVisitor)
    }
}
