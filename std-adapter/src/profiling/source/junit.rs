//! JUnit XML: one `test_end` per test, one `retry_event` per attempt before its last.
//!
//! Written for pytest's files (families xunit1 and xunit2, under xdist and rerunfailures, with
//! subtests, after a crash of a worker or an interruption), and reads those of Ant, JUnit 5, nextest
//! and others by the same rules.
//!
//! # Attempts
//!
//! | in the file | read as |
//! |---|---|
//! | pytest: several `<testcase>` of one suite, class and name | attempts of one test, the last one wins |
//! | pytest: `<failure>` in one, `<error>` in the next | one attempt that failed, and its teardown too |
//! | other tools: the same | different tests (rows of a table, say), with a warning |
//! | `<flakyFailure>`, `<flakyError>` | attempts before the one that passed |
//! | `<rerunFailure>`, `<rerunError>` | attempts after the first failed one |
//!
//! pytest-rerunfailures leaves the earlier attempts without any failure, as if they had passed. They
//! become retry events of status `rerun`: that they were repeated is all the file tells. A test
//! that passed after such attempts has `flaky: true`.
//!
//! A test without any element of an outcome ended as its attribute `status` or `result` says:
//! `failed`, `error`, `skipped`, `disabled`, `notrun` and the like; else it passed. A time with a
//! comma, as older Surefire writes, is not measured and named with its place.
//!
//! # What the file cannot tell
//!
//! pytest writes an unexpected pass (xpassed) as a plain pass, a test that passed and failed in
//! teardown as an error only, and counts subtests in the attribute `tests` without an element of
//! their own. Where attributes and elements differ, a warning says so.
//!
//! # Safety
//!
//! No entity but the five of XML is expanded and nothing is ever opened: a document type with a
//! declaration in it is refused, a bare one is skipped over. Nesting ends at 128. Raw control
//! characters, which are not XML but are written by real reporters, are read as `\x1b`.

use std::collections::VecDeque;
use std::io::BufRead;

use super::tap::Tap;
use super::{Item, Options, SourceError};

mod attributes;
mod emit;
mod group;
mod parse;
mod report;

/// The reader of JUnit XML.
#[derive(Debug)]
pub(super) struct Junit<R> {
    options: Options,
    state: State<R>,
    /// Items made and not given out yet.
    ready: VecDeque<Item>,
}

#[derive(Debug)]
enum State<R> {
    Unread(Box<Tap<R>>),
    Read(Box<emit::Emitter>),
    Failed,
}

impl<R: BufRead> Junit<R> {
    pub(super) fn new(tap: Tap<R>, options: Options) -> Self {
        Self {
            options,
            state: State::Unread(Box::new(tap)),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn next(&mut self) -> Option<Result<Item, SourceError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            self.state = match std::mem::replace(&mut self.state, State::Failed) {
                State::Unread(tap) => match parse::parse(*tap) {
                    Ok(mut report) => {
                        self.ready.extend(report.warnings.take().map(Item::Warning));
                        State::Read(Box::new(emit::Emitter::new(report, &self.options)))
                    }
                    Err(failure) => {
                        return Some(Err(failure.of(&self.options.name)));
                    }
                },
                State::Read(mut emitter) => {
                    let next = emitter.next_test(&mut self.ready)?;
                    self.state = State::Read(emitter);
                    return Some(Ok(next));
                }
                State::Failed => return None,
            };
        }
    }
}
