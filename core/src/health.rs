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
//! | machine | for |
//! |---|---|
//! | [`Monitor`] | one target, one owner |
//! | `SharedMonitor` | one target, many threads; where there are 64-bit atomic words |
//! | [`summary`] | many targets as one verdict |
//! | [`degraded`] | features that are off while what they need is down |
//! | [`flapping`] | the damping that a monitor does by itself |
//!
//! | field | default | |
//! |---|---|---|
//! | `rise`, `fall` | 2, 3 | results in a row |
//! | `interval`, `transition_interval`, `down_interval` | 30 s, 10 s, 30 s | each ±10 % |
//! | `timeout`, `ttl` | 10 s, 90 s | of a probe, of a result |
//! | `flapping` | from 30 % on, down to 20 % | share of change in 21 results |
//!
//! Where the numbers come from is said at [`MonitorConfig`].
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
//!
//! Source: HAProxy, `src/check.c` (`rise`, `fall`, `observe`, `spread-checks`); nagioscore,
//! `base/flapping.c`.

mod config;
pub mod degraded;
pub mod flapping;
mod rules;
#[cfg(target_has_atomic = "64")]
mod shared;
mod snapshot;
mod state;
pub mod summary;
#[cfg(test)]
mod tests;

use rand_core::Rng;

pub use self::config::MonitorConfig;
use self::flapping::Flapping;
pub use self::rules::MonitorRules;
#[cfg(target_has_atomic = "64")]
pub use self::shared::SharedMonitor;
#[cfg(target_has_atomic = "64")]
pub(crate) use self::shared::SharedMonitorState;
pub use self::snapshot::{KnownSnapshot, MonitorSnapshot, ProbeSnapshot};
pub(crate) use self::state::MonitorState;
use crate::ConfigError;
use crate::time::Instant;

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

/// The health became another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HealthChange {
    /// What it was.
    pub from: Health,
    /// What it is.
    pub to: Health,
}

impl HealthChange {
    /// `None` where the two are the same.
    fn between(from: Health, to: Health) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}

/// The health of one target. See the [module](self) for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Monitor {
    rules: MonitorRules,
    state: MonitorState,
}

impl Monitor {
    /// A target of which nothing is known; its first probe is due at once.
    ///
    /// # Errors
    /// See [`MonitorConfig::check`].
    pub const fn new(config: MonitorConfig) -> Result<Self, ConfigError> {
        match MonitorRules::new(config) {
            Ok(rules) => Ok(Self {
                rules,
                state: MonitorState::new(),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// How well the target is, by what has been reported so far. Silence takes effect in
    /// [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub const fn health(&self) -> Health {
        self.state.health(&self.rules)
    }

    /// How often it has gone up and down of late: the evidence for a health held at degraded.
    #[must_use]
    pub const fn flapping(&self) -> Flapping {
        self.state.flapping
    }

    /// Reports what a real call, or a probe that was not scheduled here, showed.
    #[inline]
    pub fn observe(&mut self, now: Instant, result: ProbeResult) {
        self.state.observe(&self.rules, now, result);
    }

    /// Starts a probe if one is due at `now`. It must report by its deadline, see
    /// [`poll_at`](Self::poll_at).
    pub fn start_probe<R: Rng + ?Sized>(&mut self, now: Instant, rng: &mut R) -> Option<Probe> {
        self.state.start_probe(&self.rules, now, rng)
    }

    /// When the next probe is due, scheduling it if need be; `None` while one is running.
    pub fn next_probe_at<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Option<Instant> {
        self.state.next_probe_at(&self.rules, rng)
    }

    /// Reports a probe's result. A late one, after its timeout, is ignored.
    pub fn finish_probe(&mut self, now: Instant, probe: Probe, result: ProbeResult) {
        self.state.finish_probe(&self.rules, now, &probe, result);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.state.poll_at()
    }

    /// Lets a probe's timeout and the end of a result's life take effect.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.state.handle_timeout(&self.rules, now);
    }
}
