//! Ids for events and runs that come without one.
//!
//! The ids are UUIDs of version 8 (RFC 9562, section 5.8), made of SHA-256 over length-prefixed
//! parts. The same input always gives the same id, on every machine.
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

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// What stands for a file in the ids of its events: a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(crate) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

/// The id of a run that has no name of its own.
#[must_use]
pub fn run_id(source: Fingerprint) -> String {
    text(half(digest(&[b"crossbridge run 1", &source.0])))
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
    EventIds::new(run_id, source).id(position, &[content])
}

/// The ids of the events of one file in one run: [`event_id`] with what they share hashed once.
#[derive(Clone, Debug)]
pub(crate) struct EventIds {
    /// The first bytes of every id.
    file: [u8; 4],
    /// Has seen all of an event's parts that are the same for every event.
    begun: Sha256,
}

impl EventIds {
    pub(crate) fn new(run_id: &str, source: Fingerprint) -> Self {
        let [a, b, c, d, ..] = digest(&[b"crossbridge file 1", run_id.as_bytes(), &source.0]);
        Self {
            file: [a, b, c, d],
            begun: hash(
                Sha256::new(),
                &[b"crossbridge event 1", run_id.as_bytes(), &source.0],
            ),
        }
    }

    /// The id of the event at `position`; its content may come in pieces.
    pub(crate) fn id(&self, position: u64, content: &[&[u8]]) -> String {
        let place = position.to_be_bytes();
        let mut event = hash(self.begun.clone(), &[&place]);
        event.update(length(content.iter().map(|piece| piece.len()).sum()));
        for piece in content {
            event.update(piece);
        }
        let event = event.finalize();
        // The events of a file have neighbouring ids, in their order: a database appends to its index
        // instead of touching a page per event. 32 bits of the file, 28 of the position, 62 of the event.
        let [a, b, c, d] = self.file;
        let [.., p0, p1, p2, p3] = place;
        let mut id = half(event.into());
        let [i0, i1, i2, i3, i4, i5, i6, i7, ..] = &mut id;
        (*i0, *i1, *i2, *i3) = (a, b, c, d);
        // The high half of byte 6 is the version, so the position goes around it.
        (*i4, *i5) = (p0 << 4 | p1 >> 4, p1 << 4 | p2 >> 4);
        (*i6, *i7) = (p2 & 0xf, p3);
        text(id)
    }
}

/// A key of fixed length for an id that is no UUID, for stores whose keys are UUIDs. Two ids have the
/// same one as rarely as two random UUIDs are equal.
#[cfg(feature = "postgres")]
pub(crate) fn key_of(event_id: &str) -> Uuid {
    Builder::from_custom_bytes(half(digest(&[b"crossbridge key 1", event_id.as_bytes()]))).into_uuid()
}

fn half(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(digest.split_at(16).0);
    half
}

fn text(id: [u8; 16]) -> String {
    let id = Builder::from_custom_bytes(id).into_uuid();
    id.hyphenated()
        .encode_lower(&mut Uuid::encode_buffer())
        .to_owned()
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    hash(Sha256::new(), parts).finalize().into()
}

fn hash(mut hasher: Sha256, parts: &[&[u8]]) -> Sha256 {
    for part in parts {
        hasher.update(length(part.len()));
        hasher.update(part);
    }
    hasher
}

/// What stands before each part: it keeps ("ab", "c") and ("a", "bc") apart.
fn length(part: usize) -> [u8; 8] {
    u64::try_from(part).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable() {
        // These texts are in users' databases: a change of the derivation duplicates their events.
        let file = Fingerprint::of(b"file");
        assert_eq!(run_id(file), "b36b82c5-22ae-8ea8-a286-d16e76c91d54");
        assert_eq!(
            event_id("run", file, 7, b"content"),
            "30e76e67-0000-8007-a7e7-196d319f9dec"
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
