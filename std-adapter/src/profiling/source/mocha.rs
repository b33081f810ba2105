//! The JSON of mocha's own reporter: every test once, and again in a list by its outcome.
//!
//! | in the file | read as |
//! |---|---|
//! | in `tests` with an error, or in `failures` too | failed; of code `ERR_MOCHA_TIMEOUT`, timeout |
//! | in `tests` and `pending` | skipped |
//! | in `tests` otherwise | passed |
//! | in `failures` only | a hook that failed: `setup_end` or `teardown_end`, with a warning |
//! | `currentRetry` 2 | two attempts before the last one |
//!
//! mocha counts a test that called `done()` twice as passed and as failed; here it failed. The
//! tests that a failed hook kept from running are not in the file.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Code, Message, Root, Text, each, skip};
use super::report::{Report, Step, Test, file_name};
use crate::profiling::event::{EventType, Status};

/// The root object.
#[derive(Default)]
pub(super) struct Mocha {
    seen_tests: bool,
    stats: Option<Stats>,
    /// How many tests of an id were not run.
    pending: HashMap<String, usize>,
    failures: Vec<Found>,
}

impl Root for Mocha {
    const FRAMEWORK: &'static str = "mocha";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "stats" => self.stats = map.next_value()?,
            "tests" => {
                self.seen_tests = true;
                map.next_value_seed(each(|found| one(found, report)))?;
            }
            "pending" => map.next_value_seed(each(|found: Found| {
                *self.pending.entry(found.id()).or_default() += 1;
            }))?,
            "failures" => map.next_value_seed(each(|found| self.failures.push(found)))?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn finish(mut self, report: &mut Report) -> Result<(), &'static str> {
        if !self.seen_tests {
            return Err("tests");
        }
        // Of two tests of one name the one that was skipped is the one that took no time.
        for timed in [false, true] {
            for test in report.tests_since(0) {
                if test.status == Some(Status::Passed)
                    && test.duration.is_some() == timed
                    && let Some(left @ 1..) = self.pending.get_mut(&test.id)
                {
                    *left -= 1;
                    test.status = Some(Status::Skipped);
                }
            }
        }
        // By id, whether it is still looked for which of them failed.
        let mut known: HashMap<String, bool> = HashMap::new();
        for test in report.tests() {
            known.insert(test.id.clone(), false);
        }
        for found in self.failures {
            let id = found.id();
            match known.get_mut(&id) {
                None => {
                    let err = found.err.unwrap_or_default();
                    hook(id, found.full_title.0, err.message.0, report);
                }
                Some(wanted) => *wanted = true,
            }
        }
        for test in report.tests_since(0) {
            if matches!(test.status, Some(Status::Failed | Status::Timeout)) {
                known.insert(test.id.clone(), false);
            }
        }
        for test in report.tests_since(0) {
            // What was thrown says nothing of itself.
            if test.status == Some(Status::Passed) && known.insert(test.id.clone(), false) == Some(true) {
                (test.status, test.flaky) = (Some(Status::Failed), false);
            }
        }
        sum_up(self.stats, report);
        Ok(())
    }
}

/// The totals of mocha and of mochawesome.
#[derive(Deserialize)]
pub(super) struct Stats {
    start: Option<Text>,
    tests: Option<u64>,
    /// mochawesome: with those that a hook kept from running.
    #[serde(rename = "testsRegistered")]
    registered: Option<u64>,
}

/// Compares the totals with what was found.
pub(super) fn sum_up(stats: Option<Stats>, report: &mut Report) {
    let tests = report.count(&Status::ALL);
    if let Some(stats) = stats {
        report.run_at = stats.start.and_then(|start| report.time(&start.0));
        report.compare("stats.tests", stats.registered.or(stats.tests), tests);
    }
    if tests == 0 {
        report.warn("the report has no test in it");
    }
}

/// A hook that failed: tests were not run because of it, or ran and left something behind.
pub(super) fn hook(id: String, title: String, message: Option<String>, report: &mut Report) {
    report.warn(format!(
        "`{title}` failed, and with it what it stands before or after: {}",
        message.as_deref().unwrap_or("no message")
    ));
    let kind = if title.contains("\"after ") {
        EventType::TeardownEnd
    } else {
        EventType::SetupEnd
    };
    let mut step = Step::new(kind, Some(title));
    step.put("status", Status::Failed.as_str());
    if let Some(message) = message {
        step.put("message", message);
    }
    report.loose(id, step);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    title: Text,
    full_title: Text,
    file: Option<Text>,
    duration: Option<f64>,
    current_retry: Option<u64>,
    err: Option<Failed>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failed {
    message: Message,
    stack: Message,
    code: Code,
}

impl Found {
    fn id(&self) -> String {
        let file = self.file.as_ref().map_or("", |file| file_name(&file.0));
        match file {
            "" => self.full_title.0.clone(),
            file => format!("{file}::{}", self.full_title.0),
        }
    }
}

fn one(found: Found, report: &mut Report) {
    let mut test = Test {
        id: found.id(),
        ..Test::default()
    };
    let err = found.err.unwrap_or_default();
    let message = err.message.0.or(err.stack.0);
    let status = match (&message, err.code.0.as_deref()) {
        (_, Some("ERR_MOCHA_TIMEOUT")) => Status::Timeout,
        (None, None) => Status::Passed,
        _ => Status::Failed,
    };
    test.status = Some(status);
    test.message = message;
    test.duration = report.millis(found.duration, &test.id);
    test.retries = report.again(found.current_retry.unwrap_or(0), &test.id).collect();
    test.flaky = status == Status::Passed && !test.retries.is_empty();
    test.note("name", Some(found.title.0));
    test.note("file", found.file.map(|file| file.0));
    report.push(test);
}
