//! PostgreSQL's protocol, as far as errors need it: where messages begin, who waits for whom.
//!
//! Only the heads of messages are read (PostgreSQL documentation, 'Message Formats'); what is in
//! them goes through as it came.
//!
//! ```text
//!   client:  StartupMessage  p...  Q │ P B E S │ Q ...       a unit is a query, or all up to Sync
//!   server:  R... Z          Z       │ 1 2 C Z │ Z           ReadyForQuery ends each
//! ```

use std::borrow::Cow;
use std::ops::Range;

/// A reader of the heads of messages in one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    /// The part of a head that has come.
    head: Vec<u8>,
    /// The bytes of the message that are yet to come.
    left: u32,
    /// The kind of the message that is passing.
    kind: u8,
}

/// A piece of a stream: the kind of its message, whether it is the first and the last piece of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'b> {
    pub(super) kind: u8,
    pub(super) bytes: Cow<'b, [u8]>,
    pub(super) first: bool,
    pub(super) last: bool,
}

/// The length of a message's head: its kind and its length.
const HEAD: usize = 5;

impl Messages {
    /// Cuts `bytes` at the bounds of messages; a head comes out whole. `None`: these are no messages.
    pub(super) fn cut<'b>(&mut self, mut bytes: &'b [u8]) -> Option<Vec<Piece<'b>>> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            if self.left > 0 {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (these, rest) = bytes.split_at(length);
                self.left = self
                    .left
                    .saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
                bytes = rest;
                pieces.push(self.piece(Cow::Borrowed(these), false));
                continue;
            }
            let (these, rest) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(these);
            bytes = rest;
            if let [kind, a, b, c, d] = *self.head.as_slice() {
                // The length counts itself, not the kind.
                self.left = u32::from_be_bytes([a, b, c, d]).checked_sub(4)?;
                self.kind = kind;
                let head = std::mem::take(&mut self.head);
                pieces.push(self.piece(Cow::Owned(head), true));
            }
        }
        Some(pieces)
    }

    /// The part of a head that has come and has not come out.
    pub(super) fn held(&self) -> &[u8] {
        &self.head
    }

    fn piece<'b>(&self, bytes: Cow<'b, [u8]>, first: bool) -> Piece<'b> {
        Piece {
            kind: self.kind,
            bytes,
            first,
            last: self.left == 0,
        }
    }
}

/// What the first eight bytes of a connection ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A session, with so many bytes in all.
    Startup(u32),
    /// TLS, or encryption by GSSAPI: the server answers with a byte.
    Encryption,
    /// The end of another session's query.
    Cancel(u32),
}

/// Lengths of a startup that PostgreSQL accepts (`MAX_STARTUP_PACKET_LENGTH`).
const STARTUP_LENGTHS: Range<u32> = 8..10_001;

impl Opening {
    /// `None`: this is not PostgreSQL.
    pub(super) fn read(bytes: [u8; 8]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let length = u32::from_be_bytes([a, b, c, d]);
        let code = u32::from_be_bytes([e, f, g, h]);
        if !STARTUP_LENGTHS.contains(&length) {
            return None;
        }
        match (code >> 16, code & 0xFFFF) {
            (3, _) => Some(Self::Startup(length)),
            (1234, 5678) => Some(Self::Cancel(length)),
            (1234, 5679 | 5680) if length == 8 => Some(Self::Encryption),
            _ => None,
        }
    }
}

/// An `ErrorResponse`.
pub(super) fn error_response(severity: &str, sqlstate: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    // `V` is the severity that is never translated (since 9.6).
    for (kind, text) in [
        (b'S', severity),
        (b'V', severity),
        (b'C', sqlstate),
        (b'M', message),
    ] {
        fields.push(kind);
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    message_of(b'E', &fields)
}

/// A `ReadyForQuery` with the state of the transaction.
pub(super) fn ready_for_query(transaction: u8) -> Vec<u8> {
    message_of(b'Z', &[transaction])
}

/// A query that the server itself answers with the error, so that it knows its transaction failed.
pub(super) fn failing_query(sqlstate: &str, message: &str) -> Vec<u8> {
    let message = message.replace('\'', "''");
    let text = format!(
        "DO $crossbridge$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}', MESSAGE = '{message}'; \
         END $crossbridge$\0"
    );
    message_of(b'Q', text.as_bytes())
}

fn message_of(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    let mut message = vec![kind];
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let mut stream = message_of(b'Q', b"select 1\0");
        stream.extend(message_of(b'S', b""));
        stream.extend(ready_for_query(b'I'));
        for size in 1..=stream.len() {
            let mut messages = Messages::default();
            let pieces: Vec<Piece<'_>> = stream
                .chunks(size)
                .flat_map(|bytes| messages.cut(bytes).unwrap())
                .collect();
            let begun: Vec<u8> = pieces.iter().filter(|p| p.first).map(|p| p.kind).collect();
            assert_eq!(begun, b"QSZ", "in pieces of {size}");
            assert_eq!(pieces.iter().filter(|p| p.last).count(), 3);
            assert_eq!(
                pieces.iter().flat_map(|p| p.bytes.to_vec()).collect::<Vec<u8>>(),
                stream
            );
        }
    }

    #[test]
    fn a_length_below_its_own_size_is_no_message() {
        assert_eq!(Messages::default().cut(b"Q\0\0\0\x03abc"), None);
    }

    #[test]
    fn openings() {
        let opening = |length: u32, code: u32| {
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..].copy_from_slice(&code.to_be_bytes());
            Opening::read(bytes)
        };
        assert_eq!(opening(8, 80_877_103), Some(Opening::Encryption));
        assert_eq!(opening(8, 80_877_104), Some(Opening::Encryption));
        assert_eq!(opening(16, 80_877_102), Some(Opening::Cancel(16)));
        assert_eq!(opening(84, 196_608), Some(Opening::Startup(84)));
        assert_eq!(opening(84, 196_610), Some(Opening::Startup(84)));
        assert_eq!(opening(7, 196_608), None);
        assert_eq!(opening(u32::MAX, 196_608), None);
        assert_eq!(Opening::read(*b"GET / HT"), None);
    }
}
