//! Tests into events.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::group::Test;
use super::report::{Attempt, Case, Outcome, Report, Skip, Suite};
use crate::profiling::event::{Event, EventType, Status};
use crate::profiling::identity::{self, EventIds, Fingerprint};
use crate::profiling::source::{Item, Options};

/// Gives out the tests of a report as events, one test at a time.
#[derive(Debug)]
pub(super) struct Emitter {
    tests: std::vec::IntoIter<Test>,
    suites: Vec<Suite>,
    run_id: String,
    framework: String,
    /// What the file counts its first line as: pytest begins at 0.
    first_line: u64,
    ids: EventIds,
    created_at: Option<Timestamp>,
}

impl Emitter {
    pub(super) fn new(report: Report, tests: Vec<Test>, options: &Options) -> Self {
        let fingerprint = report.fingerprint.unwrap_or_else(|| Fingerprint::of(&[]));
        let tool = if report.pytest { "pytest" } else { "junit" };
        let named = options.run_id.clone();
        let run_id = named.unwrap_or_else(|| identity::run_id(fingerprint));
        Self {
            tests: tests.into_iter(),
            suites: report.suites,
            ids: EventIds::new(&run_id, fingerprint),
            run_id,
            framework: options.framework.clone().unwrap_or_else(|| tool.to_owned()),
            first_line: u64::from(!report.pytest),
            created_at: options.created_at,
        }
    }

    /// Appends the events of the next test. Whether there was one.
    pub(super) fn next_test(&mut self, into: &mut VecDeque<Item>) -> bool {
        let Some(test) = self.tests.next() else {
            return false;
        };
        let status = status(&test.last);
        let Test {
            earlier,
            mut last,
            teardown,
            occurrence,
        } = test;
        let own = own_attempt(&mut last);
        let own_time = own.time;
        let (before, mut after) = (std::mem::take(&mut last.before), std::mem::take(&mut last.after));
        let total = earlier.len() + before.len() + 1 + after.len();
        let (mut end, own) = match after.pop() {
            Some(end) => (end, Some(own)),
            None => (own, None),
        };
        // In the order of time: elements before, attempts inside the last element, its own, after.
        let mut numbers = 1..;
        let mut retry = |case: &Case, attempt, number| {
            into.push_back(Item::Event(self.retry(case, attempt, number)));
        };
        for (mut case, number) in earlier.into_iter().zip(&mut numbers) {
            let attempt = own_attempt(&mut case);
            retry(&case, attempt, number);
        }
        for (attempt, number) in before.into_iter().chain(own).chain(after).zip(numbers) {
            retry(&last, attempt, number);
        }
        // Not every tool times its repeated attempts.
        end.time = end.time.or(own_time);
        let mut event = self.event(&last, end, EventType::TestEnd, "test_end");
        let mut put = |name: &str, value: Value| event.metadata.insert(name.to_owned(), value);
        put("status", status.as_str().into());
        put("attempts", total.into());
        if status == Status::Passed && total > 1 {
            put("flaky", true.into());
        }
        put("name", last.name.into());
        if !last.classname.is_empty() {
            put("classname", last.classname.into());
        }
        if let Some(suite) = last.suite.and_then(|suite| self.suites.get(suite)) {
            put("suite", suite.name.as_str().into());
        }
        if let Some(file) = last.file {
            put("file", file.into());
        }
        if let Some(line) = last.line {
            put(
                "line",
                line.saturating_add(1).saturating_sub(self.first_line).into(),
            );
        }
        if last.failures + last.errors > 1 {
            put("problems", (last.failures + last.errors).into());
        }
        if let Some(teardown) = teardown {
            put("teardown", teardown.into());
        }
        if occurrence > 1 {
            put("occurrence", occurrence.into());
        }
        into.push_back(Item::Event(event));
        true
    }

    fn retry(&self, case: &Case, attempt: Attempt, number: u64) -> Event {
        let status = attempt.outcome.as_str();
        let mut event = self.event(
            case,
            attempt,
            EventType::RetryEvent,
            &format!("retry_event {number}"),
        );
        event.metadata.insert("attempt".to_owned(), number.into());
        event.metadata.insert("status".to_owned(), status.into());
        event
    }

    fn event(&self, case: &Case, attempt: Attempt, event_type: EventType, content: &str) -> Event {
        let separator = if case.classname.is_empty() { "" } else { "::" };
        let test_id = [&case.classname, separator, &case.name].concat();
        let mut metadata = Map::new();
        if let Some(message) = attempt.message {
            metadata.insert("message".to_owned(), message.into());
        }
        if let Some(error_type) = attempt.error_type {
            metadata.insert("error_type".to_owned(), error_type.into());
        }
        let suite = case.suite.and_then(|suite| self.suites.get(suite));
        Event {
            event_id: self
                .ids
                .id(case.index, &[content, " ", &test_id].map(str::as_bytes)),
            run_id: self.run_id.clone(),
            test_id,
            event_type,
            framework: self.framework.clone(),
            step_name: None,
            start_time: None,
            end_time: None,
            duration_ms: attempt.time,
            created_at: attempt
                .timestamp
                .or(case.attempt.timestamp)
                .or_else(|| suite.and_then(|suite| suite.timestamp))
                .or(self.created_at),
            metadata,
        }
    }
}

/// The attempt that a `<testcase>` itself stands for, with the texts of the element. One that was
/// repeated and shows no failure did not pass: the file does not say how it went.
fn own_attempt(case: &mut Case) -> Attempt {
    let outcome = match (case.failures, case.errors) {
        (1.., _) => Outcome::Failed,
        (0, 1..) => Outcome::Error,
        (0, 0) => Outcome::Untold,
    };
    Attempt {
        outcome,
        time: case.attempt.time,
        timestamp: case.attempt.timestamp,
        message: case.attempt.message.take(),
        error_type: case.attempt.error_type.take(),
    }
}

/// What the children of a `<testcase>` say together.
fn status(case: &Case) -> Status {
    if case.failures > 0 {
        // cargo-nextest says so; nobody else does.
        return match case.attempt.error_type.as_deref() {
            Some("test timeout") => Status::Timeout,
            Some(_) | None => Status::Failed,
        };
    }
    if case.errors > 0 {
        return Status::Error;
    }
    match case.skip {
        Some(Skip::Skipped) => Status::Skipped,
        Some(Skip::Xfailed) => Status::Xfailed,
        None => Status::Passed,
    }
}
