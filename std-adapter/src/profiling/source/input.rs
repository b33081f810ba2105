//! What readers read: the input as text, with a look at its beginning.
//!
//! ```text
//!  the beginning, read ahead ──► encoding ─┬─ UTF-8: the bytes as they are ──┬─► look ──► reader
//!                                          └─ another: Decoder ──────────────┘
//! ```

use std::io::{self, BufRead, Chain, Cursor, Read};

use encoding_rs::UTF_8;

use super::Problem;
use super::detect::Extent;
use super::encoding::{self, Decoder};
use crate::profiling::identity::Fingerprint;

/// An input as text, whatever it was written in.
#[derive(Debug)]
pub(crate) struct Input<R> {
    /// Read ahead, and not read from `at` on.
    head: Vec<u8>,
    at: usize,
    /// Why the rest could not be read ahead, to be told once behind what could.
    failure: Option<io::Error>,
    rest: Rest<R>,
}

#[derive(Debug)]
enum Rest<R> {
    AsItIs(R),
    Decoded(Box<Decoder<Chain<Cursor<Vec<u8>>, R>>>),
}

impl<R> Input<R> {
    /// Text in UTF-8.
    pub(crate) const fn as_it_is(input: R) -> Self {
        Self {
            head: Vec::new(),
            at: 0,
            failure: None,
            rest: Rest::AsItIs(input),
        }
    }

    pub(crate) const fn is_decoded(&self) -> bool {
        matches!(self.rest, Rest::Decoded(_))
    }

    /// Puts back what was read of it, and the error that ended that.
    pub(crate) fn put_back(&mut self, mut read: Vec<u8>, failure: Option<io::Error>) {
        read.extend_from_slice(self.head.get(self.at..).unwrap_or_default());
        (self.head, self.at, self.failure) = (read, 0, failure);
    }

    /// Of what is decoded: everything read, as it was before.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.rest {
            Rest::AsItIs(_) => None,
            Rest::Decoded(decoder) => Some(decoder.fingerprint()),
        }
    }
}

impl<R: BufRead> Input<R> {
    /// Finds out in which encoding the input is, and decodes it where that is not UTF-8.
    pub(crate) fn open(input: R) -> Result<Self, Problem> {
        let mut raw = Self::as_it_is(input);
        let encoding = raw.look(encoding::of)?;
        Ok(match raw.rest {
            Rest::AsItIs(input) if encoding != UTF_8 => Self {
                head: Vec::new(),
                at: 0,
                failure: None,
                rest: Rest::Decoded(Box::new(Decoder::new(
                    Cursor::new(raw.head).chain(input),
                    encoding,
                ))),
            },
            rest @ (Rest::AsItIs(_) | Rest::Decoded(_)) => Self { rest, ..raw },
        })
    }

    /// Shows `see` more and more of the beginning until it has an answer. It stays to be read: a pipe
    /// may hand out its first bytes one by one, and waits for more.
    pub(crate) fn look<T>(
        &mut self,
        mut see: impl FnMut(&[u8], Extent) -> Result<Option<T>, Problem>,
    ) -> Result<T, Problem> {
        let mut wanted = HEAD.into_iter().peekable();
        loop {
            let size = wanted.next().unwrap_or_default();
            let missing = size.saturating_sub(self.head.len());
            let missing = u64::try_from(missing).unwrap_or(u64::MAX);
            let ahead = match &mut self.rest {
                Rest::AsItIs(input) => input.take(missing).read_to_end(&mut self.head),
                Rest::Decoded(decoder) => decoder.take(missing).read_to_end(&mut self.head),
            };
            let extent = match ahead.map_err(Problem::of) {
                // The reader comes to it too, behind what is there.
                Err(Problem::Undecodable(_)) if !self.head.is_empty() => Extent::Limit,
                Err(problem) => return Err(problem),
                Ok(_) if self.head.len() < size => Extent::Whole,
                Ok(_) if wanted.peek().is_some() => Extent::Part,
                Ok(_) => Extent::Limit,
            };
            if let Some(answer) = see(&self.head, extent)? {
                return Ok(answer);
            }
        }
    }
}

impl<R: BufRead> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.head.get(self.at..) {
            Some(head) if !head.is_empty() => Ok(head),
            _ if self.failure.is_some() => self.failure.take().map_or(Ok(&[]), Err),
            _ => match &mut self.rest {
                Rest::AsItIs(input) => input.fill_buf(),
                Rest::Decoded(decoder) => decoder.fill_buf(),
            },
        }
    }

    fn consume(&mut self, amount: usize) {
        if self.at < self.head.len() {
            self.at = self.head.len().min(self.at + amount);
            return;
        }
        match &mut self.rest {
            Rest::AsItIs(input) => input.consume(amount),
            Rest::Decoded(decoder) => decoder.consume(amount),
        }
    }
}

impl<R: BufRead> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(out)?;
        self.consume(amount);
        Ok(amount)
    }
}

/// Bytes read ahead to see what an input is, in steps: a line of events tells at once, a report
/// with other output before it late.
const HEAD: [usize; 4] = [64, 512, 4 << 10, 64 << 10];
