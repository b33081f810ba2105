//! From a production log to a scenario: the day that was, to be replayed under other policies.
//!
//! ```text
//!   app.log.jsonl ─▶ line ─▶ log, by path ─▶ outages ─▶ scenario.yml
//!                      │        │                       + arrivals and service times, a text each
//!                      └ bad lines, by their place      └ crossbridge replay scenario.yml --config other.yml
//! ```
//!
//! The log is what [`crossbridge_std::logging`] writes with `format: json`; what a guard does comes
//! from `LogObserver`. Its lines carry no number of a call, and none is needed: the end of a call
//! says when it began, the end of an attempt says when that began, how long it took and what it met.
//!
//! # Rules
//! - Calls arrive when they arrived: each is a line of a trace file. They do not wait for each other,
//!   so that a policy which answers faster or slower still meets the same demand.
//! - A path is one dependency. How long it takes is drawn from the attempts that succeeded, or from the
//!   lognormal distribution with their median and 99th percentile. It serves twice as many at once as
//!   it was ever seen to answer at once: beyond that nobody knows.
//! - Failures that come together are a fault, see [`outage`]; those far between are one fault
//!   over the whole run, with their share as its probability.
//! - Times are those of `timestamp`: `at_us` has another origin in every process.
//! - A call that began and did not end in the log is not in the scenario.
//!
//! Successes are logged at level TRACE. A log without them shows only the calls that met trouble, and
//! is recorded with a [warning](Recording::warnings).
//!
//! | default | value | why |
//! |---|---|---|
//! | clients of a path | 1 | a process has one guard for a path |
//! | [longest line](log::MAX_LINE) | 1 MiB | one of ours has some hundred bytes |
//! | [events](log::MAX_EVENTS) of a path | 10 000 000 | the longest trace file a scenario may have |
//!
//! ```
//! use crossbridge_harness::record::log::Log;
//!
//! let text = r#"{"timestamp":"2026-02-04T10:00:01.000000Z","message":"call succeeded","path":"db","attempts":1,"took_us":400000}"#;
//! let mut log = Log::default();
//! log.read("app.jsonl", text.as_bytes())?;
//! assert_eq!(log.paths["db"].calls, [1_770_199_200_600_000]);
//! # Ok::<(), crossbridge_harness::record::log::Unreadable>(())
//! ```

pub mod line;
pub mod log;
pub mod outage;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbridge_std::config::Config;
use serde::Serialize;

use self::log::{Log, PathLog};
use self::outage::Outage;
use crate::scenario::limits;

/// How a recording is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Among how many clients, each with a guard of its own, the calls of a path are dealt out.
    pub clients: u32,
    /// What becomes of the service times.
    pub service: Service,
}

/// What becomes of the service times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// They are written to a file and drawn from it.
    Replayed,
    /// Their median and 99th percentile make a lognormal distribution.
    Fitted,
}

/// What was found in a log, ready to be written as a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Recording {
    /// When the scenario begins, in microseconds since 1970.
    #[serde(skip)]
    pub start_us: i64,
    /// How long it runs.
    pub duration_seconds: u64,
    /// Each path that calls went through.
    pub paths: BTreeMap<String, PathRecording>,
    /// What a reader should know before relying on it.
    pub warnings: Vec<String>,
}

/// One path.
#[derive(Clone, Debug, Serialize)]
pub struct PathRecording {
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that succeeded.
    pub succeeded: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// Those of them that were the first of their call.
    pub first_attempts: u64,
    /// What went wrong.
    pub outages: Vec<Outage>,
    /// When calls began, in microseconds of the run, in order.
    #[serde(skip)]
    pub arrivals: Vec<u64>,
    /// How long attempts took that succeeded, in microseconds, in order.
    #[serde(skip)]
    pub service_us: Vec<u32>,
    /// The most of those at once.
    pub most_at_once: u32,
}

/// What a log has to have for a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NothingUsable(pub String);

impl Recording {
    /// What `log` tells of the paths that `config` knows.
    ///
    /// # Errors
    /// No call of such a path ended in the log, or it is of more days than a scenario may have.
    pub fn new(log: &Log, config: &Config) -> Result<Self, NothingUsable> {
        let mut warnings = Vec::new();
        let mut known = BTreeMap::new();
        for (name, path) in &log.paths {
            match config.path(name) {
                Ok(policies) if !path.calls.is_empty() => {
                    known.insert(name, (path, policies));
                }
                Ok(_) => warnings.push(format!("path `{name}`: no call ended, left out")),
                Err(unknown) => {
                    warnings.push(format!("{unknown}; its {} calls are left out", path.calls.len()));
                }
            }
        }
        let begins = known.values().filter_map(|(path, _)| path.begin_us());
        let ends = known.values().filter_map(|(path, _)| path.end_us());
        let (Some(begin), Some(end)) = (begins.min(), ends.max()) else {
            let why = warnings.first().cloned();
            return Err(NothingUsable(
                why.unwrap_or_else(|| "no line is about the end of a call".to_owned()),
            ));
        };
        let start_us = begin.div_euclid(SECOND).saturating_mul(SECOND);
        let length = u64::try_from(end.saturating_sub(start_us)).unwrap_or(0);
        if Duration::from_micros(length) >= limits::DURATION {
            let days = length / 86_400_000_000;
            return Err(NothingUsable(format!(
                "the log is of {days} days, and a scenario is of 30 at most: record a part of it"
            )));
        }
        let paths = known.into_iter().map(|(name, (path, policies))| {
            if path.successes_are_missing() {
                warnings.push(format!(
                    "path `{name}`: no success in the log, which holds them at level TRACE only \
                     (`crossbridge.logging.levels: {{ {}: TRACE }}`): the calls that went well are missing",
                    policies.log_category
                ));
            }
            let times = Times {
                start_us,
                timeout: policies.guard.attempt_timeout.or(policies.guard.deadline),
                retryable_codes: &policies.retryable_codes,
            };
            (name.clone(), PathRecording::new(path, &times))
        });
        let paths = paths.collect();
        Ok(Self {
            start_us,
            // The second after the last event belongs to it.
            duration_seconds: length / 1_000_000 + 1,
            paths,
            warnings,
        })
    }

    /// Writes the scenario to `target` and its trace files beside it. `config` is what the scenario
    /// refers to. Returns all files, the scenario last.
    ///
    /// # Errors
    /// The first file that cannot be written, and why.
    pub fn write(
        &self,
        target: &Path,
        config: Option<&Path>,
        options: &Options,
    ) -> Result<Vec<PathBuf>, (PathBuf, std::io::Error)> {
        write::write(self, target, config, options)
    }
}

/// What a path's events are read by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times<'p> {
    start_us: i64,
    /// What an attempt without an answer takes.
    timeout: Option<Duration>,
    retryable_codes: &'p [u16],
}

impl PathRecording {
    fn new(path: &PathLog, times: &Times<'_>) -> Self {
        let since = |at: i64| u64::try_from(at.saturating_sub(times.start_us)).unwrap_or(0);
        let mut arrivals: Vec<u64> = path.calls.iter().map(|&at| since(at)).collect();
        arrivals.sort_unstable();
        let mut attempts = path.attempts.clone();
        attempts.sort_unstable_by_key(|attempt| attempt.began_us);
        let good = attempts.iter().filter(|attempt| attempt.fault.is_none());
        let mut service_us: Vec<u32> = good.clone().map(|attempt| attempt.took_us).collect();
        let most_at_once = most_at_once(good.map(|attempt| (attempt.began_us, attempt.took_us)));
        service_us.sort_unstable();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            calls: count(path.calls.len()),
            succeeded: path.succeeded,
            attempts: count(attempts.len()),
            first_attempts: path.first_attempts,
            outages: outage::find(&attempts, times),
            arrivals,
            service_us,
            most_at_once,
        }
    }
}

/// The most spans that overlap; they come in the order of their begins.
fn most_at_once(spans: impl Iterator<Item = (i64, u32)> + Clone) -> u32 {
    let mut ends: Vec<i64> = spans
        .clone()
        .map(|(began, took)| began.saturating_add(i64::from(took)))
        .collect();
    ends.sort_unstable();
    let (mut over, mut under_way, mut most) = (ends.iter().peekable(), 0_u32, 0);
    for (began, _) in spans {
        while over.next_if(|&&end| end <= began).is_some() {
            under_way = under_way.saturating_sub(1);
        }
        under_way = under_way.saturating_add(1);
        most = most.max(under_way);
    }
    most
}

const SECOND: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_at_once() {
        let most = |spans: &[(i64, u32)]| most_at_once(spans.iter().copied());
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[(0, 10), (10, 10)]), 1); // one ends as the next begins
        assert_eq!(most(&[(0, 10), (1, 2), (2, 1), (9, 9)]), 3);
    }
}
