//! The command line: what every command shares, and the commands. The words of each are in its own file.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help, as it is printed"
)]

mod check;
mod compare;
mod explore;
mod faults;
mod format;
mod ingest;
mod kind;
mod profile;
mod query;
mod record;
mod replay;
mod schema;
mod serve;
mod tune;

use std::path::PathBuf;

use clap::builder::{EnumValueParser, TypedValueParser as _};
use clap::{Parser, Subcommand};

pub(crate) use self::check::CheckArgs;
pub(crate) use self::compare::CompareArgs;
pub(crate) use self::explore::ExploreArgs;
pub(crate) use self::faults::FaultsArgs;
pub(crate) use self::format::Format;
pub(crate) use self::ingest::IngestArgs;
pub(crate) use self::kind::Kind;
pub(crate) use self::profile::{DeadLettersCommand, ProfileCommand, SelectArgs, StoreArgs};
pub(crate) use self::query::{QueryArgs, Question};
pub(crate) use self::record::{RecordArgs, ServiceTimes};
pub(crate) use self::replay::ReplayArgs;
pub(crate) use self::schema::{SchemaArgs, SchemaOf};
pub(crate) use self::serve::ServeArgs;
pub(crate) use self::tune::TuneArgs;

/// Resilience for test platforms: replay a bad day, check a policy, save events.
#[derive(Debug, Parser)]
#[command(name = "crossbridge", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The configuration; else CROSSBRIDGE_CONFIG, else crossbridge.yml here or in a folder above
    // Last on every page, however many commands there are.
    #[arg(long, global = true, value_name = "FILE", display_order = 100)]
    pub(crate) config: Option<PathBuf>,

    /// How results and errors are written
    #[arg(
        long,
        global = true,
        value_parser = EnumValueParser::<Format>::new().try_map(Format::of_every_command),
        default_value_t = Format::Text,
        display_order = 101
    )]
    pub(crate) format: Format,
}

const AFTER_HELP: &str = "\
Exit codes:
  0   done, and every expectation held
  1   an expectation or a test failed
  2   wrong usage
  3   an input file or the configuration is invalid
  4   a dependency could not be used (the message says what was kept)
  70  a bug of crossbridge

Data goes to stdout, everything else to stderr.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay outages against the policies production reads, in virtual time
    ///
    /// Prints what happened when, how the policies reacted, and whether every promise of the
    /// scenario was kept (exit code 1 if not). Every replay also runs its control: the same seed
    /// without the faults. `--config` replaces the policies the scenarios name.
    #[command(after_help = replay::EXAMPLE)]
    Replay(ReplayArgs),
    /// Look for faults that break a promise, and make the day that does as small as it gets
    ///
    /// Keeps the scenario's clients, nodes and policies, and draws faults of its own. In every run the
    /// invariants must hold (accounting, quota, probes, deadlines, delays, budgets, the same trace
    /// again), and goodput must come back once the faults are over and the policies' longest waits
    /// have passed. What is found does not depend on the number of threads.
    #[command(after_help = explore::EXAMPLE)]
    Explore(ExploreArgs),
    /// Replay one outage under several policies, side by side
    ///
    /// The same clients, faults and draws under each of them. One `--policy` alone is compared with
    /// the policies the scenario names.
    #[command(after_help = compare::EXAMPLE)]
    Compare(CompareArgs),
    /// Validate a configuration and print the policies that follow from it
    ///
    /// Names every mistake at once, with file, line, column and key (exit code 3). Of each call path it prints
    /// the worst case, what an outage costs, and how soon one is noticed.
    #[command(after_help = check::EXAMPLE)]
    Check(CheckArgs),
    /// Turn a production log into a scenario, to be replayed under other policies
    ///
    /// Reads what `crossbridge.logging` writes with `format: json`, calls that went well (level TRACE)
    /// included. Calls come as they came, service times are those of the attempts that succeeded, and
    /// failures that come together become faults. Beside the scenario, each path gets a text with its
    /// arrivals and one with its service times.
    #[command(after_help = record::EXAMPLE)]
    Record(RecordArgs),
    /// Search the parameters of a call path against a scenario
    ///
    /// Runs every combination of the values, then what lies between the best and its neighbours. Prints
    /// what is in force, the best, the settings that nothing beats in amplification, goodput and
    /// recovery, and the best as YAML. Exit code 1 where no setting meets the conditions.
    #[command(after_help = tune::EXAMPLE)]
    Tune(TuneArgs),
    /// Put a TCP proxy in front of a server and let things go wrong on the way
    ///
    /// Speaks toxiproxy's HTTP API and has its toxics; beside them refused and hanging connections,
    /// and errors of HTTP and PostgreSQL. A toxic meets all, the first n or every n-th, or a share that is
    /// drawn by seed. A scenario's faults are played by the clock, from the start. Runs until SIGINT or
    /// SIGTERM.
    #[command(after_help = faults::EXAMPLE)]
    Faults(FaultsArgs),
    /// Print the JSON Schema of the configuration or of scenarios, for editors that complete and check
    #[command(after_help = schema::EXAMPLE)]
    Schema(SchemaArgs),
    /// Store test reports and profiling events, each once, and ask what is stored
    #[command(subcommand, after_help = profile::EXAMPLE)]
    Profile(ProfileCommand),
    /// Take profiling events over HTTP, from hooks in any language
    ///
    /// Answers 202 when an event is on disk, and ships to the store through the call path
    /// `profiling_storage`. Watches the store's health. Runs until SIGINT or SIGTERM.
    #[command(after_help = serve::EXAMPLE)]
    Serve(ServeArgs),
}
