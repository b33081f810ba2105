//! Time that has passed by a clock that may step back.

use crossbridge_core::Instant;
use crossbridge_core::time::nanos;

/// How far a clock has come; steps back are no time at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elapsed {
    last: Option<Instant>,
    nanos: u64,
}

impl Elapsed {
    /// The clock shows this now.
    pub(super) fn read(&mut self, now: Instant) -> u64 {
        let passed = self
            .last
            .map_or(0, |last| nanos(now.saturating_duration_since(last)));
        self.last = Some(now);
        self.nanos = self.nanos.saturating_add(passed);
        self.nanos
    }

    /// Nanoseconds from the first reading to the last.
    pub(super) const fn nanos(&self) -> u64 {
        self.nanos
    }
}
