//! The JSON of pytest-json-report: setup, call and teardown of every test with their durations.
//!
//! | in the file | read as |
//! |---|---|
//! | `passed`, `failed`, `error`, `skipped`, `xfailed`, `xpassed` | that status |
//! | `rerun` | how its last attempt went, after at least one that did not pass |
//! | `subtests passed` and other words | how its stages went |
//!
//! pytest-rerunfailures leaves one entry per test, the last attempt. That there were others shows
//! only where that one passed, as `rerun`; how many there were is not told.

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Message, Root, Text, Whole, Word, each, skip};
use super::report::{Report, Retry, Step, Test};
use crate::profiling::event::{EventType, Millis, Status};

/// The root object.
#[derive(Default)]
pub(super) struct PytestJson {
    seen_tests: bool,
    created: Option<f64>,
    duration: Option<f64>,
    exitcode: Option<i64>,
    total: Option<u64>,
}

impl Root for PytestJson {
    const FRAMEWORK: &'static str = "pytest";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "created" => self.created = map.next_value()?,
            "duration" => self.duration = map.next_value()?,
            "exitcode" => self.exitcode = map.next_value()?,
            "summary" => {
                self.total = map
                    .next_value::<Option<Totals>>()?
                    .and_then(|totals| totals.total);
            }
            "collectors" => map.next_value_seed(each(|found: Collector<'_>| collected(&found, report)))?,
            "tests" => {
                self.seen_tests = true;
                map.next_value_seed(each(|found| one(found, report)))?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<(), &'static str> {
        // Without a single test collected pytest-json-report leaves `tests` out.
        if !self.seen_tests && self.exitcode.is_none() {
            return Err("tests");
        }
        // `created` is the time of writing.
        let began = self.created.map(|end| (end - self.duration.unwrap_or(0.0)) * 1e3);
        report.run_at = report.epoch_millis(began);
        let tests = report.count(&Status::ALL);
        report.compare("summary.total", self.total, tests);
        if tests == 0 {
            report.warn("the report has no test in it");
        }
        let red = report.count(&[Status::Failed, Status::Error]);
        if let Some(code) = self.exitcode.filter(|code| *code > 0 && *code != 5 && red == 0) {
            report.warn(format!("pytest ended with code {code}, though no test failed"));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Totals {
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Collector<'t> {
    nodeid: Text,
    #[serde(borrow)]
    outcome: Word<'t>,
    longrepr: Option<Message>,
}

/// A module that cannot be imported has no test to tell of it.
fn collected(found: &Collector<'_>, report: &mut Report) {
    if found.outcome.0 == "failed" {
        let why = found.longrepr.as_ref().and_then(|message| message.0.as_deref());
        report.warn(format!(
            "`{}` could not be collected: {}",
            found.nodeid.0,
            why.unwrap_or("no message")
        ));
    }
}

#[derive(Deserialize)]
struct Found<'t> {
    nodeid: Text,
    #[serde(default)]
    lineno: Whole,
    #[serde(borrow)]
    outcome: Word<'t>,
    setup: Option<Stage<'t>>,
    call: Option<Stage<'t>>,
    teardown: Option<Stage<'t>>,
}

#[derive(Deserialize)]
struct Stage<'t> {
    duration: Option<f64>,
    #[serde(borrow)]
    outcome: Option<Word<'t>>,
    crash: Option<Crash>,
    longrepr: Option<Message>,
}

#[derive(Deserialize)]
struct Crash {
    message: Option<Message>,
}

impl Stage<'_> {
    fn failed(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.0 == "failed")
    }

    fn skipped(&self) -> bool {
        self.outcome
            .as_ref()
            .is_some_and(|outcome| outcome.0 == "skipped")
    }

    fn message(&self) -> Option<String> {
        let crash = self.crash.as_ref().and_then(|crash| crash.message.as_ref());
        crash.or(self.longrepr.as_ref())?.0.clone()
    }
}

fn one(found: Found<'_>, report: &mut Report) {
    let stages = [&found.setup, &found.call, &found.teardown];
    let [setup, call, teardown] = stages.map(|stage| stage_time(stage.as_ref(), &found.nodeid.0, report));
    let mut test = Test::default();
    let again = found.outcome.0 == "rerun";
    test.status = Some(match Status::from_name(&found.outcome.0) {
        Status::Unknown => from_stages(&found),
        known @ (Status::Passed
        | Status::Failed
        | Status::Error
        | Status::Skipped
        | Status::Xfailed
        | Status::Xpassed
        | Status::Timeout) => known,
    });
    if again {
        test.flaky = test.status == Some(Status::Passed);
        test.retries.push(Retry {
            status: "rerun",
            ..Retry::default()
        });
    }
    let seconds: f64 = [setup, call, teardown]
        .into_iter()
        .flatten()
        .map(|stage| stage.get() / 1e3)
        .sum();
    let ran = setup.or(call).or(teardown).is_some();
    test.duration = ran.then(|| Millis::from_seconds(seconds).ok()).flatten();
    for (kind, stage, duration) in [
        (EventType::SetupEnd, &found.setup, setup),
        (EventType::TeardownEnd, &found.teardown, teardown),
    ] {
        let Some(stage) = stage else { continue };
        let mut step = Step::new(kind, None);
        step.duration = duration;
        if let Some(outcome) = &stage.outcome {
            step.put("status", &*outcome.0);
        }
        test.steps.push(step);
    }
    // What failed tells more than what was skipped after it.
    let told = stages.into_iter().flatten();
    test.message = told
        .clone()
        .find(|stage| stage.failed())
        .or_else(|| told.clone().find(|stage| stage.skipped()))
        .and_then(Stage::message);
    test.note("call_ms", call.map(Millis::get));
    test.note("line", found.lineno.0.map(|line| line.saturating_add(1)));
    let file = found.nodeid.0.split_once("::").map(|(file, _)| file);
    test.note("file", file);
    test.id = found.nodeid.0;
    report.push(test);
}

fn stage_time(stage: Option<&Stage<'_>>, of: &str, report: &mut Report) -> Option<Millis> {
    let seconds = stage?.duration?;
    match Millis::from_seconds(seconds) {
        Ok(millis) => Some(millis),
        Err(_) => report.millis(Some(seconds * 1e3), of),
    }
}

fn from_stages(found: &Found<'_>) -> Status {
    let failed = |stage: &Option<Stage<'_>>| stage.as_ref().is_some_and(Stage::failed);
    if failed(&found.setup) || failed(&found.teardown) {
        Status::Error
    } else if failed(&found.call) {
        Status::Failed
    } else if [&found.setup, &found.call]
        .into_iter()
        .flatten()
        .any(Stage::skipped)
    {
        Status::Skipped
    } else if found.call.is_some() {
        Status::Passed
    } else {
        Status::Unknown
    }
}
