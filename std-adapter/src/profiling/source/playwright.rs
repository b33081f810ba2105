//! The JSON of Playwright: every attempt of every test in every project, with its steps.
//!
//! | in the file | read as |
//! |---|---|
//! | `expected`, and it was to fail | xfailed |
//! | `expected` | passed |
//! | `flaky` | passed, flaky |
//! | `unexpected`, the last attempt `timedOut`, `interrupted`, other | timeout, error, failed |
//! | `skipped` | skipped |
//! | `results` | attempts; those before the last are retry events |
//! | `steps` | step events, `outer > inner`, of every attempt |
//! | `errors` of the report | warnings: a file that cannot be loaded leaves all totals at 0 |
//!
//! A test that passed although it was to fail is `unexpected` to Playwright, and failed here. One
//! that was repeated only because another of its serial group failed is not flaky.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Members, Message, Objects, Root, Text, Whole, Word, each, list, skip};
use super::report::{Report, Retry, Step, Test};
use crate::profiling::event::{EventType, Status};

/// The root object.
#[derive(Default)]
pub(super) struct Playwright {
    seen_suites: bool,
    stats: Option<Stats>,
}

impl Root for Playwright {
    const FRAMEWORK: &'static str = "playwright";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "suites" => {
                self.seen_suites = true;
                map.next_value_seed(Objects(&mut Suites { report, depth: 0 }))?;
            }
            "errors" => map.next_value_seed(each(|error: Failed| {
                let place = error.location.map(|at| match at.line.0 {
                    Some(line) => format!("{}:{line}: ", at.file.0),
                    None => format!("{}: ", at.file.0),
                });
                let message = error.message.and_then(|message| message.0);
                report.warn(format!(
                    "error outside of tests: {}{}",
                    place.unwrap_or_default(),
                    message.as_deref().unwrap_or("no message")
                ));
            }))?,
            "stats" => self.stats = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<(), &'static str> {
        if !self.seen_suites {
            return Err("suites");
        }
        if let Some(stats) = self.stats {
            report.run_at = stats.start_time.and_then(|time| report.time(&time.0));
            let flaky = u64::try_from(report.tests().filter(|test| test.flaky).count()).ok();
            let passed = report.count(&[Status::Passed, Status::Xfailed]);
            let red = report.count(&[Status::Failed, Status::Timeout, Status::Error]);
            let skipped = report.count(&[Status::Skipped]);
            report.compare(
                "stats.expected",
                stats.expected,
                passed.saturating_sub(flaky.unwrap_or(0)),
            );
            report.compare("stats.flaky", stats.flaky, flaky.unwrap_or(0));
            report.compare("stats.unexpected", stats.unexpected, red);
            report.compare("stats.skipped", stats.skipped, skipped);
        }
        if report.records.is_empty() {
            report.warn("the report has no test in it");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    start_time: Option<Text>,
    expected: Option<u64>,
    skipped: Option<u64>,
    unexpected: Option<u64>,
    flaky: Option<u64>,
}

/// Suites of a depth: files (0) or groups in them.
struct Suites<'r> {
    report: &'r mut Report,
    depth: u32,
}

impl Members for Suites<'_> {
    const EXPECTED: &'static str = "a suite";

    fn object<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let first = self.report.records.len();
        let mut title = Text::default();
        while let Some(Word(key)) = map.next_key::<Word<'_>>()? {
            match &*key {
                "title" => title = map.next_value()?,
                "specs" => map.next_value_seed(each(|spec| one_spec(spec, self.report)))?,
                "suites" => map.next_value_seed(Objects(&mut Suites {
                    report: self.report,
                    depth: self.depth + 1,
                }))?,
                _ => skip(&mut map)?,
            }
        }
        // Members may come in any order: the title may be the last.
        for test in self.report.tests_since(first) {
            test.inside(&title.0, if self.depth == 0 { "::" } else { " > " });
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Spec<'t> {
    title: Text,
    file: Option<Text>,
    #[serde(default)]
    line: Whole,
    #[serde(default, deserialize_with = "list")]
    tags: Vec<Text>,
    #[serde(borrow, default, deserialize_with = "list")]
    tests: Vec<Found<'t>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found<'t> {
    #[serde(borrow)]
    expected_status: Option<Word<'t>>,
    status: Option<Word<'t>>,
    project_name: Option<Text>,
    #[serde(default, deserialize_with = "list")]
    results: Vec<Attempt<'t>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attempt<'t> {
    #[serde(borrow)]
    status: Option<Word<'t>>,
    duration: Option<f64>,
    start_time: Option<Word<'t>>,
    error: Option<Failed>,
    #[serde(default, deserialize_with = "list")]
    steps: Vec<RawStep>,
}

#[derive(Deserialize)]
struct Failed {
    message: Option<Message>,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    file: Text,
    line: Whole,
}

#[derive(Deserialize)]
struct RawStep {
    title: Text,
    duration: Option<f64>,
    error: Option<Failed>,
    #[serde(default, deserialize_with = "list")]
    steps: Vec<Self>,
}

fn one_spec(spec: Spec<'_>, report: &mut Report) {
    let tags: Vec<_> = spec.tags.into_iter().map(|tag| tag.0).collect();
    for found in spec.tests {
        let project = found
            .project_name
            .map(|name| name.0)
            .filter(|name| !name.is_empty());
        let mut test = Test {
            id: match &project {
                Some(project) => format!("{} [{project}]", spec.title.0),
                None => spec.title.0.clone(),
            },
            ..Test::default()
        };
        let expected = found.expected_status.map(|status| status.0);
        let last = attempts(&mut test, found.results, report);
        let status = found.status.as_ref().map_or("", |status| &*status.0);
        test.status = Some(match status {
            "skipped" => Status::Skipped,
            "expected" if expected.as_deref() == Some("failed") => Status::Xfailed,
            "expected" | "flaky" => Status::Passed,
            "unexpected" => match &*last {
                "timedOut" => Status::Timeout,
                "interrupted" => Status::Error,
                _ => Status::Failed,
            },
            _ => Status::Unknown,
        });
        test.flaky = status == "flaky";
        if status == "unexpected" && last == "passed" {
            test.message = Some("it was expected to fail, and passed".to_owned());
        }
        test.note("name", Some(spec.title.0.as_str()));
        test.note("project", project);
        test.note("file", spec.file.as_ref().map(|file| file.0.as_str()));
        test.note("line", spec.line.0);
        test.note("tags", (!tags.is_empty()).then(|| tags.clone()));
        report.push(test);
    }
}

/// Reads the attempts into `test`; how the last one went.
fn attempts<'t>(test: &mut Test, results: Vec<Attempt<'t>>, report: &mut Report) -> Cow<'t, str> {
    let count = results.len();
    let mut last = Cow::default();
    for (number, attempt) in (1..).zip(results) {
        let at = attempt.start_time.and_then(|time| report.time(&time.0));
        let duration = report.millis(attempt.duration, &test.id);
        let message = attempt
            .error
            .and_then(|error| error.message)
            .and_then(|message| message.0);
        for step in attempt.steps {
            steps(test, step, None, number, report);
        }
        for step in &mut test.steps {
            step.at = step.at.or(at);
        }
        let status = attempt.status.map(|status| status.0).unwrap_or_default();
        if number < count {
            test.retries.push(Retry {
                status: match &*status {
                    "passed" => "passed",
                    "timedOut" => "timeout",
                    "skipped" => "skipped",
                    "interrupted" => "error",
                    _ => "failed",
                },
                duration,
                at,
                message,
            });
        } else {
            (test.duration, test.at, test.message) = (duration, at, message);
            last = status;
        }
    }
    last
}

fn steps(test: &mut Test, raw: RawStep, outer: Option<&str>, attempt: usize, report: &mut Report) {
    let name = match outer {
        Some(outer) => format!("{outer} > {}", raw.title.0),
        None => raw.title.0,
    };
    let duration = report.millis(raw.duration, &name);
    let outer = (!raw.steps.is_empty()).then(|| name.clone());
    let mut step = Step::new(EventType::StepEnd, Some(name));
    step.duration = duration;
    step.put("attempt", attempt);
    let status = if raw.error.is_some() { "failed" } else { "passed" };
    step.put("status", status);
    if let Some(message) = raw
        .error
        .and_then(|error| error.message)
        .and_then(|message| message.0)
    {
        step.put("message", message);
    }
    test.steps.push(step);
    for inner in raw.steps {
        steps(test, inner, outer.as_deref(), attempt, report);
    }
}
