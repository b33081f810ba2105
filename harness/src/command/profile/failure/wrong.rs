//! What is wrong with a file, and what is stored of it.

use std::fmt::Write as _;

use crossbridge_std::profiling::SourceError;
use crossbridge_std::profiling::source::{Position, Problem};
use serde_json::{Value, json};

use crate::command::profile::outcome::{End, FileOutcome};
use crate::command::profile::text::{count, thousands};

/// Something that is wrong with a file.
pub(super) struct Wrong<'f> {
    message: String,
    file: &'f str,
    at: Option<Position>,
    found: String,
    hint: String,
}

impl<'f> Wrong<'f> {
    pub(super) fn of(file: &'f FileOutcome) -> Vec<Self> {
        let name = file.name.as_str();
        let wrong = |message: String, at, found, hint: &str| Self {
            message,
            file: name,
            at,
            found,
            hint: hint.to_owned(),
        };
        let mut list = Vec::new();
        match &file.end {
            End::NoFile(error) => list.push(wrong(
                "the file cannot be read".to_owned(),
                None,
                error.to_string(),
                "nothing of it is stored",
            )),
            End::Broken(error) => {
                let hint = broken_hint(error, file);
                list.push(wrong(
                    broken_message(error).to_owned(),
                    error.at,
                    found(error),
                    &hint,
                ));
            }
            End::Whole | End::Unfinished { .. } | End::NotRead => {}
        }
        let counts = file.counts;
        if let Some(first) = file.rejected.items.first() {
            let lines = count(counts.read + counts.rejected, "line");
            let are = if counts.rejected == 1 {
                "is not an event"
            } else {
                "are not events"
            };
            let message = format!("{} of {lines} {are}", thousands(counts.rejected));
            let hint = if counts.read == 0 {
                "nothing of it is stored; is it a file with one event per line?"
            } else {
                "the others are stored; correct these, and the same command again adds them"
            };
            list.push(wrong(message, Some(first.at), first.reason.clone(), hint));
        }
        if let Some(first) = file.refused.items.first() {
            let message = format!("the store refuses {}", count(counts.refused, "event"));
            let hint =
                "the others are stored; `crossbridge profile dead-letters list` has these, with reasons";
            list.push(wrong(message, None, first.to_string(), hint));
        }
        list
    }

    pub(super) fn render(&self, text: &mut String) {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "error: {}", self.message);
        let _ = match self.at {
            Some(at) => writeln!(text, "  --> {}:{at}", self.file),
            None => writeln!(text, "  --> {}", self.file),
        };
        let _ = writeln!(text, "   {}\nhint: {}", self.found, self.hint);
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "message": self.message,
            "file": self.file,
            "line": self.at.map(|at| at.line),
            "column": self.at.map(|at| at.column),
            "found": self.found,
            "expected": null,
            "hint": self.hint,
        })
    }
}

const fn broken_message(error: &SourceError) -> &'static str {
    match &error.problem {
        Problem::Empty(_) => "the file is empty",
        Problem::WrongKind(_) => "not a file of events",
        Problem::Truncated { .. } | Problem::CutOff(_) => "the report breaks off",
        Problem::Malformed(_) => "the report is not well formed",
        Problem::Undecodable(_) => "the file is not text in its encoding",
        Problem::Refused(_) | Problem::TooDeep { .. } | Problem::TooLong { .. } => "the report is refused",
        Problem::Io(_) => "the file cannot be read to its end",
    }
}

/// The problem, without the name and the place, which stand elsewhere.
fn found(error: &SourceError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let before = error
        .complete_tests
        .map(|tests| format!("; {} before that", count(tests, "complete test")));
    let (cause, before) = (cause.unwrap_or_default(), before.unwrap_or_default());
    format!("{}{cause}{before}", error.problem)
}

fn broken_hint(error: &SourceError, file: &FileOutcome) -> String {
    match &error.problem {
        Problem::Empty(_) => "did the test run write it at all?".to_owned(),
        Problem::Io(_) if file.counts.stored() > 0 => {
            "what was read before is stored; the same command again adds the rest".to_owned()
        }
        Problem::Undecodable(_) if file.counts.stored() > 0 => "what was read before is stored".to_owned(),
        Problem::Truncated { .. } | Problem::CutOff(_) => {
            "nothing of it is stored; was the test run stopped while it wrote the report?".to_owned()
        }
        Problem::WrongKind(_)
        | Problem::Malformed(_)
        | Problem::Undecodable(_)
        | Problem::Refused(_)
        | Problem::TooDeep { .. }
        | Problem::TooLong { .. }
        | Problem::Io(_) => "nothing of it is stored".to_owned(),
    }
}
