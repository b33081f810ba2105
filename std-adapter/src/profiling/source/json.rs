//! Reports in JSON, member by member and without a tree.
//!
//! A report of at most 32 MiB is read into memory and parsed there, which is several times faster
//! than byte by byte from a stream; what is longer is parsed as a stream. Either way only what is
//! kept of a test outlives it. Objects and arrays that are read may be nested 128 deep; what is
//! passed over, any depth.
//!
//! A `null` is as good as no member: tools whose lists may be nil write it for an empty one.
//!
//! Texts may hold half of a surrogate pair, which JavaScript writes where it cuts a text in two; it
//! is read as U+FFFD.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde_json::de::Read as JsonRead;

use super::failure::Failure;
use super::report::Report;
use super::tap::{Held, IN_MEMORY, Position, Tap};
use super::{Found, Problem};

mod value;

pub(super) use value::{Code, Message, Text, Whole, Word};

/// The root object of a kind of report.
pub(super) trait Root: Default {
    /// What ran the tests.
    const FRAMEWORK: &'static str;

    /// Reads the value of the member `key`, if only to pass over it with [`skip`].
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error>;

    /// Everything was read. The name of a member that is missing, without which it is another kind
    /// of file.
    fn finish(self, report: &mut Report) -> Result<(), &'static str>;
}

/// Reads a whole report.
pub(super) fn parse<R: BufRead, K: Root>(tap: Tap<R>) -> Result<Report, Failure> {
    parse_within::<R, K>(tap, IN_MEMORY)
}

/// The same with so many bytes in memory.
fn parse_within<R: BufRead, K: Root>(tap: Tap<R>, limit: u64) -> Result<Report, Failure> {
    let start = tap.position();
    let mut report = Report::new(K::FRAMEWORK, start);
    let mut root = K::default();
    let (parsed, fingerprint) = match tap.hold(limit) {
        Held::Whole(whole) => {
            let json = serde_json::Deserializer::from_slice(whole.bytes());
            (document(json, &mut root, &mut report), whole.fingerprint())
        }
        Held::Part(mut tap) => {
            let stream = BufReader::with_capacity(CHUNK, tap.by_ref());
            let json = serde_json::Deserializer::from_reader(stream);
            (document(json, &mut root, &mut report), tap.fingerprint())
        }
    };
    if let Err(error) = parsed {
        return Err(Failure {
            at: place(start, &error),
            complete_tests: u64::try_from(report.tests().count()).ok(),
            problem: explain(error),
        });
    }
    if let Err(member) = root.finish(&mut report) {
        return Err(Failure {
            at: start,
            complete_tests: None,
            problem: Problem::WrongKind(Found::JsonWithout(member)),
        });
    }
    report.fingerprint = fingerprint;
    Ok(report)
}

/// One object and nothing after it.
fn document<'de, R: JsonRead<'de>, K: Root>(
    mut json: serde_json::Deserializer<R>,
    root: &mut K,
    report: &mut Report,
) -> serde_json::Result<()> {
    json.deserialize_map(RootVisitor { root, report })?;
    json.end()
}

struct RootVisitor<'r, K> {
    root: &'r mut K,
    report: &'r mut Report,
}

impl<'de, K: Root> Visitor<'de> for RootVisitor<'_, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Vec::new();
        while let Some(Word(key)) = map.next_key::<Word<'_>>()? {
            // A second list of tests would be counted on top of the first.
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("`{}` is given twice", cut(&key))));
            }
            self.root.member(&key, &mut map, self.report)?;
            if seen.len() < MAX_MEMBERS {
                seen.push(key);
            }
        }
        Ok(())
    }
}

/// Passes over the value of a member.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// An array whose elements are read one by one.
pub(super) struct Each<T, F>(F, PhantomData<T>);

/// Hands each element of an array to `take`.
pub(super) const fn each<T, F: FnMut(T)>(take: F) -> Each<T, F> {
    Each(take, PhantomData)
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// The elements of an array, all at once.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// What reads objects member by member.
pub(super) trait Members {
    /// What is expected, for messages.
    const EXPECTED: &'static str;

    /// Reads one object.
    fn object<'de, A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error>;
}

/// One object.
pub(super) struct Object<'m, M>(pub(super) &'m mut M);

/// An array of objects, one after the other.
pub(super) struct Objects<'m, M>(pub(super) &'m mut M);

impl<'de, M: Members> DeserializeSeed<'de> for Object<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: Members> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(M::EXPECTED)
    }

    /// mochawesome has `false` for a file without a test.
    fn visit_bool<E: serde::de::Error>(self, found: bool) -> Result<(), E> {
        if found {
            return Err(E::invalid_type(Unexpected::Bool(found), &self));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object(map)
    }
}

impl<'de, M: Members> DeserializeSeed<'de> for Objects<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, M: Members> Visitor<'de> for Objects<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array, each element {}", M::EXPECTED)
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Object(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// Where in the file an error is, given where the document begins.
fn place(start: Position, error: &serde_json::Error) -> Position {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let (line, column) = (number(error.line()).max(1), number(error.column()).max(1));
    Position {
        line: start.line + line - 1,
        column: if line == 1 {
            start.column + column - 1
        } else {
            column
        },
    }
}

fn explain(error: serde_json::Error) -> Problem {
    if error.is_io() {
        return Problem::of(error.into());
    }
    let reason = without_place(&error);
    if reason == "recursion limit exceeded" {
        return Problem::TooDeep { limit: 128 };
    }
    if error.is_eof() {
        Problem::CutOff(reason)
    } else {
        Problem::Malformed(reason)
    }
}

/// The message of an error of `serde_json` without the place, which counts from where it began.
pub(in crate::profiling) fn without_place(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if let Some(length) = text.strip_suffix(&place).map(str::len) {
        text.truncate(length);
    }
    text
}

fn cut(key: &str) -> String {
    key.chars().take(80).collect()
}

/// What is read at a time of what is longer.
const CHUNK: usize = 1 << 16;
/// How many names of members are remembered; a report has a dozen.
const MAX_MEMBERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiling::source::input::Input;
    use crate::profiling::source::jest::Jest;

    const SMALL: &str = r#"
{"testResults": [{"name": "/a/b.test.js", "assertionResults": [
  {"title": "one \ud83d", "status": "passed", "duration": 1.5},
  {"title": "two", "status": "failed", "failureMessages": ["\u001b[31mno\u001b[0m\nmore"]}]}],
 "startTime": 1795278485133}"#;

    fn told(json: &str, limit: u64) -> String {
        match parse_within::<_, Jest>(Tap::new(Input::as_it_is(json.as_bytes())), limit) {
            Ok(report) => report
                .tests()
                .map(|test| format!("{} {:?} {:?}; ", test.id, test.duration, test.message))
                .collect(),
            Err(failure) => failure.of("x").to_string(),
        }
    }

    #[test]
    fn a_stream_says_what_memory_says() {
        let end = SMALL.len();
        for cut in (0..=end).rev() {
            let json = SMALL.get(..cut).unwrap();
            let whole = told(json, IN_MEMORY);
            for limit in [1, 40, 200] {
                assert_eq!(told(json, limit), whole, "cut at {cut}, {limit} bytes in memory");
            }
            assert_eq!(
                whole.contains("the file ends inside the report"),
                cut < end,
                "{whole}"
            );
        }
        assert_eq!(
            told(SMALL, IN_MEMORY),
            "b.test.js::one \u{fffd} Some(Millis(1.5)) None; b.test.js::two None Some(\"no\"); "
        );
    }
}
