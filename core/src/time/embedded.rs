//! `Clock` for any `embedded_time::Clock`, wrapping counters included.

use core::cell::Cell;

use embedded_time::Clock as TickSource;
use embedded_time::fraction::Fraction;

use super::{Clock, Instant};

/// A counter of ticks as a [`Clock`].
///
/// A counter of `u32` ticks at 1 MHz starts over every 71 minutes. Ask for the time at least once
/// in half that span, and the wraps are counted; ask less often, and whole turns are lost, which
/// makes waits longer and never shorter.
#[derive(Debug)]
pub struct EmbeddedClock<C: TickSource> {
    source: C,
    last: Cell<u64>,
    /// Ticks since the first question, wraps counted.
    elapsed: Cell<u64>,
}

/// A counter as wide as the clock's own, as `u64`.
pub trait Ticks: Copy {
    /// The highest value before the counter starts over.
    const MAX: u64;
    /// The value.
    fn get(self) -> u64;
}

impl Ticks for u32 {
    const MAX: u64 = u32::MAX as u64;
    fn get(self) -> u64 {
        u64::from(self)
    }
}

impl Ticks for u64 {
    const MAX: u64 = Self::MAX;
    fn get(self) -> u64 {
        self
    }
}

impl<C: TickSource> EmbeddedClock<C>
where
    C::T: Ticks,
{
    /// Adapts `source`. Its first reading is the origin.
    pub fn new(source: C) -> Self {
        let first = reading(&source).unwrap_or(0);
        Self {
            source,
            last: Cell::new(first),
            elapsed: Cell::new(0),
        }
    }
}

impl<C: TickSource> Clock for EmbeddedClock<C>
where
    C::T: Ticks,
{
    /// A counter that fails to answer stands still.
    fn now(&self) -> Instant {
        if let Some(ticks) = reading(&self.source) {
            let step = ticks.wrapping_sub(self.last.get()) & <C::T as Ticks>::MAX;
            self.last.set(ticks);
            self.elapsed.set(self.elapsed.get().saturating_add(step));
        }
        to_nanos(self.elapsed.get(), C::SCALING_FACTOR)
    }
}

fn reading<C: TickSource>(source: &C) -> Option<u64>
where
    C::T: Ticks,
{
    source
        .try_now()
        .ok()
        .map(|instant| instant.duration_since_epoch().integer().get())
}

/// Ticks of `scale` seconds each, in nanoseconds, rounded down: a deadline is never early.
fn to_nanos(ticks: u64, scale: Fraction) -> Instant {
    let nanos = u128::from(ticks) * u128::from(*scale.numerator()) * 1_000_000_000
        / u128::from(*scale.denominator()).max(1);
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
