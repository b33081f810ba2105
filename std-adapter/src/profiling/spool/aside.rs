//! Who has a spool open, who ships from it, and how a damaged one is put aside.
//!
//! Two files beside the spool are locked, never written: `NAME.db.open`, held shared by everybody
//! who has the spool open and alone by the one who moves it; and `NAME.db.ship`, held alone by the
//! one who ships. The system lets go of both when their process ends, however it ends.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{Spool, SpoolError, now_millis};
use crate::profiling::store::{StoreError, Trouble};

/// The right to ship from a spool, until it is dropped or its process ends.
#[derive(Debug)]
pub struct ShipLock {
    _file: File,
}

impl Spool {
    /// The right to ship, if nobody else has it. Shipping without it is safe, but work done twice.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Io`] when the file beside the spool cannot be locked.
    pub fn ship_lock(&self) -> Result<Option<ShipLock>, SpoolError> {
        let path = beside(&self.path, ".ship");
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(ShipLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed("lock", path, source)),
        }
    }
}

/// Makes the directory and says that the spool is in use.
pub(super) fn announce(path: &Path) -> Result<File, SpoolError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .map_err(|source| failed("make the directory", directory.to_owned(), source))?;
    }
    let lock = beside(path, ".open");
    let file = open(&lock)?;
    // Held alone only while somebody renames three files.
    file.lock_shared()
        .map_err(|source| failed("lock", lock, source))?;
    Ok(file)
}

/// What tells a file from another one that has its name later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// Of the file that has this name now. It is not opened for that: to close it would let go of the
    /// locks that SQLite holds on it in this process.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        #[cfg(unix)]
        let (device, number) = {
            use std::os::unix::fs::MetadataExt as _;
            (found.dev(), found.ino())
        };
        // Elsewhere a file that is open cannot be deleted.
        #[cfg(not(unix))]
        let (device, number) = (0, u64::from(found.is_file()));
        Ok(Self { device, number })
    }
}

/// Moves a damaged file and its journal away, if nobody else has it open; where to.
pub(super) fn put_aside(path: &Path, presence: &File) -> Result<PathBuf, SpoolError> {
    let lock = || beside(path, ".open");
    let locked = presence.unlock().map_err(TryLockError::Error);
    let moved = match locked.and_then(|()| presence.try_lock()) {
        Ok(()) => rename(path),
        Err(TryLockError::WouldBlock) => Err(SpoolError::DamagedInUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed("lock", lock(), source)),
    };
    presence
        .lock_shared()
        .map_err(|source| failed("lock", lock(), source))?;
    moved
}

fn rename(path: &Path) -> Result<PathBuf, SpoolError> {
    let mut number = now_millis();
    let mut to = beside(path, &format!(".damaged-{number}"));
    while to.exists() {
        number += 1;
        to = beside(path, &format!(".damaged-{number}"));
    }
    // The journal goes with it, since events may be in it only.
    for end in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, end), beside(&to, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("put aside", path.to_owned(), error));
            }
            _ => {}
        }
    }
    Ok(to)
}

/// Whether the file itself is at fault, and nothing is to be hoped for from another attempt.
pub(super) fn is_damage(error: &StoreError) -> bool {
    matches!(error.trouble, Trouble::Damaged | Trouble::NotADatabase)
}

fn open(path: &Path) -> Result<File, SpoolError> {
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(|source| failed("open", path.to_owned(), source))
}

pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

pub(super) fn failed(doing: &'static str, path: PathBuf, source: io::Error) -> SpoolError {
    SpoolError::Io { doing, path, source }
}
