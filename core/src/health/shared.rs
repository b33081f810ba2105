//! The monitor of one target, shared by threads: the same pure steps behind a sequence lock.

mod state;
mod words;

use core::time::Duration;

use rand_core::Rng;

use self::state::LATE;
pub(crate) use self::state::SharedMonitorState;
use super::flapping::Flapping;
use super::snapshot::accepted;
use super::{Health, HealthChange, MonitorConfig, MonitorRules, MonitorSnapshot, Probe, ProbeResult};
use crate::ConfigError;
use crate::snapshot::RestoreError;
use crate::time::Instant;

/// The health of one target, reported and asked by many threads.
///
/// ```text
///   observe(Pass) ──▶ steady, and half of the ttl left? ──yes──▶ store the instant: no lock
///                              │ no
///   any other result ──────────┴──▶ sequence lock ─▶ the step of Monitor ─▶ Some(HealthChange)
///   probes, timeouts ──────────────────▶ ┘
/// ```
///
/// # Rules
/// - Those of the [module](super). Alone it answers like a [`Monitor`](super::Monitor).
/// - A target is steady when it is healthy, its last call was quick, and the damping remembers
///   nothing but up. One more pass then changes when it goes stale and nothing else: loads and a
///   store, no read-modify-write.
/// - No result is lost, and each change of health is told to the one thread that caused it.
/// - Of passes that race any one may be the one whose instant is kept. They are as far apart as a
///   thread is off its core, which must be less than half of the ttl.
/// - Threads read the clock before they report, so `now` may be older than another's: up to
///   [`LATE`](Self::LATE) older it counts as the other's. Further back the clock stepped, and what
///   is remembered moves back with it.
/// - Of threads that ask for a probe at once, one gets it.
/// - Not for interrupt handlers: one that interrupts a report on its own core would wait for ever.
///
/// There are no defaults beyond those of [`MonitorConfig`]. The targets are those with 64-bit
/// atomics. Elsewhere a [`Monitor`](super::Monitor) belongs to one owner.
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::Instant;
/// use crossbridge_core::health::{Health, MonitorConfig, ProbeResult, SharedMonitor};
///
/// static DATABASE: SharedMonitor = match SharedMonitor::new(MonitorConfig::DEFAULT) {
///     Ok(monitor) => monitor,
///     Err(_) => panic!("the defaults are accepted"),
/// };
/// let now = Instant::ZERO;
/// let change = DATABASE.observe(now, ProbeResult::Pass).expect("it was unknown");
/// assert_eq!((change.from, change.to), (Health::Unknown, Health::Healthy));
/// assert_eq!(DATABASE.observe(now, ProbeResult::Pass), None);
///
/// let much_later = now.saturating_add(Duration::from_secs(90));
/// let change = DATABASE.handle_timeout(much_later).expect("silence for the ttl");
/// assert_eq!(change.to, Health::Unknown);
/// ```
///
/// Source: HAProxy, `src/check.c`, whose servers are shared by threads under a lock; see
/// [`Monitor`](super::Monitor) for the counter.
#[derive(Debug)]
pub struct SharedMonitor {
    rules: MonitorRules,
    state: SharedMonitorState,
}

impl SharedMonitor {
    /// How much older than another thread's a `now` may be before it counts as a clock that
    /// stepped back: as long as a thread may be off its core between reading the clock and
    /// reporting.
    pub const LATE: Duration = Duration::from_nanos(LATE);

    /// A target of which nothing is known; its first probe is due at once.
    ///
    /// # Errors
    /// See [`MonitorConfig::check`].
    pub const fn new(config: MonitorConfig) -> Result<Self, ConfigError> {
        match MonitorRules::new(config) {
            Ok(rules) => Ok(Self {
                rules,
                state: SharedMonitorState::new(),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// How well the target is, by what has been reported so far: one load. Silence takes effect in
    /// [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn health(&self) -> Health {
        self.state.health(&self.rules)
    }

    /// How often it has gone up and down of late: the evidence for a health held at degraded.
    #[must_use]
    pub fn flapping(&self) -> Flapping {
        self.state.flapping()
    }

    /// Reports what a real call, or a probe that was not scheduled here, showed. `Some` when the
    /// health is another than before.
    #[inline]
    pub fn observe(&self, now: Instant, result: ProbeResult) -> Option<HealthChange> {
        self.state.observe(&self.rules, now, result)
    }

    /// Starts a probe if one is due at `now`. It must report by its deadline, see
    /// [`poll_at`](Self::poll_at).
    ///
    /// No health changes here, since nobody would be told: while there is something for
    /// [`handle_timeout`](Self::handle_timeout) to do, no probe is started. Call it first. The
    /// generator is asked without the lock, and only when a probe has to be scheduled.
    pub fn start_probe<R: Rng + ?Sized>(&self, now: Instant, rng: &mut R) -> Option<Probe> {
        self.state.start_probe(&self.rules, now, rng)
    }

    /// When the next probe is due, scheduling it if need be; `None` while one is running.
    pub fn next_probe_at<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<Instant> {
        self.state.next_probe_at(&self.rules, rng)
    }

    /// Reports a probe's result. A late one, after its timeout, is ignored. `Some` when the health
    /// is another than before.
    pub fn finish_probe(&self, now: Instant, probe: Probe, result: ProbeResult) -> Option<HealthChange> {
        self.state.finish_probe(&self.rules, now, &probe, result)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.state.poll_at(&self.rules)
    }

    /// Lets a probe's timeout and the end of a result's life take effect. `Some` when the health is
    /// another than before.
    pub fn handle_timeout(&self, now: Instant) -> Option<HealthChange> {
        self.state.handle_timeout(&self.rules, now)
    }

    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> MonitorSnapshot {
        self.state.snapshot(&self.rules, now)
    }

    /// The monitor that was taken a snapshot of, at `now`; it may have been an exclusive one.
    ///
    /// # Errors
    /// See [`Monitor::restore`](super::Monitor::restore).
    pub fn restore(
        config: MonitorConfig,
        from: &MonitorSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let rules = accepted(config)?;
        let state = SharedMonitorState::restore(&rules, from, now)?;
        Ok(Self { rules, state })
    }
}
