//! A configuration file, looked at again and again.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, Document, FileError, KeyPath, Problem, find, process_environment};

/// Where the configuration is, and what was last found there.
///
/// Each look reads the file, which is short, and compares what it holds. Times and sizes are not
/// relied on: within a second of each other two writes may leave both as they were, and a link may
/// be pointed at an older file.
pub struct Watched {
    find: Find,
    environment: Variables,
    config: Arc<Config>,
    /// What the configuration was read from.
    taken: Content,
    /// What was found last.
    seen: Content,
    /// What was refused last.
    refused: Option<Content>,
}

type Find = Box<dyn Fn() -> Option<PathBuf> + Send>;
type Variables = Box<dyn Fn(&str) -> Option<String> + Send>;

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// No file; where none is named, the defaults are in force.
    Nothing,
    Bytes(PathBuf, Vec<u8>),
    Unreadable(PathBuf, String),
}

/// What a look means.
#[derive(Debug)]
pub enum Look {
    /// The file is as before, or refused as before.
    Same,
    /// It is new, and may still be being written.
    Settling,
    /// It is new and valid.
    New(Arc<Config>),
    /// It is new and cannot be used.
    Refused(FileError),
}

impl Watched {
    /// One file, with the variables of this process.
    ///
    /// # Errors
    /// It cannot be read, or anything in it cannot be used.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref().to_owned();
        Self::new(move || Some(path.clone()), process_environment)
    }

    /// The file that [`find`](fn@find) finds from the working directory, each time anew: it may come
    /// later.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn search(explicit: Option<&Path>) -> Result<Self, FileError> {
        let explicit = explicit.map(Path::to_owned);
        let directory = std::env::current_dir().unwrap_or_default();
        let find = move || find(explicit.as_deref(), &process_environment, &directory);
        Self::new(find, process_environment)
    }

    /// The same with everything handed in.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn new(
        find: impl Fn() -> Option<PathBuf> + Send + 'static,
        environment: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Result<Self, FileError> {
        let mut watched = Self {
            find: Box::new(find),
            environment: Box::new(environment),
            config: Arc::new(Config::default()),
            taken: Content::Nothing,
            seen: Content::Nothing,
            refused: None,
        };
        match watched.look_once() {
            Look::Refused(error) => Err(error),
            Look::Same | Look::Settling | Look::New(_) => Ok(watched),
        }
    }

    /// What was taken last.
    #[must_use]
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Looks; what is new is taken when two looks in a row find the same.
    #[must_use]
    pub fn look(&mut self) -> Look {
        let found = self.read();
        if found == self.seen {
            return self.take(found);
        }
        let is_known = found == self.taken;
        self.seen = found;
        if is_known {
            // Written anew as it was, or put back.
            self.refused = None;
            return Look::Same;
        }
        Look::Settling
    }

    /// Looks; what is new is taken at once.
    #[must_use]
    pub fn look_once(&mut self) -> Look {
        let found = self.read();
        self.seen = found.clone();
        self.take(found)
    }

    fn take(&mut self, found: Content) -> Look {
        if found == self.taken || self.refused.as_ref() == Some(&found) {
            return Look::Same;
        }
        match self.parse(&found) {
            Ok(config) => {
                self.config = Arc::new(config);
                self.taken = found;
                self.refused = None;
                Look::New(Arc::clone(&self.config))
            }
            Err(error) => {
                self.refused = Some(found);
                Look::Refused(error)
            }
        }
    }

    fn parse(&self, found: &Content) -> Result<Config, FileError> {
        match found {
            Content::Bytes(path, bytes) => {
                let document = Document::from_bytes(path.display().to_string(), bytes.clone())?;
                Config::from_document(&document, &*self.environment)
            }
            Content::Unreadable(path, reason) => Err(unreadable(path, "cannot be read", reason)),
            Content::Nothing => match &self.taken {
                Content::Bytes(path, _) => Err(unreadable(path, "is gone", "no file in its place")),
                Content::Nothing | Content::Unreadable(..) => Ok(Config::default()),
            },
        }
    }

    fn read(&self) -> Content {
        let Some(path) = (self.find)() else {
            return Content::Nothing;
        };
        let mut bytes = Vec::new();
        // One byte more than allowed: longer files are refused by their reader.
        let limit = Document::MAX_BYTES as u64 + 1;
        match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => Content::Bytes(path, bytes),
            Err(error) => Content::Unreadable(path, error.to_string()),
        }
    }
}

fn unreadable(path: &Path, what: &str, found: &str) -> FileError {
    let problem = Problem::new(KeyPath::root(), format!("the configuration {what}")).found(found);
    FileError::new(path.display().to_string(), vec![problem])
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}
