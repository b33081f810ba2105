//! What an input is, told by its first bytes, once they are text; its name is not asked.
//!
//! ```text
//!  signature, byte order mark ──► `<` ──► <robot> or any other root
//!  of something else? refuse  ├─► `{` ──► the names of the members of the object: reports, else lines
//!                             ├─► `[time][LEVEL]:` a log of chromedriver
//!                             └─► text: a line further down that begins such an object?
//! ```
//!
//! Test runners write to the same stream as the tests, so that output may stand before a report in
//! JSON.

use std::fmt;

use super::{Problem, SourceKind, selenium};

mod members;

use members::Said;

/// What an input turned out to be instead of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A gzip stream.
    Gzip,
    /// A zip archive.
    Zip,
    /// Text in UTF-32.
    Utf32,
    /// A web page, such as the error page of a proxy.
    Html,
    /// A JSON array, not one object per line.
    JsonArray,
    /// A JSON object over several lines, of no kind that is known.
    JsonObject,
    /// A JSON object of another kind: without this member.
    JsonWithout(&'static str),
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
            Self::Utf32 => f.write_str("UTF-32 text (convert it to UTF-8 first)"),
            Self::Html => f.write_str("an HTML page"),
            Self::JsonArray => f.write_str("a JSON array"),
            Self::JsonObject => f.write_str("a JSON object of another kind, over several lines"),
            Self::JsonWithout(member) => write!(f, "JSON without `{member}`"),
            Self::OtherXml(root) => write!(f, "XML with the root element <{root}>"),
            Self::Byte(byte) if byte.is_ascii_graphic() => {
                write!(f, "text that begins with `{}`", char::from(*byte))
            }
            Self::Byte(byte) => write!(f, "data that begins with byte 0x{byte:02x}"),
        }
    }
}

/// How much of the input the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// More can be read, if that helps.
    Part,
    /// There is more, but no more will be looked at.
    Limit,
    /// This is all there is.
    Whole,
}

/// What was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detected {
    pub(super) kind: SourceKind,
    /// Bytes before the document.
    pub(super) skip: usize,
    /// Whether there is other output among those.
    pub(super) leading: bool,
}

/// Skips a byte order mark and white space, and says what follows; `None` where more bytes would
/// help. What the caller asks for is not overruled, but an input with nothing in it is nothing,
/// whatever was asked for.
pub(super) fn detect(head: &[u8], asked: SourceKind, extent: Extent) -> Result<Option<Detected>, Problem> {
    if head.len() < SIGNATURE && extent == Extent::Part {
        return Ok(None);
    }
    let wrong = |found| Err(Problem::WrongKind(found));
    let mark = match head {
        [] => return Err(Problem::Empty("no bytes")),
        [0x1f, 0x8b, ..] => return wrong(Found::Gzip),
        [b'P', b'K', 3 | 5 | 7, ..] => return wrong(Found::Zip),
        [0xef, 0xbb, 0xbf, ..] => 3,
        _ => 0,
    };
    let content = head.get(mark..).unwrap_or_default();
    let text = content.trim_ascii_start();
    let skip = head.len() - text.len();
    let Some(&first) = text.first() else {
        return match extent {
            Extent::Part => Ok(None),
            Extent::Limit => wrong(Found::Byte(b' ')),
            Extent::Whole => Err(Problem::Empty("nothing but white space")),
        };
    };
    if extent == Extent::Whole
        && let Some(what) = nothing(text)
    {
        return Err(Problem::Empty(what));
    }
    let found = |kind| {
        Ok(Some(Detected {
            kind,
            skip,
            leading: false,
        }))
    };
    match (asked, first) {
        (SourceKind::Jsonl | SourceKind::Junit | SourceKind::Robot | SourceKind::Selenium, _) => found(asked),
        (SourceKind::Auto, b'<') => match root(text) {
            None if extent == Extent::Part => Ok(None),
            Some(b"robot") => found(SourceKind::Robot),
            Some(_) | None => found(SourceKind::Junit),
        },
        (SourceKind::Auto, b'{') => match members::look(text) {
            Said::Kind(kind) => found(kind),
            Said::CutOff if extent == Extent::Part => Ok(None),
            Said::CutOff | Said::Nothing if several_lines(text) => wrong(Found::JsonObject),
            Said::CutOff | Said::Nothing => found(SourceKind::Jsonl),
        },
        (SourceKind::Auto, b'[') if log_line(text) => found(SourceKind::Selenium),
        (_, b'{') => found(asked),
        (_, _) => match document(text) {
            Some((at, kind)) => Ok(Some(Detected {
                kind: if asked == SourceKind::Auto { kind } else { asked },
                skip: skip + at,
                leading: true,
            })),
            None if extent == Extent::Part => Ok(None),
            None if asked != SourceKind::Auto => found(asked),
            None if first == b'[' => wrong(Found::JsonArray),
            None => wrong(Found::Byte(first)),
        },
    }
}

/// A whole file that says "nothing" in JSON.
fn nothing(text: &[u8]) -> Option<&'static str> {
    let start: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .take(5)
        .collect();
    match start.as_slice() {
        b"null" => Some("only `null`"),
        b"[]" => Some("an empty JSON array"),
        b"{}" => Some("an empty JSON object"),
        _ => None,
    }
}

/// The name of the first element, if it is there.
fn root(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = text.trim_ascii_start().strip_prefix(b"<")?;
        let end: &[u8] = match text {
            [b'?', ..] => b"?>",
            [b'!', b'-', ..] => b"-->",
            [b'!', ..] => b">",
            name => {
                let length = name
                    .iter()
                    .position(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte))?;
                return name.get(..length);
            }
        };
        let at = text.windows(end.len()).position(|window| window == end)?;
        text = text.get(at + end.len()..)?;
    }
}

/// The first line that begins the object of a report, after something else.
fn document(text: &[u8]) -> Option<(usize, SourceKind)> {
    let mut at = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let rest = text.get(at..)?;
        if rest.first() == Some(&b'{')
            && let Said::Kind(kind) = members::look(rest)
            && kind != SourceKind::Jsonl
        {
            return Some((at, kind));
        }
        at += line.len();
    }
    None
}

/// Whether an object goes on in the next line, as programs write it for people. None of its lines
/// is an object.
fn several_lines(text: &[u8]) -> bool {
    let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.next() == Some(b"{")
        && lines
            .find(|line| !line.is_empty())
            .is_some_and(|line| line.first() == Some(&b'"'))
}

fn log_line(text: &[u8]) -> bool {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| selenium::head(line).is_some())
}

/// Bytes of the longest signature.
const SIGNATURE: usize = 4;

#[cfg(test)]
mod tests;
