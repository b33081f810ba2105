//! XML from element to element, without a tree: in memory where a report fits, as a stream beyond.
//!
//! ```text
//!  bytes ─┬─ up to 32 MiB ──► Memory: events borrow from the text ─┬─► Walk: start, text, close, end
//!         └─ more ──────────► Stream: one token at a time ─────────┘
//! ```
//!
//! No entity but the five of XML is expanded and nothing is ever opened: see
//! [`failure::check_doctype`].

use std::borrow::Cow;
use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::events::{BytesStart, Event};

use super::Problem;
use super::failure::{self, Failure, MAX_TOKEN};
use super::open::OpenElements;
pub(super) use super::open::{Mark, Places};
use super::tap::{Held, IN_MEMORY, Position, Tap};
use super::text;
use crate::profiling::identity::Fingerprint;

/// What walks over a document.
pub(super) trait Walk {
    /// An element begins.
    fn start(&mut self, here: &mut Here<'_, '_>, tag: &BytesStart<'_>) -> Result<(), Problem>;

    /// Text, or a part of one, with the references in it as they are.
    fn text(&mut self, raw: &str) -> Result<(), Problem>;

    /// The innermost element ends.
    fn close(&mut self);

    /// The document ends, and every element has.
    fn end(&mut self, places: &Places<'_>) -> Result<(), Problem>;

    /// Complete tests so far, once the root element was a report's.
    fn complete_tests(&self) -> Option<u64>;
}

/// Where an element begins.
pub(super) struct Here<'h, 'e> {
    place: &'h mut Place<'e>,
    open: &'h OpenElements,
}

impl Here<'_, '_> {
    /// The place of its first byte.
    pub(super) fn at(&mut self) -> Position {
        self.place.get()
    }

    /// The same, to be told later and only if it is asked for.
    pub(super) fn mark(&self) -> Mark {
        self.place.mark()
    }

    /// The name of the element it is in.
    pub(super) fn outer(&self) -> Option<&str> {
        self.open.name()
    }

    /// The place of the element it is in: to be asked of one whose place was asked for when it began,
    /// or all lines before it are counted.
    pub(super) fn outer_at(&self) -> Option<Position> {
        self.open.place(self.place.text)
    }
}

/// Walks over a whole document. What stands for it in the ids of its events.
pub(super) fn walk<R: BufRead>(tap: Tap<R>, walk: &mut impl Walk) -> Result<Option<Fingerprint>, Failure> {
    walk_within(tap, walk, IN_MEMORY)
}

/// The same with so many bytes in memory.
fn walk_within<R: BufRead>(
    tap: Tap<R>,
    walk: &mut impl Walk,
    limit: u64,
) -> Result<Option<Fingerprint>, Failure> {
    match tap.hold(limit) {
        Held::Whole(whole) => {
            each(&mut Memory::new(whole.bytes(), whole.position()), walk)?;
            Ok(whole.fingerprint())
        }
        Held::Part(tap) => {
            let mut stream = Stream::new(tap);
            each(&mut stream, walk)?;
            Ok(stream.reader.get_ref().fingerprint())
        }
    }
}

/// Hands the events of a document to `walk`.
fn each(events: &mut impl Events, walk: &mut impl Walk) -> Result<(), Failure> {
    let mut open = OpenElements::new(events.start());
    // The one that the XML declaration names.
    let mut encoding = None;
    loop {
        let (mut place, event) = events.next();
        let done = match event {
            Ok(Event::Start(tag)) => {
                let mut here = Here {
                    place: &mut place,
                    open: &open,
                };
                let done = walk.start(&mut here, &tag);
                open.push(tag.local_name().as_ref(), place.mark());
                done
            }
            Ok(Event::Empty(tag)) => {
                let mut here = Here {
                    place: &mut place,
                    open: &open,
                };
                walk.start(&mut here, &tag).map(|()| walk.close())
            }
            Ok(Event::End(_)) => {
                open.pop();
                walk.close();
                Ok(())
            }
            Ok(Event::Text(text)) => walk.text(text.as_ref()),
            Ok(Event::CData(text)) => walk.text(text.as_ref()),
            Ok(Event::GeneralRef(name)) => {
                let mut replaced = String::new();
                text::push_reference(&mut replaced, name.as_ref())
                    .map_err(Problem::Malformed)
                    .and_then(|_odd| walk.text(&replaced))
            }
            Ok(Event::DocType(doctype)) => failure::check_doctype(&doctype),
            Ok(Event::Decl(declaration)) => {
                encoding = declaration.encoding().and_then(Result::ok).map(Cow::into_owned);
                Ok(())
            }
            Ok(Event::Comment(_) | Event::PI(_)) => Ok(()),
            Ok(Event::Eof) => {
                let ended = match open.last(place.text) {
                    Some((open, since)) => Err(Problem::Truncated {
                        open: open.to_owned(),
                        since,
                    }),
                    None => walk.end(&open.places(place.text)),
                };
                return ended.map_err(|problem| fail(walk, place.get(), problem));
            }
            Err(error) => Err(failure::explain(
                error,
                open.last(place.text),
                encoding.as_deref(),
            )),
        };
        done.map_err(|problem| fail(walk, place.get(), problem))?;
    }
}

fn fail(walk: &impl Walk, at: Position, problem: Problem) -> Failure {
    Failure {
        at,
        problem,
        complete_tests: walk.complete_tests(),
    }
}

/// The events of a document, one at a time.
trait Events {
    /// The place of the first one.
    fn start(&self) -> Position;

    /// The next one, and where it begins.
    fn next(&mut self) -> (Place<'_>, Result<Event<'_>, Error>);
}

/// Where an event begins: told when asked, since most are not, and counting lines takes time.
struct Place<'e> {
    known: &'e mut Known,
    text: &'e [u8],
    begin: usize,
}

/// The last place that was asked for.
struct Known {
    offset: usize,
    at: Position,
}

impl Place<'_> {
    fn get(&mut self) -> Position {
        let passed = self.text.get(self.known.offset..self.begin).unwrap_or_default();
        self.known.at.pass(passed);
        self.known.offset = self.begin;
        self.known.at
    }

    fn mark(&self) -> Mark {
        Mark {
            offset: self.begin,
            at: (self.known.offset == self.begin).then_some(self.known.at),
        }
    }
}

/// A document in memory: nothing of it is copied.
struct Memory<'t> {
    reader: Reader<&'t [u8]>,
    text: &'t [u8],
    known: Known,
}

impl<'t> Memory<'t> {
    fn new(text: &'t [u8], at: Position) -> Self {
        Self {
            reader: Reader::from_reader(text),
            text,
            known: Known { offset: 0, at },
        }
    }
}

impl Events for Memory<'_> {
    fn start(&self) -> Position {
        self.known.at
    }

    fn next(&mut self) -> (Place<'_>, Result<Event<'_>, Error>) {
        let place = Place {
            known: &mut self.known,
            text: self.text,
            begin: self.text.len() - self.reader.get_ref().len(),
        };
        (place, self.reader.read_event())
    }
}

/// A document too long for that: a tag or a text at a time, of at most [`MAX_TOKEN`] bytes.
struct Stream<R> {
    reader: Reader<Tap<R>>,
    buffer: Vec<u8>,
    known: Known,
}

impl<R: BufRead> Stream<R> {
    fn new(tap: Tap<R>) -> Self {
        let at = tap.position();
        Self {
            reader: Reader::from_reader(tap),
            buffer: Vec::new(),
            known: Known { offset: 0, at },
        }
    }
}

impl<R: BufRead> Events for Stream<R> {
    fn start(&self) -> Position {
        self.known.at
    }

    fn next(&mut self) -> (Place<'_>, Result<Event<'_>, Error>) {
        self.known.at = self.reader.get_ref().position();
        self.buffer.clear();
        self.reader.get_mut().allow(MAX_TOKEN);
        let place = Place {
            known: &mut self.known,
            text: &[],
            begin: 0,
        };
        (place, self.reader.read_event_into(&mut self.buffer))
    }
}

#[cfg(test)]
mod tests;
