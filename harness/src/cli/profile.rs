//! The command line of `profile`, and of its `status`, `drain` and `dead-letters`.

use clap::{ArgGroup, Args, Subcommand};

use super::ingest::{self, IngestArgs};
use super::query::{self, QueryArgs};

/// `profile`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Read test reports and event files, and store their events, each once
    ///
    /// Every write goes through the call path `profiling_storage` of the configuration. The same
    /// file again adds nothing.
    #[command(after_help = ingest::EXAMPLE)]
    Ingest(IngestArgs),
    /// Tell what is stored, what waits in the spool, and whether the store works
    #[command(after_help = STATUS_EXAMPLE)]
    Status(StoreArgs),
    /// Ship what waits in the spool to the store, oldest first
    ///
    /// Through the call path `profiling_storage`. Events that the store refuses become dead letters.
    #[command(after_help = DRAIN_EXAMPLE)]
    Drain(StoreArgs),
    /// List, retry or purge the events that the store refuses
    #[command(subcommand, after_help = DEAD_LETTERS_EXAMPLE)]
    DeadLetters(DeadLettersCommand),
    /// Ask a store what is slow, what is flaky and what failed
    ///
    /// Reads a SQLite or PostgreSQL store and changes nothing in it. Percentiles are exact: the nearest
    /// rank, a duration that was measured.
    #[command(after_help = query::EXAMPLE)]
    Query(QueryArgs),
}

/// `profile status` and `profile drain`.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The store: sqlite:FILE, postgres://…, influxdb://… or jsonl:DIR, as for `profile ingest` [default:
    /// sqlite:.crossbridge/crossbridge.db, or in CROSSBRIDGE_HOME]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
}

/// `profile dead-letters`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Print each with its reason, oldest first; with --format json an object per line
    #[command(after_help = LIST_EXAMPLE)]
    List(StoreArgs),
    /// Put them back into the spool and ship it
    #[command(after_help = RETRY_EXAMPLE)]
    Retry(SelectArgs),
    /// Delete them for good; they are counted as purged
    #[command(after_help = PURGE_EXAMPLE)]
    Purge(SelectArgs),
}

/// `profile dead-letters retry` and `purge`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
pub(crate) struct SelectArgs {
    /// The events
    #[arg(value_name = "EVENT_ID")]
    pub(crate) ids: Vec<String>,

    /// All of them
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

const STATUS_EXAMPLE: &str = "\
Example:
  crossbridge profile status --store sqlite:events.db --format json

JSON: stored (null where the store does not answer), spooled, in_memory, dead_lettered, lost,
oldest_spooled_seconds, store { url_without_secret, health, reason }, spool { path, bytes, accepted,
shipped, purged, damaged, others }. Of the spool: accepted = shipped + spooled + dead_lettered + lost + purged;
purged are dead letters that were purged, or that were refused once more and are kept once.
others are spools beside it that hold events: those of a store with another --store, or named in another way.
health is healthy, degraded (it answers slowly), absent (a file that nothing was written to yet) or
unusable; what `serve` knows of a store that it watches may also be unknown.

Exit codes:
  0  it was told, also of a store that is unusable
  4  the spool could not be read";

const DRAIN_EXAMPLE: &str = "\
Example:
  crossbridge profile drain --store sqlite:events.db

Exit codes:
  0  nothing waits any more: every event of the spool is in the store
  3  nothing waits any more, but events were refused; they are dead letters
  4  the store or the spool could not be used; what is not stored is still in the spool.
     Or a damaged spool was put aside, and still lies there";

pub(super) const EXAMPLE: &str = "\
Example:
  crossbridge profile ingest report.xml --store sqlite:events.db
  crossbridge profile query flaky --store sqlite:events.db";

const DEAD_LETTERS_EXAMPLE: &str = "\
Example:
  crossbridge profile dead-letters list
  crossbridge profile dead-letters retry --all";

const LIST_EXAMPLE: &str = "\
Example:
  crossbridge profile dead-letters list --format json

JSON: event_id, test_id, reason, at, attempts, event (null where what was kept is none).";

const RETRY_EXAMPLE: &str = "\
Example:
  crossbridge profile dead-letters retry --all

Exit codes:
  0  nothing waits any more: every event of the spool is in the store
  2  no dead letter has that id; nothing was changed
  3  nothing waits any more, but events were refused; they are dead letters again
  4  the store or the spool could not be used; what is not stored is still in the spool";

const PURGE_EXAMPLE: &str = "\
Example:
  crossbridge profile dead-letters purge 30e76e67-0000-8007-a7e7-196d319f9dec

Exit codes:
  0  they are gone
  2  no dead letter has that id; nothing was changed
  4  the spool could not be used";
