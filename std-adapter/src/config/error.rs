//! What is wrong with a file, where, and what to do about it.
//!
//! ```text
//! error: unknown key `capasity`
//!   --> crossbridge.yml:5:16
//!    in runtime.rate_limiting.defaults.search: found `capasity`, expected `capacity` or `window_seconds`
//! hint: did you mean `capacity`?
//! ```
//!
//! A [`Problem`] is one such block, a [`FileError`] all of those of one file. Both are data: the
//! text above is [`FileError::render`], and their `Serialize` is the same as an object.

use std::fmt;
use std::fmt::Write as _;
use std::io;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::key_path::KeyPath;

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// What of a path is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The last key itself: it is unknown, or there twice.
    Key,
    /// What stands there.
    Value,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// Where in the document.
    pub path: KeyPath,
    /// Whether the key or the value is at fault.
    pub target: Target,
    /// Where in the text; [`Document::error`](super::Document::error) fills it in.
    pub at: Option<Position>,
    /// What was found.
    pub found: Option<String>,
    /// What would be right.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with the value at `path`.
    #[must_use]
    pub fn new(path: KeyPath, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            path,
            target: Target::Value,
            at: None,
            found: None,
            expected: None,
            hint: None,
        }
    }

    /// A value that is out of its range.
    #[must_use]
    pub fn invalid(path: KeyPath, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        let message = format!("invalid value for `{}`", path.name());
        Self::new(path, message)
            .found(format!("`{found}`"))
            .expected(expected)
    }

    /// A key that is not among `known`, with the nearest of them as the hint.
    #[must_use]
    pub fn unknown_key(path: KeyPath, key: &str, known: &[&str]) -> Self {
        Self::new(path, format!("unknown key `{key}`"))
            .at_key()
            .found(format!("`{key}`"))
            .expected(one_of(known))
            .hint(did_you_mean(key, known))
    }

    /// A name that refers to nothing. `what` is what it should be the name of: `circuit breaker`.
    #[must_use]
    pub fn unknown_name(path: KeyPath, what: &str, name: &str, known: &[&str]) -> Self {
        Self::new(path, format!("unknown {what} `{name}`"))
            .found(format!("`{name}`"))
            .expected(one_of(known))
            .hint(did_you_mean(name, known))
    }

    /// With the key at fault instead of the value.
    #[must_use]
    pub fn at_key(mut self) -> Self {
        self.target = Target::Key;
        self
    }

    /// With what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// With what would be right.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// With what to do about it, if there is anything to say.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The path a reader looks at: the mapping for a key, the value itself otherwise.
    fn scope(&self) -> KeyPath {
        match self.target {
            Target::Key => self.path.parent(),
            Target::Value => self.path.clone(),
        }
    }

    fn render(&self, file: &str, out: &mut String) {
        // Writing to a `String` does not fail.
        let _ = writeln!(out, "error: {}", self.message);
        let _ = match self.at {
            Some(Position { line, column }) => writeln!(out, "  --> {file}:{line}:{column}"),
            None => writeln!(out, "  --> {file}"),
        };
        let scope = self.scope();
        let place = if scope.is_root() {
            String::new()
        } else {
            format!("in {scope}")
        };
        let seen = match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => format!("found {found}, expected {expected}"),
            (Some(found), None) => format!("found {found}"),
            (None, Some(expected)) => format!("expected {expected}"),
            (None, None) => String::new(),
        };
        let _ = match (place.is_empty(), seen.is_empty()) {
            (true, true) => Ok(()),
            (false, false) => writeln!(out, "   {place}: {seen}"),
            (true, false) | (false, true) => writeln!(out, "   {place}{seen}"),
        };
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "hint: {hint}");
        }
    }

    fn serialize_fields<S: SerializeStruct>(&self, file: &str, object: &mut S) -> Result<(), S::Error> {
        object.serialize_field("message", &self.message)?;
        let at = self.at.map(|at| format!("{file}:{}:{}", at.line, at.column));
        object.serialize_field("at", &at)?;
        object.serialize_field("file", file)?;
        object.serialize_field("line", &self.at.map(|at| at.line))?;
        object.serialize_field("column", &self.at.map(|at| at.column))?;
        let path = (!self.path.is_root()).then(|| self.path.to_string());
        object.serialize_field("path", &path)?;
        object.serialize_field("found", &self.found)?;
        object.serialize_field("expected", &self.expected)?;
        object.serialize_field("hint", &self.hint)
    }
}

/// Why a file is refused: every problem found in it, in the order of the text.
///
/// `Display` is one line, for the middle of another sentence; [`render`](Self::render) is for
/// people, and `Serialize` for programs: the fields of the first problem (`message`, `at`, `file`,
/// `line`, `column`, `path`, `found`, `expected`, `hint`; `at` is the place in one text) and the others
/// in `others`.
#[derive(Debug)]
pub struct FileError {
    file: String,
    /// At least one.
    problems: Vec<Problem>,
    source: Option<io::Error>,
}

impl FileError {
    /// The problems of a file, which should be at least one. Positions are taken as they are.
    #[must_use]
    pub fn new(file: impl Into<String>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at);
        Self {
            file: file.into(),
            problems,
            source: None,
        }
    }

    /// A file that cannot be read at all.
    #[must_use]
    pub fn unreadable(file: impl Into<String>, source: io::Error) -> Self {
        let found = if source.kind() == io::ErrorKind::NotFound {
            "no such file".to_owned()
        } else {
            source.to_string()
        };
        let problem = Problem::new(KeyPath::root(), "the file cannot be read").found(found);
        Self {
            source: Some(source),
            ..Self::new(file, vec![problem])
        }
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong with it, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The same, to be joined with more of the same file.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// One block per problem, as in the [module](self), each ended by a line feed.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (place, problem) in self.problems.iter().enumerate() {
            if place > 0 {
                out.push('\n');
            }
            problem.render(&self.file, &mut out);
        }
        out
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        let Some(first) = self.problems.first() else {
            return Ok(());
        };
        if let Some(Position { line, column }) = first.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", first.message)?;
        if let Some(found) = &first.found {
            write!(f, ", found {found}")?;
        }
        if let Some(expected) = &first.expected {
            write!(f, ", expected {expected}")?;
        }
        match self.problems.len() {
            0 | 1 => Ok(()),
            more => write!(f, " (and {} more)", more - 1),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl Serialize for FileError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Other<'a>(&'a str, &'a Problem);
        impl Serialize for Other<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = serializer.serialize_struct("Problem", 9)?;
                self.1.serialize_fields(self.0, &mut object)?;
                object.end()
            }
        }
        let mut object = serializer.serialize_struct("FileError", 10)?;
        if let Some(first) = self.problems.first() {
            first.serialize_fields(&self.file, &mut object)?;
        }
        let others = self.problems.iter().skip(1);
        let others: Vec<_> = others.map(|problem| Other(&self.file, problem)).collect();
        object.serialize_field("others", &others)?;
        object.end()
    }
}

/// `` `a` ``, `` `a` or `b` ``, `` one of `a`, `b`, `c` ``.
#[must_use]
pub fn one_of<S: AsRef<str>>(known: &[S]) -> String {
    let quoted: Vec<_> = known.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [] => "none: there are none".to_owned(),
        [only] => only.clone(),
        [one, other] => format!("{one} or {other}"),
        many => format!("one of {}", many.join(", ")),
    }
}

/// ``did you mean `capacity`?``, where a known name is close enough to be meant.
#[must_use]
pub fn did_you_mean<S: AsRef<str>>(found: &str, known: &[S]) -> Option<String> {
    nearest(found, known).map(|name| format!("did you mean `{name}`?"))
}

/// The known name nearest to `found`: at most a third of its characters differ, at least one may.
#[must_use]
pub fn nearest<'a, S: AsRef<str>>(found: &str, known: &'a [S]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(found);
    let most = (wanted.chars().count() / 3).max(1);
    known
        .iter()
        .map(AsRef::as_ref)
        .map(|name| (strsim::damerau_levenshtein(&wanted, &plain(name)), name))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}
