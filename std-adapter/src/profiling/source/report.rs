//! What a report says, kept until its end, and the events made of it then.
//!
//! ```text
//!  parse ──► Report: records in the order of the file ──► Emitter ──► events, one record at a time
//!              │ Test: retries, steps, how it ended                    run and ids from the bytes
//!              │ Loose: a step outside of any test                     of the whole file
//! ```
//!
//! Nothing can be given out earlier: ids are made from the bytes of the whole file, and the last
//! line may change what the first test came to (Robot's suite teardown).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::tap::Position;
use super::time;
use super::warnings::Warnings;
use crate::profiling::event::{Entry, EventType, MAX_QUOTED, Millis, Status};
use crate::profiling::identity::Fingerprint;

mod emit;

pub(super) use emit::{Parse, Reader};

/// A report, as far as it was read.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) records: Vec<Record>,
    pub(super) warnings: Warnings,
    /// What ran the tests.
    pub(super) framework: &'static str,
    /// When the run began: the time of what has no time of its own.
    pub(super) run_at: Option<Timestamp>,
    /// Made of the whole file.
    pub(super) fingerprint: Option<Fingerprint>,
    /// Where the report begins, which is also the place of warnings about all of it.
    pub(super) at: Position,
    /// A time without a zone was already mentioned.
    told_zone: bool,
}

/// A thing in a report.
#[derive(Debug)]
pub(super) enum Record {
    Test(Box<Test>),
    /// Something that no test did.
    Loose {
        test_id: String,
        step: Step,
    },
}

/// A test.
#[derive(Debug, Default)]
pub(super) struct Test {
    pub(super) id: String,
    pub(super) status: Option<Status>,
    /// It passed, and an attempt before did not.
    pub(super) flaky: bool,
    pub(super) duration: Option<Millis>,
    pub(super) at: Option<Timestamp>,
    pub(super) message: Option<String>,
    pub(super) metadata: Vec<Entry>,
    /// Attempts before the last one.
    pub(super) retries: Vec<Retry>,
    pub(super) steps: Vec<Step>,
}

/// An attempt that another one followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Retry {
    /// How it went; `rerun` where only the repetition is told.
    pub(super) status: &'static str,
    pub(super) duration: Option<Millis>,
    pub(super) at: Option<Timestamp>,
    pub(super) message: Option<String>,
}

/// A part of a test, or something outside of tests.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: EventType,
    pub(super) name: Option<String>,
    pub(super) duration: Option<Millis>,
    pub(super) at: Option<Timestamp>,
    pub(super) metadata: Vec<Entry>,
}

impl Test {
    /// Adds what is there.
    pub(super) fn note(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        self.metadata
            .extend(value.map(|value| (name.into(), value.into())));
    }

    /// Puts what the test is in before its id.
    pub(super) fn inside(&mut self, outer: &str, separator: &str) {
        if !outer.is_empty() {
            self.id.insert_str(0, separator);
            self.id.insert_str(0, outer);
        }
    }
}

impl Step {
    pub(super) const fn new(kind: EventType, name: Option<String>) -> Self {
        Self {
            kind,
            name,
            duration: None,
            at: None,
            metadata: Vec::new(),
        }
    }

    /// Adds something that is known of it.
    pub(super) fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.metadata.push((name.into(), value.into()));
    }
}

impl Report {
    pub(super) fn new(framework: &'static str, at: Position) -> Self {
        Self {
            records: Vec::new(),
            warnings: Warnings::default(),
            framework,
            run_at: None,
            fingerprint: None,
            at,
            told_zone: false,
        }
    }

    pub(super) fn push(&mut self, test: Test) {
        self.records.push(Record::Test(Box::new(test)));
    }

    pub(super) fn loose(&mut self, test_id: String, step: Step) {
        self.records.push(Record::Loose { test_id, step });
    }

    /// A warning about the report as a whole.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(self.at, text);
    }

    pub(super) fn tests(&self) -> impl Iterator<Item = &Test> {
        self.records.iter().filter_map(|record| match record {
            Record::Test(test) => Some(&**test),
            Record::Loose { .. } => None,
        })
    }

    /// The tests from the record of number `start` on.
    pub(super) fn tests_since(&mut self, start: usize) -> impl Iterator<Item = &mut Test> {
        self.records
            .iter_mut()
            .skip(start)
            .filter_map(|record| match record {
                Record::Test(test) => Some(&mut **test),
                Record::Loose { .. } => None,
            })
    }

    /// How many tests ended in one of these ways.
    pub(super) fn count(&self, ways: &[Status]) -> u64 {
        let there = self
            .tests()
            .filter(|test| test.status.is_some_and(|status| ways.contains(&status)));
        u64::try_from(there.count()).unwrap_or(u64::MAX)
    }

    /// A span in milliseconds; `None`, with a warning, for what is no span. -1 is what reporters
    /// write for what was not measured.
    #[expect(clippy::float_cmp, reason = "-1 is written as such")]
    pub(super) fn millis(&mut self, found: Option<f64>, of: &str) -> Option<Millis> {
        let found = found.filter(|found| *found != -1.0)?;
        let read = Millis::new(found).ok();
        if read.is_none() {
            self.warn(format!(
                "`{}`: the duration is {found}, expected milliseconds from 0 to 1e12; taken as not measured",
                short(of)
            ));
        }
        read
    }

    /// A point in time by its text: RFC 3339, or without a zone and then taken as UTC.
    pub(super) fn time(&mut self, found: &str) -> Option<Timestamp> {
        let Some((at, assumed)) = time::read(found) else {
            self.warn(format!(
                "found the time `{}`, expected one such as 2026-11-21T16:53:04Z; left out",
                short(found)
            ));
            return None;
        };
        if assumed {
            self.tell_zone();
        }
        Some(at)
    }

    /// A point in time without a zone, taken as UTC.
    pub(super) fn local_time(&mut self, found: DateTime) -> Option<Timestamp> {
        self.tell_zone();
        TimeZone::UTC.to_timestamp(found).ok()
    }

    fn tell_zone(&mut self) {
        if !std::mem::replace(&mut self.told_zone, true) {
            self.warn("times have no zone; they are taken as UTC");
        }
    }

    /// A point in time by its milliseconds since 1970.
    pub(super) fn epoch_millis(&mut self, found: Option<f64>) -> Option<Timestamp> {
        let found = found?;
        let read = jiff::SignedDuration::try_from_secs_f64(found / 1e3)
            .ok()
            // A binary fraction of so many milliseconds is no better than the microsecond.
            .and_then(|span| i64::try_from((span.as_nanos() + 500) / 1_000).ok())
            .and_then(|micros| Timestamp::from_microsecond(micros).ok());
        if read.is_none() {
            self.warn(format!(
                "found the time {found}, expected milliseconds since 1970; left out"
            ));
        }
        read
    }

    /// `times` attempts of which the report tells no more than that they failed.
    pub(super) fn again(&mut self, times: u64, of: &str) -> impl Iterator<Item = Retry> + use<> {
        if times > MAX_RETRIES {
            self.warn(format!(
                "`{}`: {times} attempts before the last; {MAX_RETRIES} of them are told",
                short(of)
            ));
        }
        (0..times.min(MAX_RETRIES)).map(|_| Retry {
            status: "failed",
            ..Retry::default()
        })
    }

    /// What is odd about any report once it is whole.
    fn check(&mut self) {
        let unknown = self.count(&[Status::Unknown]);
        if unknown > 0 {
            self.warn(format!("tests that ended in a way that is not known: {unknown}"));
        }
        let mut nameless = 0_u64;
        for record in &mut self.records {
            let id = match record {
                Record::Test(test) => &mut test.id,
                Record::Loose { test_id, .. } => test_id,
            };
            if id.is_empty() {
                UNNAMED.clone_into(id);
                nameless += 1;
            }
        }
        if nameless > 0 {
            self.warn(format!("without a name: {nameless}; called `{UNNAMED}`"));
        }
    }

    /// Says so where a total of the tool is not what was found.
    pub(super) fn compare(&mut self, what: &str, told: Option<u64>, found: u64) {
        if let Some(told) = told.filter(|told| *told != found) {
            self.warn(format!(
                "`{what}` says {told}, the report has {found}; what was found counts"
            ));
        }
    }
}

/// The last part of a path of any system: what names a file on every machine.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The id of what has none: an event has one of at least one character.
const UNNAMED: &str = "unnamed";
/// More attempts than this are no number of attempts.
const MAX_RETRIES: u64 = 1_000;

fn short(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}
