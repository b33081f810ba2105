//! Is it well: a health monitor for one target.
//!
//! For whoever must know whether a database or a service can be used: results of probes and of
//! real calls go in, a state with hysteresis and the time of the next probe come out.
//!
//! ```text
//!   counter h   0 ──── 1 ──── ┊ 2 ──── 3 ──── 4        rise 2, fall 3: h in 0 ..= rise+fall-1
//!                unhealthy    ┊     healthy            up iff h >= rise
//!                  pass: right, at rise or above to the right end
//!                  fail: left,  below rise to the left end
//!
//!   Unknown ──first result──▶ Healthy ⇄ Degraded       degraded: up, and the last result was slow
//!      ▲                        ⇅                      (or the counter is on its way down)
//!      └──silence for ttl──  Unhealthy
//! ```
//!
//! # Rules
//! - One counter (HAProxy, `src/check.c`): it takes `fall` failures in a row to go down from
//!   healthy and `rise` passes in a row to come up again; one stray result flips nothing.
//! - A fatal result is down at once. An inconclusive one (the probe itself broke) changes nothing.
//! - Unknown until the first result, and again after `ttl` without one. Unknown is not healthy.
//! - While it goes up and down too often its health is held at degraded, whatever the results
//!   ([`flapping`]).
//! - Real calls are evidence like probes are ([`observe`](Monitor::observe) with their results).
//! - Probes come every `interval`, faster while the counter is between its ends, at `down_interval`
//!   while down, each spread by `jitter` so that a fleet does not probe in step. A probe without a
//!   result after `timeout` has failed; a hung one delays no other target.
//!
//! ```
//! use crossbridge_core::{Instant, health::{Health, Monitor, MonitorConfig, ProbeResult}};
//!
//! let mut monitor = Monitor::new(MonitorConfig::DEFAULT)?;
//! let now = Instant::ZERO;
//! assert_eq!(monitor.health(), Health::Unknown);
//! monitor.observe(now, ProbeResult::Pass);
//! assert_eq!(monitor.health(), Health::Healthy);
//! monitor.observe(now, ProbeResult::Fail);
//! monitor.observe(now, ProbeResult::Fail);
//! assert_eq!(monitor.health(), Health::Degraded); // on its way down
//! monitor.observe(now, ProbeResult::Fail);
//! assert_eq!(monitor.health(), Health::Unhealthy);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```

mod config;
pub mod degraded;
pub mod flapping;
mod snapshot;
pub mod summary;
#[cfg(test)]
mod tests;

use core::time::Duration;

use rand_core::Rng;

pub use self::config::MonitorConfig;
use self::flapping::Flapping;
pub use self::snapshot::{KnownSnapshot, MonitorSnapshot, ProbeSnapshot};
use crate::ConfigError;
use crate::draw;
use crate::time::{Instant, LastSeen, nanos};

/// How well a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Health {
    /// No result yet, or none for too long.
    Unknown,
    /// It answers.
    Healthy,
    /// It answers slowly, or has begun to fail.
    Degraded,
    /// It does not answer.
    Unhealthy,
}

impl Health {
    /// The name in logs, traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What a probe, or a real call, showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProbeResult {
    /// It worked.
    Pass,
    /// It worked, too slowly.
    SlowPass,
    /// It failed.
    Fail,
    /// It failed in a way that one result is enough for: the host is gone, the disk is full.
    Fatal,
    /// The probe itself broke: nothing is known.
    Inconclusive,
}

/// Proof that a probe was started: report its result with it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Probe {
    number: u32,
}

/// The health of one target. See the [module](self) for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Monitor {
    config: MonitorConfig,
    /// `None` while unknown.
    counter: Option<u8>,
    last_was_slow: bool,
    flapping: Flapping,
    /// When the last result is too old.
    stale_at: Instant,
    probe: ProbeState,
    /// Numbers the probes: the result of one that timed out is late, not the next one's.
    probes: u32,
    last_seen: LastSeen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum ProbeState {
    Due {
        at: Instant,
    },
    Running {
        deadline: Instant,
    },
    /// The last one ended; the next is scheduled when somebody asks, since that takes a draw.
    Idle {
        since: Instant,
    },
}

impl Monitor {
    /// A target of which nothing is known; its first probe is due at once.
    ///
    /// # Errors
    /// See [`MonitorConfig::check`].
    pub const fn new(config: MonitorConfig) -> Result<Self, ConfigError> {
        match config.check() {
            Ok(()) => Ok(Self {
                config,
                counter: None,
                last_was_slow: false,
                flapping: Flapping::new(),
                stale_at: Instant::MAX,
                probe: ProbeState::Due { at: Instant::ZERO },
                probes: 0,
                last_seen: LastSeen::new(),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// How well the target is, by what has been reported so far. Silence takes effect in
    /// [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub const fn health(&self) -> Health {
        let Some(counter) = self.counter else {
            return Health::Unknown;
        };
        if self.flapping.is_flapping() {
            Health::Degraded
        } else if counter < self.config.rise {
            Health::Unhealthy
        } else if self.last_was_slow || counter < self.top() {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }

    /// How often it has gone up and down of late: the evidence for a health held at degraded.
    #[must_use]
    pub const fn flapping(&self) -> Flapping {
        self.flapping
    }

    /// Reports what a real call, or a probe that was not scheduled here, showed.
    pub fn observe(&mut self, now: Instant, result: ProbeResult) {
        self.handle_timeout(now);
        self.count(now, result);
    }

    /// Starts a probe if one is due at `now`. It must report by its deadline, see
    /// [`poll_at`](Self::poll_at).
    pub fn start_probe<R: Rng + ?Sized>(&mut self, now: Instant, rng: &mut R) -> Option<Probe> {
        self.handle_timeout(now);
        if now < self.next_probe_at(rng)? {
            return None;
        }
        self.probes = self.probes.wrapping_add(1);
        self.probe = ProbeState::Running {
            deadline: now.saturating_add(self.config.timeout),
        };
        Some(Probe { number: self.probes })
    }

    /// When the next probe is due, scheduling it if need be; `None` while one is running.
    pub fn next_probe_at<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Option<Instant> {
        match self.probe {
            ProbeState::Running { .. } => None,
            ProbeState::Due { at } => Some(at),
            ProbeState::Idle { since } => {
                let interval = nanos(self.interval());
                let spread = self.config.jitter.of(interval);
                let wait = draw::inclusive(interval - spread, interval.saturating_add(spread), rng);
                let at = since.saturating_add(Duration::from_nanos(wait));
                self.probe = ProbeState::Due { at };
                Some(at)
            }
        }
    }

    /// Reports a probe's result. A late one, after its timeout, is ignored.
    pub fn finish_probe(&mut self, now: Instant, probe: Probe, result: ProbeResult) {
        self.handle_timeout(now);
        if probe.number == self.probes && matches!(self.probe, ProbeState::Running { .. }) {
            self.probe = ProbeState::Idle { since: now };
            self.count(now, result);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        let probe = match self.probe {
            ProbeState::Running { deadline } => Some(deadline),
            ProbeState::Due { at } => Some(at),
            ProbeState::Idle { .. } => None,
        };
        let stale = self.counter.map(|_| self.stale_at);
        match (probe, stale) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    /// Lets a probe's timeout and the end of a result's life take effect.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(step) = self.last_seen.observe(now) {
            self.rebase(step);
        }
        if let ProbeState::Running { deadline } = self.probe
            && now >= deadline
        {
            // In the order in which it happened, however late this call is.
            self.forget_stale(deadline);
            self.probe = ProbeState::Idle { since: deadline };
            self.count(deadline, ProbeResult::Fail);
        }
        self.forget_stale(now);
    }

    fn forget_stale(&mut self, now: Instant) {
        if self.counter.is_some() && now >= self.stale_at {
            self.counter = None;
            self.last_was_slow = false;
            self.flapping = Flapping::new();
        }
    }

    fn count(&mut self, now: Instant, result: ProbeResult) {
        let (rise, top) = (self.config.rise, self.top());
        let counter = match (result, self.counter) {
            (ProbeResult::Inconclusive, _) => return,
            (ProbeResult::Fatal, _) | (ProbeResult::Fail, None) => 0,
            (ProbeResult::Pass | ProbeResult::SlowPass, None) => top,
            // Up also from partly down: only failures in a row bring it down.
            (ProbeResult::Pass | ProbeResult::SlowPass, Some(h)) if h + 1 >= rise => top,
            (ProbeResult::Pass | ProbeResult::SlowPass, Some(h)) => h + 1,
            (ProbeResult::Fail, Some(h)) if h <= rise => 0,
            (ProbeResult::Fail, Some(h)) => h - 1,
        };
        // A failure that has not brought it down is no change yet.
        let soft = result == ProbeResult::Fail && counter >= rise;
        if let Some(config) = self.config.flapping.filter(|_| !soft) {
            self.flapping = self.flapping.record(config, counter >= rise);
        }
        self.counter = Some(counter);
        self.last_was_slow = result == ProbeResult::SlowPass;
        self.stale_at = now.saturating_add(self.config.ttl);
    }

    /// The interval that fits the state.
    const fn interval(&self) -> Duration {
        match self.counter {
            Some(h) if h == self.top() => self.config.interval,
            Some(0) => self.config.down_interval,
            None | Some(_) => self.config.transition_interval,
        }
    }

    /// The largest value of the counter; at most 199, since both thresholds are at most 100.
    const fn top(&self) -> u8 {
        self.config.rise + self.config.fall - 1
    }

    fn rebase(&mut self, step: Duration) {
        self.stale_at = self.stale_at.saturating_sub(step);
        let (ProbeState::Due { at: instant }
        | ProbeState::Running { deadline: instant }
        | ProbeState::Idle { since: instant }) = &mut self.probe;
        *instant = instant.saturating_sub(step);
    }
}
