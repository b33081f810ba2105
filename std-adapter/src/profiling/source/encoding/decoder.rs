//! Text of another encoding, read as UTF-8.

use std::fmt;
use std::io::{self, BufRead, Read};

use encoding_rs::{DecoderResult, Encoding};

use crate::profiling::identity::{Fingerprint, Fingerprinter};
use crate::profiling::source::tap::Position;

/// Decodes what is read through it, and hashes it as it was before. Bytes that are no text end it
/// with [`Undecodable`], once all text before them was read.
#[derive(Debug)]
pub(in crate::profiling::source) struct Decoder<R> {
    input: R,
    decoder: encoding_rs::Decoder,
    /// What of the input was decoded, for ids of reports.
    hasher: Fingerprinter,
    /// The same in bytes.
    taken: u64,
    /// The end of the same, for messages.
    recent: Vec<u8>,
    /// Decoded, and not read from `at` to `end`.
    text: Vec<u8>,
    at: usize,
    end: usize,
    /// The place of the text after `end`.
    place: Position,
    over: Option<Over>,
}

/// How it ends, once what is decoded was read.
#[derive(Debug)]
enum Over {
    Ended,
    Failed(Undecodable),
}

impl<R> Decoder<R> {
    pub(in crate::profiling::source) fn new(input: R, encoding: &'static Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder_with_bom_removal(),
            hasher: Fingerprinter::new(),
            taken: 0,
            recent: Vec::new(),
            text: vec![0; CHUNK],
            at: 0,
            end: 0,
            place: Position::START,
            over: None,
        }
    }

    /// Everything read, as it was before it was decoded.
    pub(in crate::profiling::source) fn fingerprint(&self) -> Fingerprint {
        self.hasher.fingerprint()
    }
}

impl<R: BufRead> Decoder<R> {
    fn decode(&mut self) -> io::Result<()> {
        let raw = self.input.fill_buf()?;
        let last = raw.is_empty();
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(raw, &mut self.text, last);
        let read_now = raw.get(..read).unwrap_or(raw);
        self.hasher.update(read_now);
        self.taken += u64::try_from(read).unwrap_or(u64::MAX);
        self.recent
            .extend_from_slice(read_now.get(read.saturating_sub(RECENT)..).unwrap_or_default());
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        self.input.consume(read);
        (self.at, self.end) = (0, written);
        self.place.pass(self.text.get(..written).unwrap_or_default());
        self.over = match result {
            DecoderResult::InputEmpty => last.then_some(Over::Ended),
            DecoderResult::OutputFull => None,
            DecoderResult::Malformed(length, after) => Some(Over::Failed(self.undecodable(length, after))),
        };
        Ok(())
    }

    /// The last bytes taken: `length` of them are no text, the `after` behind them may be.
    fn undecodable(&self, length: u8, after: u8) -> Undecodable {
        let behind = usize::from(length) + usize::from(after);
        let start = self.recent.len().saturating_sub(behind);
        let end = self.recent.len().saturating_sub(usize::from(after));
        Undecodable {
            encoding: self.decoder.encoding().name(),
            found: self.recent.get(start..end).unwrap_or_default().to_vec(),
            offset: self.taken.saturating_sub(u64::from(length) + u64::from(after)),
            at: self.place,
        }
    }
}

impl<R: BufRead> BufRead for Decoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.end {
            match &self.over {
                None => self.decode()?,
                Some(Over::Ended) => break,
                Some(Over::Failed(bad)) => return Err(io::Error::other(bad.clone())),
            }
        }
        Ok(self.text.get(self.at..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.end.min(self.at + amount);
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(out)?;
        self.consume(amount);
        Ok(amount)
    }
}

/// Bytes that are no text in the encoding of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// The name of the encoding in the WHATWG Encoding Standard.
    pub encoding: &'static str,
    /// The bytes, at most 4.
    pub found: Vec<u8>,
    /// How many bytes of the input are before them.
    pub offset: u64,
    /// Where they are in the decoded text.
    pub at: Position,
}

impl Undecodable {
    /// Whether these bytes are why a decoder could not be read.
    pub(in crate::profiling::source) fn cause(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("found")?;
        for byte in &self.found {
            write!(f, " 0x{byte:02x}")?;
        }
        write!(
            f,
            " at byte {} of the file, expected {} text",
            self.offset, self.encoding
        )
    }
}

impl std::error::Error for Undecodable {}

/// Decoded text at a time, in bytes.
const CHUNK: usize = 1 << 16;
/// As many bytes as a decoder may point back at: 4, and 3 after them.
const RECENT: usize = 8;

#[cfg(test)]
mod tests {
    use encoding_rs::{SHIFT_JIS, UTF_16BE, UTF_16LE, WINDOWS_1252};

    use super::*;

    /// What is read in buffers of `size` bytes, and what ends it.
    fn decoded(raw: &[u8], encoding: &'static Encoding, size: usize) -> (String, Option<Undecodable>) {
        let mut decoder = Decoder::new(io::BufReader::with_capacity(size, raw), encoding);
        let mut text = Vec::new();
        let bad = decoder
            .read_to_end(&mut text)
            .err()
            .and_then(|error| error.downcast::<Undecodable>().ok());
        if bad.is_none() {
            assert_eq!(decoder.fingerprint(), Fingerprint::of(raw));
        }
        (String::from_utf8(text).unwrap(), bad)
    }

    fn utf16(text: &str, swap: bool) -> Vec<u8> {
        let unit = |unit: u16| {
            if swap {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(unit)
            .collect()
    }

    #[test]
    fn buffers_of_any_size_give_the_same_text() {
        let text = "größe\n日本 \u{1f600} ".repeat(20_000);
        for size in [1, 3, 64, 1 << 16] {
            assert_eq!(
                decoded(&utf16(&text, false), UTF_16LE, size),
                (text.clone(), None)
            );
            assert_eq!(decoded(&utf16(&text, true), UTF_16BE, size), (text.clone(), None));
        }
        assert_eq!(
            decoded(b"caf\xe9 \x80 \x81", WINDOWS_1252, 1),
            ("caf\u{e9} \u{20ac} \u{81}".to_owned(), None)
        );
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        for size in [1, 2, 1 << 16] {
            let mut raw = utf16("ab\né", false);
            raw.extend([0x00, 0xdc, b'c', 0]);
            let (text, bad) = decoded(&raw, UTF_16LE, size);
            let bad = bad.unwrap();
            assert_eq!(text, "ab\né");
            assert_eq!(
                bad.to_string(),
                "found 0x00 0xdc at byte 10 of the file, expected UTF-16LE text"
            );
            assert_eq!(bad.at, Position { line: 2, column: 3 });
            // Half of a pair, and half of a character at the end.
            let (_, bad) = decoded(b"\xff\xfe\x3d\xd8a\0", UTF_16LE, size);
            assert_eq!(
                (bad.clone().unwrap().offset, bad.unwrap().found),
                (2, vec![0x3d, 0xd8])
            );
            let (text, bad) = decoded(b"a\0b", UTF_16LE, size);
            assert_eq!(
                (text.as_str(), bad.clone().unwrap().offset, bad.unwrap().found),
                ("a", 2, vec![b'b'])
            );
            let (text, bad) = decoded(b"ab\x81\x20c", SHIFT_JIS, size);
            assert_eq!((text.as_str(), bad.unwrap().offset), ("ab", 2));
        }
    }
}
