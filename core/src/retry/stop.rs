//! Why a call ended without success.

use core::fmt;
use core::time::Duration;

use crate::fault::FaultKind;
use crate::time::Instant;

/// Why a call ended without success.
///
/// [`by_guard`](Self::by_guard) tells the guard's own refusals from what the dependency answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum StopReason {
    /// Every attempt the policy allows was made.
    AttemptsExhausted,
    /// Asking again would get the same answer.
    Permanent,
    /// The request was sent, no answer came, and the call is not declared idempotent.
    NotIdempotent,
    /// A layer below already retried and gave up.
    Overloaded,
    /// The server asked for a longer wait than the policy bears.
    HintTooLong {
        /// What it asked for.
        asked: Duration,
    },
    /// The next attempt would be later than `give_up_after` allows.
    GaveUp,
    /// The next attempt could not finish before the deadline.
    Deadline,
    /// The retry budget is empty.
    Budget,
    /// The circuit is open.
    Breaker {
        /// When it admits a probe, where that is known.
        retry_at: Option<Instant>,
    },
    /// The rate limiter has no permit, and the call does not wait for one.
    RateLimit {
        /// When there is one, if there ever is.
        not_before: Option<Instant>,
    },
    /// Every slot of the bulkhead is taken.
    Bulkhead,
}

impl StopReason {
    /// The name in logs, traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Permanent => "permanent",
            Self::NotIdempotent => "not_idempotent",
            Self::Overloaded => "overloaded",
            Self::HintTooLong { .. } => "hint_too_long",
            Self::GaveUp => "gave_up",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
            Self::Breaker { .. } => "breaker",
            Self::RateLimit { .. } => "rate_limit",
            Self::Bulkhead => "bulkhead",
        }
    }

    /// Whether the guard ended the call by its own decision, rather than by the dependency's last
    /// answer.
    #[must_use]
    pub const fn by_guard(self) -> bool {
        match self {
            Self::Deadline
            | Self::Budget
            | Self::Breaker { .. }
            | Self::RateLimit { .. }
            | Self::Bulkhead => true,
            Self::AttemptsExhausted
            | Self::Permanent
            | Self::NotIdempotent
            | Self::Overloaded
            | Self::HintTooLong { .. }
            | Self::GaveUp => false,
        }
    }
}

impl StopReason {
    /// What the layer above should make of it. Retries multiply: `k` layers of three attempts are
    /// `3^k` requests. What a guard gave up on is therefore [`FaultKind::Overloaded`] for the
    /// guard above, which leaves it alone.
    #[must_use]
    pub const fn fault_above(self) -> FaultKind {
        match self {
            Self::Permanent => FaultKind::Permanent,
            Self::NotIdempotent => FaultKind::Unknown,
            Self::AttemptsExhausted
            | Self::Overloaded
            | Self::HintTooLong { .. }
            | Self::GaveUp
            | Self::Deadline
            | Self::Budget
            | Self::Breaker { .. }
            | Self::RateLimit { .. }
            | Self::Bulkhead => FaultKind::Overloaded,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttemptsExhausted => f.write_str("every attempt was made"),
            Self::Permanent => f.write_str("the fault is permanent"),
            Self::NotIdempotent => f.write_str("it may have taken effect, and is not idempotent"),
            Self::Overloaded => f.write_str("a layer below already gave up"),
            Self::HintTooLong { asked } => write!(f, "the server asked for a wait of {asked:?}"),
            Self::GaveUp => f.write_str("the time for retries is over"),
            Self::Deadline => f.write_str("the deadline leaves no time"),
            Self::Budget => f.write_str("the retry budget is empty"),
            Self::Breaker { retry_at: Some(at) } => write!(f, "the circuit is open until {at}"),
            Self::Breaker { retry_at: None } => f.write_str("the circuit is not closed"),
            Self::RateLimit { not_before: Some(at) } => write!(f, "the rate limit has no permit until {at}"),
            Self::RateLimit { not_before: None } => f.write_str("the rate limit never has that many permits"),
            Self::Bulkhead => f.write_str("every slot of the bulkhead is taken"),
        }
    }
}
