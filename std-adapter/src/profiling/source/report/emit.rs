//! A report that was read to its end, into events.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io::BufRead;

use jiff::Timestamp;
use serde_json::Value;

use super::{Record, Report, Step, Test};
use crate::profiling::event::{Event, EventType, Metadata, Status};
use crate::profiling::identity::{self, EventIds, Fingerprint};
use crate::profiling::source::failure::Failure;
use crate::profiling::source::tap::Tap;
use crate::profiling::source::{Item, Options, SourceError};

/// Reads a report to its end, then gives out what is in it.
#[derive(Debug)]
pub(in crate::profiling::source) struct Reader<R> {
    options: Options,
    state: State<R>,
    ready: VecDeque<Item>,
}

/// Reads a whole report of one kind.
pub(in crate::profiling::source) type Parse<R> = fn(Tap<R>) -> Result<Report, Failure>;

#[derive(Debug)]
enum State<R> {
    Unread(Box<Tap<R>>, Parse<R>),
    Read(Box<Emitter>),
    Ended,
}

impl<R: BufRead> Reader<R> {
    pub(in crate::profiling::source) fn new(tap: Tap<R>, parse: Parse<R>, options: Options) -> Self {
        Self {
            options,
            state: State::Unread(Box::new(tap), parse),
            ready: VecDeque::new(),
        }
    }

    pub(in crate::profiling::source) fn next(&mut self) -> Option<Result<Item, SourceError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Unread(tap, parse) => match parse(*tap) {
                    Ok(mut report) => {
                        report.check();
                        self.ready.extend(report.warnings.take().map(Item::Warning));
                        State::Read(Box::new(Emitter::new(report, &self.options)))
                    }
                    Err(failure) => return Some(Err(failure.of(&self.options.name))),
                },
                State::Read(mut emitter) => {
                    if !emitter.next_record(&mut self.ready) {
                        return None;
                    }
                    State::Read(emitter)
                }
                State::Ended => return None,
            };
        }
    }
}

/// Makes events, record by record.
#[derive(Debug)]
struct Emitter {
    records: std::vec::IntoIter<Record>,
    /// Number of the next record.
    position: u64,
    run_id: String,
    framework: String,
    ids: EventIds,
    /// What the id of the present event is made from, in a block of memory for all of them.
    content: String,
    run_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    /// How many tests of an id there were.
    seen: HashMap<String, u64>,
}

impl Emitter {
    fn new(report: Report, options: &Options) -> Self {
        let fingerprint = report.fingerprint.unwrap_or_else(|| Fingerprint::of(&[]));
        let named = options.run_id.clone();
        let run_id = named.unwrap_or_else(|| identity::run_id(fingerprint));
        Self {
            seen: HashMap::with_capacity(report.records.len()),
            records: report.records.into_iter(),
            position: 0,
            ids: EventIds::new(&run_id, fingerprint),
            content: String::new(),
            run_id,
            framework: options
                .framework
                .clone()
                .unwrap_or_else(|| report.framework.to_owned()),
            run_at: report.run_at,
            created_at: options.created_at,
        }
    }

    /// Appends the events of the next record. Whether there was one.
    fn next_record(&mut self, into: &mut VecDeque<Item>) -> bool {
        let Some(record) = self.records.next() else {
            return false;
        };
        match record {
            Record::Test(test) => self.test(*test, into),
            Record::Loose { test_id, step } => {
                let event = self.step(&test_id, step, 1, None);
                into.push_back(Item::Event(event));
            }
        }
        self.position += 1;
        true
    }

    fn test(&mut self, test: Test, into: &mut VecDeque<Item>) {
        let attempts = test.retries.len() + 1;
        for (number, retry) in (1..).zip(test.retries) {
            let mut event = self.event(&test.id, EventType::RetryEvent, number);
            event.duration_ms = retry.duration;
            event.created_at = retry.at.or(test.at).or(event.created_at);
            put(&mut event, "attempt", number);
            put(&mut event, "status", retry.status);
            if let Some(message) = retry.message {
                put(&mut event, "message", message);
            }
            into.push_back(Item::Event(event));
        }
        for (number, step) in (1..).zip(test.steps) {
            into.push_back(Item::Event(self.step(&test.id, step, number, test.at)));
        }
        let mut event = self.event(&test.id, EventType::TestEnd, 1);
        event.duration_ms = test.duration;
        event.created_at = test.at.or(event.created_at);
        let occurrence = self.seen.entry(test.id).or_default();
        *occurrence += 1;
        let mut entries = test.metadata;
        let mut put = |name: &'static str, value: Value| entries.push((name.into(), value));
        put("status", test.status.unwrap_or(Status::Unknown).as_str().into());
        put("attempts", attempts.into());
        if test.flaky {
            put("flaky", true.into());
        }
        if let Some(message) = test.message {
            put("message", message.into());
        }
        if *occurrence > 1 {
            put("occurrence", (*occurrence).into());
        }
        event.metadata = Metadata::of(entries);
        into.push_back(Item::Event(event));
    }

    fn step(&mut self, test_id: &str, step: Step, number: u64, test_at: Option<Timestamp>) -> Event {
        let mut event = self.event(test_id, step.kind, number);
        event.step_name = step.name;
        event.duration_ms = step.duration;
        event.created_at = step.at.or(test_at).or(event.created_at);
        event.metadata = Metadata::of(step.metadata);
        event
    }

    fn event(&mut self, test_id: &str, event_type: EventType, number: u64) -> Event {
        let number = match number {
            // Nearly always.
            1 => Cow::Borrowed("1"),
            more => Cow::Owned(more.to_string()),
        };
        self.content.clear();
        self.content
            .extend([event_type.as_str(), " ", &number, " ", test_id]);
        Event {
            event_id: self.ids.id(self.position, self.content.as_bytes()),
            run_id: self.run_id.clone(),
            test_id: test_id.to_owned(),
            event_type,
            framework: self.framework.clone(),
            step_name: None,
            start_time: None,
            end_time: None,
            duration_ms: None,
            created_at: self.run_at.or(self.created_at),
            metadata: Metadata::new(),
        }
    }
}

fn put(event: &mut Event, name: &'static str, value: impl Into<Value>) {
    event.metadata.insert(name, value.into());
}
