//! What a monitor has learnt, and the pure steps that change it.

use rand_core::Rng;

use super::flapping::Flapping;
use super::{Health, HealthChange, MonitorRules, Probe, ProbeResult};
use crate::draw;
use crate::time::{Instant, LastSeen};

/// The state of one monitor; its rules are kept elsewhere and come with every step. 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct MonitorState {
    pub(super) last_seen: LastSeen,
    /// When the last result is too old.
    pub(super) stale_at: Instant,
    /// What it means depends on the phase.
    pub(super) probe_at: Instant,
    pub(super) flapping: Flapping,
    /// Numbers the probes: the result of one that timed out is late, not the next one's.
    pub(super) probes: u32,
    /// [`UNKNOWN`], or up to `top`.
    pub(super) counter: u8,
    pub(super) phase: Phase,
    pub(super) last_was_slow: bool,
    /// Another pass changes the times and nothing else: at the top, by a quick pass, and whatever
    /// the damping remembers is up. Written wherever one of these is.
    pub(super) steady: bool,
}

/// Where the next probe is, and what `probe_at` is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Phase {
    /// It is due then.
    Due,
    /// It is under way, and has failed then.
    Running,
    /// The last one ended then; the next is scheduled when somebody asks, since that takes a draw.
    Idle,
}

impl MonitorState {
    /// Nothing is known; the first probe is due at once.
    pub(crate) const fn new() -> Self {
        Self {
            last_seen: LastSeen::new(),
            stale_at: Instant::MAX,
            probe_at: Instant::ZERO,
            flapping: Flapping::new(),
            probes: 0,
            counter: UNKNOWN,
            phase: Phase::Due,
            last_was_slow: false,
            steady: false,
        }
    }

    pub(crate) const fn health(&self, rules: &MonitorRules) -> Health {
        if self.steady {
            Health::Healthy
        } else if self.counter == UNKNOWN {
            Health::Unknown
        } else if self.flapping.is_flapping() {
            Health::Degraded
        } else if self.counter < rules.rise {
            Health::Unhealthy
        } else if self.last_was_slow || self.counter < rules.top {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }

    /// Counts a result. `Some` when the health is another than before.
    #[inline]
    pub(crate) fn observe(
        &mut self,
        rules: &MonitorRules,
        now: Instant,
        result: ProbeResult,
    ) -> Option<HealthChange> {
        if self.passes_steadily(now, result) {
            self.last_seen = LastSeen::at(now);
            self.stale_at = now.saturating_add_nanos(rules.ttl);
            return None;
        }
        self.observe_any(rules, now, result)
    }

    /// Whether the result is one more pass among many, and nothing has happened meanwhile.
    #[inline]
    pub(super) fn passes_steadily(&self, now: Instant, result: ProbeResult) -> bool {
        result == ProbeResult::Pass
            && self.steady
            && self.last_seen.last() <= now
            && now < self.stale_at
            && (self.phase != Phase::Running || now < self.probe_at)
    }

    fn observe_any(
        &mut self,
        rules: &MonitorRules,
        now: Instant,
        result: ProbeResult,
    ) -> Option<HealthChange> {
        let from = self.health(rules);
        self.pass_time(rules, now);
        self.count(rules, now, result);
        HealthChange::between(from, self.health(rules))
    }

    pub(crate) fn start_probe<R: Rng + ?Sized>(
        &mut self,
        rules: &MonitorRules,
        now: Instant,
        rng: &mut R,
    ) -> Option<Probe> {
        self.pass_time(rules, now);
        if now < self.next_probe_at(rules, rng)? {
            return None;
        }
        self.probes = self.probes.wrapping_add(1);
        self.phase = Phase::Running;
        self.probe_at = now.saturating_add_nanos(rules.timeout);
        Some(Probe { number: self.probes })
    }

    pub(crate) fn next_probe_at<R: Rng + ?Sized>(
        &mut self,
        rules: &MonitorRules,
        rng: &mut R,
    ) -> Option<Instant> {
        match self.phase {
            Phase::Running => return None,
            Phase::Due => {}
            Phase::Idle => {
                let interval = self.interval(rules);
                let spread = rules.spread(interval);
                let wait = draw::inclusive(interval - spread, interval.saturating_add(spread), rng);
                self.phase = Phase::Due;
                self.probe_at = self.probe_at.saturating_add_nanos(wait);
            }
        }
        Some(self.probe_at)
    }

    /// Counts a probe's result, unless it is late. `Some` when the health is another than before.
    pub(crate) fn finish_probe(
        &mut self,
        rules: &MonitorRules,
        now: Instant,
        probe: &Probe,
        result: ProbeResult,
    ) -> Option<HealthChange> {
        let from = self.health(rules);
        self.pass_time(rules, now);
        if probe.number == self.probes && self.phase == Phase::Running {
            self.phase = Phase::Idle;
            self.probe_at = now;
            self.count(rules, now, result);
        }
        HealthChange::between(from, self.health(rules))
    }

    pub(crate) fn poll_at(&self) -> Option<Instant> {
        let probe = (self.phase != Phase::Idle).then_some(self.probe_at);
        let stale = (self.counter != UNKNOWN).then_some(self.stale_at);
        match (probe, stale) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    /// Lets time take its effects. `Some` when the health is another than before.
    pub(crate) fn handle_timeout(&mut self, rules: &MonitorRules, now: Instant) -> Option<HealthChange> {
        let from = self.health(rules);
        self.pass_time(rules, now);
        HealthChange::between(from, self.health(rules))
    }

    /// A step back of the clock, a probe's timeout, and the end of a result's life.
    fn pass_time(&mut self, rules: &MonitorRules, now: Instant) {
        if let Some(step) = self.last_seen.observe(now) {
            self.stale_at = self.stale_at.saturating_sub(step);
            self.probe_at = self.probe_at.saturating_sub(step);
        }
        if self.phase == Phase::Running && now >= self.probe_at {
            // In the order in which it happened, however late this call is.
            let deadline = self.probe_at;
            self.forget_stale(deadline);
            self.phase = Phase::Idle;
            self.count(rules, deadline, ProbeResult::Fail);
        }
        self.forget_stale(now);
    }

    fn forget_stale(&mut self, now: Instant) {
        if self.counter != UNKNOWN && now >= self.stale_at {
            self.counter = UNKNOWN;
            self.last_was_slow = false;
            self.flapping = Flapping::new();
            self.steady = false;
        }
    }

    fn count(&mut self, rules: &MonitorRules, now: Instant, result: ProbeResult) {
        let (rise, top) = (rules.rise, rules.top);
        let counter = match (result, self.counter) {
            (ProbeResult::Inconclusive, _) => return,
            (ProbeResult::Fatal, _) | (ProbeResult::Fail, UNKNOWN) => 0,
            (ProbeResult::Pass | ProbeResult::SlowPass, UNKNOWN) => top,
            // Up also from partly down: only failures in a row bring it down.
            (ProbeResult::Pass | ProbeResult::SlowPass, h) if h + 1 >= rise => top,
            (ProbeResult::Pass | ProbeResult::SlowPass, h) => h + 1,
            (ProbeResult::Fail, h) if h <= rise => 0,
            (ProbeResult::Fail, h) => h - 1,
        };
        // A failure that has not brought it down is no change yet.
        let soft = result == ProbeResult::Fail && counter >= rise;
        if let Some(config) = rules.flapping.filter(|_| !soft) {
            self.flapping = self.flapping.record(config, counter >= rise);
        }
        self.counter = counter;
        self.last_was_slow = result == ProbeResult::SlowPass;
        self.steady = self.is_steady(rules);
        self.stale_at = now.saturating_add_nanos(rules.ttl);
    }

    pub(super) const fn is_steady(&self, rules: &MonitorRules) -> bool {
        let undamped = rules.flapping.is_none() || self.flapping.is_all_up();
        self.counter == rules.top && !self.last_was_slow && undamped
    }

    /// The interval that fits the state.
    pub(super) const fn interval(&self, rules: &MonitorRules) -> u64 {
        if self.counter == rules.top {
            rules.interval
        } else if self.counter == 0 {
            rules.down_interval
        } else {
            rules.transition_interval
        }
    }
}

/// The counter before the first result, and after a silence: above every `top`.
pub(super) const UNKNOWN: u8 = u8::MAX;
