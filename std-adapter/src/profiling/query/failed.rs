//! What failed, test by test and run by run.

use std::time::Duration;

use jiff::Timestamp;

use super::{Answer, Groups, Scope, failed};
use crate::profiling::store::StoreError;
use crate::profiling::store::reader::{self, EventReader};

/// A test that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingTest {
    /// Which test.
    pub test_id: String,
    /// In how many runs it passed or failed.
    pub runs: u64,
    /// In how many of them it failed.
    pub failed: u64,
    /// How it ended then, the last time: `failed`, `error` or `timeout`.
    pub last_status: &'static str,
    /// The last run in which it failed.
    pub last_run: String,
    /// When that was, where it is known.
    pub last_at: Option<Timestamp>,
    /// What was said about it then: the first line.
    pub message: Option<String>,
}

/// The tests that failed, those with the most failures first, then the latest.
///
/// # Errors
///
/// [`StoreError`] of the reader.
pub fn failures(reader: &mut dyn EventReader, scope: &Scope) -> Result<Answer<FailingTest>, StoreError> {
    let mut groups = Groups::new(|_, group: Option<FailingTest>| group.filter(|test| test.failed > 0));
    reader.tests(&scope.filter, reader::Groups::Tests, &mut |end| {
        let Some(has_failed) = failed(end.status) else {
            return;
        };
        let group = groups.group(end.test_id.clone());
        let test = group.get_or_insert_with(|| FailingTest {
            test_id: end.test_id,
            runs: 0,
            failed: 0,
            last_status: "",
            last_run: String::new(),
            last_at: None,
            message: None,
        });
        test.runs += 1;
        if has_failed {
            test.failed += 1;
            test.last_status = end.status.as_str();
            test.last_run = end.run_id;
            test.last_at = end.created_at;
            test.message = end.message.as_deref().and_then(first_line);
        }
    })?;
    Ok(Answer::of(groups.end(), scope.limit, |one, other| {
        let latest = other.last_at.cmp(&one.last_at);
        let most = other.failed.cmp(&one.failed);
        most.then(latest).then_with(|| one.test_id.cmp(&other.test_id))
    }))
}

/// A run and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Which run.
    pub run_id: String,
    /// When the first of its tests ended, where that is known.
    pub first_at: Option<Timestamp>,
    /// What ran it; the first in the alphabet if there were several.
    pub framework: String,
    /// How many tests ended in it.
    pub tests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many were not run.
    pub skipped: u64,
    /// How many needed more than one attempt.
    pub retried: u64,
    /// The durations of its tests together, each to the nanosecond: the order of the rows does not show.
    pub total_ms: f64,
}

/// The runs, the latest first.
///
/// # Errors
///
/// [`StoreError`] of the reader.
pub fn runs(reader: &mut dyn EventReader, scope: &Scope) -> Result<Answer<Run>, StoreError> {
    let mut groups = Groups::new(|_, (total, run): (Duration, Option<Run>)| {
        run.map(|run| Run {
            total_ms: total.div_duration_f64(Duration::from_millis(1)),
            ..run
        })
    });
    reader.tests(&scope.filter, reader::Groups::Runs, &mut |end| {
        let (total, run) = groups.group(end.run_id.clone());
        let run = run.get_or_insert_with(|| Run {
            run_id: end.run_id,
            first_at: None,
            framework: end.framework.clone(),
            tests: 0,
            failed: 0,
            skipped: 0,
            retried: 0,
            total_ms: 0.0,
        });
        if end.framework < run.framework {
            run.framework = end.framework;
        }
        // They come in the order of time, the unknown ones before.
        run.first_at = run.first_at.or(end.created_at);
        run.tests += 1;
        run.failed += u64::from(failed(end.status) == Some(true));
        run.skipped += u64::from(end.status == crate::profiling::Status::Skipped);
        run.retried += u64::from(end.retried);
        let took = end
            .duration_ms
            .and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
        *total = total.saturating_add(took.unwrap_or_default());
    })?;
    Ok(Answer::of(groups.end(), scope.limit, |one, other| {
        other
            .first_at
            .cmp(&one.first_at)
            .then_with(|| one.run_id.cmp(&other.run_id))
    }))
}

fn first_line(message: &str) -> Option<String> {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}
