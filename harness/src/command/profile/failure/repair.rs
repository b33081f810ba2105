//! What somebody can do about a store or a spool: the hint below an error.

use crossbridge_core::CallError;
use crossbridge_std::profiling::store::Trouble;
use crossbridge_std::profiling::{SpoolError, StoreError, StoreUrl};

use crate::command::profile::PATH;
use crate::command::profile::target::Target;

/// What somebody can do about a spool.
pub(super) fn of_spool(error: &SpoolError) -> String {
    match error {
        SpoolError::NoRoom { .. } => {
            "get the store back, or raise `runtime.profiling.spool` in the configuration".to_owned()
        }
        SpoolError::DamagedInUse { .. } => "end the other programs that use it".to_owned(),
        SpoolError::Io { path, .. } => format!("see that {} can be written", path.display()),
        SpoolError::File(error) if matches!(error.trouble, Trouble::Full) => {
            "make room on the disk of the spool".to_owned()
        }
        SpoolError::File(error) if matches!(error.trouble, Trouble::Newer { .. }) => {
            "use the newer release".to_owned()
        }
        SpoolError::File(error) if matches!(error.trouble, Trouble::Locked) => {
            "end the program that holds the lock of the spool".to_owned()
        }
        SpoolError::File(_) => "see that the spool and its directory can be written".to_owned(),
    }
}

/// What somebody can do about a store.
pub(super) fn of_store(target: &Target, error: &CallError<StoreError>) -> String {
    // As it was named, to be found again in the command.
    let (place, file) = match target.url() {
        StoreUrl::Sqlite(path) | StoreUrl::Jsonl(path) => (path.display().to_string(), true),
        url @ (StoreUrl::Postgres(_) | StoreUrl::Influx(_)) => (url.to_string(), false),
    };
    let Some(last) = &error.last else {
        return format!("see `runtime.paths.{PATH}` in the configuration for the policies that refused");
    };
    match &last.trouble {
        Trouble::Locked => format!("end the program that holds the lock (`fuser {place}` names it)"),
        Trouble::NoDirectory => "make its directory, or name another file with --store".to_owned(),
        Trouble::IsDirectory | Trouble::NotADatabase => {
            "name another file with --store sqlite:FILE".to_owned()
        }
        Trouble::Newer { .. } if file => "name another file with --store sqlite:FILE".to_owned(),
        Trouble::Newer { .. } => {
            "run the newer release, or name another schema in --store, as ?schema=NAME".to_owned()
        }
        Trouble::ReadOnly if file => "make the file and its directory writable".to_owned(),
        Trouble::ReadOnly => "name the server that takes writes, or all of them, in --store".to_owned(),
        Trouble::Unreachable(_) | Trouble::TimedOut(_) => {
            format!("see that {place} is up and can be reached from here")
        }
        Trouble::NoDatabase => {
            let make = match target.url() {
                StoreUrl::Influx(_) => "CREATE DATABASE in `influx`",
                StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) | StoreUrl::Jsonl(_) => "`createdb`",
            };
            format!("make the database ({make}), or name another one in --store")
        }
        Trouble::Insecure(_) => {
            "see that the server has the certificate it should have, and who is trusted with it".to_owned()
        }
        Trouble::NotBuilt(feature) => format!("build it with the feature `{feature}`, or name another store"),
        Trouble::Damaged => {
            format!("save what can be saved (`sqlite3 {place} .recover`) and put the file aside")
        }
        Trouble::Full => "make room on the disk".to_owned(),
        Trouble::Busy(_) => "wait until the server has less to do".to_owned(),
        Trouble::NotKept { .. } => "see whether the server keeps what it acknowledges".to_owned(),
        Trouble::NoQueries => "name a store that can be asked".to_owned(),
        Trouble::Unreadable(_) if matches!(target.url(), StoreUrl::Jsonl(_)) => {
            "mend or remove that line, or name another directory with --store".to_owned()
        }
        Trouble::Unfit(_) => {
            "have the right granted or the table put right, or name another schema in --store, as ?schema=NAME"
                .to_owned()
        }
        Trouble::Backend(_) if !file => "see what the server says".to_owned(),
        Trouble::Backend(_) | Trouble::Io(_) | Trouble::Unreadable(_) | Trouble::Scripted => {
            "see that the file and its directory can be written".to_owned()
        }
    }
}
