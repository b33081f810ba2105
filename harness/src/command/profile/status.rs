//! `crossbridge profile status`: what is stored, what waits, and whether the store works.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use crossbridge_std::profiling::{EventStore, SpoolCounts};
use serde_json::{Value, json};

use super::Place;
use super::failure;
use super::outcome::chain;
use super::text::{count, thousands};
use crate::cli::StoreArgs;
use crate::command::print;
use crate::exit::Failure;

pub(crate) fn run(
    args: &StoreArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut place = Place::of(args.store.as_deref(), config)?;
    let counts = match place.spool.existing() {
        Ok(Some(spool)) => spool.counts(),
        Ok(None) => Ok(SpoolCounts::default()),
        Err(error) => Err(error),
    };
    let counts = counts.map_err(|error| failure::spool(&error))?;
    let health = Health::of(&place)?;
    let page = if json {
        format!("{}\n", object(&place, &counts, &health))
    } else {
        text(&place, &counts, &health)
    };
    print(output, &page)
}

/// Whether the store works.
enum Health {
    /// It answers, and has so many events.
    Healthy(u64),
    /// It is a file that nothing has been written to yet.
    Absent,
    /// It does not answer.
    Unusable(String),
}

impl Health {
    /// Asks once: whoever looks wants to know how it is now.
    fn of(place: &Place) -> Result<Self, Failure> {
        if !place.target.exists() {
            return Ok(Self::Absent);
        }
        let timeout = place.path()?.guard.attempt_timeout;
        let asked = place.target.open(timeout).and_then(|mut store| store.count());
        Ok(match asked {
            Ok(events) => Self::Healthy(events),
            Err(error) => Self::Unusable(chain(&error)),
        })
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Healthy(_) => "healthy",
            Self::Absent => "absent",
            Self::Unusable(_) => "unusable",
        }
    }

    /// Events in the store, where it can be asked.
    const fn stored(&self) -> Option<u64> {
        match self {
            Self::Healthy(events) => Some(*events),
            Self::Absent => Some(0),
            Self::Unusable(_) => None,
        }
    }
}

fn object(place: &Place, counts: &SpoolCounts, health: &Health) -> Value {
    let reason = match health {
        Health::Unusable(reason) => Some(reason),
        Health::Healthy(_) | Health::Absent => None,
    };
    let damaged = place.spool.damaged();
    json!({
        "schema": 1,
        "stored": health.stored(),
        "spooled": counts.spooled,
        // What other processes hold in memory is known to them alone.
        "in_memory": 0,
        "dead_lettered": counts.dead_letters,
        "lost": counts.lost,
        "oldest_spooled_seconds": counts.oldest.map(|age| age.as_secs_f64()),
        "store": {
            "url_without_secret": place.target.shown(),
            "health": health.word(),
            "reason": reason,
        },
        "spool": {
            "path": place.spool.path().display().to_string(),
            "bytes": counts.bytes,
            "accepted": counts.accepted,
            "shipped": counts.stored,
            "purged": counts.purged,
            "damaged": damaged.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        },
    })
}

fn text(place: &Place, counts: &SpoolCounts, health: &Health) -> String {
    let mut page = String::new();
    // Writing to a `String` does not fail.
    let _ = writeln!(page, "{}  {}", place.target.shown(), health.word());
    let _ = match health {
        Health::Healthy(events) => writeln!(page, "  {} stored", count(*events, "event")),
        Health::Absent => writeln!(page, "  nothing stored yet"),
        Health::Unusable(reason) => writeln!(page, "  {reason}"),
    };
    let _ = write!(page, "  {} in the spool", thousands(counts.spooled));
    if let Some(age) = counts.oldest {
        let _ = write!(page, ", the oldest for {} s", age.as_secs());
    }
    let _ = writeln!(
        page,
        "\n  {} dead letters\n  {} lost",
        thousands(counts.dead_letters),
        thousands(counts.lost)
    );
    if counts.accepted > 0 {
        let _ = writeln!(
            page,
            "{}\n  {} accepted = {} shipped + {} spooled + {} dead letters + {} lost + {} purged",
            place.spool.path().display(),
            thousands(counts.accepted),
            thousands(counts.stored),
            thousands(counts.spooled),
            thousands(counts.dead_letters),
            thousands(counts.lost),
            thousands(counts.purged),
        );
    }
    for path in place.spool.damaged() {
        let _ = writeln!(page, "damaged, put aside: {}", path.display());
    }
    page
}
