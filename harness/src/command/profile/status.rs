//! `crossbridge profile status`: what is stored, what waits, and whether the store works.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crossbridge_core::Clock;
use crossbridge_core::health::MonitorConfig;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::store::{Trouble, chain};
use crossbridge_std::profiling::watch::{NoAnswer, Prober};
use crossbridge_std::profiling::{SpoolCounts, SpoolPlace};
use serde_json::{Value, json};

use super::Place;
use super::failure;
use super::target::Target;
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
    let seen = Seen::of(&place)?;
    let page = if json {
        format!("{}\n", object(&place.target, &place.spool, &counts, &seen))
    } else {
        text(&place, &counts, &seen)
    };
    print(output, &page)
}

/// How the store is.
pub(super) struct Seen {
    /// Events in it, where it says so.
    pub(super) stored: Option<u64>,
    /// What programs may rely on: `healthy`, `degraded`, `unusable`, `absent` or `unknown`.
    pub(super) health: &'static str,
    /// Why it is not healthy.
    pub(super) reason: Option<String>,
}

impl Seen {
    /// Asks once: whoever looks wants to know how it is now. A store that hangs is given up.
    fn of(place: &Place) -> Result<Self, Failure> {
        if !place.target.exists() {
            return Ok(Self {
                stored: Some(0),
                health: "absent",
                reason: None,
            });
        }
        let guard = place.path()?.guard;
        let timeout = guard
            .attempt_timeout
            .unwrap_or(guard.health.unwrap_or(MonitorConfig::DEFAULT).timeout);
        // Two: what cannot be written can often still be counted, and what takes long to be counted be
        // written.
        let started = || {
            let target = place.target.clone();
            Prober::start(timeout, move |timeout| target.open(timeout))
                .map_err(|error| Failure::dependency(format!("no thread: {error}"), "see ulimit -u"))
        };
        let (counter, prober) = (started()?, started()?);
        let stored = counter.count(timeout + GRACE);
        let clock = SystemClock::new();
        let began = clock.now();
        let checked = prober.check(timeout + GRACE);
        let took = clock.now().saturating_duration_since(began);
        let (health, reason) = match (&checked, &stored) {
            (Err(error), _) => ("unusable", Some(chain(error))),
            // As good as ever, if it is a store that cannot be asked.
            (Ok(()), Err(NoAnswer::Failed(error))) if matches!(error.trouble, Trouble::NoQueries) => {
                ("healthy", None)
            }
            (Ok(()), Err(error)) => ("degraded", Some(chain(error))),
            (Ok(()), Ok(_)) if took > timeout / 2 => {
                ("degraded", Some(format!("slow: the answer took {took:?}")))
            }
            (Ok(()), Ok(_)) => ("healthy", None),
        };
        Ok(Self {
            stored: stored.ok(),
            health,
            reason,
        })
    }
}

pub(super) fn object(target: &Target, spool: &SpoolPlace, counts: &SpoolCounts, seen: &Seen) -> Value {
    let damaged = spool.damaged();
    let others: Vec<Value> = (spool.others().iter())
        .map(|(path, spooled)| json!({ "path": path.display().to_string(), "spooled": spooled }))
        .collect();
    json!({
        "schema": 1,
        "stored": seen.stored,
        "spooled": counts.spooled,
        // What other processes hold in memory is known to them alone.
        "in_memory": 0,
        "dead_lettered": counts.dead_letters,
        "lost": counts.lost,
        "oldest_spooled_seconds": counts.oldest.map(|age| age.as_secs_f64()),
        "store": {
            "url_without_secret": target.shown(),
            "health": seen.health,
            "reason": seen.reason,
        },
        "spool": {
            "path": spool.path().display().to_string(),
            "bytes": counts.bytes,
            "accepted": counts.accepted,
            "shipped": counts.stored,
            "purged": counts.purged,
            "damaged": damaged.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            "others": others,
        },
    })
}

fn text(place: &Place, counts: &SpoolCounts, seen: &Seen) -> String {
    let mut page = String::new();
    // Writing to a `String` does not fail.
    let _ = writeln!(page, "{}  {}", place.target.shown(), seen.health);
    let _ = match seen.stored {
        Some(0) if seen.health == "absent" => writeln!(page, "  nothing stored yet"),
        Some(events) => writeln!(page, "  {} stored", count(events, "event")),
        None => Ok(()),
    };
    if let Some(reason) = &seen.reason {
        let _ = writeln!(page, "  {reason}");
    }
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
    for (path, spooled) in place.spool.others() {
        let events = count(spooled, "event");
        let _ = writeln!(page, "{events} of another --store: {}", path.display());
    }
    for path in place.spool.damaged() {
        let _ = writeln!(page, "damaged, put aside: {}", path.display());
    }
    page
}

/// A store that keeps to its timeout says itself what is wrong; one that does not is given up so much later.
const GRACE: Duration = Duration::from_millis(500);
