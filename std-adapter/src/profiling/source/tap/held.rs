//! An input read into memory where it fits, to be parsed there without a copy.

use std::io::{self, BufRead};

use super::{Position, Tap};
use crate::profiling::identity::{Fingerprint, Fingerprinter};

/// What was read of an input.
pub(crate) enum Held<R> {
    /// All of it.
    Whole(Whole),
    /// More than fits, or the reader failed: what was read was put back.
    Part(Tap<R>),
}

/// An input that is in memory.
pub(crate) struct Whole {
    bytes: Vec<u8>,
    /// The place of the first byte.
    at: Position,
    hasher: Option<Fingerprinter>,
    /// How many of the bytes the hasher has seen.
    ahead: usize,
    /// Of what was decoded: the fingerprint of the file as it is.
    decoded: Option<Fingerprint>,
}

impl<R: BufRead> Tap<R> {
    /// Reads what is left of the input into memory, but no more than `limit` bytes.
    pub(crate) fn hold(mut self, limit: u64) -> Held<R> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let mut failure = None;
        // A buffer at a time: without clearing them first, and without growing step by step where one
        // buffer is all there is.
        while failure.is_none() && bytes.len() < limit {
            let buffer = match self.inner.fill_buf() {
                Ok([]) => {
                    return Held::Whole(Whole {
                        bytes,
                        at: self.position,
                        hasher: self.hasher,
                        ahead: self.ahead,
                        decoded: self.inner.fingerprint(),
                    });
                }
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let taken = buffer.get(..limit - bytes.len()).unwrap_or(buffer);
            bytes.extend_from_slice(taken);
            let taken = taken.len();
            self.inner.consume(taken);
        }
        self.inner.put_back(bytes, failure);
        Held::Part(self)
    }
}

impl Whole {
    /// The place of the first byte.
    pub(crate) const fn position(&self) -> Position {
        self.at
    }

    /// All that was left of the input.
    pub(crate) const fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The fingerprint of all that has passed.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        let Some(mut hasher) = self.hasher.clone() else {
            return self.decoded;
        };
        hasher.update(self.bytes.get(self.ahead..).unwrap_or_default());
        Some(hasher.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::profiling::source::input::Input;

    #[test]
    fn the_fingerprint_is_of_all_that_passed_however_it_is_read() {
        for size in [10, 1 << 16, (3 << 17) + 1] {
            let text: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            for (buffer, before) in [(7, 0), (7, 3), (1 << 16, 3)] {
                for limit in [0, 1, 4, size, usize::MAX] {
                    let mut tap = Tap::new(Input::as_it_is(io::BufReader::with_capacity(buffer, &text[..])));
                    tap.read_exact(&mut vec![0; before]).unwrap();
                    let rest = text.get(before..).unwrap();
                    let (read, fingerprint) = match tap.hold(u64::try_from(limit).unwrap_or(u64::MAX)) {
                        Held::Whole(whole) => (whole.bytes().to_vec(), whole.fingerprint()),
                        Held::Part(mut tap) => {
                            let mut read = Vec::new();
                            tap.read_to_end(&mut read).unwrap();
                            (read, tap.fingerprint())
                        }
                    };
                    assert!(read == rest, "{size} bytes, {limit} of them in memory");
                    assert_eq!(fingerprint, Some(Fingerprint::of(&text)));
                }
            }
        }
    }
}
