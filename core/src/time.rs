//! Time as an input: instants, clocks and sleepers.
//!
//! No machine in this crate reads a clock. Every input carries `now`, an [`Instant`] in whole
//! nanoseconds since an origin that the owner of the clock chooses (process start, boot, the
//! first event of a replay). Spans are [`core::time::Duration`].
//!
//! # A clock that steps back
//!
//! A [`Clock`] should be monotonic, yet virtual machines are suspended, timers are wrapped by
//! hand and firmware sets its clock late. A machine that remembers instants therefore treats a
//! `now` smaller than the last one as *no time having passed*: everything it remembers moves back
//! with the clock, so that the spans that were left are still left. No window moves, no deadline
//! is armed again, and nothing stays locked for the size of the step.
//!
//! ```text
//!   remembered:   last = 100      until = 130     (30 left)
//!   input:        now = 40        (the clock stepped back by 60)
//!   remembered:   last = 40       until = 70      (30 left)
//! ```

use core::fmt;
use core::time::Duration;

#[cfg(feature = "embedded-time")]
pub mod embedded;

/// A point in time: nanoseconds since the origin of the clock that produced it.
///
/// The range is 584 years. Arithmetic saturates: an instant never wraps and never panics.
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::Instant;
///
/// let start = Instant::from_nanos(1_000);
/// let later = start.saturating_add(Duration::from_nanos(500));
/// assert_eq!(later.as_nanos(), 1_500);
/// // A clock that stepped back: no time has passed, nothing panics.
/// assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// The last instant there is, 584 years after the origin.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant plus `span`, or [`Instant::MAX`] where that is past the end.
    #[must_use]
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The same for a span in nanoseconds: a [`Duration`] would be multiplied out again.
    #[inline]
    #[must_use]
    pub(crate) const fn saturating_add_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This instant minus `span`, or [`Instant::ZERO`] where that is before the origin.
    #[must_use]
    pub const fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// The span from `earlier` to this instant; zero when `earlier` is the later one.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    /// Seconds since the origin with three decimals: `12.345s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1_000)
    }
}

/// A span in whole nanoseconds, saturated at `u64::MAX` (584 years).
// On a small target its callers share one 128-bit product, which saves a guard 600 bytes of
// flash; elsewhere it is two instructions.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[must_use]
pub const fn nanos(span: Duration) -> u64 {
    let total = span.as_nanos();
    if total > u64::MAX as u128 {
        u64::MAX
    } else {
        // Just checked to fit.
        #[expect(clippy::cast_possible_truncation)]
        {
            total as u64
        }
    }
}

/// Where `now` comes from when a machine is driven by a loop of ours.
///
/// An implementation should be monotonic; one that is not is survived, see the [module](self).
pub trait Clock {
    /// The present instant.
    fn now(&self) -> Instant;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Instant {
        (**self).now()
    }
}

/// How a blocking loop lets time pass.
pub trait Sleeper {
    /// Blocks for about `span`. Returning early is harmless: the machine is asked again and
    /// answers with the rest of the wait.
    fn sleep(&mut self, span: Duration);
}

impl<S: Sleeper + ?Sized> Sleeper for &mut S {
    fn sleep(&mut self, span: Duration) {
        (**self).sleep(span);
    }
}

/// The last `now` a machine saw, and how far a smaller one stepped back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct LastSeen(Instant);

impl LastSeen {
    /// Nothing seen yet.
    pub(crate) const fn new() -> Self {
        Self(Instant::ZERO)
    }

    /// `now` is the first.
    pub(crate) const fn at(now: Instant) -> Self {
        Self(now)
    }

    /// Records `now`. `Some(step)` when the clock went back by `step`: the caller then moves every
    /// instant it remembers back by as much, with [`Instant::saturating_sub`].
    #[must_use]
    #[inline]
    pub(crate) fn observe(&mut self, now: Instant) -> Option<Duration> {
        let last = core::mem::replace(&mut self.0, now);
        // Nearly always: no span is built only to be compared with zero.
        if now >= last {
            None
        } else {
            Some(last.saturating_duration_since(now))
        }
    }

    /// The last `now`.
    pub(crate) const fn last(self) -> Instant {
        self.0
    }
}
