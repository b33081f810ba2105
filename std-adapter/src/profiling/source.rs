//! Readers: a stream of bytes in, events, rejected lines and warnings out.
//!
//! [`open`] looks at the first bytes and picks a reader; what is no event file is refused by name
//! (gzip, zip, an HTML page, UTF-32, nothing at all). Text may be in UTF-8 or UTF-16, and XML in any
//! encoding of the [WHATWG Encoding Standard](https://encoding.spec.whatwg.org) that its declaration
//! names; it is decoded as it is read. Lines and columns in messages are those of the text in UTF-8,
//! ids of reports are made from the bytes of the file. The [`Source`] is then an iterator:
//!
//! | item | meaning | the stream |
//! |---|---|---|
//! | `Ok(Item::Event)` | an event, with an id | goes on |
//! | `Ok(Item::Rejected)` | a line that is no event, and why | goes on |
//! | `Ok(Item::Warning)` | data was read, but something about it is odd | goes on |
//! | `Err` | the file cannot be read any further | ends |
//!
//! Nothing is dropped in silence: every line and every test is one of these, and the [`Summary`]
//! counts them.
//!
//! What is read, and how it is told apart, is in the table of [`SourceKind`].
//!
//! A report is all or nothing: one that breaks off, or that is not well formed, gives no events at
//! all, only an error with the place and the number of complete tests before it. Its ids are made
//! from the bytes of the whole file, and its end may change what its first test came to. A file of
//! lines gives every good line, whatever the others are.
//!
//! Memory: a JSONL line (at most 16 MiB) at a time. Of a report all tests are held until its end,
//! but of each only its names, its attempts and steps, and one line of each message (at most 512
//! characters); besides, its text where that is no longer than 32 MiB, and beyond that one token of
//! XML of at most 64 MiB, or those 32 MiB of JSON.

use std::io::{self, BufRead, Read};

use jiff::Timestamp;

mod attributes;
mod cypress;
mod detect;
mod encoding;
mod error;
mod failure;
mod har;
mod input;
mod jest;
pub(super) mod json;
pub(super) mod jsonl;
mod junit;
mod kind;
mod mocha;
mod mochawesome;
mod open;
mod playwright;
mod pytest_json;
mod report;
mod robot;
mod selenium;
mod summary;
mod tap;
mod text;
pub(super) mod time;
mod url;
mod warnings;
mod xml;

pub use detect::Found;
pub use encoding::Undecodable;
pub use error::{Problem, SourceError};
pub use kind::SourceKind;
pub use summary::{StatusCounts, Summary};
pub use tap::Position;

use crate::profiling::event::Event;
use input::Input;
use tap::Tap;

/// Starts reading `input`.
///
/// # Errors
///
/// [`SourceError`] when the input is empty ([`Problem::Empty`]), is not of a kind we read
/// ([`Problem::WrongKind`]), or cannot be read.
///
/// ```
/// use crossbridge_std::profiling::source::{self, Options};
///
/// let error = source::open(&b" \n"[..], Options::named("out.xml")).unwrap_err();
/// assert!(error.is_empty());
/// assert_eq!(error.to_string(), "out.xml: empty: nothing but white space");
/// ```
pub fn open<R: BufRead>(input: R, options: Options) -> Result<Source<R>, SourceError> {
    let fail = |problem: Problem| SourceError {
        name: options.name.clone(),
        at: problem.place(),
        problem,
        complete_tests: None,
    };
    let mut input = Input::open(input).map_err(fail)?;
    let found = input
        .look(|head, extent| detect::detect(head, options.kind, extent))
        .map_err(fail)?;
    let mut tap = Tap::new(input);
    let before = u64::try_from(found.skip).unwrap_or(u64::MAX);
    io::copy(&mut tap.by_ref().take(before), &mut io::sink()).map_err(|error| fail(Problem::of(error)))?;
    let leading = found.leading.then(|| Warning {
        at: Position::START,
        text: format!("{before} bytes of other output before the report; passed over"),
    });
    let summary = Summary::new(found.kind);
    Ok(Source {
        reader: reader(found.kind, tap, options),
        leading,
        summary,
        done: false,
    })
}

fn reader<R: BufRead>(kind: SourceKind, tap: Tap<R>, options: Options) -> Reader<R> {
    let parse: report::Parse<R> = match kind {
        SourceKind::Auto | SourceKind::Jsonl => {
            return Reader::Jsonl(Box::new(jsonl::Jsonl::new(tap, options)));
        }
        SourceKind::Junit => return Reader::Junit(Box::new(junit::Junit::new(tap, options))),
        SourceKind::PytestJson => json::parse::<_, pytest_json::PytestJson>,
        SourceKind::Robot => robot::parse,
        SourceKind::Playwright => json::parse::<_, playwright::Playwright>,
        SourceKind::Jest => json::parse::<_, jest::Jest>,
        SourceKind::Mocha => json::parse::<_, mocha::Mocha>,
        SourceKind::Mochawesome => json::parse::<_, mochawesome::Mochawesome>,
        SourceKind::Cypress => json::parse::<_, cypress::Cypress>,
        SourceKind::Har => json::parse::<_, har::Har>,
        SourceKind::Selenium => selenium::parse,
    };
    Reader::Report(Box::new(report::Reader::new(tap, parse, options)))
}

/// What to read and what to add to it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What messages call the input, usually the path. It enters no id.
    pub name: String,
    /// What the input is; by default, what its content looks like.
    pub kind: SourceKind,
    /// The run of the events. For JSONL only of lines without a `run_id` of their own.
    pub run_id: Option<String>,
    /// The framework: of a report, instead of the one it names; of JSONL lines without one.
    pub framework: Option<String>,
    /// When events were recorded whose source does not say. It enters no id.
    pub created_at: Option<Timestamp>,
}

impl Options {
    /// Defaults for an input that messages call `name`.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// One thing found in an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An event.
    Event(Event),
    /// A line that is not an event.
    Rejected(Rejected),
    /// Something odd about data that was read all the same.
    Warning(Warning),
}

/// A line that is not an event: where, and what was found and expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The place of the trouble inside the line.
    pub at: Position,
    /// What was found and what was expected.
    pub reason: String,
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)
    }
}

/// Something odd about data that was read all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it was seen.
    pub at: Position,
    /// What is odd and what was made of it.
    pub text: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

/// An input being read: an iterator of items, and the summary of those given out so far.
#[derive(Debug)]
pub struct Source<R> {
    reader: Reader<R>,
    /// What is to be said before anything else.
    leading: Option<Warning>,
    summary: Summary,
    done: bool,
}

#[derive(Debug)]
enum Reader<R> {
    Jsonl(Box<jsonl::Jsonl<R>>),
    Junit(Box<junit::Junit<R>>),
    Report(Box<report::Reader<R>>),
}

impl<R> Source<R> {
    /// What was found so far; complete once the iterator has ended.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl<R: BufRead> Iterator for Source<R> {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = match (self.leading.take(), &mut self.reader) {
            (Some(leading), _) => Some(Ok(Item::Warning(leading))),
            (None, Reader::Jsonl(jsonl)) => jsonl.next(&mut self.summary),
            (None, Reader::Junit(junit)) => junit.next(),
            (None, Reader::Report(report)) => report.next(),
        };
        match &next {
            Some(Ok(item)) => self.summary.count(item),
            // After an error, and after the end, there is nothing more to say.
            Some(Err(_)) | None => self.done = true,
        }
        next
    }
}
