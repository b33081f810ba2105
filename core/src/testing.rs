//! Time in the test's hands.

use core::cell::Cell;
use core::time::Duration;

use crate::time::{Clock, Instant, Sleeper};

/// A clock that moves only when it is told to. Sleeping on a reference to it moves it, so that one
/// clock serves as [`Clock`] and [`Sleeper`].
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::{Clock, Sleeper, testing::ManualClock};
///
/// let clock = ManualClock::new();
/// (&mut &clock).sleep(Duration::from_secs(3));
/// assert_eq!(clock.now().as_nanos(), 3_000_000_000);
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(Cell<Instant>);

impl ManualClock {
    /// A clock at its origin.
    #[must_use]
    pub const fn new() -> Self {
        Self(Cell::new(Instant::ZERO))
    }

    /// Moves the clock to `now`, back too.
    pub fn set(&self, now: Instant) {
        self.0.set(now);
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        self.0.set(self.0.get().saturating_add(span));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.0.get()
    }
}

impl Sleeper for &ManualClock {
    fn sleep(&mut self, span: Duration) {
        self.advance(span);
    }
}
