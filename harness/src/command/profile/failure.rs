//! What `profile ingest` and the commands that ship end with: nothing, what is wrong with the files, or
//! what the store did not do. Of `profile ingest`:
//!
//! | code | when |
//! |---|---|
//! | 0 | every event of every file is stored |
//! | 3 | the store worked, but a file could not be read, was empty, broke off, or had lines or events that are not stored |
//! | 4 | the store could not be used; the spool keeps what it did not take, or the message says what nobody kept |

mod lost;
mod repair;
mod wrong;

use crossbridge_std::profiling::SpoolError;
use crossbridge_std::profiling::store::chain;
use serde_json::Value;

use self::lost::Lost;
use self::wrong::Wrong;
use super::outcome::Outcome;
use super::shipping::Shipping;
use super::target::Target;
use super::text::count;
use crate::exit::Failure;

/// What `profile ingest` ends with.
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
    Failure::dependency(chain(error), repair::of_spool(error))
}
