//! The one place where a clock is read.

use std::time::{Instant as StdInstant, SystemTime};

use crossbridge_core::{Clock, Instant};

/// The monotonic clock of the system. Its origin is its construction.
///
/// ```
/// use crossbridge_core::Clock;
/// use crossbridge_std::clock::SystemClock;
///
/// let clock = SystemClock::new();
/// let earlier = clock.now();
/// assert!(clock.now() >= earlier);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: StdInstant,
}

impl SystemClock {
    /// A clock that starts at zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self {
            origin: StdInstant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Instant {
        let elapsed = StdInstant::now().saturating_duration_since(self.origin);
        Instant::ZERO.saturating_add(elapsed)
    }
}

/// The time of day, for what is stored and logged; never for a decision.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}
