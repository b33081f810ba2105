//! A log, line by line: what it tells of each path, and what in it cannot be read.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};

use crossbridge_core::FaultKind;
use serde::Serialize;

use super::line::{End, Line};

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 1 << 20;
/// The most attempts, and the most calls, of a path: as many lines as a trace file may have.
pub const MAX_EVENTS: usize = 10_000_000;
/// So many bad lines are kept; all are counted.
pub const KEPT_BAD_LINES: usize = 20;

/// Everything that matters in a log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By name.
    pub paths: BTreeMap<String, PathLog>,
    /// Lines that are not empty.
    pub lines: u64,
    /// Those of them that are about something else.
    pub other: u64,
    /// Those of them that cannot be read.
    pub bad: u64,
    /// The first of these.
    pub bad_lines: Vec<BadPlace>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadPlace {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, reason } = self;
        write!(f, "{file}:{line}: {reason}")
    }
}

/// What happened on one path.
#[derive(Clone, Debug, Default)]
pub struct PathLog {
    /// When the calls began that ended, in microseconds since 1970.
    pub calls: Vec<i64>,
    /// How many of them succeeded.
    pub succeeded: u64,
    /// The attempts that ended.
    pub attempts: Vec<Attempt>,
    /// Those of them that were the first of their call.
    pub first_attempts: u64,
}

/// An attempt that ended; 16 bytes, for there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, in microseconds since 1970.
    pub began_us: i64,
    /// How long it took, in microseconds; what is longer than 71 minutes is 71 minutes.
    pub took_us: u32,
    /// What it met.
    pub fault: Option<FaultKind>,
}

/// Why a log cannot be read to its end.
#[derive(Debug)]
pub enum Unreadable {
    /// The file.
    Io(io::Error),
    /// More than [`MAX_EVENTS`].
    TooMany {
        /// Of this path.
        path: String,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooMany { path } => write!(
                f,
                "more than {MAX_EVENTS} calls or attempts of path `{path}`; record a part of the log"
            ),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Log {
    /// Reads a file to its end and adds what it tells. Lines that cannot be read are kept as such.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(&mut self, file: &str, mut input: impl BufRead) -> Result<(), Unreadable> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_LINE).map_or(u64::MAX, |limit| limit + 1);
        for line in 1.. {
            bytes.clear();
            let read = input.by_ref().take(limit).read_until(b'\n', &mut bytes);
            if read.map_err(Unreadable::Io)? == 0 {
                break;
            }
            if bytes.len() > MAX_LINE && !bytes.ends_with(b"\n") {
                skip_line(&mut input).map_err(Unreadable::Io)?;
                self.add_bad(file, line, format!("longer than {MAX_LINE} bytes"));
                continue;
            }
            let text = bytes.trim_ascii();
            if !text.is_empty() {
                match Line::read(text) {
                    Ok(read) => self.add(read)?,
                    Err(bad) => self.add_bad(file, line, bad.0),
                }
            }
        }
        Ok(())
    }

    fn add_bad(&mut self, file: &str, line: u64, reason: String) {
        self.lines += 1;
        self.bad += 1;
        if self.bad_lines.len() < KEPT_BAD_LINES {
            self.bad_lines.push(BadPlace {
                file: file.to_owned(),
                line,
                reason,
            });
        }
    }

    fn add(&mut self, line: Line) -> Result<(), Unreadable> {
        self.lines += 1;
        let Line::Event {
            path,
            ended_us,
            took_us,
            end,
        } = line
        else {
            self.other += 1;
            return Ok(());
        };
        let began_us = ended_us.saturating_sub_unsigned(took_us);
        let events = self.paths.entry(path.clone()).or_default();
        match end {
            End::Call { succeeded } => {
                events.calls.push(began_us);
                events.succeeded += u64::from(succeeded);
            }
            End::Attempt { number, fault } => {
                let took_us = u32::try_from(took_us).unwrap_or(u32::MAX);
                events.attempts.push(Attempt {
                    began_us,
                    took_us,
                    fault,
                });
                events.first_attempts += u64::from(number == 1);
            }
        }
        if events.calls.len().max(events.attempts.len()) > MAX_EVENTS {
            return Err(Unreadable::TooMany { path });
        }
        Ok(())
    }
}

impl PathLog {
    pub(super) fn begin_us(&self) -> Option<i64> {
        let attempts = self.attempts.iter().map(|attempt| attempt.began_us);
        self.calls.iter().copied().chain(attempts).min()
    }

    pub(super) fn end_us(&self) -> Option<i64> {
        let ends = |attempt: &Attempt| attempt.began_us.saturating_add(i64::from(attempt.took_us));
        self.calls
            .iter()
            .copied()
            .chain(self.attempts.iter().map(ends))
            .max()
    }

    /// Whether it was kept at a level that leaves out what goes well: not one attempt succeeded.
    pub(super) fn successes_are_missing(&self) -> bool {
        self.attempts.iter().all(|attempt| attempt.fault.is_some())
    }
}

/// Reads on to the end of a line, and keeps nothing of it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let (length, over) = match end {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(length);
        if over {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_counted_and_the_rest_is_used() {
        let good =
            r#"{"timestamp":"1970-01-01T00:00:02Z","message":"call failed","path":"db","took_us":500000}"#;
        let long = "x".repeat(MAX_LINE + 9);
        let text = format!("{good}\n\nnonsense\n{long}\n{{}}\n{good}");
        let mut log = Log::default();
        log.read("a.jsonl", text.as_bytes()).expect("read");
        assert_eq!((log.lines, log.other, log.bad), (5, 1, 2));
        let places: Vec<u64> = log.bad_lines.iter().map(|bad| bad.line).collect();
        assert_eq!(places, [3, 4]);
        assert_eq!(log.paths["db"].calls, [1_500_000, 1_500_000]);
    }

    #[test]
    fn many_bad_lines_are_not_kept() {
        let mut log = Log::default();
        log.read("a.jsonl", "?\n".repeat(50).as_bytes()).expect("read");
        assert_eq!((log.bad, log.bad_lines.len()), (50, KEPT_BAD_LINES));
    }
}
