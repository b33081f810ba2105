//! Where something stands in a document.

use std::fmt;
use std::str::FromStr;

/// The keys and indices that lead from the top of a document to a value.
///
/// ```
/// use crossbridge_std::config::KeyPath;
///
/// let path = KeyPath::root().key("runtime").key("retry").key("retryable_codes").index(1);
/// assert_eq!(path.to_string(), "runtime.retry.retryable_codes[1]");
/// assert_eq!(path.name(), "retryable_codes[1]");
/// assert_eq!(KeyPath::root().key("a.b").key("c").to_string(), "\"a.b\".c");
/// assert_eq!("runtime.retry.retryable_codes[1]".parse(), Ok(path));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath(Vec<Segment>);

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a list, counted from 0.
    Index(usize),
}

impl KeyPath {
    /// The top of the document.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// One key further.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.with(Segment::Key(key.into()))
    }

    /// One index further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The path without its last step; the top stays the top.
    #[must_use]
    pub fn parent(&self) -> Self {
        let mut segments = self.0.clone();
        segments.pop();
        Self(segments)
    }

    /// Whether this is the top of the document.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this leads through, or to, the other one.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The steps, from the top.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// What a person calls the value: the last key, and the indices after it.
    #[must_use]
    pub fn name(&self) -> String {
        let last_key = self
            .0
            .iter()
            .rposition(|segment| matches!(segment, Segment::Key(_)));
        Self(self.0.get(last_key.unwrap_or(0)..).unwrap_or_default().to_vec()).to_string()
    }

    pub(super) fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl From<Vec<Segment>> for KeyPath {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl<'a> FromIterator<&'a str> for KeyPath {
    fn from_iter<I: IntoIterator<Item = &'a str>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.to_owned())).collect())
    }
}

/// Why a text is not a [`KeyPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseKeyPathError;

impl fmt::Display for ParseKeyPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected keys with dots between them, such as faults[0].for; a key with a dot in it in quotes",
        )
    }
}

impl std::error::Error for ParseKeyPathError {}

impl FromStr for KeyPath {
    type Err = ParseKeyPathError;

    /// Reads what `Display` writes, the top excepted.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            let (key, after) = first_key(rest).ok_or(ParseKeyPathError)?;
            segments.push(Segment::Key(key));
            rest = after;
            while let Some(bracket) = rest.strip_prefix('[') {
                let (index, after) = bracket.split_once(']').ok_or(ParseKeyPathError)?;
                segments.push(Segment::Index(index.parse().map_err(|_| ParseKeyPathError)?));
                rest = after;
            }
            if rest.is_empty() {
                return Ok(Self(segments));
            }
            rest = rest.strip_prefix('.').ok_or(ParseKeyPathError)?;
        }
    }
}

/// The key a text begins with, and what follows it.
fn first_key(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (key, rest) = text.split_at_checked(end)?;
        let plain = !key.is_empty() && !key.contains([']', '"']);
        return plain.then(|| (key.to_owned(), rest));
    };
    let mut key = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((key, quoted.get(at + 1..)?)),
            '\\' => key.push(letters.next()?.1),
            other => key.push(other),
        }
    }
    None
}

impl fmt::Display for KeyPath {
    /// Dotted; a key that could be mistaken for two is in quotes. The top is `the document`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("the document");
        }
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if place > 0 {
                        f.write_str(".")?;
                    }
                    let ambiguous = |c: char| c.is_whitespace() || c.is_control() || ".[]\"".contains(c);
                    if key.is_empty() || key.contains(ambiguous) {
                        write!(f, "{key:?}")?;
                    } else {
                        f.write_str(key)?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for path in [
            KeyPath::root().key("seed"),
            KeyPath::root().key("faults").index(0).key("for"),
            KeyPath::root()
                .key("a.b")
                .index(3)
                .index(12)
                .key("c d")
                .key("\"\\"),
        ] {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
        for bad in [
            "", ".", "a.", ".a", "a..b", "a[", "a[x]", "a]", "a[0]b", "\"a", "a\"b", "[0]",
        ] {
            assert_eq!(bad.parse::<KeyPath>(), Err(ParseKeyPathError), "{bad}");
        }
    }
}
