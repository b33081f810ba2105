//! What went wrong, in words a retry can act on.
//!
//! A backend's error says which [`FaultKind`] it is by reading codes (SQLSTATE, HTTP status,
//! `errno`), never by reading text: `order id 15003 not found` is not a server error. Retry,
//! breaker and health act on the kind alone.
//!
//! | kind | meaning | retried |
//! |---|---|---|
//! | [`NotSent`](FaultKind::NotSent) | the request provably never left | yes, and the first one costs no budget |
//! | [`Transient`](FaultKind::Transient) | the server could not do it just now | yes |
//! | [`Throttled`](FaultKind::Throttled) | the server asks for less | yes, from a slower base |
//! | [`Unknown`](FaultKind::Unknown) | sent, and no answer: timed out, or the connection broke | only a call declared idempotent |
//! | [`Permanent`](FaultKind::Permanent) | asking again gets the same answer | never |
//! | [`Overloaded`](FaultKind::Overloaded) | a layer below already retried, or says "do not retry" | never |
//!
//! The table is that of `aws-smithy-types` (`ErrorKind`), widened by the question that decides
//! about duplicates: did the request leave?

use core::fmt;
use core::time::Duration;

/// What kind of failure an attempt met. See the [module](self) for what follows from each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum FaultKind {
    /// The request provably never left: connection refused, no free connection in the pool.
    NotSent,
    /// The server could not do it just now, and did not: 500, 502, 503, 504, deadlock,
    /// serialization failure, database locked.
    Transient,
    /// The server asks for less: 429, 503 with `Retry-After`, too many connections.
    Throttled,
    /// The request was sent and no answer came, for it timed out or the connection broke: whether it
    /// took effect is not known.
    Unknown,
    /// Asking again gets the same answer: 4xx, authentication, a violated constraint.
    Permanent,
    /// A layer below already retried and gave up, or the server says not to retry.
    Overloaded,
}

impl FaultKind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::NotSent,
        Self::Transient,
        Self::Throttled,
        Self::Unknown,
        Self::Permanent,
        Self::Overloaded,
    ];

    /// The name in configuration files, logs and traces: `not_sent`, `transient`, …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Unknown => "unknown",
            Self::Permanent => "permanent",
            Self::Overloaded => "overloaded",
        }
    }

    /// Whether the failure says something about the health of the server.
    ///
    /// A permanent error was answered by a server that works; it is about the request.
    #[must_use]
    pub const fn blames_server(self) -> bool {
        match self {
            Self::NotSent | Self::Transient | Self::Throttled | Self::Unknown | Self::Overloaded => true,
            Self::Permanent => false,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// For tests and sketches: a real error says more than its kind.
impl core::error::Error for FaultKind {}

/// An error that can say what kind of failure it is.
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::{Fault, FaultKind};
///
/// struct HttpError { status: u16, retry_after: Option<Duration> }
///
/// impl Fault for HttpError {
///     fn kind(&self) -> FaultKind {
///         match self.status {
///             429 => FaultKind::Throttled,
///             503 if self.retry_after.is_some() => FaultKind::Throttled,
///             500 | 502 | 503 | 504 => FaultKind::Transient,
///             _ => FaultKind::Permanent,
///         }
///     }
///     fn retry_after(&self) -> Option<Duration> { self.retry_after }
/// }
///
/// let busy = HttpError { status: 429, retry_after: Some(Duration::from_secs(2)) };
/// assert_eq!(busy.kind(), FaultKind::Throttled);
/// ```
pub trait Fault {
    /// What went wrong.
    fn kind(&self) -> FaultKind;

    /// How long the server asked to be left alone, where it did.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl Fault for FaultKind {
    fn kind(&self) -> FaultKind {
        *self
    }
}

impl<F: Fault + ?Sized> Fault for &F {
    fn kind(&self) -> FaultKind {
        (**self).kind()
    }

    fn retry_after(&self) -> Option<Duration> {
        (**self).retry_after()
    }
}
