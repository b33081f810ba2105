//! Where the spool of a destination is, whether or not there is one yet.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::counts::counters;
use super::{Spool, SpoolError};
use crate::profiling::event::Event;
use crate::profiling::ingest::{Keep, KeepError};
use crate::profiling::settings::Limits;
use crate::profiling::store::StoreError;

/// The place of a spool, which is made when there is something to keep and not before.
#[derive(Debug)]
pub struct SpoolPlace {
    path: PathBuf,
    limits: Limits,
    spool: Option<Spool>,
}

impl SpoolPlace {
    /// The spool for `destination` under the directory of our state: `STATE/spool/DESTINATION.db`.
    /// The destination is a name for a file that holds no secret.
    #[must_use]
    pub fn new(state: &Path, destination: &str, limits: Limits) -> Self {
        Self {
            path: state.join("spool").join(format!("{destination}.db")),
            limits,
            spool: None,
        }
    }

    /// The file, be it there or not.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The spool, made if need be.
    ///
    /// # Errors
    ///
    /// Those of [`Spool::open`].
    pub fn open(&mut self) -> Result<&mut Spool, SpoolError> {
        match &mut self.spool {
            Some(spool) => Ok(spool),
            empty => Ok(empty.insert(Spool::open(&self.path, self.limits)?)),
        }
    }

    /// The spool itself.
    ///
    /// # Errors
    ///
    /// Those of [`Spool::open`].
    pub fn into_spool(self) -> Result<Spool, SpoolError> {
        match self.spool {
            Some(spool) => Ok(spool),
            None => Spool::open(self.path, self.limits),
        }
    }

    /// The spool, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Spool::open`].
    pub fn existing(&mut self) -> Result<Option<&mut Spool>, SpoolError> {
        if self.spool.is_some() || self.path.exists() {
            self.open().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Damaged spools of this destination that were put aside, oldest first, by whatever process.
    #[must_use]
    pub fn damaged(&self) -> Vec<PathBuf> {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Vec::new();
        };
        let start = format!("{}.damaged-", name.to_string_lossy());
        let mut found: Vec<_> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let number = name.strip_prefix(&start);
                number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .collect();
        found.sort();
        found
    }
}

impl SpoolPlace {
    /// Spools of other destinations in the same directory that hold events, and how many: a store that was
    /// named in another way has another spool. Looked at only; one that cannot be read is left out.
    #[must_use]
    pub fn others(&self) -> Vec<(PathBuf, u64)> {
        let mut others: Vec<_> = (self.path.parent().map(fs::read_dir).into_iter())
            .flatten()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| *path != self.path && path.extension().is_some_and(|end| end == "db"))
            .filter_map(|path| {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let spool = Connection::open_with_flags(&path, flags).ok()?;
                let spooled = counters(&spool).ok()?.spooled;
                (spooled > 0).then_some((path, spooled))
            })
            .collect();
        others.sort();
        others
    }
}

impl Keep for SpoolPlace {
    fn keep(&mut self, events: &[Event]) -> Result<u64, KeepError> {
        self.open()?.keep(events)
    }

    fn bury(&mut self, event: &Event, reason: &StoreError) -> Result<(), KeepError> {
        self.open()?.bury(event, reason)
    }
}
