//! The command line of `profile ingest`.

use std::path::PathBuf;

use clap::Args;

use super::Kind;

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

    /// The run of reports, and of lines that name none [default: made from the content]
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
}

pub(super) const EXAMPLE: &str = "\
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
