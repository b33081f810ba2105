//! `${VAR}` and `${VAR:-default}` in the scalars of a document.
//!
//! | written | becomes |
//! |---|---|
//! | `${VAR}` | its value; an error where it is not set |
//! | `${VAR:-text}` | its value; `text` where it is not set or empty |
//! | `${VAR-text}` | its value, even an empty one; `text` where it is not set |
//! | `$${` | `${` |
//!
//! The text after `:-` may hold references itself. What comes out is not expanded again, and then
//! means what it would mean in the file: `30` is a number, `false` a truth value, nothing is null.

use serde_yaml_ng::{Number, Value};

/// Where variables come from; `None` is a variable that is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process. One that is not Unicode counts as not set.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    // The standard library panics on such names.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok()
}

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// A variable that is not set and has no default.
    Undefined(String),
    /// Something after `${` that is no reference.
    Malformed(String),
}

/// Whether there is anything to expand.
pub(super) fn is_reference(text: &str) -> bool {
    text.contains("${")
}

/// `text` with its references replaced.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    expand_nested(text, environment, 0)
}

/// What `text` is when it stands in a document without quotes.
pub(super) fn plain_scalar(text: &str) -> Value {
    let text = text.trim();
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match text.parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

/// References inside defaults inside references, and so on.
const MAX_NESTING: usize = 16;

fn expand_nested(text: &str, environment: Environment<'_>, depth: usize) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let malformed = || ExpandError::Malformed(cut(&rest[before.len()..]));
        let end = closing(after).ok_or_else(malformed)?;
        let (body, remaining) = (&after[..end], &after[end + 1..]);
        let name_end = body
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(body.len());
        let (name, operator) = body.split_at(name_end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || depth > MAX_NESTING {
            return Err(malformed());
        }
        let value = environment(name);
        let (value, default) = if let Some(default) = operator.strip_prefix(":-") {
            (value.filter(|value| !value.is_empty()), Some(default))
        } else if let Some(default) = operator.strip_prefix('-') {
            (value, Some(default))
        } else if operator.is_empty() {
            (value, None)
        } else {
            return Err(malformed());
        };
        match (value, default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(&expand_nested(default, environment, depth + 1)?),
            (None, None) => return Err(ExpandError::Undefined(name.to_owned())),
        }
        rest = remaining;
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the `}` is that ends a reference whose `${` was just read.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

/// The beginning of a text, for an error message.
pub(super) fn cut(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "LOOP" => Some("${LOOP}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn the_whole_grammar() {
        for (text, expected) in [
            ("${SET}", "value"),
            ("a ${SET} b ${SET}", "a value b value"),
            ("${UNSET:-30}", "30"),
            ("${UNSET:-}", ""),
            ("${EMPTY:-30}", "30"),
            ("${EMPTY-30}", ""),
            ("${UNSET-30}", "30"),
            ("${EMPTY}", ""),
            ("${UNSET:-${SET}-x}", "value-x"),
            ("${UNSET:-${UNSET2:-deep}}", "deep"),
            ("$${SET}", "${SET}"),
            ("$SET costs 3$", "$SET costs 3$"),
            ("${LOOP}", "${LOOP}"),
            ("${UNSET:-http://localhost:8086}", "http://localhost:8086"),
            ("${UNSET:-ü}", "ü"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "${",
            "${}",
            "${1X}",
            "${A B}",
            "${SET:?x}",
            "${UNSET:-${}",
            "${SET",
            "x ${-a}",
        ] {
            let refused = expand(text, &environment);
            assert!(
                matches!(refused, Err(ExpandError::Malformed(_))),
                "{text}: {refused:?}"
            );
        }
        let undefined = expand("${UNSET}", &environment);
        assert_eq!(undefined, Err(ExpandError::Undefined("UNSET".to_owned())));
        let nested = "${U:-".repeat(10_000) + &"}".repeat(10_000);
        assert!(matches!(
            expand(&nested, &environment),
            Err(ExpandError::Malformed(_))
        ));
    }

    #[test]
    fn a_result_is_typed_like_the_file() {
        assert_eq!(plain_scalar("30"), Value::Number(30.into()));
        assert_eq!(plain_scalar("0.5"), Value::Number(0.5.into()));
        assert_eq!(plain_scalar("false"), Value::Bool(false));
        assert_eq!(plain_scalar(""), Value::Null);
        assert_eq!(plain_scalar("007"), Value::String("007".to_owned()));
        assert_eq!(plain_scalar(" 5m\n"), Value::String("5m".to_owned()));
    }
}
