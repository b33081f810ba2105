//! An input read into memory where it fits: parsed there without a copy, and hashed beside that.

use std::io::{self, BufRead};
use std::thread;

use sha2::{Digest as _, Sha256};

use super::{Position, Tap};
use crate::profiling::identity::Fingerprint;

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
    hasher: Option<Sha256>,
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

    /// What `read` makes of the bytes, and the fingerprint of all that has passed. A hash takes as
    /// long as a parser that skims: in a large input, each has a thread of its own.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&[u8]) -> T) -> (T, Option<Fingerprint>) {
        let bytes = self.bytes.as_slice();
        if self.hasher.is_none() || bytes.len() < BESIDE {
            return (read(bytes), self.fingerprint());
        }
        thread::scope(|scope| {
            let hashing = thread::Builder::new()
                .name("crossbridge-hash".to_owned())
                .spawn_scoped(scope, || self.fingerprint());
            let read = read(bytes);
            // Without another thread it is done here.
            let hashed = hashing.ok().and_then(|hashing| hashing.join().ok());
            (read, hashed.unwrap_or_else(|| self.fingerprint()))
        })
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        let fresh = self.bytes.get(self.ahead..).unwrap_or_default();
        match &self.hasher {
            Some(hasher) => Some(Fingerprint::finish(hasher.clone().chain_update(fresh))),
            None => self.decoded,
        }
    }
}

/// From how many bytes on a thread is worth its start, some 15 µs: 128 KiB, which are hashed in 90 µs.
const BESIDE: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::profiling::source::input::Input;

    #[test]
    fn the_fingerprint_is_of_all_that_passed_however_it_is_read() {
        for size in [10, BESIDE - 1, BESIDE, 3 * BESIDE] {
            let text: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            for (buffer, before) in [(7, 0), (7, 3), (1 << 16, 3)] {
                for limit in [0, 1, 4, size, usize::MAX] {
                    let mut tap = Tap::new(Input::as_it_is(io::BufReader::with_capacity(buffer, &text[..])));
                    tap.read_exact(&mut vec![0; before]).unwrap();
                    let rest = text.get(before..).unwrap();
                    let (read, fingerprint) = match tap.hold(u64::try_from(limit).unwrap_or(u64::MAX)) {
                        Held::Whole(whole) => whole.read(<[u8]>::to_vec),
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
