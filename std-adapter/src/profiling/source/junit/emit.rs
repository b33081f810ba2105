//! Tests into events.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use super::report::{Attempt, Case, More, Outcome, Report, Skip, Suite, Texts};
use crate::profiling::event::{Entry, Event, EventType, Metadata, Status};
use crate::profiling::identity::{self, EventIds, Fingerprint};
use crate::profiling::source::{Item, Options};

/// Gives out the tests of a report as events, one test at a time.
#[derive(Debug)]
pub(super) struct Emitter {
    tests: std::vec::IntoIter<Case>,
    suites: Vec<Suite>,
    texts: Texts,
    run_id: String,
    framework: String,
    /// What the file counts its first line as: pytest begins at 0.
    first_line: u64,
    ids: EventIds,
    /// What the id of the present event is made from, in a block of memory for all of them.
    content: String,
    created_at: Option<Timestamp>,
}

impl Emitter {
    pub(super) fn new(report: Report, options: &Options) -> Self {
        let fingerprint = report.fingerprint.unwrap_or_else(|| Fingerprint::of(&[]));
        let tool = if report.pytest { "pytest" } else { "junit" };
        let named = options.run_id.clone();
        let run_id = named.unwrap_or_else(|| identity::run_id(fingerprint));
        Self {
            tests: report.cases.into_iter(),
            suites: report.suites,
            texts: report.texts,
            ids: EventIds::new(&run_id, fingerprint),
            content: String::new(),
            run_id,
            framework: options.framework.clone().unwrap_or_else(|| tool.to_owned()),
            first_line: u64::from(!report.pytest),
            created_at: options.created_at,
        }
    }

    /// The first event of the next test; what follows it goes into `rest`, which is empty.
    pub(super) fn next_test(&mut self, rest: &mut VecDeque<Item>) -> Option<Item> {
        let mut test = self.tests.next()?;
        let More {
            message,
            error_type,
            earlier,
            before,
            mut after,
            teardown,
        } = test.more.take().map(|more| *more).unwrap_or_default();
        let status = status(&test, error_type.as_deref());
        let own = own_attempt(&test, message, error_type);
        let total = earlier.len() + before.len() + 1 + after.len();
        let (mut end, own) = match after.pop() {
            Some(end) => (end, Some(own)),
            None => (own, None),
        };
        // In the order of time: elements before, attempts inside the last element, its own, after.
        let mut numbers = 1..;
        let mut retry = |case: &Case, attempt, number| {
            rest.push_back(Item::Event(self.retry(case, attempt, number)));
        };
        for (mut case, number) in earlier.into_iter().zip(&mut numbers) {
            let More {
                message, error_type, ..
            } = case.more.take().map(|more| *more).unwrap_or_default();
            let attempt = own_attempt(&case, message, error_type);
            retry(&case, attempt, number);
        }
        for (attempt, number) in before.into_iter().chain(own).chain(after).zip(numbers) {
            retry(&test, attempt, number);
        }
        // Not every tool times its repeated attempts.
        end.time = end.time.or(test.time);
        let mut entries = Vec::with_capacity(USUAL_ENTRIES);
        let mut put = |name: &'static str, value: Value| entries.push((name.into(), value));
        // In the order of their names, in which metadata has them.
        put("attempts", total.into());
        let (class, name) = test.names(&self.texts);
        if !class.is_empty() {
            put("classname", class.into());
        }
        if let Some(file) = test.file {
            put("file", self.texts.get(file).into());
        }
        if status == Status::Passed && total > 1 {
            put("flaky", true.into());
        }
        if let Some(line) = test.line {
            put(
                "line",
                line.saturating_add(1).saturating_sub(self.first_line).into(),
            );
        }
        put("name", name.into());
        if test.occurrence > 1 {
            put("occurrence", test.occurrence.into());
        }
        if test.failures + test.errors > 1 {
            put("problems", (test.failures + test.errors).into());
        }
        put("status", status.as_str().into());
        if let Some(suite) = test.suite.and_then(|suite| self.suites.get(suite)) {
            put("suite", suite.name.as_str().into());
        }
        if let Some(teardown) = teardown {
            put("teardown", teardown.into());
        }
        let end = Item::Event(self.event(&test, end, EventType::TestEnd, "test_end", entries));
        // Nearly always it is the only one.
        let Some(first) = rest.pop_front() else {
            return Some(end);
        };
        rest.push_back(end);
        Some(first)
    }

    fn retry(&mut self, case: &Case, attempt: Attempt, number: u64) -> Event {
        let status = attempt.outcome.as_str();
        let entries = vec![
            ("attempt".into(), number.into()),
            ("status".into(), status.into()),
        ];
        let kind = format!("retry_event {number}");
        self.event(case, attempt, EventType::RetryEvent, &kind, entries)
    }

    fn event(
        &mut self,
        case: &Case,
        attempt: Attempt,
        event_type: EventType,
        kind: &str,
        mut entries: Vec<Entry>,
    ) -> Event {
        let test_id = self.texts.get(case.id);
        self.content.clear();
        self.content.extend([kind, " ", test_id]);
        entries.extend(attempt.message.map(|message| ("message".into(), message.into())));
        entries.extend(attempt.error_type.map(|kind| ("error_type".into(), kind.into())));
        let suite = case.suite.and_then(|suite| self.suites.get(suite));
        Event {
            event_id: self.ids.id(case.index, self.content.as_bytes()),
            run_id: self.run_id.clone(),
            test_id: test_id.to_owned(),
            event_type,
            framework: self.framework.clone(),
            step_name: None,
            start_time: None,
            end_time: None,
            duration_ms: attempt.time,
            created_at: attempt
                .timestamp
                .or(case.timestamp)
                .or_else(|| suite.and_then(|suite| suite.timestamp))
                .or(self.created_at),
            metadata: Metadata::of(entries),
        }
    }
}

/// As many as a test has that passed.
const USUAL_ENTRIES: usize = 6;

/// The attempt that a `<testcase>` itself stands for, with the texts of the element. One that was
/// repeated and shows no failure did not pass: the file does not say how it went.
fn own_attempt(case: &Case, message: Option<String>, error_type: Option<String>) -> Attempt {
    let outcome = match (case.failures, case.errors) {
        (1.., _) => Outcome::Failed,
        (0, 1..) => Outcome::Error,
        (0, 0) => Outcome::Untold,
    };
    Attempt {
        outcome,
        time: case.time,
        timestamp: case.timestamp,
        message,
        error_type,
    }
}

/// What the children of a `<testcase>` say together.
fn status(case: &Case, error_type: Option<&str>) -> Status {
    if case.failures > 0 {
        // cargo-nextest says so; nobody else does.
        return match error_type {
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
