//! A closed circuit, unpacked for as long as it is changed.

use core::time::Duration;

use super::circuit::Body;
use super::window::Window;
use super::{BreakerRules, slow_start};
use crate::time::Instant;

/// What a closed circuit remembers.
pub(super) struct Closed {
    pub(super) since: Instant,
    pub(super) in_a_row: u32,
    /// Of a slow start.
    pub(super) credit: u16,
    pub(super) window: Window,
}

impl Closed {
    pub(super) const fn new(rules: &BreakerRules, now: Instant) -> Self {
        Self {
            since: now,
            in_a_row: 0,
            credit: slow_start::FIRST_CREDIT,
            window: Window::new(rules, now),
        }
    }

    pub(super) const fn load(rules: &BreakerRules, body: &Body) -> Self {
        let [since, a, b, c, d, tally] = *body;
        let (calls, next) = ((tally >> 48 & 0xFF) as u8, (tally >> 56) as u8);
        Self {
            since: Instant::from_nanos(since),
            in_a_row: (tally & 0xFFFF_FFFF) as u32,
            credit: (tally >> 32 & 0xFFFF) as u16,
            window: Window::load(rules, ([a, b, c, d], calls, next)),
        }
    }

    pub(super) const fn store(&self) -> Body {
        let ([a, b, c, d], calls, next) = self.window.store();
        let tally =
            self.in_a_row as u64 | (self.credit as u64) << 32 | (calls as u64) << 48 | (next as u64) << 56;
        [self.since.as_nanos(), a, b, c, d, tally]
    }

    /// One ask during a slow start; a refusal says when the next one is admitted.
    pub(super) fn ask(&mut self, rules: &BreakerRules, now: Instant) -> Result<(), Instant> {
        let elapsed = now.as_nanos().saturating_sub(self.since.as_nanos());
        match slow_start::ask(self.credit, elapsed, rules.slow_start) {
            Ok(credit) => {
                self.credit = credit;
                Ok(())
            }
            Err((credit, at)) => {
                self.credit = credit;
                Err(self.since.saturating_add(Duration::from_nanos(at)).max(now))
            }
        }
    }
}
