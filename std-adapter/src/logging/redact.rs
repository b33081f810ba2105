//! Secrets are not written.
//!
//! - The value of a key that names a secret is [`MASK`]. A key is taken apart into words, so that
//!   `accessToken` and `db-password` are secrets, and `prompt_tokens` is a number of tokens.
//! - In every text, the password of a URL, the value after a secret name and `=` (a connection
//!   string, a query), the text of a JSON field with a secret name, and what follows `Bearer` or
//!   `Basic` are masked.
//!
//! This is a net under the code that logs, and no licence to log secrets: one that stands alone in
//! a text, without a name, passes.

use std::borrow::Cow;

/// What is written instead.
pub const MASK: &str = "***";

/// Whether a key names a secret.
///
/// ```
/// use crossbridge_std::logging::redact::is_secret;
///
/// for key in ["password", "DB_PASSWORD", "accessToken", "x-api-key", "Authorization", "apikey"] {
///     assert!(is_secret(key), "{key}");
/// }
/// for key in ["path", "prompt_tokens", "budget_tokens", "key", "monkey"] {
///     assert!(!is_secret(key), "{key}");
/// }
/// ```
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let words = words(key);
    let word = |word: &String| WORDS.contains(&word.as_str());
    let key_pair = |pair: &[String]| KEYS.contains(&pair[0].as_str()) && pair[1] == "key";
    words.iter().any(word) || words.windows(2).any(key_pair)
}

const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pgpassword",
    "secret",
    "secrets",
    "token",
    "authorization",
    "credential",
    "credentials",
    "cookie",
    "apikey",
    "apitoken",
];

/// Words that make a secret together with `key`.
const KEYS: [&str; 6] = ["api", "access", "private", "secret", "encryption", "signing"];

/// The lower-case words of `snake_case`, `kebab-case`, `camelCase` and dotted names.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in key.chars() {
        let starts_word = c.is_uppercase() && after_lower;
        if (!c.is_alphanumeric() || starts_word)
            && let Some(last) = words.last()
            && !last.is_empty()
        {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    words
}

/// A text with the secrets in it masked.
///
/// ```
/// use crossbridge_std::logging::redact::text;
///
/// for (written, masked) in [
///     ("postgres://ci:hunter2@db:5432/x", "postgres://ci:***@db:5432/x"),
///     ("host=db password=hunter2 user=ci", "host=db password=*** user=ci"),
///     ("GET /v1?token=abc&page=2", "GET /v1?token=***&page=2"),
///     ("sent Authorization: Bearer abc.def", "sent Authorization: Bearer ***"),
///     (r#"{"db": {"password": "a\"b", "user": "ci"}}"#, r#"{"db": {"password": "***", "user": "ci"}}"#),
///     ("http://localhost:8086/write?db=x", "http://localhost:8086/write?db=x"),
/// ] {
///     assert_eq!(text(written), masked);
/// }
/// ```
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    url_passwords(text, &mut spans);
    assignments(text, &mut spans);
    fields(text, &mut spans);
    schemes(text, &mut spans);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut written = 0;
    for (start, end) in spans {
        if start >= written {
            out.push_str(text.get(written..start).unwrap_or_default());
            out.push_str(MASK);
        }
        written = written.max(end);
    }
    out.push_str(text.get(written..).unwrap_or_default());
    Cow::Owned(out)
}

/// Byte ranges to mask.
type Spans = Vec<(usize, usize)>;

/// `scheme://user:password@host`.
fn url_passwords(text: &str, spans: &mut Spans) {
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let rest = text.get(start..).unwrap_or_default();
        let rest = &rest[..rest.find(ends_text).unwrap_or(rest.len())];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let Some(colon) = authority.find(':') else {
            continue;
        };
        let after = &authority[colon + 1..];
        let end = match authority.rfind('@') {
            Some(end) => Some(end),
            // A password with a slash in it, unescaped. After a port there is no password.
            None if after.bytes().all(|byte| byte.is_ascii_digit()) => None,
            None => rest.rfind('@'),
        };
        if let Some(end) = end.filter(|&end| end > colon) {
            spans.push((start + colon + 1, start + end));
        }
    }
}

/// `password=…`, quoted or not.
fn assignments(text: &str, spans: &mut Spans) {
    for (at, _) in text.match_indices('=') {
        let before = &text[..at];
        let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let key = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        if !is_secret(key) {
            continue;
        }
        let value = &text[at + 1..];
        let (quote, value) = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => (Some(quote), &value[1..]),
            _ => (None, value),
        };
        let start = text.len() - value.len();
        let end = match quote {
            Some(quote) => value.find(quote),
            None => value.find(|c| ends_text(c) || "&;,".contains(c)),
        };
        let end = start + end.unwrap_or(value.len());
        if end > start {
            spans.push((start, end));
        }
    }
}

/// `"password": "…"`, and the same inside a text of JSON, where the quotes are escaped.
fn fields(text: &str, spans: &mut Spans) {
    for (at, _) in text.match_indices(':') {
        let Some(before) = text[..at].trim_end().strip_suffix('"') else {
            continue;
        };
        let before = before.strip_suffix('\\').unwrap_or(before);
        if !is_secret(before.rsplit('"').next().unwrap_or_default()) {
            continue;
        }
        let value = text[at + 1..].trim_start();
        let (escaped, value) = match value.strip_prefix('\\') {
            Some(value) => (true, value),
            None => (false, value),
        };
        let Some(value) = value.strip_prefix('"') else {
            continue;
        };
        let start = text.len() - value.len();
        let closes = |(quote, _): &(usize, &str)| value[..*quote].ends_with('\\') == escaped;
        let end = value.match_indices('"').find(closes);
        let end = end.map_or(value.len(), |(quote, _)| quote - usize::from(escaped));
        if end > 0 {
            spans.push((start, start + end));
        }
    }
}

/// `Bearer …`, `Basic …`.
fn schemes(text: &str, spans: &mut Spans) {
    for scheme in ["Bearer ", "bearer ", "Basic ", "basic "] {
        for (at, _) in text.match_indices(scheme) {
            let start = at + scheme.len();
            let rest = text.get(start..).unwrap_or_default();
            let end = rest
                .find(|c| ends_text(c) || ",;".contains(c))
                .unwrap_or(rest.len());
            // `basic profiler` is English; credentials have a digit, a dot or are long.
            let credentials = &rest[..end];
            let looks_so = credentials.len() >= 16
                || credentials.contains(|c: char| c.is_ascii_digit() || ".=".contains(c));
            if end > 0 && looks_so {
                spans.push((start, start + end));
            }
        }
    }
}

/// Where a secret in the middle of a text ends.
fn ends_text(c: char) -> bool {
    c.is_whitespace() || "\"'<>)}]`".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_json_at_every_depth() {
        for (written, masked) in [
            (r#"{"token":"abc"}"#, r#"{"token":"***"}"#),
            (
                r#"{"accessToken" : "abc", "x":1}"#,
                r#"{"accessToken" : "***", "x":1}"#,
            ),
            (
                r#""{\"password\":\"abc\",\"user\":\"ci\"}""#,
                r#""{\"password\":\"***\",\"user\":\"ci\"}""#,
            ),
            (r#"{"cookie":"sid=größe"#, r#"{"cookie":"***"#),
            // No texts, no secrets.
            (r#"{"token":""}"#, r#"{"token":""}"#),
            (r#"{"prompt_tokens":"12"}"#, r#"{"prompt_tokens":"12"}"#),
            (
                r#"{"password":null,"token":{"id":"x"}}"#,
                r#"{"password":null,"token":{"id":"x"}}"#,
            ),
            ("password: expected a text", "password: expected a text"),
            (r#"":"#, r#"":"#),
            (r#""token":"\"#, r#""token":"***"#),
        ] {
            assert_eq!(text(written), masked);
        }
    }
}
