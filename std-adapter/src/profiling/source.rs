//! Readers: a stream of bytes in, events, rejected lines and warnings out.
//!
//! [`open`] looks at the first bytes and picks a reader; what is no event file is refused by name
//! (gzip, zip, an HTML page, UTF-16, nothing at all). The [`Source`] is then an iterator:
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
//! Memory: a JSONL line (at most 16 MiB) at a time. Of a report all tests are held until its end,
//! because a later element may turn out to be another attempt of an earlier one, but of each only
//! its names and one line of its message (at most 512 characters); one XML token is at most 64 MiB.
//! A report that breaks off gives no events at all, only an error that says how many tests came
//! before.

use std::io::{BufRead, Chain, Cursor, Read};

use jiff::Timestamp;

mod detect;
mod error;
mod jsonl;
mod junit;
mod summary;
mod tap;

pub use detect::Found;
pub use error::{Problem, SourceError};
pub use summary::{StatusCounts, Summary};
pub use tap::Position;

use crate::profiling::event::Event;
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
pub fn open<R: BufRead>(mut input: R, options: Options) -> Result<Source<R>, SourceError> {
    let fail = |problem| SourceError {
        name: options.name.clone(),
        at: None,
        problem,
        complete_tests: None,
    };
    // Read ahead and put back: a pipe may hand out its first bytes one by one.
    let mut head = Vec::with_capacity(HEAD);
    let wanted = u64::try_from(HEAD).unwrap_or(u64::MAX);
    input
        .by_ref()
        .take(wanted)
        .read_to_end(&mut head)
        .map_err(|error| fail(Problem::Io(error)))?;
    let whole = head.len() < HEAD;
    let mut tap = Tap::new(Cursor::new(head).chain(input));
    let kind = detect::detect(&mut tap, options.kind, whole).map_err(fail)?;
    let summary = Summary::new(kind);
    let reader = match kind {
        SourceKind::Junit => Reader::Junit(Box::new(junit::Junit::new(tap, options))),
        SourceKind::Auto | SourceKind::Jsonl => Reader::Jsonl(Box::new(jsonl::Jsonl::new(tap, options))),
    };
    Ok(Source {
        reader,
        summary,
        done: false,
    })
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

/// What an input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// To be found out: `<` begins XML, `{` begins JSONL.
    #[default]
    Auto,
    /// One JSON object per line.
    Jsonl,
    /// JUnit XML, of pytest or of anything else.
    Junit,
}

impl SourceKind {
    /// The name in messages and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Jsonl => "jsonl",
            Self::Junit => "junit",
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
    summary: Summary,
    done: bool,
}

#[derive(Debug)]
enum Reader<R> {
    Jsonl(Box<jsonl::Jsonl<WithHead<R>>>),
    Junit(Box<junit::Junit<WithHead<R>>>),
}

/// The bytes read ahead, and the rest.
type WithHead<R> = Chain<Cursor<Vec<u8>>, R>;

/// Bytes read ahead to see what an input is.
const HEAD: usize = 64;

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
        let next = match &mut self.reader {
            Reader::Jsonl(jsonl) => jsonl.next(&mut self.summary),
            Reader::Junit(junit) => junit.next(),
        };
        match &next {
            Some(Ok(item)) => self.summary.count(item),
            // After an error, and after the end, there is nothing more to say.
            Some(Err(_)) | None => self.done = true,
        }
        next
    }
}
