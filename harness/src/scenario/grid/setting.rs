//! A value for a place in a scenario, from the command line: `clients.web.count=40`.

use std::fmt;
use std::str::FromStr;

use crossbridge_std::config::{Document, KeyPath};
use serde_yaml_ng::Value;

/// A place in a scenario and what is to stand there.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    path: KeyPath,
    value: Value,
}

/// Why a text is not a [`Setting`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSettingError(String);

impl Setting {
    /// This value at this place.
    #[must_use]
    pub const fn new(path: KeyPath, value: Value) -> Self {
        Self { path, value }
    }

    /// The place.
    #[must_use]
    pub const fn path(&self) -> &KeyPath {
        &self.path
    }

    /// What is to stand there.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The setting as one word of a shell.
    #[must_use]
    pub fn word(&self) -> String {
        let text = self.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=%+,@".contains(c);
        if text.chars().all(plain) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    }
}

impl FromStr for Setting {
    type Err = ParseSettingError;

    /// `PATH=VALUE`; the value is YAML, so that `[1, 2]` is a list.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |told: String| Err(ParseSettingError(told));
        let Some((path, value)) = text.split_once('=') else {
            return wrong("expected PATH=VALUE, such as clients.web.count=40".to_owned());
        };
        let path = match path.parse() {
            Ok(path) => path,
            Err(error) => return wrong(format!("`{path}` is no path: {error}")),
        };
        match Document::parse("value", value) {
            Ok(document) => Ok(Self::new(path, document.root().clone())),
            Err(error) => wrong(error.to_string()),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, shown(&self.value))
    }
}

impl fmt::Display for ParseSettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseSettingError {}

/// A value on one line, as YAML that is read as the same value.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let same = Document::parse("", text.as_str()).is_ok_and(|read| read.root() == value);
            if same { text.clone() } else { quoted(text) }
        }
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        // JSON is YAML on one line.
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
            serde_json::to_string(value).unwrap_or_default()
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "clients.web.count=40",
            "faults[0].for=10s",
            "a.b=\"40\"",
            "a=true",
            "\"a.b\".c=x y",
            "a=[1,\"2\",\"x y\"]",
        ] {
            let setting: Setting = text.parse().expect(text);
            assert_eq!(setting.to_string(), text);
        }
    }

    #[test]
    fn a_word_is_one_for_the_shell() {
        let word = |text: &str| text.parse::<Setting>().expect(text).word();
        assert_eq!(
            word("clients.web.arrivals.poisson=1/s"),
            "clients.web.arrivals.poisson=1/s"
        );
        assert_eq!(word("faults[0].for=1s"), "'faults[0].for=1s'");
        assert_eq!(word("a=it's $x"), "'a=it'\\''s $x'");
    }

    #[test]
    fn mistakes_are_told() {
        for (text, told) in [
            ("seed", "expected PATH=VALUE"),
            ("=1", "`` is no path"),
            ("a..b=1", "`a..b` is no path"),
            ("a=[1", "value:"),
        ] {
            let error = text.parse::<Setting>().expect_err(text).to_string();
            assert!(error.starts_with(told), "{text}: {error}");
        }
    }
}
