//! What the command ends with: nothing, what is wrong with the files, or what the store did not do.
//!
//! | code | when |
//! |---|---|
//! | 0 | every event of every file is stored |
//! | 3 | the store worked, but a file could not be read, was empty, broke off, or had lines or events that are not stored |
//! | 4 | the store could not be used; whatever else happened is told as well |

use std::fmt::Write as _;

use crossbridge_core::CallError;
use crossbridge_std::profiling::source::{Position, Problem};
use crossbridge_std::profiling::store::Trouble;
use crossbridge_std::profiling::{SourceError, StoreError, StoreUrl};
use serde_json::{Value, json};

use super::outcome::{End, FileOutcome, Outcome, Unusable, chain};
use super::text::{count, thousands};
use super::{PATH, json as object};
use crate::exit::Failure;

pub(super) fn of(outcome: &Outcome) -> Result<(), Failure> {
    let wrong: Vec<_> = outcome.files.iter().flat_map(Wrong::of).collect();
    let mut text = String::new();
    for wrong in &wrong {
        wrong.render(&mut text);
        text.push('\n');
    }
    let others = |from: usize| -> Vec<Value> { wrong.iter().skip(from).map(Wrong::to_json).collect() };
    match (&outcome.unusable, wrong.first()) {
        (None, None) => Ok(()),
        (None, Some(first)) => {
            let mut json = first.to_json();
            if let Value::Object(fields) = &mut json {
                fields.insert("others".to_owned(), others(1).into());
            }
            Err(Failure::Input {
                text: text.trim_end().to_owned(),
                json,
            })
        }
        (Some(unusable), _) => {
            let lost = Lost::of(outcome, unusable);
            lost.render(&mut text);
            let mut json = lost.json;
            if let Value::Object(fields) = &mut json {
                fields.insert("others".to_owned(), others(0).into());
            }
            Err(Failure::Dependency {
                text: text.trim_end().to_owned(),
                json,
            })
        }
    }
}

/// Something that is wrong with a file.
struct Wrong<'f> {
    message: String,
    file: &'f str,
    at: Option<Position>,
    found: String,
    hint: String,
}

impl<'f> Wrong<'f> {
    fn of(file: &'f FileOutcome) -> Vec<Self> {
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
            let message = format!("{} of {lines} are not events", thousands(counts.rejected));
            let hint = "the others are stored; correct these, and the same command again adds them";
            list.push(wrong(message, Some(first.at), first.reason.clone(), hint));
        }
        if let Some(first) = file.refused.items.first() {
            let message = format!("the store refuses {}", count(counts.refused, "event"));
            let hint = "the others are stored; the reason is in the store's own rules";
            list.push(wrong(message, None, first.to_string(), hint));
        }
        list
    }

    fn render(&self, text: &mut String) {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "error: {}", self.message);
        let _ = match self.at {
            Some(at) => writeln!(text, "  --> {}:{at}", self.file),
            None => writeln!(text, "  --> {}", self.file),
        };
        let _ = writeln!(text, "   {}\nhint: {}", self.found, self.hint);
    }

    fn to_json(&self) -> Value {
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
        Problem::Truncated { .. } | Problem::CutOff(_) => {
            "nothing of it is stored; was the test run stopped while it wrote the report?".to_owned()
        }
        Problem::WrongKind(_)
        | Problem::Malformed(_)
        | Problem::Refused(_)
        | Problem::TooDeep { .. }
        | Problem::TooLong { .. }
        | Problem::Io(_) => "nothing of it is stored".to_owned(),
    }
}

/// What the store did not take, and what it keeps all the same.
struct Lost {
    message: String,
    details: Vec<String>,
    hint: String,
    json: Value,
}

impl Lost {
    fn of(outcome: &Outcome, unusable: &Unusable) -> Self {
        let (message, gave_up, attempts, repair) = match unusable {
            Unusable::Folder(folder, error) => {
                let message = format!("cannot make the folder {}: {error}", folder.display());
                (
                    message,
                    None,
                    0,
                    "name another place with --store sqlite:FILE".to_owned(),
                )
            }
            Unusable::Store(error) => {
                let last = error.last.as_ref().map(|last| chain(last));
                let message = last.unwrap_or_else(|| outcome.store.place());
                (
                    message,
                    Some(error.to_string()),
                    error.attempts,
                    repair(outcome, error),
                )
            }
        };
        let kept = outcome.totals();
        let not_read: Vec<_> = outcome
            .files
            .iter()
            .filter(|file| matches!(file.end, End::NotRead))
            .map(|file| file.name.as_str())
            .collect();
        let unfinished = outcome.files.iter().find_map(|file| match file.end {
            End::Unfinished { uncertain } => Some((file, uncertain)),
            End::Whole | End::Broken(_) | End::NoFile(_) | End::NotRead => None,
        });
        let mut details: Vec<_> = gave_up.iter().cloned().collect();
        details.push(if kept.stored() == 0 {
            "kept: nothing of these files".to_owned()
        } else {
            let [new, before] = [kept.new, kept.already_there].map(thousands);
            format!(
                "kept: {} ({new} new, {before} already there)",
                count(kept.stored(), "event")
            )
        });
        if let Some((file, uncertain)) = unfinished {
            let counts = file.counts;
            details.push(match (counts.unwritten(), uncertain) {
                (0, _) => format!("not stored: {}, nothing of it", file.name),
                (lost, false) => format!(
                    "not stored: {} read from {}, and whatever follows them",
                    count(lost, "event"),
                    file.name,
                ),
                (lost, true) => format!(
                    "not known to be stored: {} read from {}; not stored: whatever follows them",
                    count(lost, "event"),
                    file.name,
                ),
            });
        }
        if !not_read.is_empty() {
            details.push(format!("not read: {}", not_read.join(", ")));
        }
        let hint = format!("{repair}; then the same command again adds what is missing");
        let json = json!({
            "message": format!("the store could not be used: {message}"),
            "path": PATH,
            "store": outcome.store.shown(),
            "gave_up": gave_up,
            "attempts": attempts,
            "kept": object::counts(&kept),
            "unfinished": unfinished.map(|(file, uncertain)| json!({
                "file": file.name,
                "unwritten": file.counts.unwritten(),
                "uncertain": uncertain,
            })),
            "not_read": not_read,
            "hint": hint,
        });
        Self {
            message: format!("the store could not be used: {message}"),
            details,
            hint,
            json,
        }
    }

    fn render(&self, text: &mut String) {
        let _ = writeln!(text, "error: {}", self.message);
        for detail in &self.details {
            let _ = writeln!(text, "   {detail}");
        }
        let _ = writeln!(text, "hint: {}", self.hint);
    }
}

/// What somebody can do about it.
fn repair(outcome: &Outcome, error: &CallError<StoreError>) -> String {
    // As it was named, to be found again in the command.
    let (place, file) = match outcome.store.url() {
        StoreUrl::Sqlite(path) | StoreUrl::Jsonl(path) => (path.display().to_string(), true),
        url @ (StoreUrl::Postgres(_) | StoreUrl::Influx(_)) => (url.to_string(), false),
    };
    let Some(last) = &error.last else {
        return format!("see `runtime.paths.{PATH}` in the configuration for the policies that refused");
    };
    match &last.trouble {
        Trouble::Locked => format!("end the program that holds the lock (`fuser {place}` names it)"),
        Trouble::NoDirectory => "make its directory, or name another file with --store".to_owned(),
        Trouble::IsDirectory | Trouble::NotADatabase => {
            "name another file with --store sqlite:FILE".to_owned()
        }
        Trouble::Newer { .. } if file => "name another file with --store sqlite:FILE".to_owned(),
        Trouble::Newer { .. } => {
            "run the newer release, or name another schema in --store, as ?schema=NAME".to_owned()
        }
        Trouble::ReadOnly if file => "make the file and its directory writable".to_owned(),
        Trouble::ReadOnly => "name the server that takes writes, or all of them, in --store".to_owned(),
        Trouble::Unreachable(_) | Trouble::TimedOut(_) => {
            format!("see that {place} is up and can be reached from here")
        }
        Trouble::NoDatabase => "make the database (`createdb`), or name another one in --store".to_owned(),
        Trouble::NotBuilt(feature) => format!("build it with the feature `{feature}`, or name another store"),
        Trouble::Damaged => {
            format!("save what can be saved (`sqlite3 {place} .recover`) and put the file aside")
        }
        Trouble::Full => "make room on the disk".to_owned(),
        Trouble::Backend(_) if !file => "see what the server says".to_owned(),
        Trouble::Backend(_) | Trouble::Unreadable(_) | Trouble::Scripted => {
            "see that the file and its directory can be written".to_owned()
        }
    }
}
