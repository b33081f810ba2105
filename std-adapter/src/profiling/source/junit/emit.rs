//! Tests into events.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::group::Test;
use super::report::{Attempt, Case, Outcome, Report, Skip, Suite};
use crate::profiling::event::{Event, EventType, Status};
use crate::profiling::identity::{self, Fingerprint};
use crate::profiling::source::{Item, Options};

/// Gives out the tests of a report as events, one test at a time.
#[derive(Debug)]
pub(super) struct Emitter {
    tests: std::vec::IntoIter<Test>,
    suites: Vec<Suite>,
    run_id: String,
    framework: String,
    fingerprint: Fingerprint,
    created_at: Option<Timestamp>,
}

impl Emitter {
    pub(super) fn new(report: Report, tests: Vec<Test>, options: &Options) -> Self {
        let fingerprint = report.fingerprint.unwrap_or_else(|| Fingerprint::of(&[]));
        let tool = if report.pytest { "pytest" } else { "junit" };
        Self {
            tests: tests.into_iter(),
            suites: report.suites,
            run_id: options
                .run_id
                .clone()
                .unwrap_or_else(|| identity::run_id(fingerprint)),
            framework: options.framework.clone().unwrap_or_else(|| tool.to_owned()),
            fingerprint,
            created_at: options.created_at,
        }
    }

    /// Appends the events of the next test. Whether there was one.
    pub(super) fn next_test(&mut self, into: &mut VecDeque<Item>) -> bool {
        let Some(test) = self.tests.next() else {
            return false;
        };
        let status = status(&test.last);
        let own = own_attempt(&test.last);
        // In the order of time: elements before, attempts inside the last element, its own, after.
        let mut attempts: Vec<(&Case, Attempt)> = Vec::new();
        for case in &test.earlier {
            attempts.push((case, own_attempt(case)));
        }
        for attempt in &test.last.before {
            attempts.push((&test.last, attempt.clone()));
        }
        let own_time = own.time;
        attempts.push((&test.last, own));
        for attempt in &test.last.after {
            attempts.push((&test.last, attempt.clone()));
        }
        let total = attempts.len();
        let Some((_, mut last)) = attempts.pop() else {
            return true;
        };
        for (number, (case, attempt)) in attempts.iter().enumerate() {
            into.push_back(Item::Event(self.retry(case, attempt, number + 1)));
        }
        // Not every tool times its repeated attempts.
        last.time = last.time.or(own_time);
        into.push_back(Item::Event(self.end(&test, status, &last, total)));
        true
    }

    fn retry(&self, case: &Case, attempt: &Attempt, number: usize) -> Event {
        let mut event = self.event(
            case,
            attempt,
            EventType::RetryEvent,
            &format!("retry_event {number}"),
        );
        event.metadata.insert("attempt".to_owned(), number.into());
        event
            .metadata
            .insert("status".to_owned(), attempt.outcome.as_str().into());
        event
    }

    fn end(&self, test: &Test, status: Status, last: &Attempt, total: usize) -> Event {
        let case = &test.last;
        let mut event = self.event(case, last, EventType::TestEnd, "test_end");
        let mut put = |name: &str, value: Value| event.metadata.insert(name.to_owned(), value);
        put("status", status.as_str().into());
        put("attempts", total.into());
        if status == Status::Passed && total > 1 {
            put("flaky", true.into());
        }
        put("name", case.name.as_str().into());
        if !case.classname.is_empty() {
            put("classname", case.classname.as_str().into());
        }
        if let Some(suite) = case.suite.and_then(|suite| self.suites.get(suite)) {
            put("suite", suite.name.as_str().into());
        }
        if let Some(file) = &case.file {
            put("file", file.as_str().into());
        }
        if let Some(line) = case.line {
            put("line", line.into());
        }
        if case.failures + case.errors > 1 {
            put("problems", (case.failures + case.errors).into());
        }
        if let Some(teardown) = &test.teardown {
            put("teardown", teardown.as_str().into());
        }
        if test.occurrence > 1 {
            put("occurrence", test.occurrence.into());
        }
        event
    }

    fn event(&self, case: &Case, attempt: &Attempt, event_type: EventType, content: &str) -> Event {
        let mut test_id = case.classname.clone();
        if !test_id.is_empty() {
            test_id.push_str("::");
        }
        test_id.push_str(&case.name);
        let mut metadata = Map::new();
        if let Some(message) = &attempt.message {
            metadata.insert("message".to_owned(), message.as_str().into());
        }
        if let Some(error_type) = &attempt.error_type {
            metadata.insert("error_type".to_owned(), error_type.as_str().into());
        }
        let suite = case.suite.and_then(|suite| self.suites.get(suite));
        let content = format!("{content} {test_id}");
        Event {
            event_id: identity::event_id(&self.run_id, self.fingerprint, case.index, content.as_bytes()),
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

/// The attempt that a `<testcase>` itself stands for. One that was repeated and shows no failure
/// did not pass: the file does not say how it went.
fn own_attempt(case: &Case) -> Attempt {
    let outcome = match (case.failures, case.errors) {
        (1.., _) => Outcome::Failed,
        (0, 1..) => Outcome::Error,
        (0, 0) => Outcome::Untold,
    };
    Attempt {
        outcome,
        ..case.attempt.clone()
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
