//! A store in files of JSON lines, which any tool can read.
//!
//! ```text
//!   DIR/events-000001.jsonl    64 MiB, then the next one; a batch is in one file
//!   DIR/events-000002.jsonl    the last one is written to
//!   DIR/lock                   held for the length of a write: writers take turns
//! ```
//!
//! ```text
//!   jq -r 'select(.event_type == "test_end") | .test_id' DIR/events-*.jsonl
//! ```
//!
//! # What survives what
//! A batch that was reported as written is on the disk (one `fdatasync` per batch): it survives a crash
//! of the process, of the machine and a loss of power. When a write fails, the file is cut back to what
//! it was. When the writer is killed in the middle, the first lines of its batch may stay; they are
//! events like any other, and the batch, written again, adds what is missing. A last line without its
//! end is completed where it is a whole event, else cut off, and the log says so.
//!
//! # Memory
//! The ids are known by 128 bits of their SHA-256 in a table in memory: 20 to 40 bytes per event in the
//! directory, so 40 MB for a million. Opening reads all files once. For more than some ten million
//! events, use a database, or a directory per month.
//!
//! # Several writers
//! Each takes the lock, reads what the others have added, and appends. The lock is `flock`: it ends with
//! its process, and does not work on every network file system.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbridge_core::{Clock as _, FaultKind, Sleeper as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use self::folder::{Folder, Line};
use super::{EventStore, StoreError, Trouble, Written, json};
use crate::classify;
use crate::clock::SystemClock;
use crate::profiling::event::Event;
use crate::sleeper::ThreadSleeper;

mod folder;

/// Keeps events in a directory, as lines of JSON. See the [module](self) for what it guarantees.
///
/// ```
/// use crossbridge_std::profiling::store::JsonlStore;
/// use crossbridge_std::profiling::{Event, EventStore, EventType};
///
/// let directory = tempfile::tempdir()?;
/// let mut store = JsonlStore::open(directory.path().join("profiles"), None)?;
/// let batch = [Event::new("id", "run", "test", EventType::TestEnd)];
/// assert_eq!(store.write(&batch, None)?.new, 1);
/// assert_eq!(store.write(&batch, None)?.already_there, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonlStore {
    path: PathBuf,
    name: String,
    lock: File,
    folder: Folder,
    /// The ids of what the folder holds, by [`key`].
    known: HashSet<u128>,
}

impl JsonlStore {
    /// Opens the directory, or makes it, and reads which events are there. Waits for other writers for
    /// `timeout` at most, 5 s for `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the directory above it does not exist, it is not ours to write, a line of a file
    /// is no event (all permanent), or another writer has the lock (transient).
    pub fn open(path: impl Into<PathBuf>, timeout: Option<Duration>) -> Result<Self, StoreError> {
        Self::with_file_size(path, timeout, FILE_SIZE)
    }

    /// The same with another size at which a file is followed by the next, in bytes: 64 MiB for
    /// [`open`](Self::open). A file is longer by what is left of its last batch.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn with_file_size(
        path: impl Into<PathBuf>,
        timeout: Option<Duration>,
        bytes: u64,
    ) -> Result<Self, StoreError> {
        let path = path.into();
        let name = format!("jsonl:{}", path.display());
        let wrap = |error| refused("open", &path, error);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(told("open", &path, FaultKind::Permanent, Trouble::NoDirectory));
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(wrap(error)),
            Ok(()) | Err(_) => {}
        }
        let mut open = File::options();
        let lock = open
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(wrap)?;
        let mut store = Self {
            folder: Folder::new(path.clone(), bytes),
            path,
            name,
            lock,
            known: HashSet::new(),
        };
        store.locked("open", timeout, |_| Ok(()))?;
        Ok(store)
    }

    /// Does something while nobody else writes, knowing everything that is there.
    fn locked<T>(
        &mut self,
        doing: &'static str,
        timeout: Option<Duration>,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.acquire(doing, timeout.unwrap_or(DEFAULT_TIMEOUT))?;
        let done = self.catch_up(doing).and_then(|()| work(self));
        // What is closed is unlocked; that this fails has never been seen.
        let _ = self.lock.unlock();
        done
    }

    fn acquire(&self, doing: &'static str, timeout: Duration) -> Result<(), StoreError> {
        let clock = SystemClock::new();
        let started = clock.now();
        loop {
            match self.lock.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(refused(doing, &self.path, error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if clock.now().saturating_duration_since(started) >= timeout {
                return Err(told(doing, &self.path, FaultKind::Transient, Trouble::Locked));
            }
            ThreadSleeper.sleep(PAUSE);
        }
    }

    /// Reads what has been added since the last time.
    fn catch_up(&mut self, doing: &'static str) -> Result<(), StoreError> {
        let Self { folder, known, .. } = self;
        if folder
            .changed_behind()
            .map_err(|error| refused(doing, &self.path, error))?
        {
            known.clear();
        }
        folder
            .read_on(|line| {
                let id = id(line.text)?;
                known.insert(key(&id));
                Ok(())
            })
            .map_err(|trouble| self.explain(doing, trouble))
    }

    fn explain(&self, doing: &'static str, trouble: folder::Failure) -> StoreError {
        match trouble {
            folder::Failure::Io(error) => refused(doing, &self.path, error),
            folder::Failure::Line { place, what } => told(
                doing,
                &self.path,
                FaultKind::Permanent,
                Trouble::Unreadable(format!("{place}: no event: {what}")),
            ),
        }
    }
}

impl EventStore for JsonlStore {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        self.locked("write", timeout, |store| {
            let mut lines = Vec::new();
            let mut keys = Vec::new();
            for event in batch {
                let key = key(&event.event_id);
                if store.known.insert(key) {
                    keys.push(key);
                    // Into memory, so it cannot fail; and no text of JSON has an end of line in it.
                    let _ = serde_json::to_writer(&mut lines, event);
                    lines.push(b'\n');
                }
            }
            if let Err(error) = store.folder.append(&lines) {
                for key in &keys {
                    store.known.remove(key);
                }
                return Err(refused("write", &store.path, error));
            }
            let new = u64::try_from(keys.len()).unwrap_or(u64::MAX);
            let all = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            Ok(Written {
                new,
                already_there: all - new,
            })
        })
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.locked("count", None, |store| {
            Ok(u64::try_from(store.known.len()).unwrap_or(u64::MAX))
        })
    }

    /// Reads the files from the first one on: there is no index of places.
    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        self.locked("read", None, |store| {
            if !store.known.contains(&key(event_id)) {
                return Ok(None);
            }
            let mut found = None;
            let mut again = Folder::new(store.path.clone(), u64::MAX);
            let read = again.read_on(|line: Line<'_>| {
                if found.is_none() && id(line.text)? == event_id {
                    found = Some(json::event(line.text)?);
                }
                Ok(())
            });
            read.map_err(|trouble| store.explain("read", trouble))?;
            Ok(found)
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The id in a line.
fn id(text: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Id {
        event_id: String,
    }
    let id: Result<Id, _> = serde_json::from_slice(text);
    id.map(|id| id.event_id).map_err(|bad| bad.to_string())
}

/// What stands for an id: two that share it would have to be looked for through 2⁶⁴ of them.
fn key(event_id: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(event_id.as_bytes()).into();
    let [half, _] = [0, 16].map(|start| digest.get(start..start + 16));
    half.and_then(|half| half.try_into().ok())
        .map_or(0, u128::from_be_bytes)
}

fn told(doing: &'static str, path: &Path, kind: FaultKind, trouble: Trouble) -> StoreError {
    StoreError {
        doing,
        place: Some(path.display().to_string()),
        kind,
        trouble,
    }
}

/// What the operating system refused, by its code.
fn refused(doing: &'static str, path: &Path, error: io::Error) -> StoreError {
    let kind = classify::io::error_kind(error.kind(), classify::io::Phase::Exchanging);
    let trouble = if matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        Trouble::Full
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        Trouble::ReadOnly
    } else {
        Trouble::Io(error)
    };
    told(doing, path, kind, trouble)
}

/// At what length a file is followed by the next one.
const FILE_SIZE: u64 = 64 << 20;

/// How long an attempt without a timeout waits for the lock.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries to get the lock.
const PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests;
