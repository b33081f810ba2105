//! The attributes of one tag.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use quick_xml::events::BytesStart;

use super::report::Declared;
use super::text;
use crate::profiling::event::{MAX_QUOTED, Millis};

/// The attributes of a tag that mean something to us, unescaped, and what was odd about them.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    known: Vec<(&'static str, String)>,
    /// What is odd about the values asked for so far.
    pub(super) odd: Vec<String>,
}

impl Attributes {
    /// Reads all attributes of a tag.
    ///
    /// # Errors
    ///
    /// What is not well formed about them: syntax, one given twice, an unknown entity.
    pub(super) fn read(tag: &BytesStart<'_>) -> Result<Self, String> {
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
            let known = KNOWN.into_iter().find(|known| *known == name);
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

    /// `time` in seconds as a span; odd values are noted and are no span.
    pub(super) fn time(&mut self) -> Option<Millis> {
        let found = self.take("time")?;
        let read = found
            .trim()
            .parse::<f64>()
            .map_err(|_| "found no number".to_owned())
            .and_then(|seconds| Millis::from_seconds(seconds).map_err(|error| error.to_string()));
        match read {
            Ok(time) => Some(time),
            Err(_) => {
                self.odd.push(format!(
                    "`time` is `{}`, expected seconds from 0 to 1e9; taken as not measured",
                    short(&found)
                ));
                None
            }
        }
    }

    /// `timestamp`; the second value tells whether it came without a zone and was taken as UTC.
    pub(super) fn timestamp(&mut self) -> Option<(Timestamp, bool)> {
        let found = self.take("timestamp")?;
        let text = found.trim();
        // ISO 8601 nearly always; mocha and TestNG write dates as in mails.
        let zoned = text
            .parse::<Timestamp>()
            .or_else(|_| rfc2822::DateTimeParser::new().parse_timestamp(text));
        let zoned = zoned.map(|at| (at, false)).ok();
        let read = zoned.or_else(|| {
            let local = text.parse::<DateTime>().ok()?;
            Some((TimeZone::UTC.to_timestamp(local).ok()?, true))
        });
        if read.is_none() {
            self.odd.push(format!(
                "`timestamp` is `{}`, expected a time such as 2026-11-21T16:53:04Z; left out",
                short(&found)
            ));
        }
        read
    }

    /// The counts of a suite.
    pub(super) fn declared(&mut self) -> Declared {
        let mut count = |names: &[&str]| {
            let (name, found) = names
                .iter()
                .find_map(|name| self.take(name).map(|found| (*name, found)))?;
            let read = found.trim().parse().ok();
            if read.is_none() {
                self.odd.push(format!(
                    "`{name}` is `{}`, expected a count; left out",
                    short(&found)
                ));
            }
            read
        };
        Declared {
            tests: count(&["tests"]),
            failures: count(&["failures"]),
            errors: count(&["errors"]),
            // `skip` and `skips` are what older pytest and nose wrote.
            skipped: count(&["skipped", "skips", "skip"]),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

const KNOWN: [&str; 16] = [
    "name",
    "classname",
    "file",
    "line",
    "time",
    "timestamp",
    "status",
    "result",
    "type",
    "message",
    "tests",
    "failures",
    "errors",
    "skipped",
    "skips",
    "skip",
];
