//! What the store did not take, where it is now, and what to do about it.

use std::fmt::Write as _;

use crossbridge_std::profiling::Counts;
use crossbridge_std::profiling::store::chain;
use serde_json::{Value, json};

use super::repair;
use crate::command::profile::outcome::{End, Outcome, Unusable};
use crate::command::profile::shipping::Shipping;
use crate::command::profile::target::Target;
use crate::command::profile::text::{count, thousands};
use crate::command::profile::{PATH, json as object};

/// What the store did not take, and what it keeps all the same.
pub(super) struct Lost {
    message: String,
    details: Vec<String>,
    hint: String,
    pub(super) json: Value,
}

impl Lost {
    /// Everything is in the store or in the spool, and some of it in the spool.
    pub(super) fn kept(outcome: &Outcome) -> Self {
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
    pub(super) fn in_spool(target: &Target, shipping: &Shipping) -> Self {
        let (message, mut details, attempts, mut hint) = match (&shipping.spool, &shipping.store) {
            (Some(error), _) => (chain(error), Vec::new(), 0, repair::of_spool(error)),
            (None, Some(error)) => {
                let message = error.last.as_ref().map(|last| chain(last));
                let message = message.unwrap_or_else(|| target.place());
                (
                    format!("the store could not be used: {message}"),
                    vec![error.to_string()],
                    error.attempts,
                    repair::of_store(target, error),
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
    pub(super) fn of(outcome: &Outcome, unusable: &Unusable) -> Self {
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
                    repair::of_store(&outcome.store, error),
                )
            }
        };
        details.extend(gave_up.clone());
        let spool = unusable.spool.as_ref().map(|error| chain(error.as_ref()));
        if let Some(spool) = &spool {
            details.push(spool.clone());
            let error = unusable.spool.as_ref().and_then(|error| error.downcast_ref());
            if let Some(error) = error {
                repair = format!("{repair}; {}", repair::of_spool(error));
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

    pub(super) fn render(&self, text: &mut String) {
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
