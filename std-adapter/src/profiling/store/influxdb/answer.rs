//! What the server answered: refusals by their status, rows of a query.
//!
//! | answer | kind |
//! |---|---|
//! | 400: no line protocol, wrong type of a field, older than the retention | permanent, about the points |
//! | 400: a limit on series or values of a tag | overloaded: the server is full, no event is to blame |
//! | 401, 403, 404, 413, 3xx | permanent |
//! | 429, 503 with `Retry-After` | throttled |
//! | 408, 500, 502, 503, 504 | transient |
//! | 200 to a write, or a page for people | unknown: somebody else answered |

use std::fmt;
use std::time::Duration;

use crossbridge_core::FaultKind;
use serde::Deserialize;
use serde_json::Value;

use super::http::Failure;
use crate::classify;
use crate::profiling::store::{Busy, Trouble};

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) html: bool,
    pub(super) body: Vec<u8>,
    pub(super) retry_after: Option<Duration>,
}

/// What a server said instead of yes.
#[derive(Debug)]
struct Said {
    status: u16,
    text: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text)
    }
}

impl std::error::Error for Said {}

/// The two shapes of an error: `{"error": …}` of version 1, `{"code": …, "message": …}` of version 2.
#[derive(Deserialize)]
struct Told {
    error: Option<String>,
    message: Option<String>,
}

/// Why an answer is no yes.
pub(super) fn refusal(answer: Answer) -> Failure {
    let status = answer.status;
    let told: Option<Told> = serde_json::from_slice(&answer.body).ok();
    let text = told.and_then(|told| told.error.or(told.message));
    let by_server = text.is_some();
    let text = text.unwrap_or_else(|| match (answer.html, answer.body.is_empty()) {
        _ if matches!(status, 401 | 403) => {
            "the user or the token is missing, wrong, or may not write".to_owned()
        }
        (true, _) => "a page for people, from a proxy or another server".to_owned(),
        (false, true) => "no reason was given".to_owned(),
        (false, false) => String::from_utf8_lossy(&answer.body).into_owned(),
    });
    let text = text.get(..text.floor_char_boundary(MAX_SAID)).unwrap_or_default();
    let text = text.replace(char::is_control, " ");
    let kind = match status {
        ..300 => FaultKind::Unknown,
        300..400 => FaultKind::Permanent,
        // The only way it has to say that it is full.
        400 if text.contains("limit exceeded") => FaultKind::Overloaded,
        _ => classify::http::status_kind(status, &RETRIED, answer.retry_after.is_some())
            .unwrap_or(FaultKind::Permanent),
    };
    let said = Box::new(Said {
        status,
        text: text.trim().to_owned(),
    });
    let trouble = match (status, answer.retry_after) {
        (404, _) if by_server && text.starts_with("database not found") => Trouble::NoDatabase,
        (429 | 503, retry_after) => Trouble::Busy(Box::new(Busy {
            retry_after,
            said: said.to_string(),
        })),
        _ => Trouble::Backend(said),
    };
    Failure {
        status: Some(status),
        ..Failure::new(kind, trouble)
    }
}

/// The rows of a query, of every measurement.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Rows {
    #[serde(default)]
    results: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Series {
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

impl Rows {
    fn values(&self, column: &str) -> impl Iterator<Item = &Value> {
        self.results
            .iter()
            .flat_map(|part| &part.series)
            .flat_map(move |series| {
                let place = series.columns.iter().position(|name| name == column);
                (series.values.iter()).filter_map(move |row| row.get(place?))
            })
    }

    /// The texts of a column.
    pub(super) fn column(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).filter_map(Value::as_str)
    }

    /// The numbers of a column.
    pub(super) fn numbers(&self, name: &str) -> impl Iterator<Item = u64> {
        self.values(name).filter_map(Value::as_u64)
    }
}

/// Reads the answer to a query. What went wrong with one stands in it, with a status of 200.
pub(super) fn rows(answer: Answer) -> Result<Rows, Failure> {
    let rows: Rows = serde_json::from_slice(&answer.body).map_err(|bad| {
        let what = match answer.html {
            true => "a page for people, from a proxy or another server".to_owned(),
            false => format!("the answer to a query cannot be read: {bad}"),
        };
        Failure::new(FaultKind::Unknown, Trouble::Unreadable(what))
    })?;
    match rows.results.iter().find_map(|part| part.error.clone()) {
        Some(text) if text.starts_with("database not found") => {
            Err(Failure::new(FaultKind::Permanent, Trouble::NoDatabase))
        }
        Some(text) => {
            let said = Box::new(Said { status: 200, text });
            Err(Failure::new(FaultKind::Permanent, Trouble::Backend(said)))
        }
        None => Ok(rows),
    }
}

/// The statuses after which the same request may succeed.
const RETRIED: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// How much of what the server said is repeated, in bytes.
const MAX_SAID: usize = 500;
