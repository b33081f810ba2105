//! The JSON of jest (`--json`) and of vitest's reporter `json`, which has the same form.
//!
//! | in the file | read as |
//! |---|---|
//! | `passed`, `failed` | that status |
//! | `pending`, `skipped`, `disabled`, `todo` | skipped |
//! | `invocations` 3 | jest: two attempts before the last, with the messages of `retryReasons` |
//! | `passed` with `failureMessages`, no `invocations` | vitest: at least one attempt before the last |
//! | a file with a message and no test | a warning: it could not be run |

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Message, Root, Text, Whole, Word, each, list, skip};
use super::report::{Report, Test, file_name};
use crate::profiling::event::Status;

/// The root object.
#[derive(Default)]
pub(super) struct Jest {
    seen_results: bool,
    jest: bool,
    start: Option<f64>,
    success: Option<bool>,
    total: Option<u64>,
    failed: Option<u64>,
}

impl Root for Jest {
    const FRAMEWORK: &'static str = "vitest";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "numTotalTests" => self.total = map.next_value()?,
            "numFailedTests" => self.failed = map.next_value()?,
            "startTime" => self.start = map.next_value()?,
            "success" => self.success = map.next_value()?,
            "numRuntimeErrorTestSuites" => {
                self.jest = true;
                skip(map)?;
            }
            "testResults" => {
                self.seen_results = true;
                map.next_value_seed(each(|file| one_file(file, report)))?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<(), &'static str> {
        if !self.seen_results {
            return Err("testResults");
        }
        if self.jest {
            report.framework = "jest";
        }
        report.run_at = report.epoch_millis(self.start);
        let (tests, red) = (report.count(&Status::ALL), report.count(&[Status::Failed]));
        report.compare("numTotalTests", self.total, tests);
        report.compare("numFailedTests", self.failed, red);
        if tests == 0 {
            report.warn("the report has no test in it");
        }
        if self.success == Some(false) && red == 0 {
            report.warn("the run was no success, though no test failed");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File<'t> {
    name: Option<Text>,
    message: Option<Message>,
    #[serde(borrow)]
    status: Option<Word<'t>>,
    start_time: Option<f64>,
    #[serde(default, deserialize_with = "list")]
    assertion_results: Vec<Found<'t>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found<'t> {
    #[serde(borrow, default, deserialize_with = "list")]
    ancestor_titles: Vec<Word<'t>>,
    title: Option<Text>,
    full_name: Option<Word<'t>>,
    status: Option<Word<'t>>,
    duration: Option<f64>,
    start_at: Option<f64>,
    invocations: Option<u64>,
    #[serde(default, deserialize_with = "list")]
    retry_reasons: Vec<Message>,
    #[serde(default, deserialize_with = "list")]
    failure_messages: Vec<Message>,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    line: Whole,
}

fn one_file(file: File<'_>, report: &mut Report) {
    let path = file.name.map(|name| name.0).unwrap_or_default();
    let failed = file.status.is_some_and(|status| status.0 == "failed");
    if file.assertion_results.is_empty() && failed {
        let why = file.message.and_then(|message| message.0);
        report.warn(format!(
            "`{path}` has no test: {}",
            why.as_deref().unwrap_or("it failed")
        ));
    }
    for found in file.assertion_results {
        one(found, &path, file.start_time, report);
    }
}

fn one(found: Found<'_>, path: &str, start: Option<f64>, report: &mut Report) {
    // Older releases of vitest begin with the file, which has no title.
    let ancestors = found.ancestor_titles.into_iter().map(|title| title.0);
    let mut titles: Vec<_> = ancestors.filter(|title| !title.is_empty()).collect();
    let suite = titles.join(" > ");
    let full_name = || found.full_name.map(|name| name.0.into_owned());
    let title = found.title.map(|title| title.0).or_else(full_name);
    titles.extend(title.as_deref().map(Cow::Borrowed));
    let mut test = Test {
        id: titles.join(" > "),
        ..Test::default()
    };
    let status = match found.status.as_ref().map_or("", |status| &*status.0) {
        "passed" => Status::Passed,
        "failed" => Status::Failed,
        "pending" | "skipped" | "todo" | "disabled" => Status::Skipped,
        _ => Status::Unknown,
    };
    test.status = Some(status);
    test.duration = report.millis(found.duration, &test.id);
    test.at = report.epoch_millis(found.start_at.or(start));
    let texts = |list: Vec<Message>| list.into_iter().filter_map(|message| message.0);
    let mut messages = texts(found.failure_messages).peekable();
    let mut reasons = texts(found.retry_reasons);
    let mut untold = None;
    let again = match found.invocations {
        Some(attempts) => attempts.saturating_sub(1),
        // vitest keeps the messages of the attempts before, and does not count them.
        None if status == Status::Passed && messages.peek().is_some() => {
            untold = messages.next();
            1
        }
        None => 0,
    };
    for mut retry in report.again(again, &test.id) {
        retry.message = untold.take().or_else(|| reasons.next());
        test.retries.push(retry);
    }
    test.flaky = status == Status::Passed && again > 0;
    test.message = (status != Status::Passed).then(|| messages.next()).flatten();
    test.note("name", title);
    test.note("suite", (!suite.is_empty()).then_some(suite));
    test.note("file", (!path.is_empty()).then_some(path));
    test.note("line", found.location.and_then(|location| location.line.0));
    test.inside(file_name(path), "::");
    report.push(test);
}
