//! What a call says next.

use core::time::Duration;

use super::Verdict;
use crate::breaker;
use crate::time::Instant;

/// What to do next.
#[must_use]
#[derive(Debug)]
pub enum Step {
    /// Send an attempt, then report its outcome with the permit.
    Attempt(Permit),
    /// Poll again at this instant. Earlier is harmless.
    Wait {
        /// When.
        until: Instant,
    },
    /// The call is over. Further polls say the same.
    Done(Verdict),
}

/// The right to send one attempt. Report its outcome with it, or everything taken for it stays
/// taken.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    pub(super) number: u32,
    pub(super) started: Instant,
    /// When it has to be over; [`Instant::MAX`] where nothing says.
    pub(super) ends: Instant,
    pub(super) admitted: breaker::Permit,
}

impl Permit {
    /// The number of the attempt; 1 for the first.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How long the attempt may take: the policy's attempt timeout or what is left before the
    /// deadline, whichever is less. `None` where there is neither.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        match self.ends {
            Instant::MAX => None,
            ends => Some(ends.saturating_duration_since(self.started)),
        }
    }

    /// When the attempt started.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }
}
