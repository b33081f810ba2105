//! A client's clock, which may be wrong.
//!
//! ```text
//!   reading      true time      ahead by a step     gaining        standing still, then right again
//!                  /               ─/                  ⟋                  ─── /
//!                 /               /                   ⟋                  /
//! ```
//!
//! A guard sees the reading. Timers measure spans, as `CLOCK_MONOTONIC` does: they run as fast as the
//! clock drifts, do not notice a step, and run on while the reading stands still.

use std::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::time::nanos;

use crate::scenario::ClientEffect;

/// The clock of one group of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// It has always been right: nothing is computed.
    right: bool,
    /// At this instant of the world ...
    world: Instant,
    /// ... it showed so many nanoseconds. Faults that overlap may take it below zero, which is shown
    /// as zero, and leave nothing behind when they end.
    local: i128,
    /// What a standing clock has missed by then.
    missed: i128,
    /// Its speed, in millionths.
    rate: i64,
    /// How many faults make it stand still.
    frozen: u32,
}

const RIGHT_RATE: i64 = 1_000_000;

/// Somebody who waits for a clock that stands still looks at it again after this long.
const PATIENCE: Duration = Duration::from_millis(1);

impl Clock {
    pub(super) const RIGHT: Self = Self {
        right: true,
        world: Instant::ZERO,
        local: 0,
        missed: 0,
        rate: RIGHT_RATE,
        frozen: 0,
    };

    /// What it shows.
    #[inline]
    pub(super) fn read(&self, now: Instant) -> Instant {
        if self.right {
            return now;
        }
        Instant::from_nanos(clamped(self.exactly(now)))
    }

    /// When somebody who waits until it shows `until` looks at it again.
    #[inline]
    pub(super) fn due(&self, now: Instant, until: Instant) -> Instant {
        if self.right {
            return until;
        }
        let left = until.saturating_duration_since(self.read(now));
        let least = if self.frozen > 0 { PATIENCE } else { Duration::ZERO };
        self.after(now, left.max(least))
    }

    /// When a timer of this span goes off.
    #[inline]
    pub(super) fn after(&self, now: Instant, span: Duration) -> Instant {
        if self.right || self.rate == RIGHT_RATE {
            return now.saturating_add(span);
        }
        // Rounded up: a timer is never early.
        let rate = self.speed();
        let world = (i128::from(nanos(span)) * i128::from(RIGHT_RATE) + rate - 1) / rate;
        now.saturating_add(Duration::from_nanos(clamped(world)))
    }

    /// A fault begins or ends.
    pub(super) fn change(&mut self, now: Instant, effect: ClientEffect, begins: bool) {
        let shown = self.exactly(now);
        if self.frozen > 0 {
            self.missed += self.gained(now);
        }
        (self.right, self.world, self.local) = (false, now, shown);
        match effect {
            ClientEffect::ClockStep { by, back } => {
                let by = i128::from(by);
                self.local += if back == begins { -by } else { by };
            }
            ClientEffect::ClockDrift(millionths) => {
                let change = i64::from(millionths);
                self.rate += if begins { change } else { -change };
            }
            ClientEffect::ClockFreeze if begins => self.frozen += 1,
            ClientEffect::ClockFreeze => {
                self.frozen = self.frozen.saturating_sub(1);
                if self.frozen == 0 {
                    self.local += std::mem::take(&mut self.missed);
                }
            }
            ClientEffect::Burst(_) | ClientEffect::Restart { .. } => {}
        }
    }

    /// What it shows, were there no limits to that.
    fn exactly(&self, now: Instant) -> i128 {
        if self.frozen > 0 {
            return self.local;
        }
        self.local + self.gained(now)
    }

    /// How far it has come since it was last changed, were it not standing still.
    fn gained(&self, now: Instant) -> i128 {
        let span = nanos(now.saturating_duration_since(self.world));
        i128::from(span) * self.speed() / i128::from(RIGHT_RATE)
    }

    /// Above zero, however many faults slow it down: standing still is another fault.
    fn speed(&self) -> i128 {
        i128::from(self.rate.max(1))
    }
}

/// Within the range of instants.
fn clamped(nanos: i128) -> u64 {
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_step_back_is_set_right_again() {
        let mut clock = Clock::RIGHT;
        let step = ClientEffect::ClockStep {
            by: 4_000_000_000,
            back: true,
        };
        clock.change(at(10), step, true);
        assert_eq!((clock.read(at(10)), clock.read(at(12))), (at(6), at(8)));
        assert_eq!(clock.due(at(12), at(9)), at(13));
        clock.change(at(20), step, false);
        assert_eq!(clock.read(at(21)), at(21));
    }

    #[test]
    fn a_drift_stays_and_timers_run_with_it() {
        let mut clock = Clock::RIGHT;
        let drift = ClientEffect::ClockDrift(250_000);
        clock.change(at(0), drift, true);
        assert_eq!(clock.read(at(8)), at(10));
        assert_eq!(clock.after(at(8), Duration::from_secs(5)), at(12));
        assert_eq!(clock.due(at(8), at(15)), at(12));
        clock.change(at(8), drift, false);
        assert_eq!(clock.read(at(9)), at(11));
    }

    #[test]
    fn a_clock_that_stood_still_jumps_to_the_right_time() {
        let mut clock = Clock::RIGHT;
        clock.change(at(5), ClientEffect::ClockFreeze, true);
        assert_eq!((clock.read(at(5)), clock.read(at(9))), (at(5), at(5)));
        // Whoever waits looks again and again, and timers run.
        assert_eq!(clock.due(at(9), at(6)), at(10));
        assert!(clock.due(at(9), at(5)) > at(9));
        clock.change(at(10), ClientEffect::ClockFreeze, false);
        assert_eq!(clock.read(at(11)), at(11));
    }

    /// Two faults at once, ended in the other order, leave a clock that is right.
    #[test]
    fn overlapping_faults_leave_nothing_behind() {
        let step = ClientEffect::ClockStep {
            by: 3_000_000_000,
            back: false,
        };
        let mut clock = Clock::RIGHT;
        clock.change(at(1), step, true);
        clock.change(at(2), ClientEffect::ClockFreeze, true);
        clock.change(at(4), step, false);
        clock.change(at(7), ClientEffect::ClockFreeze, false);
        assert_eq!(clock.read(at(9)), at(9));
    }

    /// A step to before the origin, and a clock slowed down twice: shown as well as can be, and undone.
    #[test]
    fn what_cannot_be_shown_is_not_forgotten() {
        let step = ClientEffect::ClockStep {
            by: 3_600_000_000_000,
            back: true,
        };
        let mut clock = Clock::RIGHT;
        clock.change(at(5), step, true);
        assert_eq!(clock.read(at(6)), Instant::ZERO);
        clock.change(at(7), step, false);
        assert_eq!(clock.read(at(8)), at(8));

        let slow = ClientEffect::ClockDrift(-900_000);
        clock.change(at(8), slow, true);
        clock.change(at(8), slow, true);
        assert!(clock.read(at(9)) < at(9) && clock.after(at(9), Duration::from_secs(1)) > at(10));
        clock.change(at(8), slow, false);
        clock.change(at(8), slow, false);
        assert_eq!(clock.read(at(9)), at(9));
    }
}
