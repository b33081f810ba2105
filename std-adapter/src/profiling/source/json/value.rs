//! Texts of a report, as they are kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};

use crate::profiling::source::text;

/// A text that is looked at and not kept: of a report in memory, borrowed. Control characters are visible.
#[derive(Debug, Default)]
pub(in crate::profiling::source) struct Word<'t>(pub(in crate::profiling::source) Cow<'t, str>);

/// A name: text with control characters made visible.
#[derive(Debug, Default)]
pub(in crate::profiling::source) struct Text(pub(in crate::profiling::source) String);

/// The first line of a message, without colours, at most 512 characters of it.
#[derive(Debug, Default)]
pub(in crate::profiling::source) struct Message(pub(in crate::profiling::source) Option<String>);

impl<'de: 't, 't> Deserialize<'de> for Word<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_bytes<E: serde::de::Error>(self, found: &'de [u8]) -> Result<Word<'de>, E> {
                match std::str::from_utf8(found) {
                    Ok(found) => Ok(Word(text::visible(found))),
                    Err(_) => self.visit_bytes(found),
                }
            }

            fn visit_bytes<E: serde::de::Error>(self, found: &[u8]) -> Result<Word<'de>, E> {
                let owned = |found: &str| Word(Cow::Owned(text::visible(found).into_owned()));
                Bytes(owned).visit_bytes(found)
            }

            fn visit_str<E: serde::de::Error>(self, found: &str) -> Result<Word<'de>, E> {
                self.visit_bytes(found.as_bytes())
            }
        }

        deserializer.deserialize_bytes(Borrowing)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Bytes(|found: &str| Self(text::visible(found).into_owned())))
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line(Option<String>);
        impl<'de> Deserialize<'de> for Line {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(Bytes(|found: &str| Self(text::message(found))))
            }
        }
        let line = Option::<Line>::deserialize(deserializer)?;
        Ok(Self(line.and_then(|line| line.0)))
    }
}

/// A value that is a text in most files and may be anything in others; only the text is kept.
#[derive(Debug, Default)]
pub(in crate::profiling::source) struct Code(pub(in crate::profiling::source) Option<String>);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Other(IgnoredAny),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Text(text) => Self(Some(text)),
            Either::Other(IgnoredAny) => Self(None),
        })
    }
}

/// A count, or the number of a line: a whole number from 0, which may be written as `3.0`. Any
/// other number is none, such as the -1 of what has no line.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::profiling::source) struct Whole(pub(in crate::profiling::source) Option<u64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked before"
        )]
        let whole = |number: f64| (0.0..MAX_WHOLE).contains(&number).then_some(number as u64);
        let number = Option::<f64>::deserialize(deserializer)?.filter(|number| number.fract() == 0.0);
        Ok(Self(number.and_then(whole)))
    }
}

/// Whole numbers below it are exact: 2⁵³.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

struct Bytes<F>(F);

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Bytes<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, found: &str) -> Result<T, E> {
        Ok((self.0)(found))
    }

    fn visit_bytes<E: serde::de::Error>(self, found: &[u8]) -> Result<T, E> {
        match std::str::from_utf8(found) {
            Ok(found) => Ok((self.0)(found)),
            // Half of a surrogate pair, as `serde_json` hands it on.
            Err(error) if found.get(error.valid_up_to()) == Some(&0xed) => Ok((self.0)(&replaced(found))),
            Err(_) => Err(E::custom("found a text that is not UTF-8")),
        }
    }
}

/// The text with one U+FFFD for every run of bytes that are not UTF-8.
fn replaced(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        let inside = chunk.valid().is_empty() && out.ends_with(char::REPLACEMENT_CHARACTER);
        if !chunk.invalid().is_empty() && !inside {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out
}
