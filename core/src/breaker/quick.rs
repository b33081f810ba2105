//! The short way through a closed circuit, for a guard that asks other gates too.

use super::{BreakerMode, BreakerRules, Permit, circuit::Circuit};
use crate::time::{Instant, LastSeen};

impl<const ANNEX: usize> Circuit<ANNEX> {
    /// What [`admit`](Self::admit) says without a further look; `None` where it takes one, and then
    /// nothing has changed.
    #[inline]
    pub(crate) fn admit_quickly(&mut self, rules: &BreakerRules, now: Instant) -> Option<Permit> {
        if rules.mode == BreakerMode::Disabled {
            return Some(self.head.permit(now, 0));
        }
        if rules.quick != Some(self.head.phase) || now < self.last_seen.last() {
            return None;
        }
        self.last_seen = LastSeen::at(now);
        Some(self.head.permit(now, 0))
    }
}

#[cfg(target_has_atomic = "64")]
impl<const ANNEX: usize> super::SharedCircuit<ANNEX> {
    /// What [`admit`](Self::admit) says after one load; `None` where it takes more.
    #[inline]
    pub(crate) fn admit_quickly(&self, rules: &BreakerRules, now: Instant) -> Option<Permit> {
        // Disabled, nobody looks at the generation.
        let of_no_generation = (rules.mode == BreakerMode::Disabled).then_some(0);
        let generation = of_no_generation.or_else(|| self.quick_generation(rules))?;
        Some(Permit::new(now, generation, 0))
    }
}
