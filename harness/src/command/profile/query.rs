//! `crossbridge profile query`: what the stored events say.
//!
//! ```text
//!   question ─▶ reader of the store ─▶ answer ─▶ Table ─┬─▶ text   to the width of the terminal
//!                                                       ├─▶ json   one object
//!                                                       └─▶ csv    one line per row
//! ```
//!
//! The store is asked once, without the policies of `profiling_storage`: those are for writes that
//! must arrive, and somebody who waits for an answer would rather know at once that there is none.

mod answers;
mod formats;
mod since;
mod table;
mod text;

use std::io::Write;
use std::time::Duration;

use crossbridge_std::clock::wall_clock;
use crossbridge_std::profiling::query::Scope;
use crossbridge_std::profiling::store::reader::{self, Filter, OpenError, Pattern};
use crossbridge_std::profiling::store::{StoreError, Trouble, chain};
use jiff::Timestamp;

pub(crate) use self::since::Since;

use super::target::Target;
use crate::cli::{Format, QueryArgs};
use crate::command::{environment, print};
use crate::exit::Failure;

pub(crate) fn run(args: &QueryArgs, output: &mut dyn Write) -> Result<(), Failure> {
    let target = Target::parse(args.store.as_deref(), &environment)?;
    let now = Timestamp::try_from(wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH);
    let scope = Scope {
        filter: Filter {
            run: args.run.clone(),
            since: args.since.map(|since| since.before(now)),
            test: args.test.as_deref().map(Pattern::new),
        },
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        recent: usize::try_from(args.recent).unwrap_or(usize::MAX),
    };
    let timeout = Duration::from_secs(args.timeout.into());
    let mut reader = reader::open(target.url(), timeout).map_err(|error| match error {
        OpenError::CannotBeAsked(_) => Failure::usage(
            format!("store `{}`: {error}", target.shown()),
            "ask a store of the kind sqlite or postgres; for InfluxDB there is a dashboard in dashboards/",
        ),
        OpenError::Store(error) => unusable(&error),
    })?;
    let table = answers::table(args.question, reader.as_mut(), &scope);
    let table = table.map_err(|error| unusable(&error))?;
    let page = match args.format {
        Format::Text => text::page(&table, &target.place(), text::width()),
        Format::Json => formats::json(&table, &target.shown()),
        Format::Csv => {
            formats::csv(&table).map_err(|error| Failure::Internal(format!("cannot write csv: {error}")))?
        }
    };
    print(output, &page)
}

/// The store could not be asked.
fn unusable(error: &StoreError) -> Failure {
    let hint = match &error.trouble {
        Trouble::TimedOut(_) => "see that it is up, give it more time (--timeout) or ask for less (--since)",
        Trouble::Unreachable(_) => "see that it is up and can be reached from here",
        Trouble::Unreadable(_) | Trouble::NoDatabase => {
            "name the store that events were stored in with --store, or store some: crossbridge profile ingest"
        }
        Trouble::IsDirectory | Trouble::NotADatabase | Trouble::NoDirectory => "name the file of a store",
        Trouble::Locked | Trouble::Busy(_) => {
            "end the program that holds the lock, or wait longer (--timeout)"
        }
        Trouble::Insecure(_) => {
            "see that the server has the certificate it should have, and who is trusted with it"
        }
        Trouble::NotBuilt(_) => "build it with that feature, or name another store",
        Trouble::Backend(_)
        | Trouble::Unfit(_)
        | Trouble::ReadOnly
        | Trouble::Damaged
        | Trouble::Full
        | Trouble::Newer { .. }
        | Trouble::Io(_)
        | Trouble::NotKept { .. }
        | Trouble::NoQueries
        | Trouble::Scripted => "see that it can be read from here, by this user",
    };
    let text = format!("the store could not be asked: {}", chain(error));
    Failure::dependency(text, hint)
}
