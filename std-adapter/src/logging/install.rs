//! From settings to a running backend (`flexi_logger`).

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use flexi_logger::{
    DeferredNow, Duplicate, FlexiLoggerError, FormatFunction, LogSpecification, Logger, LoggerHandle,
};
use jiff::Timestamp;
use log::{LevelFilter, Log, Record};

use super::rotating::Rotating;
use super::{Category, Format, LogSettings};

/// Keeps the backend running: files are flushed and closed when it is dropped.
#[must_use = "dropping it ends logging to files"]
#[derive(Clone)]
pub struct LogGuard(LoggerHandle);

impl LogGuard {
    /// Writes out what is still in memory.
    pub fn flush(&self) {
        self.0.flush();
    }
}

impl fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogGuard")
    }
}

/// Why logging cannot start.
#[derive(Debug)]
pub enum LogError {
    /// Another backend is installed in this process.
    AlreadyInstalled,
    /// The file cannot be written. The source says why.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The backend refuses for a reason of its own.
    Backend(FlexiLoggerError),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInstalled => f.write_str("a logger is installed already"),
            Self::File { path, .. } => write!(f, "cannot log to `{}`", path.display()),
            Self::Backend(_) => f.write_str("logging cannot start"),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AlreadyInstalled => None,
            Self::File { source, .. } => Some(source),
            Self::Backend(source) => Some(source),
        }
    }
}

/// Starts logging in this process. Keep what it returns until the end.
///
/// # Errors
/// The file cannot be written, or a logger is installed already.
pub fn install(settings: &LogSettings) -> Result<LogGuard, LogError> {
    let (logger, guard) = build(settings)?;
    match log::set_boxed_logger(logger) {
        Ok(()) => Ok(guard),
        Err(_) => Err(LogError::AlreadyInstalled),
    }
}

/// The same without installing it: a logger to be called by hand, or nested in another. `log`'s
/// process-wide maximum is set to what the settings need.
///
/// # Errors
/// The file cannot be written.
pub fn build(settings: &LogSettings) -> Result<(Box<dyn Log>, LogGuard), LogError> {
    let format: FormatFunction = match settings.format {
        Format::Simple => write_simple,
        Format::Detailed => write_detailed,
        Format::Json => write_json,
    };
    let logger = Logger::with(specification(settings)).format(format);
    let logger = match &settings.file {
        None if settings.console => logger.log_to_stderr(),
        None => logger.do_not_log(),
        Some(file) => {
            let file = Rotating::open(file, format).map_err(|source| LogError::File {
                path: file.path.clone(),
                source,
            })?;
            let duplicate = if settings.console {
                Duplicate::All
            } else {
                Duplicate::None
            };
            logger
                .log_to_writer(Box::new(file))
                .duplicate_to_stderr(duplicate)
        }
    };
    let (logger, handle) = logger.build().map_err(LogError::Backend)?;
    Ok((logger, LogGuard(handle)))
}

/// The levels: the longest target that is a beginning of a record's decides.
fn specification(settings: &LogSettings) -> LogSpecification {
    let mut spec = LogSpecification::builder();
    spec.default(settings.level.min(LevelFilter::Warn));
    spec.module("crossbridge", settings.level);
    for category in Category::ALL {
        spec.module(category.target(), settings.level_of(category.target()));
    }
    spec.build()
}

fn write_simple(out: &mut dyn Write, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
    write_line(Format::Simple, out, now, record)
}

fn write_detailed(out: &mut dyn Write, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
    write_line(Format::Detailed, out, now, record)
}

fn write_json(out: &mut dyn Write, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
    write_line(Format::Json, out, now, record)
}

fn write_line(
    format: Format,
    out: &mut dyn Write,
    now: &mut DeferredNow,
    record: &Record<'_>,
) -> io::Result<()> {
    let now = now.now_utc_owned();
    let nanos = i32::try_from(now.timestamp_subsec_nanos()).unwrap_or(0);
    // A leap second is counted into the second before it.
    let at = Timestamp::new(now.timestamp(), nanos.min(999_999_999)).unwrap_or(Timestamp::UNIX_EPOCH);
    out.write_all(format.line(at, record).as_bytes())
}
