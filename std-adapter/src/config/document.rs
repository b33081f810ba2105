//! A YAML file that errors can point into.

mod replace;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::build;
use super::deserialize::{Context, Failure, Place, ValueDeserializer};
use super::error::{FileError, Position, Problem, Target};
use super::expand::Environment;
use super::key_path::{KeyPath, Segment};
use super::locate::locate;

/// The text of one file, and what it says.
///
/// Types are read out of it with [`section`](Self::section): plain serde types, best with
/// `deny_unknown_fields`. Every error knows its path and its line; variables are expanded on the
/// way, in what is read and nowhere else.
///
/// Enums are read externally tagged (`{ constant: 1ms }` or `none`). Of untagged, internally tagged
/// and flattened types serde keeps no paths, so that errors in them point at the whole.
///
/// ```
/// use crossbridge_std::config::{Document, KeyPath};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Client { count: u32, path: String }
///
/// let environment = |name: &str| (name == "COUNT").then(|| "40".to_owned());
/// let text = "clients:\n  - { count: \"${COUNT}\", path: profiling_storage }\n";
/// let document = Document::parse("demo.yml", text)?;
/// let path = KeyPath::root().key("clients");
/// let clients: Vec<Client> = document.section(&path, &environment)?;
/// assert_eq!((clients[0].count, clients[0].path.as_str()), (40, "profiling_storage"));
///
/// let document = Document::parse("demo.yml", "clients:\n  - { counts: 1, path: x }\n")?;
/// let refused = document.section::<Vec<Client>>(&path, &environment).err().ok_or("accepted")?;
/// assert!(refused.to_string().starts_with("demo.yml:2:7: unknown key `counts`"), "{refused}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    text: String,
    root: Value,
}

impl Document {
    /// The longest file that is read: 4 MiB.
    pub const MAX_BYTES: usize = 4 << 20;

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too long, is not UTF-8, is not YAML, is more than one document, says
    /// the same key twice, or asks for too much (aliases, nesting).
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too long from one that just fits.
        let limit = u64::try_from(Self::MAX_BYTES).map_or(u64::MAX, |limit| limit + 1);
        if let Err(error) = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            return Err(FileError::unreadable(name, error));
        }
        Self::from_bytes(name, bytes)
    }

    /// The same for bytes that are already there.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, FileError> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(name, text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                let found = format!("byte 0x{:02x} at offset {valid}", error.as_bytes()[valid]);
                let mut problem = Problem::new(KeyPath::root(), "not text")
                    .found(found)
                    .expected("UTF-8");
                problem.at = Some(end_of(&before));
                Err(FileError::new(name, vec![problem]))
            }
        }
    }

    /// The same for a text. `name` is what errors call it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(name: impl Into<String>, text: impl Into<String>) -> Result<Self, FileError> {
        let (name, text) = (name.into(), text.into());
        let refuse = |problem: Box<Problem>| FileError::new(name.clone(), vec![*problem]);
        if text.len() > Self::MAX_BYTES {
            let problem = Problem::new(KeyPath::root(), "the file is too long")
                .found(format!("more than {} bytes", Self::MAX_BYTES))
                .expected("at most 4 MiB");
            return Err(refuse(Box::new(problem)));
        }
        check_characters(&text).map_err(refuse)?;
        check_nesting(&text).map_err(refuse)?;
        let root = build::build(&text).map_err(refuse)?;
        Ok(Self { name, text, root })
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything in it, unexpanded.
    #[must_use]
    pub const fn root(&self) -> &Value {
        &self.root
    }

    /// What stands at `path`, unexpanded; `None` where there is nothing, not even a null.
    #[must_use]
    pub fn get(&self, path: &KeyPath) -> Option<&Value> {
        let mut value = &self.root;
        for segment in path.segments() {
            value = match (segment, value) {
                (Segment::Key(key), Value::Mapping(mapping)) => mapping
                    .iter()
                    .find(|(name, _)| build::key_text(name) == *key)
                    .map(|(_, value)| value)?,
                (Segment::Index(index), Value::Sequence(list)) => list.get(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Puts another value at `path`, in place of what stands there or as a new key of a mapping that is
    /// there. Errors in it point at what it replaces.
    ///
    /// # Errors
    /// The path leads through something that is not there, or is no mapping or list.
    pub fn set(&mut self, path: &KeyPath, value: Value) -> Result<(), FileError> {
        match replace::replace(&mut self.root, path, value) {
            Ok(()) => Ok(()),
            Err(problem) => Err(self.error(vec![*problem])),
        }
    }

    /// The names in the mapping at `path`, in the order of the file; none where there is none.
    #[must_use]
    pub fn keys(&self, path: &KeyPath) -> Vec<String> {
        match self.get(path).and_then(Value::as_mapping) {
            None => Vec::new(),
            Some(mapping) => mapping.keys().map(build::key_text).collect(),
        }
    }

    /// Where the key or the value at `path` stands.
    #[must_use]
    pub fn position(&self, path: &KeyPath, target: Target) -> Option<Position> {
        locate(&self.text, path, target)
    }

    /// What stands at `path`, as a `T`; nothing there reads like a null.
    ///
    /// # Errors
    /// Everything in it that does not fit.
    pub fn section<T: DeserializeOwned>(
        &self,
        path: &KeyPath,
        environment: Environment<'_>,
    ) -> Result<T, FileError> {
        let (value, problems) = self.survey(path, environment);
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(self.error(problems)),
        }
    }

    /// The same, as far as it goes: what fits, and what does not.
    ///
    /// A value with a problem is left out and the rest is read again, until the rest is fine. There
    /// is no `T` where one of its own keys, or the whole, has to be left out.
    #[must_use]
    pub fn survey<T: DeserializeOwned>(
        &self,
        path: &KeyPath,
        environment: Environment<'_>,
    ) -> (Option<T>, Vec<Problem>) {
        let nothing = Value::Null;
        let value = self.get(path).unwrap_or(&nothing);
        let mut left_out = BTreeSet::new();
        let mut problems = Vec::new();
        loop {
            let context = Context {
                environment,
                left_out: &left_out,
            };
            let place = Place::Start(path);
            let failure = match T::deserialize(ValueDeserializer::new(value, place, &context)) {
                Ok(value) => return (Some(value), problems),
                Err(failure) => failure,
            };
            let Failure {
                problem,
                culprit,
                echo,
            } = failure;
            let culprit = culprit.unwrap_or_else(|| path.clone());
            if !echo {
                problems.push(*problem);
            }
            let hopeless = culprit == *path || problems.len() >= MAX_PROBLEMS;
            if hopeless || !left_out.insert(culprit) {
                return (None, problems);
            }
        }
    }

    /// An error of this file: gives each problem without a position the one of its path. The first
    /// 50 are kept.
    #[must_use]
    pub fn error(&self, mut problems: Vec<Problem>) -> FileError {
        // Each position is another walk through the text.
        problems.truncate(MAX_PROBLEMS);
        for problem in &mut problems {
            if problem.at.is_none() {
                problem.at = self.position(&problem.path, problem.target);
            }
        }
        FileError::new(self.name.clone(), problems)
    }
}

/// YAML allows no control characters but these; the parser does not say where it found one.
fn check_characters(text: &str) -> Result<(), Box<Problem>> {
    let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    match text.char_indices().find(|&(_, c)| !allowed(c)) {
        None => Ok(()),
        Some((at, c)) => {
            let mut problem = Problem::new(KeyPath::root(), "a control character")
                .found(format!("U+{:04X}", u32::from(c)))
                .expected("text");
            problem.at = text.get(..at).map(end_of);
            Err(Box::new(problem))
        }
    }
}

/// Nobody reads on after so many.
pub(super) const MAX_PROBLEMS: usize = 50;

/// Brackets that are open at once. The parser's work grows with the square of it, and values are
/// refused at 128 levels anyway; brackets inside texts and comments count, so this is far above.
const MAX_OPEN_BRACKETS: usize = 1_000;

fn check_nesting(text: &str) -> Result<(), Box<Problem>> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => continue,
        }
        if open > MAX_OPEN_BRACKETS {
            let mut problem = Problem::new(KeyPath::root(), "nested too deep")
                .found(format!("more than {MAX_OPEN_BRACKETS} open brackets"))
                .expected("at most 128 levels");
            problem.at = text.get(..at).map(end_of);
            return Err(Box::new(problem));
        }
    }
    Ok(())
}

/// The position just after a text.
fn end_of(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position {
        line: 1 + text.bytes().filter(|&byte| byte == b'\n').count(),
        column: 1 + last.chars().count(),
    }
}
