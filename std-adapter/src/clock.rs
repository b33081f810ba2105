//! The one place where a clock is read.
//!
//! | clock | a reading takes | follows |
//! |---|---|---|
//! | [`SystemClock`] | a call into the kernel's page, some 30 ns | the system's monotonic clock, kept right by NTP |
//! | `FastClock` (feature `fast-clock`) | the processor's counter, some 18 ns | the counter, and nothing else |
//!
//! Instants of two clocks have nothing to do with each other: a machine is asked with those of one.

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

/// The processor's own counter, where it runs at one rate on all cores; elsewhere the monotonic clock
/// of the system. Its origin is its construction.
///
/// For those who ask a limiter millions of times a second, where reading the clock costs more than
/// the decision.
///
/// # Calibration and drift
/// - The first one of a process watches the counter beside the system's clock until both agree within
///   10 ns, for at most 200 ms, and finds its rate. That is kept from then on: later ones are there
///   at once.
/// - Nobody corrects it afterwards: it drifts away from the system's clock by what the rate was wrong
///   and by what NTP corrects. That matters little to quotas and delays, and much to a date: for those
///   there is [`wall_clock`].
/// - While the system is suspended it may stand still or run on, as the processor likes.
/// - Counters of two sockets may differ a little. What looks like a small step back is one: the
///   machines take it for a late thread.
///
/// ```
/// use crossbridge_core::Clock;
/// use crossbridge_std::clock::FastClock;
///
/// let clock = FastClock::new();
/// let earlier = clock.now();
/// assert!(clock.now() >= earlier);
/// ```
#[cfg(feature = "fast-clock")]
#[derive(Clone, Debug)]
pub struct FastClock {
    counter: quanta::Clock,
    origin: u64,
    /// Nanoseconds that `2^32` ticks of the counter take.
    rate: u64,
}

#[cfg(feature = "fast-clock")]
impl FastClock {
    /// A clock that starts at zero now. The first one of a process takes up to 200 ms.
    #[must_use]
    pub fn new() -> Self {
        let counter = quanta::Clock::new();
        let (origin, rate) = (counter.raw(), counter.delta_as_nanos(0, 1 << 32));
        Self {
            counter,
            origin,
            rate,
        }
    }
}

#[cfg(feature = "fast-clock")]
impl Default for FastClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "fast-clock")]
impl Clock for FastClock {
    #[inline]
    fn now(&self) -> Instant {
        // Scaled here, by a shift that is known: quanta's own takes two nanoseconds more.
        let ticks = self.counter.raw().saturating_sub(self.origin);
        let nanos = (u128::from(ticks) * u128::from(self.rate)) >> 32;
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The time of day, for what is stored and logged; never for a decision.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(all(test, feature = "fast-clock"))]
mod tests {
    use super::*;

    /// Both clocks see the same span, whatever the counter's rate is. The bounds are wide: nobody
    /// knows how long this thread is off its core between two readings.
    #[test]
    fn the_fast_clock_runs_as_fast_as_the_systems() {
        let (fast, system) = (FastClock::new(), SystemClock::new());
        let since = |start: Instant, clock: &dyn Clock| clock.now().saturating_duration_since(start);
        for _ in 0..1_000 {
            let (outer, inner) = (system.now(), fast.now());
            let started = system.now();
            while since(started, &system).as_micros() < 20 {}
            let least = since(started, &system);
            let seen = since(inner, &fast);
            let most = since(outer, &system);
            // A thousandth, and a reading's worth.
            let slack = most / 1_000 + core::time::Duration::from_nanos(200);
            assert!(seen + slack >= least, "{seen:?} of {least:?}");
            assert!(seen <= most + slack, "{seen:?} of {most:?}");
        }
    }
}
