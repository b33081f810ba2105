//! Disk space set aside for letting go.
//!
//! ```text
//!   the disk is full:  append ──▶ refused
//!                      settle ──▶ no space for the log ──▶ reserve deleted, log emptied ──▶ settled
//!   the spool empty:   VACUUM, log emptied, reserve made again
//! ```
//!
//! A deletion needs space as well: every page that becomes free goes to the write-ahead log first. So a
//! file of zeros lies beside the spool, `NAME.db.reserve`, and is deleted when a full disk would keep
//! events from leaving. Nothing is appended until it can be made again.
//!
//! The log can be emptied when its pages find a place in the file. So it is never longer than half of
//! the reserve and a batch.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::aside::beside;

/// Makes the reserve, if it is not there. Where there is less space, it is a quarter of what there is.
///
/// # Errors
///
/// There is no space at all, or the file cannot be made.
pub(super) fn keep(spool: &Path) -> io::Result<()> {
    let path = path(spool);
    if path.exists() {
        return Ok(());
    }
    let made = File::create(&path).and_then(|mut file| {
        let mut size = 0;
        while size < SIZE {
            match file.write(ZEROS) {
                Ok(length) => size += u64::try_from(length).unwrap_or(0),
                Err(error) if is_full(&error) && size >= SMALLEST => return file.set_len(size / 4),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    });
    if made.is_err() {
        let _ = fs::remove_file(&path);
    }
    made
}

/// Gives the space to the log; whether there was any.
pub(super) fn release(spool: &Path, connection: &Connection) -> bool {
    let released = fs::remove_file(path(spool)).is_ok();
    if released {
        checkpoint(connection);
    }
    released
}

/// Whether there is a reserve.
pub(super) fn is_kept(spool: &Path) -> bool {
    path(spool).exists()
}

/// Empties the log of a spool that holds next to nothing, and makes the reserve again.
pub(super) fn restore(spool: &Path, connection: &Connection) {
    checkpoint(connection);
    // As much as there is: appending says when there is none.
    let _ = keep(spool);
}

/// Keeps the log short enough for the reserve there is.
pub(super) fn pace(spool: &Path, connection: &Connection) -> rusqlite::Result<()> {
    let size = fs::metadata(path(spool)).map_or(SMALLEST, |metadata| metadata.len());
    let pages = (size / PAGE / 2).min(USUAL);
    let pragma = format!("PRAGMA wal_autocheckpoint = {pages}");
    connection.query_row(&pragma, [], |_| Ok(()))
}

fn checkpoint(connection: &Connection) {
    // Where somebody else reads, the next one will do as well.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

/// Whether an error is one of a full disk or quota.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn path(spool: &Path) -> PathBuf {
    beside(spool, ".reserve")
}

/// 8 MiB: the log as long as SQLite lets it become, and the largest batch.
const SIZE: u64 = 8 << 20;

/// Less is not worth a file: a batch of 2 000 small events.
const SMALLEST: u64 = 512 << 10;

/// A page of SQLite, and how many of them the log has at most before it is checkpointed.
const PAGE: u64 = 4_096;
const USUAL: u64 = 1_000;

const ZEROS: &[u8] = &[0; 64 << 10];
