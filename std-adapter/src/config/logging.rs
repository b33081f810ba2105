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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use log::LevelFilter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use super::scalar::Whole;
use crate::logging::{Category, FileSettings, Format, LogSettings};

/// What is logged, how, and where to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Logging")]
pub(super) struct LoggingFile {
    /// The least level that is logged.
    level: Option<LevelFile>,
    /// How a record is written.
    #[schemars(extend("default" = "detailed"))]
    format: Option<FormatFile>,
    /// Whether a file is written.
    #[schemars(extend("default" = true))]
    log_to_file: Option<bool>,
    /// The file, from the working directory.
    #[schemars(extend("default" = DEFAULT_FILE))]
    log_file_path: Option<String>,
    /// Whether records go to stderr.
    log_to_console: Option<bool>,
    /// The size, in MiB, at which the file is put aside.
    #[schemars(extend("default" = DEFAULT_MEBIBYTES))]
    max_file_size_mb: Option<Whole<1, 1_048_576>>,
    /// Files put aside that are kept.
    #[schemars(extend("default" = DEFAULT_BACKUPS))]
    backup_count: Option<Whole<0, 10_000>>,
    /// The level of the category `migration`.
    translation_level: Option<LevelFile>,
    /// The level of the category `ai`.
    ai_level: Option<LevelFile>,
    /// The level of the category `persistence`.
    database_level: Option<LevelFile>,
    /// The level of the category `observer`.
    observer_level: Option<LevelFile>,
    /// The level of any category; null is as `level`.
    levels: Option<BTreeMap<Category, Option<LevelFile>>>,
}

/// What is there without being said.
const DEFAULT_FILE: &str = "logs/crossbridge.log";
const DEFAULT_MEBIBYTES: u32 = 10;
const DEFAULT_BACKUPS: u32 = 5;

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum FormatFile {
    /// The message.
    Simple,
    /// Time, level, category, message and fields.
    Detailed,
    /// An object a line.
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
            .map_or_else(|| PathBuf::from(DEFAULT_FILE), PathBuf::from),
        max_bytes: u64::from(file.max_file_size_mb.map_or(DEFAULT_MEBIBYTES, Whole::get)) << 20,
        backups: file.backup_count.map_or(DEFAULT_BACKUPS, Whole::get),
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

impl JsonSchema for LevelFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        const NAMES: [&str; 9] = [
            "TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "WARN", "ERROR", "CRITICAL", "OFF",
        ];
        // In any case; JSON Schema has no flag for that.
        let either = |letter: char| format!("[{letter}{}]", letter.to_ascii_lowercase());
        let names = NAMES.map(|name| name.chars().map(either).collect::<String>());
        json_schema!({
            "anyOf": [{ "enum": NAMES }, { "type": "string", "pattern": format!("^({})$", names.join("|")) }],
        })
    }
}
