//! A toxic: one thing that goes wrong on the way, as the API and scripts word it.
//!
//! The JSON is toxiproxy's, with two keys more (`first`, `every`) and our own types beside its
//! types:
//!
//! ```json
//! {"attributes":{"latency":1000,"jitter":50},"name":"latency_downstream","type":"latency",
//!  "stream":"downstream","toxicity":1.0}
//! ```

use std::time::Duration;

use crossbridge_core::Instant;
use serde::{Deserialize, Serialize};

mod attributes;

pub use attributes::{
    Bandwidth, Bytes, Empty, HttpError, Latency, Slicer, Slow, SlowClose, SqlError, SqlPlace, Throttle,
    Timeout,
};

/// A toxic of a proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Toxic {
    /// What it does.
    #[serde(flatten)]
    pub effect: Effect,
    /// Its name, one of a kind within its proxy; `<type>_<stream>` where nothing is said.
    pub name: String,
    /// The direction it works in.
    pub stream: Direction,
    /// The share of the connections it meets, 0 to 1. An `http_error`, a `throttle` and a
    /// `sql_error` at a query meet this share of the requests.
    pub toxicity: f64,
    /// Only the first so many connections, or requests, that come after it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only every so-manieth of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

/// The direction of a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

impl Direction {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

/// What a toxic does. The [module of the proxy](super) has the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    Noop(Empty),
    /// Everything comes later.
    Latency(Latency),
    /// No more than so much a second.
    Bandwidth(Bandwidth),
    /// The end of the stream comes later.
    SlowClose(SlowClose),
    /// Nothing comes through; the connection is closed after a while.
    Timeout(Timeout),
    /// The connection is reset.
    ResetPeer(Timeout),
    /// The stream comes in small pieces.
    Slicer(Slicer),
    /// The connection is closed after so many bytes.
    LimitData(Bytes),
    /// The connection is reset after so many bytes.
    Cut(Bytes),
    /// The connection is refused.
    Refuse(Empty),
    /// The connection is never established, or never served.
    Hang(Empty),
    /// The answer takes longer: in proportion to what it took.
    Slow(Slow),
    /// An HTTP request is answered with an error instead of being forwarded.
    HttpError(HttpError),
    /// PostgreSQL's startup or query is answered with an error instead of being forwarded.
    SqlError(SqlError),
    /// HTTP requests beyond a quota are answered with status 429.
    Throttle(Throttle),
}

/// What becomes of a connection that has been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served.
    Serve,
    /// It is reset at once.
    Refuse,
    /// It is left alone.
    Hang,
}

impl Effect {
    /// The types there are, as JSON names them.
    pub const TYPES: [&'static str; 15] = [
        "noop",
        "latency",
        "bandwidth",
        "slow_close",
        "timeout",
        "reset_peer",
        "slicer",
        "limit_data",
        "cut",
        "refuse",
        "hang",
        "slow",
        "http_error",
        "sql_error",
        "throttle",
    ];

    /// What becomes of a connection that it meets when it is accepted, where that is its trade.
    #[must_use]
    pub const fn admission(&self) -> Option<Admission> {
        if let Self::Refuse(_) = self {
            Some(Admission::Refuse)
        } else if let Self::Hang(_) = self {
            Some(Admission::Hang)
        } else {
            None
        }
    }

    /// How it answers an HTTP request that it meets, where that is its trade.
    #[must_use]
    pub fn http_answer(&self) -> Option<HttpError> {
        if let Self::HttpError(error) = self {
            Some(error.clone())
        } else if let Self::Throttle(throttle) = self {
            Some(HttpError {
                status: 429,
                retry_after: throttle.retry_after,
                body: None,
            })
        } else {
            None
        }
    }

    /// Whether it is about requests inside a connection instead of connections.
    #[must_use]
    pub const fn meets_requests(&self) -> bool {
        match self {
            Self::HttpError(_) | Self::Throttle(_) => true,
            Self::SqlError(error) => matches!(error.at, SqlPlace::Query),
            Self::Noop(_)
            | Self::Latency(_)
            | Self::Bandwidth(_)
            | Self::SlowClose(_)
            | Self::Timeout(_)
            | Self::ResetPeer(_)
            | Self::Slicer(_)
            | Self::LimitData(_)
            | Self::Cut(_)
            | Self::Refuse(_)
            | Self::Hang(_)
            | Self::Slow(_) => false,
        }
    }
}

impl Toxic {
    /// A toxic that meets every connection, named as the API would.
    #[must_use]
    pub fn new(kind: &str, stream: Direction, effect: Effect) -> Self {
        Self {
            effect,
            name: format!("{kind}_{}", stream.name()),
            stream,
            toxicity: 1.0,
            first: None,
            every: None,
        }
    }

    /// Whether nothing escapes it.
    #[must_use]
    pub fn meets_all(&self) -> bool {
        self.toxicity >= 1.0 && self.first.is_none() && self.every.is_none_or(|every| every == 1)
    }

    /// Whether number `ordinal` of the connections or requests, from 1, is among those that `first`
    /// and `every` choose.
    #[must_use]
    pub fn counts(&self, ordinal: u64) -> bool {
        self.first.is_none_or(|first| ordinal <= first)
            && self.every.is_none_or(|every| ordinal.is_multiple_of(every))
    }

    /// What cannot be, in a sentence.
    ///
    /// # Errors
    /// A number out of range, a SQLSTATE that is none.
    pub fn check(&self) -> Result<(), String> {
        let bound = |holds: bool, sentence: &str| if holds { Ok(()) } else { Err(sentence.to_owned()) };
        bound((0.0..=1.0).contains(&self.toxicity), "toxicity must be 0 to 1")?;
        bound(self.first != Some(0), "first must be at least 1")?;
        bound(self.every != Some(0), "every must be at least 1")?;
        match &self.effect {
            Effect::Slicer(slicer) => {
                bound(slicer.average_size >= 1, "average_size must be at least 1")?;
                bound(
                    slicer.size_variation < slicer.average_size,
                    "size_variation must be less than average_size",
                )
            }
            Effect::Slow(slow) => bound((1.0..=1e6).contains(&slow.factor), "factor must be 1 to 1000000"),
            Effect::HttpError(error) => bound(
                (200..=599).contains(&error.status),
                "status must be 200 to 599: an answer that ends the request",
            ),
            Effect::SqlError(error) => {
                let code = error.sqlstate.as_bytes();
                let valid = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
                bound(
                    code.len() == 5 && code.iter().all(valid) && !error.sqlstate.starts_with("00"),
                    "sqlstate must be five digits and capital letters, and not a success (00...)",
                )?;
                let message = error.message.as_deref().unwrap_or_default();
                bound(
                    !message.contains(['\0', '$', '\\']),
                    "message must not hold a NUL, a dollar sign or a backslash",
                )
            }
            Effect::Throttle(throttle) => throttle.quota().map(drop),
            Effect::Noop(_)
            | Effect::Latency(_)
            | Effect::Bandwidth(_)
            | Effect::SlowClose(_)
            | Effect::Timeout(_)
            | Effect::ResetPeer(_)
            | Effect::LimitData(_)
            | Effect::Cut(_)
            | Effect::Refuse(_)
            | Effect::Hang(_) => Ok(()),
        }
    }
}

/// `at` plus so many milliseconds; saturates.
pub(super) const fn plus_millis(at: Instant, millis: u64) -> Instant {
    at.saturating_add(Duration::from_millis(millis))
}
