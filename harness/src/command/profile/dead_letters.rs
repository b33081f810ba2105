//! `crossbridge profile dead-letters`: events that the store refuses, and what becomes of them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use crossbridge_std::profiling::spool::{DeadLetter, Which};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::text::count;
use super::{Place, drain, failure};
use crate::cli::{DeadLettersCommand, SelectArgs};
use crate::command::print;
use crate::exit::Failure;

pub(crate) fn run(
    command: &DeadLettersCommand,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(args) => {
            let mut place = Place::of(args.store.as_deref(), config)?;
            list(&mut place, json, output)
        }
        DeadLettersCommand::Retry(args) => {
            let mut place = Place::of(args.store.store.as_deref(), config)?;
            known(&mut place, &args.ids)?;
            if let Some(spool) = place.spool.existing().map_err(|error| failure::spool(&error))? {
                spool.retry(which(args)).map_err(|error| failure::spool(&error))?;
            }
            drain::ship(&mut place, json, output)
        }
        DeadLettersCommand::Purge(args) => {
            let mut place = Place::of(args.store.store.as_deref(), config)?;
            known(&mut place, &args.ids)?;
            let purged = match place.spool.existing().map_err(|error| failure::spool(&error))? {
                Some(spool) => spool.purge(which(args)).map_err(|error| failure::spool(&error))?,
                None => 0,
            };
            let page = if json {
                format!("{}\n", json!({ "schema": 1, "purged": purged }))
            } else {
                format!("{} purged\n", count(purged, "dead letter"))
            };
            print(output, &page)
        }
    }
}

fn which(args: &SelectArgs) -> Which<'_> {
    if args.all {
        Which::All
    } else {
        Which::Ids(&args.ids)
    }
}

/// Refuses ids that no dead letter has, before anything is done.
fn known(place: &mut Place, ids: &[String]) -> Result<(), Failure> {
    let mut unknown: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    if let Some(spool) = place.spool.existing().map_err(|error| failure::spool(&error))?
        && !unknown.is_empty()
    {
        let read = spool.dead_letters(|letter| {
            unknown.remove(letter.event_id.as_str());
        });
        read.map_err(|error| failure::spool(&error))?;
    }
    match unknown.first() {
        None => Ok(()),
        Some(id) => Err(Failure::usage(
            format!(
                "no dead letter of this store has the event id `{}`",
                id.escape_debug()
            ),
            "nothing was changed; see `crossbridge profile dead-letters list`, with the same --store",
        )),
    }
}

/// One line for each: text, or an object.
fn list(place: &mut Place, json: bool, output: &mut dyn Write) -> Result<(), Failure> {
    let Some(spool) = place.spool.existing().map_err(|error| failure::spool(&error))? else {
        return Ok(());
    };
    let mut printed = Ok(());
    let read = spool.dead_letters(|letter| {
        let line = if json {
            format!("{}\n", object(&letter))
        } else {
            line(&letter)
        };
        if printed.is_ok() {
            printed = print(output, &line);
        }
    });
    read.map_err(|error| failure::spool(&error))?;
    printed
}

fn object(letter: &DeadLetter) -> Value {
    json!({
        "schema": 1,
        "event_id": letter.event_id,
        "test_id": letter.test_id,
        "reason": letter.reason,
        "at": Timestamp::try_from(letter.at).ok().map(|at| at.to_string()),
        "attempts": letter.attempts,
        "event": letter.event,
    })
}

fn line(letter: &DeadLetter) -> String {
    let at = Timestamp::try_from(letter.at).map_or_else(|_| String::new(), |at| at.to_string());
    let mut line: String = format!(
        "{at}  {}  {}  {}  {}",
        letter.event_id,
        count(letter.attempts, "refusal"),
        letter.test_id,
        letter.reason
    )
    .chars()
    .flat_map(|char| {
        // What a test or a server wrote must not move the cursor.
        let control = char.is_control();
        char.escape_default()
            .filter(move |_| control)
            .chain((!control).then_some(char))
    })
    .collect();
    line.push('\n');
    line
}
