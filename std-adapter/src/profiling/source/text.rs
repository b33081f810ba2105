//! Text out of reports: references of XML, control characters, colours, first lines.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memchr;

/// Replaces references, and makes control characters visible.
///
/// The second value tells whether a reference to a character that XML does not have (`&#0;`,
/// `&#x110000;`) was replaced.
///
/// # Errors
///
/// A reference to an entity that XML does not predefine, or one without an end.
pub(super) fn unescape(raw: &str) -> Result<(Cow<'_, str>, bool), String> {
    if memchr(b'&', raw.as_bytes()).is_none() {
        return Ok((visible(raw), false));
    }
    let mut out = String::with_capacity(raw.len());
    let mut odd = false;
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        push_visible(&mut out, before);
        let Some((name, tail)) = after.split_once(';') else {
            return Err("`&` without a `;` after it".to_owned());
        };
        odd |= push_reference(&mut out, name)?;
        rest = tail;
    }
    push_visible(&mut out, rest);
    Ok((out.into(), odd))
}

/// Appends what `&name;` stands for. Whether that had to be replaced.
pub(super) fn push_reference(out: &mut String, name: &str) -> Result<bool, String> {
    let known = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let Some(number) = name.strip_prefix('#') else {
                return Err(format!(
                    "unknown entity `&{};`",
                    name.chars().take(40).collect::<String>()
                ));
            };
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            match code.ok().and_then(char::from_u32) {
                Some(char) => {
                    let forbidden = is_control(char);
                    push_visible(out, char.encode_utf8(&mut [0; 4]));
                    return Ok(forbidden);
                }
                None => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    return Ok(true);
                }
            }
        }
    };
    out.push(known);
    Ok(false)
}

/// Whether there is nothing in it that [`unescape`] changes. Line breaks and tabs, which it does not
/// change either, are no plain text: they are rare where this is asked, and so eight bytes are one step.
pub(super) fn is_plain(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    // The last eight are looked at once more where they are in two of the chunks.
    let Some(last) = bytes.last_chunk() else {
        return !bytes.iter().any(|&byte| byte == b'&' || byte < b' ');
    };
    let (chunks, _) = bytes.as_chunks();
    !chunks.iter().fold(is_odd(last), |odd, chunk| odd | is_odd(chunk))
}

/// Whether any of the bytes is `&` or below a space, without asking each: the highest bit of a byte is
/// set where subtracting from it borrows ("Bit Twiddling Hacks", `hasless` and `haszero`).
const fn is_odd(bytes: &[u8; 8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    let bytes = u64::from_le_bytes(*bytes);
    let references = bytes ^ u64::from_le_bytes([b'&'; 8]);
    let low = bytes.wrapping_sub(u64::from_le_bytes([b' '; 8])) & !bytes;
    (low | references.wrapping_sub(ONES) & !references) & HIGHEST != 0
}

/// Appends `text` [with control characters made visible](visible).
pub(super) fn push_visible(out: &mut String, text: &str) {
    out.push_str(&visible(text));
}

/// `text` with control characters as `\x1b`, so that names that differ by one still do.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    // Without a way out, so that several bytes are looked at in one step.
    let odd = |found, &byte: &u8| found | is_control(char::from(byte));
    if !text.as_bytes().iter().fold(false, odd) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_control(char) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{:02x}", u32::from(char));
        } else {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

/// U+0000 to U+001F without the three that XML allows.
const fn is_control(char: char) -> bool {
    matches!(char, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}')
}

/// The [first line](first_line) of a text without what only terminals understand: colours and
/// other control characters.
pub(super) fn message(text: &str) -> Option<String> {
    // A message may be the output of a whole program: what is cut off here is never shown.
    let text = text.get(..text.floor_char_boundary(MAX_MESSAGE * 16))?;
    // Most have nothing of that in their first line, and the others need not be looked at.
    for line in text
        .lines()
        .take_while(|line| !line.bytes().any(is_for_terminals))
    {
        if let Some(found) = first_line(line) {
            return Some(found);
        }
    }
    let mut plain = String::new();
    for piece in anstream::adapter::strip_str(text) {
        plain.push_str(piece);
        if piece.contains('\n')
            && let Some((line, _)) = plain.trim_start().split_once('\n')
        {
            return first_line(line);
        }
    }
    first_line(&plain)
}

/// Control characters other than white space.
const fn is_for_terminals(byte: u8) -> bool {
    byte == 0x7f || (byte < b' ' && !byte.is_ascii_whitespace())
}

/// The first line that is not blank, at most [`MAX_MESSAGE`] characters of it.
pub(super) fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    // Fewer bytes are fewer characters.
    if line.len() <= MAX_MESSAGE || line.chars().nth(MAX_MESSAGE).is_none() {
        return Some(line.to_owned());
    }
    let mut short: String = line.chars().take(MAX_MESSAGE - 1).collect();
    short.push('…');
    Some(short)
}

/// Characters kept of a message.
pub(super) const MAX_MESSAGE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let (text, odd) = unescape("a &lt;b&gt; &amp; &quot;c&apos; &#65;&#x42;&#10;d").unwrap();
        assert_eq!(text, "a <b> & \"c' AB\nd");
        assert!(!odd);
    }

    #[test]
    fn what_xml_does_not_have_is_made_visible() {
        assert_eq!(unescape("a\0\u{1b}[31mb"), Ok((r"a\x00\x1b[31mb".into(), false)));
        assert_eq!(unescape("&#0;&#x1b;"), Ok((r"\x00\x1b".into(), true)));
        for bad in [
            "&#x110000;",
            "&#xd800;",
            "&#99999999999999;",
            "&#;",
            "&#x;",
            "&#-1;",
        ] {
            assert_eq!(unescape(bad), Ok(("\u{fffd}".into(), true)), "{bad}");
        }
    }

    #[test]
    fn plain_is_what_has_no_reference_and_no_control_character_anywhere() {
        for length in 0..40 {
            for odd in [
                "", "&", "\0", "\u{1f}", "\n", " ", "'", "%", "\u{7f}", "é", "\u{80}",
            ] {
                let expected = !matches!(odd, "&" | "\0" | "\u{1f}" | "\n");
                for place in 0..=length {
                    let text = "x".repeat(place) + odd + &"!".repeat(length - place);
                    assert_eq!(is_plain(&text), expected, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn other_entities_are_errors() {
        assert_eq!(unescape("&nosuch;"), Err("unknown entity `&nosuch;`".to_owned()));
        assert_eq!(unescape("a & b"), Err("`&` without a `;` after it".to_owned()));
    }

    #[test]
    fn a_message_has_no_colours() {
        let coloured = "\n\u{1b}[31mError: \u{1b}[2mexpect(\u{1b}[22mx\0)\u{1b}[39m\nmore";
        assert_eq!(message(coloured).as_deref(), Some("Error: expect(x)"));
        assert_eq!(message("\u{1b}[31m\u{1b}[39m"), None);
        // A title of a window, over two lines, and colours only further down.
        assert_eq!(
            message(" \n\u{1b}]0;title\nmore\u{7}said\nx").as_deref(),
            Some("said")
        );
        assert_eq!(
            message("\n plain\tone \r\n\u{1b}[31mred").as_deref(),
            Some("plain\tone")
        );
    }

    /// The short ways give what reading all of the text gives.
    #[test]
    fn a_message_is_the_first_line_of_the_stripped_text() {
        let parts = [
            "a",
            " ",
            "\n",
            "\r\n",
            "\u{1b}[1m",
            "\u{1b}]0;t\u{7}",
            "\u{7f}",
            "\u{b}",
            "é\u{85}",
            "\t",
        ];
        let mut all = vec![String::new()];
        for _ in 0..4 {
            all = all
                .iter()
                .flat_map(|text| parts.map(|part| format!("{text}{part}")))
                .collect();
            for text in &all {
                let plain = anstream::adapter::strip_str(text).to_string();
                assert_eq!(message(text), first_line(&plain), "{text:?}");
            }
        }
    }

    #[test]
    fn a_message_is_one_bounded_line() {
        assert_eq!(
            first_line("\n  assert 1 == 2 \n more"),
            Some("assert 1 == 2".to_owned())
        );
        assert_eq!(first_line(" \n\t"), None);
        let long = first_line(&"é".repeat(600)).unwrap();
        assert_eq!((long.chars().count(), long.ends_with('…')), (512, true));
    }
}
