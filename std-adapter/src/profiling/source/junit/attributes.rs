//! What the attributes of a suite and of a test say.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::report::Declared;
use crate::profiling::event::{MAX_QUOTED, Millis, Status};
use crate::profiling::source::attributes::{Attributes, Wanted as _, wanted};
use crate::profiling::source::time;

wanted! {
    /// What is read of tags.
    Attribute {
        Name = "name",
        Classname = "classname",
        File = "file",
        Line = "line",
        Time = "time",
        Timestamp = "timestamp",
        Status = "status",
        Result = "result",
        Type = "type",
        Message = "message",
        Tests = "tests",
        Failures = "failures",
        Errors = "errors",
        Skipped = "skipped",
        Skips = "skips",
        Skip = "skip",
    }
}

impl Attributes<'_, Attribute> {
    /// `time` in seconds as a span; odd values are noted and are no span.
    pub(in crate::profiling::source::junit) fn time(&mut self) -> Option<Millis> {
        let found = self.take(Attribute::Time)?;
        // A comma is never guessed at: in `1,234` it may part groups or stand before a fraction.
        let seconds = found.trim().parse().ok();
        let read = seconds.and_then(|seconds| Millis::from_seconds(seconds).ok());
        if read.is_none() {
            self.odd.push(format!(
                "`time` is `{}`, expected seconds from 0 to 1e9; taken as not measured",
                short(&found)
            ));
        }
        read
    }

    /// How a test ended, if it did not pass. Most files have an element for it, which wins.
    pub(in crate::profiling::source::junit) fn said(&mut self) -> Option<Status> {
        // GoogleTest has both: what did not run has no result, and what ran has one.
        let said = [Attribute::Result, Attribute::Status].map(|wanted| self.take(wanted));
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
        let found = self.take(Attribute::Timestamp)?;
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
        let mut count = |names: &[Attribute]| {
            let (wanted, found) = names
                .iter()
                .find_map(|&name| self.take(name).map(|found| (name, found)))?;
            let read = found.trim().parse().ok();
            if read.is_none() {
                self.odd.push(format!(
                    "`{}` is `{}`, expected a count; left out",
                    wanted.name(),
                    short(&found)
                ));
            }
            read
        };
        Declared {
            tests: count(&[Attribute::Tests]),
            failures: count(&[Attribute::Failures]),
            errors: count(&[Attribute::Errors]),
            // `skip` and `skips` are what older pytest and nose wrote.
            skipped: count(&[Attribute::Skipped, Attribute::Skips, Attribute::Skip]),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}
