//! What the attributes of a suite and of a test say.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::report::Declared;
use crate::profiling::event::{MAX_QUOTED, Millis, Status};
use crate::profiling::source::attributes::Attributes;
use crate::profiling::source::time;

impl Attributes<'_> {
    /// `time` in seconds as a span; odd values are noted and are no span.
    pub(in crate::profiling::source::junit) fn time(&mut self) -> Option<Millis> {
        let found = self.take("time")?;
        let text = found.trim();
        let plain = text.parse().ok();
        let seconds = plain.or_else(|| localised(text));
        let read = seconds.and_then(|seconds| Millis::from_seconds(seconds).ok());
        match (read, seconds) {
            (Some(_), Some(_)) if plain.is_some() => {}
            (Some(_), Some(seconds)) => self.odd.push(format!(
                "`time` is `{}`, taken as {seconds} seconds",
                short(&found)
            )),
            (_, _) => self.odd.push(format!(
                "`time` is `{}`, expected seconds from 0 to 1e9; taken as not measured",
                short(&found)
            )),
        }
        read
    }

    /// How a test ended, if it did not pass. Most files have an element for it, which wins.
    pub(in crate::profiling::source::junit) fn said(&mut self) -> Option<Status> {
        // GoogleTest has both: what did not run has no result, and what ran has one.
        let said = ["result", "status"].map(|name| self.take(name));
        said.into_iter()
            .flatten()
            .find_map(|word| match &*word.to_ascii_lowercase() {
                "notrun" | "disabled" | "skipped" | "ignored" | "suppressed" | "untested" | "pending" => {
                    Some(Status::Skipped)
                }
                "failed" | "fail" | "failure" => Some(Status::Failed),
                "error" | "errored" => Some(Status::Error),
                _ => None,
            })
    }

    /// `timestamp`; the second value tells whether it came without a zone and was taken as UTC.
    pub(in crate::profiling::source::junit) fn timestamp(&mut self) -> Option<(Timestamp, bool)> {
        let found = self.take("timestamp")?;
        let text = found.trim();
        // ISO 8601 nearly always; mocha and TestNG write dates as in mails.
        let read = time::read(text).or_else(|| {
            let mail = rfc2822::DateTimeParser::new().parse_timestamp(text);
            Some((mail.ok()?, false))
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
    pub(in crate::profiling::source::junit) fn declared(&mut self) -> Declared {
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

/// A number with the separators of a locale, as Maven Surefire writes times: `1,234.5`, `1.234,5`,
/// `1 234,5`, `0,12`. `1,234` is `None`: nothing tells which of the two it is.
fn localised(text: &str) -> Option<f64> {
    let mark = text.chars().rfind(|char| ".,".contains(*char))?;
    let (whole, fraction) = match text.split_once(mark) {
        Some((whole, fraction)) if !fraction.contains(mark) => (whole, fraction),
        // A mark that comes twice parts groups.
        _ => (text, ""),
    };
    let mut groups = whole.split(['.', ',', ' ', '\'', '\u{a0}', '\u{202f}']);
    let first = groups.next()?;
    let more: Vec<&str> = groups.collect();
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let head = number(first) && !first.is_empty() && number(fraction);
    let may_be_a_group = (1..=3).contains(&first.len()) && !first.starts_with('0');
    if !head || (more.is_empty() && may_be_a_group && fraction.len() == 3) {
        return None;
    }
    if !more.is_empty() && !may_be_a_group || !more.iter().all(|group| group.len() == 3 && number(group)) {
        return None;
    }
    [first, &more.concat(), ".", fraction].concat().parse().ok()
}

fn short(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

/// The attributes that are read.
pub(super) const KNOWN: [&str; 16] = [
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

#[cfg(test)]
mod tests {
    use super::localised;

    #[test]
    fn separators_of_a_locale() {
        for (text, number) in [
            ("0,12", 0.12),
            ("0,123", 0.123),
            ("12,5", 12.5),
            ("1,234.5", 1_234.5),
            ("86,400.000", 86_400.0),
            ("1.234,567", 1_234.567),
            ("12,345,678.9", 12_345_678.9),
            ("1,234,567", 1_234_567.0),
            ("1 234,5", 1_234.5),
            ("1\u{a0}234,5", 1_234.5),
            ("1\u{202f}234.5", 1_234.5),
        ] {
            assert_eq!(localised(text), Some(number), "{text}");
        }
        for text in [
            "",
            ",",
            "1,234",
            "999,000",
            "-1,5",
            "1,,2",
            "1,2,3",
            "1,23,456.7",
            "0,123,456.7",
            "1234,567.8",
            "1,5s",
            "1.2.3",
            "1:02,5",
            "1,2e3",
        ] {
            assert_eq!(localised(text), None, "{text}");
        }
    }
}
