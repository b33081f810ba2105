//! The files of a directory: read to their end, mended there, appended to.
//!
//! ```text
//!   …}\n{…}\n{…}\n          whole
//!   …}\n{…}\n{…}            the end of the last line is missing: it is added
//!   …}\n{…}\n{"event_i      torn in the middle: what is left of the line is cut off
//! ```

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use crate::logging::Category;
use crate::profiling::store::json;

/// The files, and how far they have been read.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// At what length a file is followed by the next one.
    limit: u64,
    /// The file read last, from 1; 0 before the first one.
    number: u64,
    /// How much of it has been read, whole lines only.
    offset: u64,
}

/// A line that was read, without its end.
pub(super) struct Line<'l> {
    pub(super) text: &'l [u8],
}

/// Why the files could not be read.
#[derive(Debug)]
pub(super) enum Failure {
    /// The operating system said so.
    Io(io::Error),
    /// A line is none of ours.
    Line {
        /// The file, and where in it.
        place: String,
        /// What is wrong with it.
        what: String,
    },
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Folder {
    pub(super) const fn new(path: PathBuf, limit: u64) -> Self {
        Self {
            path,
            limit,
            number: 0,
            offset: 0,
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("events-{number:06}.jsonl"))
    }

    /// The numbers of the files there are, in order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let digits = name
                .to_str()
                .and_then(|name| name.strip_prefix("events-")?.strip_suffix(".jsonl"));
            // Only what `file` gives back as the same name.
            numbers.extend(
                digits
                    .and_then(|digits| digits.parse().ok())
                    .filter(|number| *number > 0 && self.file(*number).file_name() == Some(&name)),
            );
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Whether the last file is gone or shorter than what was read of it: then everything has to be
    /// read anew, and will be.
    pub(super) fn changed_behind(&mut self) -> io::Result<bool> {
        if self.number == 0 {
            return Ok(false);
        }
        let changed = match fs::metadata(self.file(self.number)) {
            Ok(metadata) => metadata.len() < self.offset,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if changed {
            (self.number, self.offset) = (0, 0);
        }
        Ok(changed)
    }

    /// Reads every line that was not read yet, and mends a last one that was torn. What was read is on
    /// the disk afterwards: who wrote it may have died before it said so.
    pub(super) fn read_on(
        &mut self,
        mut each: impl FnMut(Line<'_>) -> Result<(), String>,
    ) -> Result<(), Failure> {
        let known = self.number;
        for number in self.numbers()?.into_iter().filter(|number| *number >= known) {
            if number != self.number {
                (self.number, self.offset) = (number, 0);
            }
            self.read_file(&mut each)?;
        }
        Ok(())
    }

    fn read_file(&mut self, each: &mut impl FnMut(Line<'_>) -> Result<(), String>) -> Result<(), Failure> {
        let path = self.file(self.number);
        let file = File::options().read(true).write(true).open(&path)?;
        if file.metadata()?.len() == self.offset {
            return Ok(());
        }
        let mut input = BufReader::with_capacity(READ_AHEAD, &file);
        input.seek(SeekFrom::Start(self.offset))?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = input.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            let whole = line.pop_if(|last| *last == b'\n').is_some();
            if !whole && json::event(&line).is_err() {
                log::warn!(
                    target: TARGET,
                    "{}: the last line was torn, its {length} bytes are cut off: it was never reported as written",
                    path.display()
                );
                file.set_len(self.offset)?;
                break;
            }
            if let Err(what) = each(Line { text: &line }) {
                let place = format!("{}: the line at byte {}", path.display(), self.offset);
                return Err(Failure::Line { place, what });
            }
            self.offset += u64::try_from(length).unwrap_or(u64::MAX);
            if !whole {
                log::warn!(target: TARGET, "{}: the end of the last line was missing and is added", path.display());
                (&file).seek(SeekFrom::End(0))?;
                (&file).write_all(b"\n")?;
                self.offset += 1;
                break;
            }
        }
        file.sync_data().map_err(Failure::Io)
    }

    /// Appends whole lines to the last file, or to the next one, and waits for the disk. On an error
    /// the file is what it was, as far as that can be done.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.number == 0 || self.offset >= self.limit {
            (self.number, self.offset) = (self.number + 1, 0);
        }
        let path = self.file(self.number);
        let mut file = File::options().create(true).append(true).open(&path)?;
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        // A file that is new is found after a crash only if its directory was synced as well.
        let written = written.and_then(|()| match self.offset {
            0 => File::open(&self.path)?.sync_all(),
            _ => Ok(()),
        });
        if let Err(error) = written {
            // What a failed sync left behind may look as if it were there until the next crash.
            let _ = file.set_len(self.offset);
            return Err(error);
        }
        self.offset += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// Bytes read at a time.
const READ_AHEAD: usize = 1 << 16;

const TARGET: &str = Category::Persistence.target();
