//! The command line.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help, as it is printed"
)]

mod format;
mod kind;
mod profile;
mod query;
mod serve;

use std::path::PathBuf;

use clap::builder::{EnumValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use crossbridge_harness::scenario::grid::Setting;
use crossbridge_harness::tune::Objective;
use crossbridge_std::config::Rate;

pub(crate) use self::format::Format;
use self::profile::{DRAIN_EXAMPLE, STATUS_EXAMPLE};
pub(crate) use self::profile::{DeadLettersCommand, SelectArgs, StoreArgs};
use self::query::QUERY_EXAMPLE;
pub(crate) use self::query::{QueryArgs, Question};
use self::serve::SERVE_EXAMPLE;
pub(crate) use self::serve::ServeArgs;
pub(crate) use kind::Kind;

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
    #[command(after_help = REPLAY_EXAMPLE)]
    Replay(ReplayArgs),
    /// Look for faults that break a promise, and make the day that does as small as it gets
    ///
    /// Keeps the scenario's clients, nodes and policies, and draws faults of its own. In every run the
    /// invariants must hold (accounting, quota, probes, deadlines, delays, budgets, the same trace
    /// again), and goodput must come back once the faults are over and the policies' longest waits
    /// have passed. What is found does not depend on the number of threads.
    #[command(after_help = EXPLORE_EXAMPLE)]
    Explore(ExploreArgs),
    /// Replay one outage under several policies, side by side
    ///
    /// The same clients, faults and draws under each of them. One `--policy` alone is compared with
    /// the policies the scenario names.
    #[command(after_help = COMPARE_EXAMPLE)]
    Compare(CompareArgs),
    /// Validate a configuration and print the policies that follow from it
    #[command(after_help = CHECK_EXAMPLE)]
    Check(CheckArgs),
    /// Turn a production log into a scenario, to be replayed under other policies
    ///
    /// Reads what `crossbridge.logging` writes with `format: json`, calls that went well (level TRACE)
    /// included. Calls come as they came, service times are those of the attempts that succeeded, and
    /// failures that come together become faults. Beside the scenario, each path gets a text with its
    /// arrivals and one with its service times.
    #[command(after_help = RECORD_EXAMPLE)]
    Record(RecordArgs),
    /// Search the parameters of a call path against a scenario
    ///
    /// Runs every combination of the values, then what lies between the best and its neighbours. Prints
    /// what is in force, the best, the settings that nothing beats in amplification, goodput and
    /// recovery, and the best as YAML. Exit code 1 where no setting meets the conditions.
    #[command(after_help = TUNE_EXAMPLE)]
    Tune(TuneArgs),
    /// Put a TCP proxy in front of a server and let things go wrong on the way
    ///
    /// Speaks toxiproxy's HTTP API and has its toxics; beside them refused and hanging connections,
    /// HTTP and PostgreSQL errors, the first so many or every so-manieth, by seed. A scenario's faults
    /// are played by the clock, from the start. Runs until SIGINT or SIGTERM.
    #[command(after_help = FAULTS_EXAMPLE)]
    Faults(FaultsArgs),
    /// Print the JSON Schema of the configuration or of scenarios, for editors that complete and check
    #[command(after_help = SCHEMA_EXAMPLE)]
    Schema(SchemaArgs),
    /// The profiling-storage path: events into a store, through the guard
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Take profiling events over HTTP, from hooks in any language
    ///
    /// Answers 202 when an event is on disk, and ships to the store through the call path
    /// `profiling_storage`. Watches the store's health. Runs until SIGINT or SIGTERM.
    #[command(after_help = SERVE_EXAMPLE)]
    Serve(ServeArgs),
}

const REPLAY_EXAMPLE: &str = r#"Example:
  crossbridge replay fixtures/scenarios/postgres-blip.yml
  crossbridge replay fixtures/scenarios/*.yml --format json --trace /tmp/trace.jsonl
  crossbridge replay fixtures/scenarios/postgres-blip.yml --seeds 100 --html /tmp/postgres-blip.html
  crossbridge replay fixtures/scenarios/*.yml --junit /tmp/promises.xml
  crossbridge replay fixtures/scenarios/live/postgres-refuse.yml --live

A scenario whose values are lists is a grid: every combination is run, and shown as a heat map of
outcomes and a table with the command of each cell. `--set` runs one of them, or makes a grid:
  crossbridge replay fixtures/scenarios/grids/metastable.yml
  crossbridge replay fixtures/scenarios/postgres-blip.yml --set 'clients.workers.count=[20, 40, 80]'

With `--seeds` every promise must hold under every seed. The first seed is the one of the scenario or of
`--seed`, the others follow from it; the trace, the timeline and the counts are those of the first.

With `--live` the same calls are also made by real clients, in real time, to a PostgreSQL, a Redis or an HTTP
server of their own behind a fault proxy; each dependency says with `live: postgres`, `redis` or `http` what it
is. Prediction and measurement are printed side by side. Exit code 1 where a number is outside its
tolerance, or a promise was broken in either; 4 where a server is not installed. With `--format json`:
  {"schema":1,"scenario":"...","seed":7,"verdict":"pass","comparison":[{"metric":"goodput","predicted":0.98,
   "measured":0.97,"difference":-0.01,"tolerance":0.03,"within":true},...],"servers":[...],"late_ms":{...},
   "prediction":{...as of replay...},"measurement":{...}}"#;

const EXPLORE_EXAMPLE: &str = "\
Example:
  crossbridge explore fixtures/scenarios/postgres-blip.yml --runs 500 --save /tmp/found
  crossbridge replay /tmp/found/*.yml

Exit codes:
  0  everything held in every run
  1  a rule was broken; the smallest run that breaks it is printed, and saved with --save
  3  the scenario is invalid, or no run of it could be finished";

const COMPARE_EXAMPLE: &str = "\
Example:
  crossbridge compare fixtures/scenarios/postgres-blip.yml \\
      --policy fixtures/config/platform.yml --policy fixtures/config/crossbridge.yml --html /tmp/compared.html

Exit codes:
  0  every promise of the scenario was kept under every policy
  1  one was not";

const CHECK_EXAMPLE: &str = "\
Example:
  crossbridge check fixtures/config/platform.yml
  crossbridge check fixtures/config/platform.yml --rate 200/s";

const RECORD_EXAMPLE: &str = "\
Example:
  crossbridge record logs/crossbridge.log -o incident/friday.yml --config crossbridge.yml
  crossbridge replay incident/friday.yml --config other.yml

Exit codes:
  0  the scenario is written; lines that cannot be read are listed on stderr as
     file:line: reason, the first 20, and counted
  3  a log cannot be read, or nothing in it is about a path of the configuration
  4  the scenario or a file beside it cannot be written";

const TUNE_EXAMPLE: &str = "\
Example:
  crossbridge tune fixtures/scenarios/postgres-blip.yml --objective 'least amplification with promises'
  crossbridge tune fixtures/scenarios/postgres-blip.yml \\
      --objective 'most goodput(30s..60s) with amplification <= 1.1 and recovery_time <= 10s' \\
      --vary retry.max_attempts=2,3,4 --vary breaker.open_wait=500ms,1s,5s

Keys:
  retry.max_attempts     breaker.failure_rate           bulkhead.limit
  retry.base_delay       breaker.min_calls              deadline
  retry.max_delay        breaker.consecutive_failures   attempt_timeout
  budget.ratio           breaker.open_wait
  budget.min_per_second  breaker.open_wait_max
  budget.burst

An objective is least or most, a number of the result, and conditions: expectations as in a scenario,
or promises for all of the scenario's own.";

const FAULTS_EXAMPLE: &str = r#"Example:
  crossbridge faults --listen 127.0.0.1:15432 --upstream 127.0.0.1:5432 --script fixtures/scenarios/postgres-blip.yml
  crossbridge faults --listen 127.0.0.1:18080 --upstream 127.0.0.1:8080 \
      --toxic '{"type":"http_error","first":2,"attributes":{"status":503,"retry_after":1}}'
  crossbridge faults --api 127.0.0.1:8474
  curl -d '{"name":"redis","listen":"127.0.0.1:16379","upstream":"127.0.0.1:6379"}' 127.0.0.1:8474/proxies
  curl -d '{"type":"latency","attributes":{"latency":100,"jitter":20}}' 127.0.0.1:8474/proxies/redis/toxics

Toxics, with their attributes:
  latency      latency, jitter (ms)             refuse
  bandwidth    rate (kB/s)                      hang
  slow_close   delay (ms)                       slow        factor, add (ms)
  timeout      timeout (ms)                     cut         bytes
  reset_peer   timeout (ms)                     http_error  status, retry_after (s), body
  slicer       average_size, size_variation,    throttle    rate, per (us), burst, retry_after (s)
               delay (us)                       sql_error   sqlstate, message, at (startup or query)
  limit_data   bytes
Each also takes name, stream (upstream or downstream), toxicity (0 to 1), first and every.

When everything listens, one line of JSON on stdout says where:
  {"schema":1,"listen":"127.0.0.1:15432","upstream":"127.0.0.1:5432","api":null,"seed":7}

Exit codes:
  0  stopped by a signal
  2  an address or a toxic means nothing, or a script needs to know its dependency (--on)
  3  the script is invalid, or a fault of it cannot be played on the wire
  4  an address cannot be listened on"#;

const SCHEMA_EXAMPLE: &str = "\
Example:
  crossbridge schema > crossbridge.schema.json
  crossbridge schema scenario > scenario.schema.json

The first line of a file then says where its schema is:
  # yaml-language-server: $schema=./crossbridge.schema.json

A schema knows keys, types, names and ranges. What two values say together is for `crossbridge check`.";

const INGEST_EXAMPLE: &str = "\
Example:
  crossbridge profile ingest report.xml results.json events.jsonl --store sqlite:events.db
  sqlite3 events.db \"select status, count(*) from tests group by status\"

Exit codes:
  0  every event of every file is stored
  3  a file is missing, empty, breaks off or is no report, or has lines or events
     that cannot be stored; everything else is stored
  4  the store could not be used; what it did not take is kept in the spool, and the
     message says how much, where, and how to store it

A report that breaks off is not stored at all. Of a file of lines the good ones are stored; the
bad ones are listed on stderr as file:line:column: reason, the first 20 of each file. What is
stored stays stored, Ctrl-C included, and the same command again adds what is missing. Events
that do not say when they were recorded get the time their file was last written.";

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Replaces the seed of the scenarios
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Run so many seeds, that of the scenario first, and report how the outcomes are spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) seeds: Option<u32>,

    /// Put a value into the scenario, as `clients.web.count=40`; a list makes a grid; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<Setting>,

    /// Write every event of the run as a line of JSON; with several scenarios, one after the other
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Write a page for a browser: one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write the timeline of one scenario, or the heat map of one grid, as a picture
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Write the same picture as PNG
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,

    /// Write the promises as JUnit XML: a suite per scenario or cell, a case per promise
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Run it on real servers as well, and compare: see below
    #[arg(long, conflicts_with_all = ["seeds", "trace", "html", "svg", "junit"])]
    pub(crate) live: bool,
}

/// `explore`.
#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// The scenario whose clients, nodes and policies are explored
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// How many runs
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) runs: u64,

    /// The seed of the first run; the next has the next [default: the scenario's]
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Write the smallest failing runs as scenarios into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) threads: Option<u32>,
}

/// `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// A configuration whose policies replace the scenario's; may be repeated
    #[arg(long = "policy", value_name = "FILE", required = true)]
    pub(crate) policies: Vec<PathBuf>,

    /// Replaces the seed of the scenario
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Write a page for a browser: the lanes of all policies over one time axis
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file to check; else the one that would be used
    #[arg(value_name = "CONFIG")]
    pub(crate) file: Option<PathBuf>,

    /// Calls on each path: how soon a dead dependency is noticed, and a live one
    #[arg(long, value_name = "RATE", default_value = "10/s")]
    pub(crate) rate: Rate,
}

/// `record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Logs, one JSON object per line
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,

    /// The scenario to write; other files go beside it
    #[arg(short, long, value_name = "SCENARIO")]
    pub(crate) output: PathBuf,

    /// How many processes the log is of: the calls are dealt out among so many guards
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) clients: u32,

    /// What becomes of the service times
    #[arg(long, value_enum, default_value_t = ServiceTimes::Replayed)]
    pub(crate) service_times: ServiceTimes,
}

/// What becomes of the service times of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceTimes {
    /// Drawn from those in the log
    Replayed,
    /// Drawn from the lognormal distribution with their median and 99th percentile
    Fitted,
}

/// `tune`.
#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,

    /// What is wanted
    #[arg(long, value_name = "OBJECTIVE", default_value = Objective::DEFAULT)]
    pub(crate) objective: String,

    /// A key and its values; else attempts, first delay, and what the path has of a budget and a breaker
    #[arg(long, value_name = "KEY=A,B,C")]
    pub(crate) vary: Vec<String>,

    /// The call path, where the scenario has several
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Replaces the first seed
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Runs of each setting, under the seeds that `replay --seeds` has
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) seeds: u32,

    /// Runs at the same time [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) jobs: Option<u32>,
}

/// `faults`.
#[derive(Debug, Args)]
pub(crate) struct FaultsArgs {
    /// Where clients connect to; port 0 is any free one
    #[arg(
        long,
        value_name = "ADDR",
        requires = "upstream",
        required_unless_present = "api"
    )]
    pub(crate) listen: Option<String>,

    /// Where the server is
    #[arg(long, value_name = "ADDR", requires = "listen")]
    pub(crate) upstream: Option<String>,

    /// Where toxiproxy's HTTP API is served; not at all where nothing is said
    #[arg(long, value_name = "ADDR")]
    pub(crate) api: Option<String>,

    /// The name of the proxy in the API
    #[arg(long, value_name = "NAME", default_value = "proxy")]
    pub(crate) name: String,

    /// A toxic from the start, in the API's words; may be repeated
    #[arg(long, value_name = "JSON", requires = "listen")]
    pub(crate) toxic: Vec<String>,

    /// The faults of a scenario, by the clock from the start
    #[arg(long, value_name = "SCENARIO", requires = "listen")]
    pub(crate) script: Option<PathBuf>,

    /// The dependency of the script that the proxy stands before; else the only one with faults
    #[arg(long, value_name = "DEPENDENCY", requires = "script")]
    pub(crate) on: Option<String>,

    /// Where every draw comes from [default: the script's, else 1]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of which file
    #[arg(value_enum, value_name = "FILE", default_value_t = SchemaOf::Config)]
    pub(crate) of: SchemaOf,
}

/// Of which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// crossbridge.yml
    Config,
    /// What `replay` reads
    Scenario,
}

/// `profile`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Read test reports and event files, and store their events, each once
    ///
    /// Every write goes through the call path `profiling_storage` of the configuration. The same
    /// file again adds nothing.
    #[command(after_help = INGEST_EXAMPLE)]
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
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Ask a store what is slow, what is flaky and what failed
    ///
    /// Reads a SQLite or PostgreSQL store and changes nothing in it. Percentiles are exact: the nearest
    /// rank, a duration that was measured.
    #[command(after_help = QUERY_EXAMPLE)]
    Query(QueryArgs),
}

/// `profile ingest`.
#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Test reports, HTTP archives or files with one JSON event per line; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Where to: sqlite:FILE, postgres://USER:PASSWORD@HOST:PORT/DATABASE,
    /// influxdb://USER:PASSWORD@HOST:PORT/DATABASE, influxdb://HOST:PORT/?org=ORG&bucket=BUCKET&token=TOKEN
    /// or jsonl:DIR [default: sqlite:.crossbridge/crossbridge.db, or in CROSSBRIDGE_HOME]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,

    /// What the files are
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
    pub(crate) kind: Kind,

    /// The run the events belong to; else the file says, or its content does
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
}
