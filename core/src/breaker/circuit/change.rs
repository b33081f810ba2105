//! From one state to another: by a deadline that has passed, or by what the results have shown.
//!
//! Every change puts a new body in place and counts the generation up, so that permits of the state
//! before decide nothing any more. The rules are in the [module](crate::breaker).

use core::time::Duration;

use super::{Body, Circuit, Phase};
use crate::breaker::BreakerRules;
use crate::breaker::closed::Closed;
use crate::breaker::half_open::{HalfOpen, Verdict};
use crate::breaker::rules::MAX_LEVEL;
use crate::draw::{self, SplitMix64};
use crate::time::{Instant, nanos};

impl<const ANNEX: usize> Circuit<ANNEX> {
    /// Lets deadlines that have passed take effect.
    #[inline]
    pub(crate) fn handle_timeout(&mut self, rules: &BreakerRules, now: Instant) {
        if rules.quick == Some(self.head.phase) && self.moves_on(now) {
            return;
        }
        self.pass_time(rules, now);
    }

    #[cold]
    fn pass_time(&mut self, rules: &BreakerRules, now: Instant) {
        if let Some(step) = self.last_seen.observe(now) {
            self.rebase(rules, step);
        }
        match self.head.phase {
            Phase::Open => {}
            Phase::Closed | Phase::SlowStart => {
                if self.head.phase == Phase::SlowStart && self.age(now) >= rules.slow_start {
                    self.head.phase = Phase::Closed;
                }
                if let (Some(annex), Some(limit), Some(width)) =
                    (self.annex.first_mut(), rules.hanging_calls, rules.slice)
                    && annex.in_flight.advance(now, width) >= limit
                {
                    self.open(rules, now, None);
                }
            }
            Phase::HalfOpen => {
                let mut half_open = HalfOpen::load(&self.body);
                let verdict = half_open.expire(now, rules);
                self.body = half_open.store();
                self.conclude(rules, now, verdict, None);
            }
        }
    }

    pub(super) fn conclude(
        &mut self,
        rules: &BreakerRules,
        now: Instant,
        verdict: Verdict,
        hint: Option<Duration>,
    ) {
        match verdict {
            Verdict::Undecided => {}
            Verdict::Close => self.close(rules, now),
            Verdict::Open => self.open(rules, now, hint),
        }
    }

    fn close(&mut self, rules: &BreakerRules, now: Instant) {
        for annex in &mut self.annex {
            annex.clear(now);
        }
        let phase = if rules.slow_start == 0 {
            Phase::Closed
        } else {
            Phase::SlowStart
        };
        self.become_phase(phase, Closed::new(rules, now).store());
    }

    pub(super) fn open(&mut self, rules: &BreakerRules, now: Instant, hint: Option<Duration>) {
        self.forgive(rules, now);
        let whole = rules.open_wait(self.head.level);
        // Half of it by chance. A function of the seed and the generation, so that the same history
        // yields the same waits.
        let own = self.annex.first().map_or(0, |annex| annex.jitter_seed);
        let seed = rules
            .jitter_seed
            .wrapping_add(own)
            .wrapping_add(u64::from(self.head.generation));
        let wait = draw::inclusive(whole - whole / 2, whole, &mut SplitMix64::new(seed));
        let asked = hint.map_or(0, |asked| nanos(asked).min(rules.open_wait_max));
        // Past the longest wait there is nothing to grow for, only to come down from.
        if whole < rules.open_wait_max {
            self.head.level = self.head.level.saturating_add(1).min(MAX_LEVEL);
        }
        let until = now.as_nanos().saturating_add(wait.max(asked));
        self.become_phase(Phase::Open, [until, 0, 0, 0, 0, 0]);
    }

    /// Takes one doubling off for every `open_wait` the circuit has stayed closed.
    pub(in crate::breaker) fn forgive(&mut self, rules: &BreakerRules, now: Instant) {
        match self.head.phase {
            Phase::Closed | Phase::SlowStart => {
                let age = self.age(now);
                let healthy = u8::try_from(age / rules.open_wait).unwrap_or(u8::MAX);
                self.head.level = self.head.level.saturating_sub(healthy);
                let [since, ..] = &mut self.body;
                *since = now.as_nanos().saturating_sub(age % rules.open_wait);
            }
            Phase::Open | Phase::HalfOpen => {}
        }
    }

    pub(super) fn become_phase(&mut self, phase: Phase, body: Body) {
        self.body = body;
        self.head.phase = phase;
        self.head.good = 0;
        self.head.generation = self.head.generation.wrapping_add(1);
    }

    /// The clock stepped back.
    #[cold]
    pub(crate) fn rebase(&mut self, rules: &BreakerRules, step: Duration) {
        let [at, started, ..] = &mut self.body;
        *at = at.saturating_sub(nanos(step));
        match self.head.phase {
            Phase::Closed | Phase::SlowStart if rules.bucket.is_some() => {
                *started = started.saturating_sub(nanos(step));
            }
            Phase::Closed | Phase::SlowStart | Phase::Open | Phase::HalfOpen => {}
        }
        for annex in &mut self.annex {
            annex.rebase(step);
        }
    }

    /// How long a closed circuit has been so.
    fn age(&self, now: Instant) -> u64 {
        let [since, ..] = self.body;
        now.as_nanos().saturating_sub(since)
    }
}
