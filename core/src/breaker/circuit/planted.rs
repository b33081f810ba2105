//! A deliberate bug, for the tests of the harness's explorer alone: `--cfg planted_bug`.

use super::{BreakerRules, Circuit, HalfOpen, Instant, Phase, Settled};

impl<const ANNEX: usize> Circuit<ANNEX> {
    /// What a breaker without generations does: any result that arrives while half open counts as
    /// one of a probe.
    pub(super) fn decide_by_a_stale_result(&mut self, rules: &BreakerRules, now: Instant, settled: Settled) {
        if self.head.phase != Phase::HalfOpen {
            return;
        }
        let mut half_open = HalfOpen::load(&self.body);
        half_open.count(settled != Settled::Success);
        let verdict = half_open.verdict(rules);
        self.body = half_open.store();
        self.conclude(rules, now, verdict, None);
    }
}
