//! The error of the deserializer: a problem that finds its place on the way up.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use serde_yaml_ng::{Number, Value};

use super::Place;
use crate::config::error::{Problem, Target, did_you_mean, one_of};
use crate::config::expand::{ExpandError, cut, is_reference};
use crate::config::key_path::KeyPath;

/// The error of this deserializer.
#[derive(Debug)]
pub(in crate::config) struct Failure {
    pub(in crate::config) problem: Box<Problem>,
    /// What has to be left out for the rest to be readable; known once the failure has a place.
    pub(in crate::config) culprit: Option<KeyPath>,
    /// A consequence of something that was left out, and no news.
    pub(in crate::config) echo: bool,
}

impl Failure {
    pub(super) fn new(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            culprit: None,
            echo: false,
        }
    }

    pub(super) fn message(message: impl Into<String>) -> Self {
        Self::new(Problem::new(KeyPath::root(), message))
    }

    /// Gives the failure a place, if it has none yet. `raw` is what is written there.
    pub(super) fn at(mut self, place: Place<'_>, target: Target, raw: Option<&Value>) -> Self {
        if self.culprit.is_some() {
            return self;
        }
        let path = place.path();
        self.problem.message = self.problem.message.replace(NAME, &path.name());
        if let (Some(Value::String(text)), Some(found)) = (raw, &mut self.problem.found)
            && is_reference(text)
        {
            found.push_str(&format!(" (from `{}`)", cut(text)));
        }
        self.problem.path = path.clone();
        self.problem.target = target;
        self.culprit = Some(path);
        self
    }

    /// The same for a key that its type refuses.
    pub(super) fn at_key(mut self, mapping: &Place<'_>, key: &str) -> Self {
        if self.culprit.is_none() {
            self.problem.message = format!("unknown key `{}`", cut(key));
        }
        self.at(Place::Key(mapping, key), Target::Key, None)
    }

    pub(super) fn expand(error: ExpandError) -> Self {
        match error {
            ExpandError::Undefined(name) => Self::new(
                Problem::new(
                    KeyPath::root(),
                    format!("environment variable `{name}` is not set"),
                )
                .found(format!("`${{{name}}}`"))
                .hint(format!("set it, or give a default: `${{{name}:-...}}`")),
            ),
            ExpandError::Malformed(text) => Self::new(
                Problem::new(KeyPath::root(), "malformed reference to a variable")
                    .found(format!("`{text}`"))
                    .expected("`${NAME}` or `${NAME:-default}`")
                    .hint("write `$${` for a `${` that is no reference".to_owned()),
            ),
        }
    }
}

/// Stands for the name of the value until a failure has its place.
pub(super) const NAME: &str = "\u{0}name\u{0}";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::message(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let mut failure = Self::message(format!("invalid type for `{NAME}`"));
        failure.problem.found = Some(describe(found, true));
        failure.problem.expected = Some(expectation(expected));
        failure
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let mut failure = Self::message(format!("invalid value for `{NAME}`"));
        failure.problem.found = Some(describe(found, false));
        failure.problem.expected = Some(expectation(expected));
        failure
    }

    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        let mut failure = Self::message(format!("`{NAME}` has the wrong length"));
        failure.problem.found = Some(format!("{found} elements"));
        failure.problem.expected = Some(expectation(expected));
        failure
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let mut failure = Self::message(format!("invalid value for `{NAME}`"));
        failure.problem.found = Some(format!("`{}`", cut(found)));
        failure.problem.expected = Some(one_of(expected));
        failure.problem.hint = did_you_mean(found, expected);
        failure
    }

    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::unknown_key(KeyPath::root(), &cut(found), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut failure = Self::message(format!("missing key `{field}`"));
        failure.problem.expected = Some(format!("`{field}`"));
        failure
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::message(format!("duplicate key `{field}`"))
    }
}

/// What was found, for people. `typed` says what sort of thing it is, too.
fn describe(found: Unexpected<'_>, typed: bool) -> String {
    match found {
        Unexpected::Bool(truth) => format!("`{truth}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{}`", Number::from(number)),
        Unexpected::Str(text) if typed => format!("the text `{}`", cut(text)),
        Unexpected::Str(text) => format!("`{}`", cut(text)),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Char(_)
        | Unexpected::Bytes(_)
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_) => found.to_string(),
    }
}

/// What serde's own visitors expect, in words for people who have never heard of `u32`.
fn expectation(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let plain = match text.as_str() {
        "u8" => "a whole number, 0 to 255",
        "u16" => "a whole number, 0 to 65535",
        "u32" => "a whole number, 0 to 4294967295",
        "u64" | "usize" | "u128" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "string" => "text",
        "a map" => "a mapping",
        "a sequence" => "a list",
        _ if text.starts_with("struct ") => "a mapping",
        _ => return text,
    };
    plain.to_owned()
}
