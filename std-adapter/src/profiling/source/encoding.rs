//! In which encoding an input is, told by its first bytes.
//!
//! ```text
//!  byte order mark ──────► UTF-8, UTF-16LE or UTF-16BE, whatever a declaration says
//!  a zero beside `<` `{` `[` ──► UTF-16LE or UTF-16BE
//!  <?xml encoding="..."?> ─► what it names, by the labels of the WHATWG Encoding Standard
//!  anything else ────────► UTF-8, which JSON always is
//! ```
//!
//! By those labels ISO-8859-1 is windows-1252, its superset. A declaration in ASCII that says UTF-16
//! is wrong about itself (.NET writes such), one that says ASCII promises a part of UTF-8, and one
//! with a label that nobody knows promises nothing: all three are read as UTF-8, and bytes that are
//! none are an error with a place. UTF-32 is refused by name.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memmem;
use quick_xml::events::BytesStart;

use super::detect::Extent;
use super::{Found, Problem};

mod decoder;

pub(super) use decoder::Decoder;
pub use decoder::Undecodable;

/// The encoding of an input that begins with `head`; `None` where more bytes would help.
pub(super) fn of(head: &[u8], extent: Extent) -> Result<Option<&'static Encoding>, Problem> {
    if head.len() < SIGNATURE && extent == Extent::Part {
        return Ok(None);
    }
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
            Err(Problem::WrongKind(Found::Utf32))
        }
        [0xff, 0xfe, ..] | [b'<' | b'{' | b'[', 0, _, 0, ..] => Ok(Some(UTF_16LE)),
        [0xfe, 0xff, ..] | [0, b'<' | b'{' | b'[', 0, _, ..] => Ok(Some(UTF_16BE)),
        _ => Ok(declared(head.trim_ascii_start(), extent)),
    }
}

/// What the XML declaration says, where there is one.
fn declared(text: &[u8], extent: Extent) -> Option<&'static Encoding> {
    let begin = text.get(..DECLARATION.len()).unwrap_or(text);
    if !DECLARATION.starts_with(begin) {
        return Some(UTF_8);
    }
    let Some(end) = memmem::find(text, b"?>") else {
        return (extent != Extent::Part).then_some(UTF_8);
    };
    Some(label(text.get(2..end).unwrap_or_default()).unwrap_or(UTF_8))
}

/// The encoding that a declaration names, if it is not read as UTF-8 all the same.
fn label(declaration: &[u8]) -> Option<&'static Encoding> {
    let declaration = std::str::from_utf8(declaration).ok()?;
    let tag = BytesStart::from_content(declaration, "xml".len());
    let label = tag.try_get_attribute("encoding").ok()??.value;
    let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
    let ascii = ["ascii", "us-ascii"].map(|name| label.trim().eq_ignore_ascii_case(name));
    (!ascii.contains(&true) && encoding != UTF_16LE && encoding != UTF_16BE).then_some(encoding)
}

const DECLARATION: &[u8] = b"<?xml";
/// Bytes of the longest mark.
const SIGNATURE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(head: &[u8], extent: Extent) -> String {
        match of(head, extent) {
            Ok(Some(encoding)) => encoding.name().to_owned(),
            Ok(None) => "more, please".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn the_first_bytes_tell() {
        let utf32 = "found UTF-32 text (convert it to UTF-8 first), expected a test report or JSON lines";
        for (head, expected) in [
            (&b""[..], "UTF-8"),
            (b"{}", "UTF-8"),
            (b"\xef\xbb\xbf<?xml version='1.0' encoding='latin1'?>", "UTF-8"),
            (b"\xff\xfe<\0", "UTF-16LE"),
            (b"\xfe\xff\0<", "UTF-16BE"),
            (b"{\0\"\0", "UTF-16LE"),
            (b"\0<\0?", "UTF-16BE"),
            (b"\xff\xfe\0\0", utf32),
            (b"\0\0\0<", utf32),
            (b"<\0?xml", "UTF-8"),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "windows-1252"),
            (
                b"\n<?xml version='1.0'\n encoding = \"Windows-1251\" ?>",
                "windows-1251",
            ),
            (b"<?xml version='1.0' encoding='Shift_JIS'?>", "Shift_JIS"),
            (b"<?xml version='1.0' encoding='utf-16'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='US-ASCII'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='ISO-2022-CN'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='klingon'?>", "UTF-8"),
            (b"<?xml version='1.0'?><a encoding='latin1'/>", "UTF-8"),
            (b"<?xml encoding='latin1'", "UTF-8"),
        ] {
            assert_eq!(told(head, Extent::Whole), expected, "{}", head.escape_ascii());
        }
        for head in [&b"<?x"[..], b"\xff\xfe", b"  <?xml encoding='latin1'"] {
            assert_eq!(
                told(head, Extent::Part),
                "more, please",
                "{}",
                head.escape_ascii()
            );
        }
        assert_eq!(told(b"<testsuite/>", Extent::Part), "UTF-8");
    }
}
