//! What ends the reading of a report, and in which words.

use std::borrow::Cow;

use quick_xml::errors::Error;
use quick_xml::events::BytesText;

use super::tap::{Position, TokenTooLong};
use super::{Found, Problem, SourceError, Undecodable, text};
use crate::profiling::event::MAX_QUOTED;

/// Why a report could not be read to its end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) at: Position,
    pub(super) problem: Problem,
    /// Complete tests before it, once the root element was a report's.
    pub(super) complete_tests: Option<u64>,
}

impl Failure {
    /// The same as an error of the input of that name.
    pub(super) fn of(self, name: &str) -> SourceError {
        SourceError {
            name: name.to_owned(),
            at: Some(self.problem.place().unwrap_or(self.at)),
            problem: self.problem,
            complete_tests: self.complete_tests,
        }
    }
}

/// Refuses a document type that declares entities. A bare one, or one that names a file, is passed
/// over: nothing is opened.
pub(super) fn check_doctype(doctype: &BytesText<'_>) -> Result<(), Problem> {
    let content: &str = doctype.as_ref();
    if content
        .trim_start()
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case("html"))
    {
        return Err(Problem::WrongKind(Found::Html));
    }
    if content.contains('[') && (content.contains("<!ENTITY") || content.contains('%')) {
        return Err(Problem::Refused(
            "a document type that declares entities; none is ever expanded or opened",
        ));
    }
    Ok(())
}

/// An error of the parser in our words. `open` is the innermost open element, `encoding` the one
/// that the XML declaration names.
pub(super) fn explain(error: Error, open: Option<(&str, Position)>, encoding: Option<&str>) -> Problem {
    match error {
        Error::Io(error)
            if error
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<TokenTooLong>) =>
        {
            Problem::TooLong { limit: MAX_TOKEN }
        }
        Error::Io(error) => match Undecodable::cause(&error) {
            Some(bad) => Problem::Undecodable(Box::new(bad.clone())),
            None => Problem::Io(std::io::Error::new(error.kind(), error)),
        },
        Error::Encoding(_) => {
            let declared = encoding.unwrap_or("none");
            Problem::Malformed(format!(
                "bytes that are not UTF-8 (declared encoding: {})",
                short(declared)
            ))
        }
        // `<` and no `>`: the file was cut inside a tag.
        Error::Syntax(syntax) => match open {
            Some((name, since)) => Problem::Truncated {
                open: name.to_owned(),
                since,
            },
            None => Problem::Malformed(syntax.to_string()),
        },
        Error::IllFormed(error) => Problem::Malformed(error.to_string()),
        Error::InvalidAttr(error) => Problem::Malformed(error.to_string()),
        Error::Escape(error) => Problem::Malformed(error.to_string()),
        Error::Namespace(error) => Problem::Malformed(error.to_string()),
    }
}

/// The beginning of a name or a text, fit to be printed.
pub(super) fn short(text: &str) -> Cow<'_, str> {
    // No more bytes are no more characters.
    if text.len() <= MAX_QUOTED {
        return text::visible(text);
    }
    let end = text
        .char_indices()
        .nth(MAX_QUOTED)
        .map_or(text.len(), |(end, _)| end);
    text::visible(text.get(..end).unwrap_or(text))
}

/// The longest tag or text, in bytes: 64 MiB. It is the captured output of one test.
pub(super) const MAX_TOKEN: u64 = 64 << 20;
