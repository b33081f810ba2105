//! The attributes of each type of toxic, as JSON has them. One that is not given has its default; one that
//! does not exist is an error.

use std::time::Duration;

use crossbridge_core::Quota;
use serde::{Deserialize, Serialize};

/// No attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// Attributes of `latency`: a delay drawn from `latency - jitter` to `latency + jitter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// Milliseconds.
    pub latency: u64,
    /// Milliseconds.
    pub jitter: u64,
}

/// Attributes of `bandwidth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bandwidth {
    /// Thousands of bytes a second; with 0 nothing comes through.
    pub rate: u64,
}

/// Attributes of `slow_close`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlowClose {
    /// Milliseconds.
    pub delay: u64,
}

/// Attributes of `timeout` and `reset_peer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeout {
    /// Milliseconds. For `timeout`, 0 is without end.
    pub timeout: u64,
}

/// Attributes of `slicer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slicer {
    /// Bytes of a slice, at least 1.
    pub average_size: u64,
    /// Bytes it may be longer or shorter, less than `average_size`.
    pub size_variation: u64,
    /// Microseconds after each slice.
    pub delay: u64,
}

/// Attributes of `limit_data` and `cut`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bytes {
    /// So many come through.
    pub bytes: u64,
}

/// Attributes of `slow`: an answer whose first byte took `t` takes `factor * t + add`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slow {
    /// 1 to 1 000 000; 1 is as usual.
    pub factor: f64,
    /// Milliseconds.
    pub add: u64,
}

impl Default for Slow {
    fn default() -> Self {
        Self { factor: 1.0, add: 0 }
    }
}

/// Attributes of `http_error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpError {
    /// 200 to 599.
    pub status: u16,
    /// Seconds, sent as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Sent as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Default for HttpError {
    fn default() -> Self {
        Self {
            status: 503,
            retry_after: None,
            body: None,
        }
    }
}

/// Attributes of `sql_error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlError {
    /// Five digits and capital letters.
    pub sqlstate: String,
    /// What the error says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What is answered with it.
    pub at: SqlPlace,
}

impl Default for SqlError {
    fn default() -> Self {
        Self {
            // serialization_failure, the error that asks for a retry.
            sqlstate: "40001".to_owned(),
            message: None,
            at: SqlPlace::Query,
        }
    }
}

/// What is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SqlPlace {
    /// The startup of a session, which ends it.
    Startup,
    /// A query; the session goes on.
    Query,
}

/// Attributes of `throttle`: `rate` requests in `per`, `burst` of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// Requests.
    pub rate: u32,
    /// Microseconds.
    pub per: u64,
    /// Requests.
    pub burst: u32,
    /// Seconds, sent as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            rate: 1,
            per: 1_000_000,
            burst: 1,
            retry_after: None,
        }
    }
}

impl Throttle {
    /// The quota of a server that throttles so.
    ///
    /// # Errors
    /// What cannot be, in a sentence.
    pub fn quota(&self) -> Result<Quota, String> {
        Quota::new(self.rate, Duration::from_micros(self.per))
            .and_then(|quota| quota.burst(self.burst))
            .map_err(|error| error.to_string())
    }
}
