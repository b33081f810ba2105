//! A log file that does not grow without bound.
//!
//! ```text
//!   crossbridge.log  ──full──▶  crossbridge.log.1  ──▶  crossbridge.log.2  ──▶ … ──▶ removed
//! ```
//!
//! The file in use has always the name that was configured, as with the platform's own handler. A
//! record is never split between two files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flexi_logger::writers::LogWriter;
use flexi_logger::{DeferredNow, FormatFunction};
use log::Record;

use super::FileSettings;

/// Writes records to a file, and puts it aside before it is too long.
pub(super) struct Rotating {
    settings: FileSettings,
    format: FormatFunction,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    bytes: u64,
    /// The line being made, kept for its memory.
    line: Vec<u8>,
}

impl Rotating {
    /// Opens the file to append to it; makes its directory first, where there is none.
    pub(super) fn open(settings: &FileSettings, format: FormatFunction) -> io::Result<Self> {
        if let Some(directory) = settings.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let (file, bytes) = append_to(&settings.path)?;
        Ok(Self {
            settings: settings.clone(),
            format,
            open: Mutex::new(Open {
                file,
                bytes,
                line: Vec::new(),
            }),
        })
    }

    /// A thread that panicked while it logged leaves at worst half a line.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_aside(&self, open: &mut Open) -> io::Result<()> {
        let path = &self.settings.path;
        if self.settings.backups == 0 {
            fs::remove_file(path)?;
        } else {
            for number in (1..self.settings.backups).rev() {
                // There are gaps as long as not all of them are there.
                if let Err(error) = fs::rename(numbered(path, number), numbered(path, number + 1))
                    && error.kind() != io::ErrorKind::NotFound
                {
                    return Err(error);
                }
            }
            fs::rename(path, numbered(path, 1))?;
        }
        (open.file, open.bytes) = append_to(path)?;
        Ok(())
    }
}

impl LogWriter for Rotating {
    fn write(&self, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
        let mut open = self.lock();
        let mut line = std::mem::take(&mut open.line);
        line.clear();
        (self.format)(&mut line, now, record)?;
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if open.bytes > 0 && open.bytes.saturating_add(length) > self.settings.max_bytes {
            // Better a file that is too long than a record that is lost.
            let _ = self.put_aside(&mut open);
        }
        let written = open.file.write_all(&line);
        open.bytes = open.bytes.saturating_add(length);
        open.line = line;
        written
    }

    fn flush(&self) -> io::Result<()> {
        self.lock().file.flush()
    }

    fn format(&mut self, format: FormatFunction) {
        self.format = format;
    }
}

fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}
