//! Ids for events and runs that come without one.
//!
//! The ids are UUIDs of version 8 (RFC 9562, section 5.8), made of [XXH3] in 128 bits. The same input
//! always gives the same id, on every machine.
//!
//! | id | made from |
//! |---|---|
//! | run of a report | the bytes of the file |
//! | run of a JSONL file whose lines have none | the bytes of its first line |
//! | event | its run, the [`Fingerprint`] of its file, its position, its content |
//!
//! The name and place of a file enter nowhere: a file that was moved gives the same events. The
//! position does: two equal lines are two events. A JSONL file is fingerprinted by its first line
//! only, so that a file that has grown since the last time gives the ids it gave before plus the
//! new ones. Two files of one run that begin with the same line and have the same line at the same
//! place are taken for copies of each other; a producer that needs better writes `event_id`.
//!
//! XXH3 is no cryptographic hash: two files of one fingerprint do not come about, but can be
//! constructed. Who does it has written both, and hides nothing that could not have been left out.
//! SHA-256 takes up to two and a half times as long as a bare pass over a report.
//!
//! [XXH3]: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

use std::fmt;

#[cfg(feature = "postgres")]
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// What stands for a file in the ids of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes).to_be_bytes())
    }
}

/// Makes the [`Fingerprint`] of bytes that come in parts.
#[derive(Clone)]
pub(crate) struct Fingerprinter(Xxh3);

impl Fingerprinter {
    pub(crate) const fn new() -> Self {
        Self(Xxh3::new())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The fingerprint of what there was so far.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.0.digest128().to_be_bytes())
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fingerprinter").field(&self.fingerprint()).finish()
    }
}

/// The id of a run that has no name of its own.
#[must_use]
pub fn run_id(source: Fingerprint) -> String {
    text(digest(&[b"crossbridge run 2", &source.0]))
}

/// The id of an event that was given none.
///
/// `position` counts the records of the file from 0; `content` is whatever tells the event from
/// others at that position (the line without its end, or the kind and number of an attempt).
///
/// ```
/// use crossbridge_std::profiling::identity::{Fingerprint, event_id};
///
/// let file = Fingerprint::of(b"first line");
/// let id = event_id("run", file, 0, b"line");
/// assert_eq!(id, event_id("run", file, 0, b"line"));
/// assert_ne!(id, event_id("run", file, 1, b"line"));
/// ```
#[must_use]
pub fn event_id(run_id: &str, source: Fingerprint, position: u64, content: &[u8]) -> String {
    EventIds::new(run_id, source).id(position, content)
}

/// The ids of the events of one file in one run: [`event_id`] with what they share hashed once.
#[derive(Clone, Debug)]
pub(crate) struct EventIds {
    /// The first bytes of every id.
    begin: [u8; 4],
    /// What else is the same for every event, in two halves.
    file: [[u8; 8]; 2],
}

impl EventIds {
    pub(crate) fn new(run_id: &str, source: Fingerprint) -> Self {
        let file = digest(&[b"crossbridge file 2", run_id.as_bytes(), &source.0]);
        let [a, b, c, d, ..] = file;
        Self {
            begin: [a, b, c, d],
            file: halves(file),
        }
    }

    /// The id of the event at `position`.
    pub(crate) fn id(&self, position: u64, content: &[u8]) -> String {
        let place = position.to_be_bytes();
        let [f0, f1] = self.file;
        let [c0, c1] = halves(xxh3_128(content).to_be_bytes());
        let mut id = xxh3_128([f0, f1, place, c0, c1].as_flattened()).to_be_bytes();
        // The events of a file have neighbouring ids, in their order: a database appends to its index
        // instead of touching a page per event. 32 bits of the file, 28 of the position, 62 of the event.
        let [a, b, c, d] = self.begin;
        let [.., p0, p1, p2, p3] = place;
        let [i0, i1, i2, i3, i4, i5, i6, i7, ..] = &mut id;
        (*i0, *i1, *i2, *i3) = (a, b, c, d);
        // The high half of byte 6 is the version, so the position goes around it.
        (*i4, *i5) = (p0 << 4 | p1 >> 4, p1 << 4 | p2 >> 4);
        (*i6, *i7) = (p2 & 0xf, p3);
        text(id)
    }
}

/// A key of fixed length for an id that is no UUID, for stores whose keys are UUIDs. Two ids have the
/// same one as rarely as two random UUIDs are equal, whoever chose them.
#[cfg(feature = "postgres")]
pub(crate) fn key_of(event_id: &str) -> Uuid {
    let mut hasher = Sha256::new();
    for part in [b"crossbridge key 1", event_id.as_bytes()] {
        hasher.update(length(part));
        hasher.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(hasher.finalize().split_at(16).0);
    Builder::from_custom_bytes(half).into_uuid()
}

fn text(id: [u8; 16]) -> String {
    let id = Builder::from_custom_bytes(id).into_uuid();
    id.hyphenated()
        .encode_lower(&mut Uuid::encode_buffer())
        .to_owned()
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&length(part));
        hasher.update(part);
    }
    hasher.digest128().to_be_bytes()
}

fn halves(digest: [u8; 16]) -> [[u8; 8]; 2] {
    let mut halves = [[0; 8]; 2];
    halves.as_flattened_mut().copy_from_slice(&digest);
    halves
}

/// What stands before each part: it keeps ("ab", "c") and ("a", "bc") apart.
fn length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable() {
        // These texts are in users' databases: a change of the derivation duplicates their events.
        let file = Fingerprint::of(b"file");
        assert_eq!(run_id(file), "f4511817-e00a-87d1-944f-e9e091ccb2ef");
        assert_eq!(
            event_id("run", file, 7, b"content"),
            "4b3257ed-0000-8007-b0b5-fe8bf9c0dfc2"
        );
    }

    #[test]
    fn ids_of_a_file_are_in_its_order() {
        let file = Fingerprint::of(b"file");
        let positions = [
            0,
            1,
            15,
            16,
            255,
            256,
            4095,
            4096,
            65_535,
            65_536,
            1 << 20,
            (1 << 28) - 1,
        ];
        let ids: Vec<_> = positions
            .iter()
            .map(|&position| event_id("run", file, position, b"x"))
            .collect();
        assert!(ids.is_sorted(), "{ids:#?}");
        assert!(
            ids.iter().all(|id| id.as_bytes()[14] == b'8'),
            "version 8: {ids:#?}"
        );
    }

    #[test]
    fn every_part_counts() {
        let file = Fingerprint::of(b"a");
        let base = event_id("r", file, 0, b"c");
        assert_ne!(base, event_id("rc", file, 0, b""));
        assert_ne!(base, event_id("r", Fingerprint::of(b"b"), 0, b"c"));
        assert_ne!(base, event_id("r", file, 1, b"c"));
        assert_ne!(base, event_id("r", file, 0, b"d"));
    }
}
