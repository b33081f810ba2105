//! The JSON of mochawesome, of one spec file or merged, as Cypress projects keep it.
//!
//! | in the file | read as |
//! |---|---|
//! | `state` `passed`, `failed`, `pending` | passed, failed, skipped |
//! | `failed` and `timedOut` | timeout |
//! | no `state`, `skipped` | skipped: a hook before it failed |
//! | a hook with `state` `failed` | `setup_end` or `teardown_end`, with a warning |
//!
//! Attempts are not in the file: a test that passed at the third is one that passed.

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Members, Message, Objects, Root, Text, Word, each, skip};
use super::mocha::{Stats, hook, sum_up};
use super::report::{Report, Test, file_name};
use crate::profiling::event::Status;

/// The root object.
#[derive(Default)]
pub(super) struct Mochawesome {
    seen_results: bool,
    stats: Option<Stats>,
}

impl Root for Mochawesome {
    const FRAMEWORK: &'static str = "mocha";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "stats" => self.stats = map.next_value()?,
            "results" => {
                self.seen_results = true;
                map.next_value_seed(Objects(&mut Suites(report)))?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) -> Result<(), &'static str> {
        if !self.seen_results {
            return Err("results");
        }
        sum_up(self.stats, report);
        Ok(())
    }
}

struct Suites<'r>(&'r mut Report);

impl Members for Suites<'_> {
    const EXPECTED: &'static str = "a suite";

    fn object<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let report = &mut *self.0;
        let first = report.records.len();
        let (mut file, mut hooks) = (Text::default(), Vec::<Found>::new());
        while let Some(Word(key)) = map.next_key::<Word<'_>>()? {
            match &*key {
                "file" => file = map.next_value()?,
                "tests" => map.next_value_seed(each(|found| one(found, report)))?,
                "beforeHooks" | "afterHooks" => map.next_value_seed(each(|found: Found| {
                    if found.is("failed") {
                        hooks.push(found);
                    }
                }))?,
                "suites" => map.next_value_seed(Objects(&mut Suites(&mut *report)))?,
                _ => skip(&mut map)?,
            }
        }
        let name = file_name(&file.0);
        for found in hooks {
            let id = [name, &found.full_title.0].join(if name.is_empty() { "" } else { "::" });
            hook(
                id,
                found.full_title.0,
                found.err.and_then(|err| err.message.0),
                report,
            );
        }
        for test in report.tests_since(first) {
            // A suite inside has said it already.
            if !test.metadata.iter().any(|(name, _)| *name == "file") && !name.is_empty() {
                test.inside(name, "::");
                test.note("file", Some(file.0.as_str()));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    title: Text,
    full_title: Text,
    state: Option<Text>,
    duration: Option<f64>,
    #[serde(default)]
    timed_out: Option<bool>,
    pending: Option<bool>,
    skipped: Option<bool>,
    err: Option<Failed>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failed {
    message: Message,
}

impl Found {
    fn is(&self, state: &str) -> bool {
        self.state.as_ref().is_some_and(|found| found.0 == state)
    }
}

fn one(found: Found, report: &mut Report) {
    let status = match found.state.as_ref().map(|state| state.0.as_str()) {
        Some("passed") => Status::Passed,
        Some("failed") if found.timed_out == Some(true) => Status::Timeout,
        Some("failed") => Status::Failed,
        Some("pending" | "skipped") => Status::Skipped,
        None if found.skipped == Some(true) || found.pending == Some(true) => Status::Skipped,
        Some(_) | None => Status::Unknown,
    };
    let ran = status != Status::Skipped;
    let duration = report.millis(found.duration.filter(|_| ran), &found.full_title.0);
    let mut test = Test {
        id: found.full_title.0,
        status: Some(status),
        duration,
        message: found.err.and_then(|err| err.message.0),
        ..Test::default()
    };
    test.note("name", Some(found.title.0));
    report.push(test);
}
