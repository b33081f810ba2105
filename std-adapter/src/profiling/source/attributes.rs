//! The attributes of one tag of XML.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memchr;
use quick_xml::events::BytesStart;

use super::text;
use crate::profiling::event::MAX_QUOTED;

/// The attributes of a tag that mean something to us, unescaped, and what was odd about them.
#[derive(Debug, Default)]
pub(super) struct Attributes<'t> {
    known: Vec<(&'static str, Cow<'t, str>)>,
    /// What is odd about the values asked for so far.
    pub(super) odd: Vec<String>,
}

impl<'t> Attributes<'t> {
    /// Reads all attributes of a tag and keeps those that are `wanted`.
    ///
    /// # Errors
    ///
    /// What is not well formed about them: syntax, one given twice, an unknown entity.
    pub(super) fn read(tag: &'t BytesStart<'_>, wanted: &[&'static str]) -> Result<Self, String> {
        Self::check(tag, wanted, true)
    }

    /// The same for a tag of which no value is asked for: what is odd, and nothing kept.
    pub(super) fn pass_over(tag: &'t BytesStart<'_>, wanted: &[&'static str]) -> Result<Self, String> {
        Self::check(tag, wanted, false)
    }

    fn check(tag: &'t BytesStart<'_>, wanted: &[&'static str], keep: bool) -> Result<Self, String> {
        let mut out = Self::default();
        let mut names = Names::default();
        let mut list = tag.attributes();
        // Its own check for duplicates compares each with each.
        list.with_checks(false);
        for attribute in list {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.into_inner();
            if !names.insert(name) {
                return Err(format!(
                    "attribute `{}` is given twice",
                    name.chars().take(MAX_QUOTED).collect::<String>()
                ));
            }
            // Most values of most files are neither.
            let escaped = memchr(b'&', attribute.value.as_bytes()).is_some();
            if !keep && !escaped {
                continue;
            }
            let known = wanted.iter().copied().find(|known| *known == name);
            if known.is_none() && !escaped {
                continue;
            }
            let (value, replaced) = unescape(attribute.value).map_err(|reason| {
                format!(
                    "attribute `{}`: {reason}",
                    name.chars().take(MAX_QUOTED).collect::<String>()
                )
            })?;
            if let Some(known) = known {
                if replaced {
                    out.odd.push(format!(
                        "`{known}` refers to a character that XML does not have; replaced"
                    ));
                }
                if keep {
                    if out.known.is_empty() {
                        out.known.reserve(USUAL);
                    }
                    out.known.push((known, value));
                }
            }
        }
        Ok(out)
    }

    /// The value of `name`, taken out.
    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'t, str>> {
        let at = self.known.iter().position(|(known, _)| *known == name)?;
        Some(self.known.swap_remove(at).1)
    }

    /// The same as a text of its own.
    pub(super) fn take_owned(&mut self, name: &str) -> Option<String> {
        self.take(name).map(Cow::into_owned)
    }
}

/// A value as it was meant, borrowed where that is how it was written.
fn unescape(raw: Cow<'_, str>) -> Result<(Cow<'_, str>, bool), String> {
    match raw {
        Cow::Borrowed(raw) => text::unescape(raw),
        Cow::Owned(raw) => text::unescape(&raw).map(|(value, odd)| (value.into_owned().into(), odd)),
    }
}

/// Names seen in one tag: a few are compared with each other, many are hashed.
#[derive(Default)]
struct Names<'t> {
    few: [&'t str; FEW],
    count: usize,
    more: HashSet<&'t str>,
}

impl<'t> Names<'t> {
    /// Whether it was not there yet.
    fn insert(&mut self, name: &'t str) -> bool {
        if self.few.iter().take(self.count).any(|seen| *seen == name) {
            return false;
        }
        match self.few.get_mut(self.count) {
            Some(place) => {
                *place = name;
                self.count += 1;
                true
            }
            None => self.more.insert(name),
        }
    }
}

/// As many as a test has: room for them is made at once.
const USUAL: usize = 8;

/// A tag has a dozen attributes at most where nobody means harm.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_given_twice_is_found_among_few_and_among_many() {
        for count in [1, FEW - 1, FEW, FEW + 1, 200] {
            let list: String = (0..count).map(|number| format!(" a{number}='v'")).collect();
            let fine = BytesStart::from_content(format!("t{list} name='x'"), 1);
            let mut read = Attributes::read(&fine, &["name"]).unwrap();
            assert_eq!(read.take("name").as_deref(), Some("x"), "{count}");
            for number in [0, count - 1] {
                let twice = format!("t{list} a{number}='v'");
                let error = Attributes::read(&BytesStart::from_content(twice, 1), &[]).unwrap_err();
                assert_eq!(error, format!("attribute `a{number}` is given twice"));
            }
        }
    }

    #[test]
    fn references_are_replaced_and_checked_where_nobody_reads_them() {
        let tag = BytesStart::from_content("t name='a &lt; b' other='&amp;'", 1);
        let mut read = Attributes::read(&tag, &["name"]).unwrap();
        assert_eq!(read.take("name").as_deref(), Some("a < b"));
        assert_eq!(read.take("other"), None);
        let tag = BytesStart::from_content("t other='&nosuch;'", 1);
        assert!(Attributes::read(&tag, &["name"]).is_err());
    }
}
