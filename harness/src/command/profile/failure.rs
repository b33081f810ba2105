//! What the command ends with: nothing, what is wrong with the files, or what the store did not do.
//!
//! | code | when |
//! |---|---|
//! | 0 | every event of every file is stored |
//! | 3 | the store worked, but a file could not be read, was empty, broke off, or had lines or events that are not stored |
//! | 4 | the store could not be used; the spool keeps what it did not take, or the message says what nobody kept |

use std::fmt::Write as _;

use crossbridge_core::CallError;
use crossbridge_std::profiling::source::{Position, Problem};
use crossbridge_std::profiling::store::{Trouble, chain};
use crossbridge_std::profiling::{Counts, SourceError, SpoolError, StoreError, StoreUrl};
use serde_json::{Value, json};

use super::outcome::{End, FileOutcome, Outcome, Unusable};
use super::shipping::Shipping;
use super::target::Target;
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
    let lost = match &outcome.unusable {
        Some(unusable) => Some(Lost::of(outcome, unusable)),
        None if outcome.shipping.is_empty() || outcome.is_left_to_others() => None,
        None => Some(Lost::kept(outcome)),
    };
    match (lost, wrong.first()) {
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
        (Some(lost), _) => {
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

/// What the store did not take, and what it keeps all the same.
struct Lost {
    message: String,
    details: Vec<String>,
    hint: String,
    json: Value,
}

impl Lost {
    /// Everything is in the store or in the spool, and some of it in the spool.
    fn kept(outcome: &Outcome) -> Self {
        let mut lost = Self::in_spool(&outcome.store, &outcome.shipping);
        let stored = outcome.totals();
        lost.details.insert(
            usize::from(outcome.shipping.store.is_some()),
            stored_detail(&stored),
        );
        if stored.lost > 0 {
            let what = count(stored.lost, "event");
            lost.details
                .push(format!("lost: {what} that the spool had no room for"));
        }
        if let Value::Object(fields) = &mut lost.json {
            fields.insert("kept".to_owned(), object::counts(&stored).into());
        }
        lost
    }

    /// What is left in the spool, and why.
    fn in_spool(target: &Target, shipping: &Shipping) -> Self {
        let (message, mut details, attempts, mut hint) = match (&shipping.spool, &shipping.store) {
            (Some(error), _) => (chain(error), Vec::new(), 0, spool_repair(error)),
            (None, Some(error)) => {
                let message = error.last.as_ref().map(|last| chain(last));
                let message = message.unwrap_or_else(|| target.place());
                (
                    format!("the store could not be used: {message}"),
                    vec![error.to_string()],
                    error.attempts,
                    repair(target, error),
                )
            }
            (None, None) => (
                "another process is shipping the spool".to_owned(),
                Vec::new(),
                0,
                "wait for it to end".to_owned(),
            ),
        };
        let gave_up = details.first().cloned();
        let shipped = shipping.shipped.stored();
        if shipped > 0 {
            details.push(format!("shipped from the spool: {}", count(shipped, "event")));
        }
        if let Some(left) = shipping.left {
            details.push(format!(
                "kept in the spool: {}, in {}",
                count(left.spooled, "event"),
                shipping.path.display()
            ));
        }
        hint.push_str(&format!(
            "; then `crossbridge profile drain{}` stores what is in the spool",
            target.option()
        ));
        let json = json!({
            "message": message,
            "path": PATH,
            "store": target.shown(),
            "gave_up": gave_up,
            "attempts": attempts,
            "spool": shipping.to_json(),
            "unfinished": null,
            "not_read": [],
            "hint": hint,
        });
        Self {
            message,
            details,
            hint,
            json,
        }
    }

    /// Neither the store nor the spool took it.
    fn of(outcome: &Outcome, unusable: &Unusable) -> Self {
        let mut details = Vec::new();
        let (message, gave_up, attempts, mut repair) = match &unusable.store {
            None => {
                let message = "the spool could not be used".to_owned();
                (
                    message,
                    None,
                    0,
                    "see that its directory can be written".to_owned(),
                )
            }
            Some(error) => {
                let last = error.last.as_ref().map(|last| chain(last));
                let message = last.unwrap_or_else(|| outcome.store.place());
                (
                    format!("the store could not be used: {message}"),
                    Some(error.to_string()),
                    error.attempts,
                    repair(&outcome.store, error),
                )
            }
        };
        details.extend(gave_up.clone());
        let spool = unusable.spool.as_ref().map(|error| chain(error.as_ref()));
        if let Some(spool) = &spool {
            details.push(spool.clone());
            let error = unusable.spool.as_ref().and_then(|error| error.downcast_ref());
            if let Some(error) = error {
                repair = format!("{repair}; {}", spool_repair(error));
            }
        }
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
        details.push(stored_detail(&kept));
        if kept.spooled > 0 {
            details.push(format!(
                "kept in the spool: {}, in {}",
                count(kept.spooled, "event"),
                outcome.shipping.path.display()
            ));
        }
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
            "message": message,
            "path": PATH,
            "store": outcome.store.shown(),
            "gave_up": gave_up,
            "attempts": attempts,
            "spool": outcome.shipping.to_json(),
            "spool_error": spool,
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
            message,
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

/// What the store keeps.
fn stored_detail(counts: &Counts) -> String {
    if counts.stored() == 0 {
        return "kept in the store: nothing of these files".to_owned();
    }
    let [new, before] = [counts.new, counts.already_there].map(thousands);
    let stored = count(counts.stored(), "event");
    format!("kept in the store: {stored} ({new} new, {before} already there)")
}

/// What a command that ships ends with.
pub(super) fn of_shipping(target: &Target, shipping: &Shipping) -> Result<(), Failure> {
    if !shipping.is_empty() {
        let lost = Lost::in_spool(target, shipping);
        let mut text = String::new();
        lost.render(&mut text);
        return Err(Failure::Dependency {
            text: text.trim_end().to_owned(),
            json: lost.json,
        });
    }
    if let Some(damaged) = shipping.damaged.last() {
        let path = damaged.display();
        return Err(Failure::dependency(
            format!("a damaged spool was put aside, and what is in it may not be stored: {path}"),
            format!("save what can be saved (`sqlite3 {path} .recover`), then move it away or delete it"),
        ));
    }
    match shipping.shipped.refused {
        0 => Ok(()),
        refused => Err(Failure::input(format!(
            "the store refuses {}\nhint: `crossbridge profile dead-letters list{}` has them, with reasons",
            count(refused, "event"),
            target.option()
        ))),
    }
}

/// A spool that cannot be looked into.
pub(super) fn spool(error: &SpoolError) -> Failure {
    Failure::dependency(chain(error), spool_repair(error))
}

/// What somebody can do about a spool.
fn spool_repair(error: &SpoolError) -> String {
    match error {
        SpoolError::NoRoom { .. } => {
            "get the store back, or raise `runtime.profiling.spool` in the configuration".to_owned()
        }
        SpoolError::DamagedInUse { .. } => "end the other programs that use it".to_owned(),
        SpoolError::Io { path, .. } => format!("see that {} can be written", path.display()),
        SpoolError::File(error) if matches!(error.trouble, Trouble::Full) => {
            "make room on the disk of the spool".to_owned()
        }
        SpoolError::File(error) if matches!(error.trouble, Trouble::Newer { .. }) => {
            "use the newer release".to_owned()
        }
        SpoolError::File(error) if matches!(error.trouble, Trouble::Locked) => {
            "end the program that holds the lock of the spool".to_owned()
        }
        SpoolError::File(_) => "see that the spool and its directory can be written".to_owned(),
    }
}

/// What somebody can do about it.
fn repair(target: &Target, error: &CallError<StoreError>) -> String {
    // As it was named, to be found again in the command.
    let (place, file) = match target.url() {
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
        Trouble::NoDatabase => {
            let make = match target.url() {
                StoreUrl::Influx(_) => "CREATE DATABASE in `influx`",
                StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) | StoreUrl::Jsonl(_) => "`createdb`",
            };
            format!("make the database ({make}), or name another one in --store")
        }
        Trouble::Insecure(_) => {
            "see that the server has the certificate it should have, and who is trusted with it".to_owned()
        }
        Trouble::NotBuilt(feature) => format!("build it with the feature `{feature}`, or name another store"),
        Trouble::Damaged => {
            format!("save what can be saved (`sqlite3 {place} .recover`) and put the file aside")
        }
        Trouble::Full => "make room on the disk".to_owned(),
        Trouble::Busy(_) => "wait until the server has less to do".to_owned(),
        Trouble::NotKept { .. } => "see whether the server keeps what it acknowledges".to_owned(),
        Trouble::NoQueries => "name a store that can be asked".to_owned(),
        Trouble::Unreadable(_) if matches!(target.url(), StoreUrl::Jsonl(_)) => {
            "mend or remove that line, or name another directory with --store".to_owned()
        }
        Trouble::Unfit(_) => {
            "have the right granted or the table put right, or name another schema in --store, as ?schema=NAME"
                .to_owned()
        }
        Trouble::Backend(_) if !file => "see what the server says".to_owned(),
        Trouble::Backend(_) | Trouble::Io(_) | Trouble::Unreadable(_) | Trouble::Scripted => {
            "see that the file and its directory can be written".to_owned()
        }
    }
}
