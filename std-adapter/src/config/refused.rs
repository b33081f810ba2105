//! What the core refuses, as a problem of the file.

use std::time::Duration;

use crossbridge_core::ConfigError;

use super::error::Problem;
use super::key_path::KeyPath;
use super::scalar::Seconds;

/// The problem at `path`. The core counts spans in nanoseconds: `is_span` shows one as a time.
pub(super) fn refused(error: ConfigError, path: KeyPath, is_span: bool) -> Problem {
    if is_span {
        let found = Seconds(Duration::from_nanos(error.found));
        Problem::invalid(path, found, error.expected)
    } else {
        Problem::invalid(path, error.found, error.expected)
    }
}
