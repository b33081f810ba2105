//! What an input is, told by its first bytes; its name is not asked.

use std::fmt;
use std::io::BufRead;

use super::tap::Tap;
use super::{Problem, SourceKind};

/// What an input turned out to be instead of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A gzip stream.
    Gzip,
    /// A zip archive.
    Zip,
    /// Text in UTF-16.
    Utf16,
    /// A web page, such as the error page of a proxy.
    Html,
    /// A JSON array, not one object per line.
    JsonArray,
    /// XML with another root element; the name, cut at 80 characters.
    OtherXml(String),
    /// The byte that begins no format we read.
    Byte(u8),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip => f.write_str("gzip data (unpack it first)"),
            Self::Zip => f.write_str("a zip archive (unpack it first)"),
            Self::Utf16 => f.write_str("UTF-16 text (convert it to UTF-8 first)"),
            Self::Html => f.write_str("an HTML page"),
            Self::JsonArray => f.write_str("a JSON array"),
            Self::OtherXml(root) => write!(f, "XML with the root element <{root}>"),
            Self::Byte(byte) if byte.is_ascii_graphic() => {
                write!(f, "text that begins with `{}`", char::from(*byte))
            }
            Self::Byte(byte) => write!(f, "data that begins with byte 0x{byte:02x}"),
        }
    }
}

/// Skips a byte order mark and white space, and says what follows. What the caller asks for is not
/// overruled, but an input with nothing in it is nothing, whatever was asked for.
///
/// `whole` is whether the first buffer is all there is.
pub(super) fn detect<R: BufRead>(
    tap: &mut Tap<R>,
    asked: SourceKind,
    whole: bool,
) -> Result<SourceKind, Problem> {
    let start = tap.fill_buf().map_err(Problem::Io)?;
    if start.is_empty() {
        return Err(Problem::Empty("no bytes"));
    }
    let wrong = |found| Err(Problem::WrongKind(found));
    match start {
        [0x1f, 0x8b, ..] => return wrong(Found::Gzip),
        [b'P', b'K', 3 | 5 | 7, ..] => return wrong(Found::Zip),
        // With a mark, or recognised by the zero beside the first character.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<' | b'{', 0, ..] | [0, b'<' | b'{', ..] => {
            return wrong(Found::Utf16);
        }
        [0xef, 0xbb, 0xbf, ..] => tap.consume(3),
        _ => {}
    }
    let first = loop {
        let available = tap.fill_buf().map_err(Problem::Io)?;
        if available.is_empty() {
            return Err(Problem::Empty("nothing but white space"));
        }
        match available.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(blanks) => {
                let first = available.get(blanks).copied().unwrap_or_default();
                tap.consume(blanks);
                break first;
            }
            None => {
                let blanks = available.len();
                tap.consume(blanks);
            }
        }
    };
    // A whole file that says "nothing" in JSON.
    let rest = tap.fill_buf().map_err(Problem::Io)?;
    if whole {
        let compact: Vec<u8> = rest
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        match compact.as_slice() {
            b"null" => return Err(Problem::Empty("only `null`")),
            b"[]" => return Err(Problem::Empty("an empty JSON array")),
            b"{}" => return Err(Problem::Empty("an empty JSON object")),
            _ => {}
        }
    }
    match (asked, first) {
        (SourceKind::Jsonl | SourceKind::Junit, _) => Ok(asked),
        (SourceKind::Auto, b'<') => Ok(SourceKind::Junit),
        (SourceKind::Auto, b'{') => Ok(SourceKind::Jsonl),
        (SourceKind::Auto, b'[') => wrong(Found::JsonArray),
        (SourceKind::Auto, byte) => wrong(Found::Byte(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(bytes: &[u8]) -> String {
        match detect(&mut Tap::new(bytes), SourceKind::Auto, true) {
            Ok(kind) => kind.as_str().to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn content_decides() {
        let expected = "expected JUnit XML or JSON lines";
        assert_eq!(auto(b"<testsuites/>"), "junit");
        assert_eq!(auto(b"\xef\xbb\xbf \r\n\t<a/>"), "junit");
        assert_eq!(auto(b"\n{\"a\":1}"), "jsonl");
        assert_eq!(auto(b""), "empty: no bytes");
        assert_eq!(auto(b"\xef\xbb\xbf"), "empty: nothing but white space");
        assert_eq!(auto(b" \n\t "), "empty: nothing but white space");
        assert_eq!(auto(b"null\n"), "empty: only `null`");
        assert_eq!(auto(b"[ ]"), "empty: an empty JSON array");
        assert_eq!(auto(b"{}"), "empty: an empty JSON object");
        assert_eq!(auto(b"[{}]"), format!("found a JSON array, {expected}"));
        assert_eq!(
            auto(b"\x1f\x8b\x08"),
            format!("found gzip data (unpack it first), {expected}")
        );
        assert_eq!(
            auto(b"PK\x03\x04"),
            format!("found a zip archive (unpack it first), {expected}")
        );
        assert_eq!(
            auto(b"<\0a\0"),
            format!("found UTF-16 text (convert it to UTF-8 first), {expected}")
        );
        assert_eq!(
            auto(b"hello"),
            format!("found text that begins with `h`, {expected}")
        );
        assert_eq!(
            auto(b"\x00\x01"),
            format!("found data that begins with byte 0x00, {expected}")
        );
    }
}
