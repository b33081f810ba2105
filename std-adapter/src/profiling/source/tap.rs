//! A reader in between that knows where it is, what has passed, and when it is too much.

use std::fmt;
use std::io::{self, BufRead, Read};

use memchr::{memchr_iter, memrchr};

use super::input::Input;
use crate::profiling::identity::{Fingerprint, Fingerprinter};

mod held;

pub(crate) use held::Held;

/// A place in a file. Both count from 1; columns count bytes, in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The byte in the line.
    pub column: u64,
}

impl Position {
    /// The first byte of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Goes on behind `bytes`.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let newlines = memchr_iter(b'\n', bytes).count();
        let mut tail = bytes.len();
        if newlines > 0 {
            tail -= memrchr(b'\n', bytes).map_or(0, |last| last + 1);
            self.column = 1;
        }
        self.line += count(newlines);
        self.column += count(tail);
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Counts lines, hashes and limits what is read through it.
///
/// `quick-xml` consumes exactly what an event is made of, so the position between two events is
/// the place of the next one, and no offset has to be turned into a line afterwards.
#[derive(Debug)]
pub(crate) struct Tap<R> {
    inner: Input<R>,
    position: Position,
    /// What passed, for ids of reports; `None` where nobody asks, or the input does it itself.
    hasher: Option<Fingerprinter>,
    /// How much of the buffer below is hashed and not consumed yet.
    ahead: usize,
    /// Bytes left for the present token.
    budget: u64,
}

impl<R> Tap<R> {
    pub(crate) fn new(inner: Input<R>) -> Self {
        Self {
            position: Position::START,
            hasher: (!inner.is_decoded()).then(Fingerprinter::new),
            inner,
            ahead: 0,
            budget: u64::MAX,
        }
    }

    /// The place of the next byte.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Everything read, as it is in the file, unless hashing was stopped. To be asked at the end:
    /// before that, what is buffered below counts as read.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        let own = || self.hasher.as_ref().map(Fingerprinter::fingerprint);
        self.inner.fingerprint().or_else(own)
    }

    /// Saves the hashing of what nobody asks the fingerprint of.
    pub(crate) fn stop_hashing(&mut self) {
        self.hasher = None;
    }

    /// Allows `bytes` more before reading fails with [`TokenTooLong`].
    pub(crate) const fn allow(&mut self, bytes: u64) {
        self.budget = bytes;
    }
}

impl<R: BufRead> BufRead for Tap<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            return Err(io::Error::other(TokenTooLong));
        }
        let limit = usize::try_from(self.budget).unwrap_or(usize::MAX);
        let available = self.inner.fill_buf()?;
        // A buffer at a time: tag by tag, the hasher would be busy with its own buffer.
        if let Some(hasher) = &mut self.hasher
            && let Some(more) = available.get(self.ahead..).filter(|more| !more.is_empty())
        {
            hasher.update(more);
            self.ahead = available.len();
        }
        Ok(available.get(..limit).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        // The bytes are still in the buffer of the reader below: looking again costs no I/O.
        if let Ok(available) = self.inner.fill_buf() {
            self.position.pass(available.get(..amount).unwrap_or(available));
        }
        self.ahead = self.ahead.saturating_sub(amount);
        self.budget = self.budget.saturating_sub(count(amount));
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Tap<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let amount = available.read(out)?;
        self.consume(amount);
        Ok(amount)
    }
}

fn count(amount: usize) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}

/// What is read into memory as a whole: 32 MiB. Parsing there is several times faster than from a
/// stream.
pub(crate) const IN_MEMORY: u64 = 32 << 20;

/// The budget of a token is used up.
#[derive(Debug)]
pub(crate) struct TokenTooLong;

impl fmt::Display for TokenTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("token too long")
    }
}

impl std::error::Error for TokenTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_across_small_buffers() {
        let text = b"ab\ncde\n\nf";
        let mut tap = Tap::new(Input::as_it_is(io::BufReader::with_capacity(2, &text[..])));
        let mut seen = Vec::new();
        let mut byte = [0];
        loop {
            let at = tap.position();
            if tap.read(&mut byte).unwrap() == 0 {
                break;
            }
            seen.push(format!("{at} {}", char::from(byte[0]).escape_default()));
        }
        assert_eq!(
            seen.join(", "),
            r"1:1 a, 1:2 b, 1:3 \n, 2:1 c, 2:2 d, 2:3 e, 2:4 \n, 3:1 \n, 4:1 f"
        );
        assert_eq!(tap.fingerprint(), Some(Fingerprint::of(text)));
    }

    #[test]
    fn the_budget_ends_in_an_error() {
        let mut tap = Tap::new(Input::as_it_is(&b"abcdef"[..]));
        tap.allow(3);
        let mut out = Vec::new();
        assert!(tap.read_to_end(&mut out).is_err());
        assert_eq!(out, b"abc");
        tap.allow(10);
        assert_eq!(tap.read_to_end(&mut out).unwrap(), 3);
    }
}
