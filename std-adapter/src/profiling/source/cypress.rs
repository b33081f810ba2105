//! What `cypress.run()` resolves to, written as JSON: every test of every spec with its attempts.
//!
//! | in the file | read as |
//! |---|---|
//! | `passed`, `failed` | that status |
//! | `pending`, `skipped` | skipped |
//! | `attempts` | attempts; those before the last are retry events |
//!
//! Read after the documentation of Cypress 13 to 15; older releases have more in an attempt, of
//! which the message, the duration and the start are read (`duration` and `startedAt` until 12,
//! `wallClockDuration` and `wallClockStartedAt` until 6).

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Message, Root, Text, each, list, skip};
use super::report::{Report, Retry, Test};
use crate::profiling::event::Status;

/// The root object.
#[derive(Default)]
pub(super) struct Cypress {
    seen_runs: bool,
    started: Option<Text>,
    browser: Option<Text>,
    total: Option<u64>,
    failed: Option<u64>,
}

impl Root for Cypress {
    const FRAMEWORK: &'static str = "cypress";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "startedTestsAt" => self.started = map.next_value()?,
            "browserName" => self.browser = map.next_value()?,
            "totalTests" => self.total = map.next_value()?,
            "totalFailed" => self.failed = map.next_value()?,
            "runs" => {
                self.seen_runs = true;
                map.next_value_seed(each(|run| one_spec(run, report)))?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<(), &'static str> {
        if !self.seen_runs {
            return Err("runs");
        }
        report.run_at = self.started.and_then(|time| report.time(&time.0));
        let (tests, red) = (report.count(&Status::ALL), report.count(&[Status::Failed]));
        report.compare("totalTests", self.total, tests);
        report.compare("totalFailed", self.failed, red);
        if tests == 0 {
            report.warn("the report has no test in it");
        }
        if let Some(browser) = self.browser {
            for test in report.tests_since(0) {
                test.note("browser", Some(browser.0.as_str()));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Run {
    spec: Option<Spec>,
    stats: Option<Stats>,
    /// Why the spec as a whole could not be run.
    error: Option<Message>,
    tests: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Spec {
    relative: Option<Text>,
    name: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    started_at: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(default, deserialize_with = "list")]
    title: Vec<Text>,
    state: Option<Text>,
    duration: Option<f64>,
    display_error: Option<Message>,
    #[serde(default, deserialize_with = "list")]
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    state: Option<Text>,
    error: Option<Failed>,
    duration: Option<f64>,
    started_at: Option<Text>,
    wall_clock_duration: Option<f64>,
    wall_clock_started_at: Option<Text>,
}

impl Attempt {
    fn time(&self) -> Option<f64> {
        self.duration.or(self.wall_clock_duration)
    }

    fn at(&self, report: &mut Report) -> Option<Timestamp> {
        let started = self.started_at.as_ref().or(self.wall_clock_started_at.as_ref())?;
        report.time(&started.0)
    }
}

#[derive(Deserialize)]
struct Failed {
    message: Option<Message>,
}

fn one_spec(run: Run, report: &mut Report) {
    let spec = run.spec.and_then(|spec| spec.relative.or(spec.name));
    let file = spec.map(|spec| spec.0).unwrap_or_default();
    let started = run.stats.and_then(|stats| stats.started_at);
    let at = started.and_then(|time| report.time(&time.0));
    if let Some(error) = run.error.and_then(|error| error.0) {
        report.warn(format!("`{file}` could not be run: {error}"));
    }
    for found in run.tests.unwrap_or_default() {
        let mut titles: Vec<_> = found.title.into_iter().map(|title| title.0).collect();
        let id = titles.join(" > ");
        let name = titles.pop();
        let mut test = Test {
            id,
            ..Test::default()
        };
        test.status = Some(status(found.state.as_ref()));
        let mut attempts = found.attempts.into_iter();
        let last = attempts.next_back();
        let last_time = last.as_ref().and_then(Attempt::time);
        test.at = last.and_then(|attempt| attempt.at(report)).or(at);
        test.duration = report.millis(found.duration.or(last_time), &test.id);
        for attempt in attempts {
            let at = attempt.at(report);
            let duration = report.millis(attempt.time(), &test.id);
            let error = attempt.error.and_then(|error| error.message);
            let retry = Retry {
                status: status(attempt.state.as_ref()).as_str(),
                duration,
                at,
                message: error.and_then(|message| message.0),
            };
            test.retries.push(retry);
        }
        test.flaky =
            test.status == Some(Status::Passed) && test.retries.iter().any(|retry| retry.status == "failed");
        test.message = found.display_error.and_then(|message| message.0);
        test.note("name", name);
        test.note("suite", (!titles.is_empty()).then(|| titles.join(" > ")));
        test.note("file", (!file.is_empty()).then_some(file.as_str()));
        test.inside(&file, "::");
        report.push(test);
    }
}

fn status(state: Option<&Text>) -> Status {
    match state.map(|state| state.0.as_str()) {
        Some("passed") => Status::Passed,
        Some("failed") => Status::Failed,
        Some("pending" | "skipped") => Status::Skipped,
        Some(_) | None => Status::Unknown,
    }
}
