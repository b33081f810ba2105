//! The attributes of one tag of XML.

use std::collections::HashSet;

use quick_xml::events::BytesStart;

use super::text;
use crate::profiling::event::MAX_QUOTED;

/// The attributes of a tag that mean something to us, unescaped, and what was odd about them.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    known: Vec<(&'static str, String)>,
    /// What is odd about the values asked for so far.
    pub(super) odd: Vec<String>,
}

impl Attributes {
    /// Reads all attributes of a tag and keeps those that are `wanted`.
    ///
    /// # Errors
    ///
    /// What is not well formed about them: syntax, one given twice, an unknown entity.
    pub(super) fn read(tag: &BytesStart<'_>, wanted: &[&'static str]) -> Result<Self, String> {
        let mut out = Self::default();
        let mut seen = HashSet::new();
        let mut list = tag.attributes();
        // Its own check for duplicates compares each with each.
        list.with_checks(false);
        for attribute in list {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.into_inner();
            if !seen.insert(name) {
                return Err(format!(
                    "attribute `{}` is given twice",
                    name.chars().take(MAX_QUOTED).collect::<String>()
                ));
            }
            let known = wanted.iter().copied().find(|known| *known == name);
            let raw = attribute.value.as_ref();
            if known.is_none() && !raw.contains('&') {
                continue;
            }
            let (value, replaced) = text::unescape(raw).map_err(|reason| {
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
                out.known.push((known, value));
            }
        }
        Ok(out)
    }

    /// The value of `name`, taken out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.known.iter().position(|(known, _)| *known == name)?;
        Some(self.known.swap_remove(at).1)
    }
}
