//! The trace on a counter of 32-bit ticks that starts over, as microcontrollers have them.

use core::cell::Cell;

use crossbridge_core::time::embedded::EmbeddedClock;
use crossbridge_core::{Clock, ConfigError};
use embedded_time::{clock, fraction::Fraction};

use crate::drive::{Driver, Record};
use crate::{paths, trace};

/// 50 MHz, the speed of an LM3S6965: 32 bits start over every 86 seconds, several times a trace.
pub const HERTZ: u32 = 50_000_000;

/// A counter that the trace moves by hand.
#[derive(Debug)]
pub struct Counter<'a>(pub &'a Cell<u32>);

impl embedded_time::Clock for Counter<'_> {
    type T = u32;

    const SCALING_FACTOR: Fraction = Fraction::new(1, HERTZ);

    fn try_now(&self) -> Result<embedded_time::Instant<Self>, clock::Error> {
        Ok(embedded_time::Instant::new(self.0.get()))
    }
}

/// Replays the trace on the first path. A counter does not step back: such an input takes no time.
/// The return value is how often the counter started over.
///
/// # Errors
/// The policy that is refused.
pub fn replay<O: Record>(record: O) -> Result<u32, ConfigError> {
    let (_, config, seed) = paths::PATHS[0];
    let mut driver = Driver::new(config, seed, record)?;
    let ticks = Cell::new(u32::MAX - 1_000);
    let clock = EmbeddedClock::new(Counter(&ticks));
    let mut wraps = 0;
    for input in trace::inputs().flatten() {
        // No step of the trace is longer than the counter's turn.
        let step = u64::try_from(input.step_us).unwrap_or(0) * u64::from(HERTZ / 1_000_000);
        let (next, wrapped) = ticks.get().overflowing_add(step as u32);
        wraps += u32::from(wrapped);
        ticks.set(next);
        driver.input(clock.now(), &input);
    }
    Ok(wraps)
}
