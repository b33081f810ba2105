//! A monitor's state as a value: see [`crate::snapshot`].

use core::time::Duration;

use super::flapping::Flapping;
use super::state::{Phase, UNKNOWN};
use super::{Monitor, MonitorConfig, MonitorRules, MonitorState};
use crate::snapshot::{RestoreError, VERSION, left, since};
use crate::time::{Instant, LastSeen, nanos};

/// The state of a [`Monitor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MonitorSnapshot {
    /// Version of this form.
    pub version: u32,
    /// What the last results said; `None` while unknown.
    pub known: Option<KnownSnapshot>,
    /// The last results as bits, up is set, the newest is the lowest.
    pub flap_history: u32,
    /// How many they are, at most 21.
    pub flap_results: u8,
    /// Whether the health is held at degraded.
    pub flapping: bool,
    /// The probe.
    pub probe: ProbeSnapshot,
    /// Probes started so far.
    pub probes: u32,
}

/// What exists only while the health is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KnownSnapshot {
    /// The counter, at most `rise + fall - 1`.
    pub counter: u8,
    /// Whether the last result was slow.
    pub slow: bool,
    /// Until it is too old to mean anything.
    pub left: Duration,
}

/// Where the next probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ProbeSnapshot {
    /// Scheduled.
    Due {
        /// Until it is due.
        left: Duration,
    },
    /// Under way.
    Running {
        /// Until it has failed.
        left: Duration,
    },
    /// Not scheduled yet.
    Idle {
        /// Since the last one ended.
        since: Duration,
    },
}

impl Monitor {
    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> MonitorSnapshot {
        self.state.snapshot(&self.rules, now)
    }

    /// The monitor that was taken a snapshot of, at `now`. A probe that was running and whose
    /// result is lost fails by its deadline.
    ///
    /// ```
    /// use crossbridge_core::Instant;
    /// use crossbridge_core::health::{Health, Monitor, MonitorConfig, MonitorSnapshot, ProbeResult};
    ///
    /// let mut monitor = Monitor::new(MonitorConfig::DEFAULT)?;
    /// monitor.observe(Instant::ZERO, ProbeResult::Pass);
    /// let taken = monitor.snapshot(Instant::ZERO);
    /// let restored = Monitor::restore(MonitorConfig::DEFAULT, &taken, Instant::ZERO)?;
    /// assert_eq!(restored.health(), Health::Healthy);
    ///
    /// let broken = MonitorSnapshot { flap_results: 22, ..taken };
    /// let refused = Monitor::restore(MonitorConfig::DEFAULT, &broken, Instant::ZERO).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: flap_results is 22, expected at most 21");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The snapshot has another version or holds what this configuration cannot; or the
    /// configuration itself is refused (field `config`).
    pub fn restore(
        config: MonitorConfig,
        from: &MonitorSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let rules = accepted(config)?;
        let state = MonitorState::restore(&rules, from, now)?;
        Ok(Self { rules, state })
    }
}

/// The rules, or what a snapshot's error says of a configuration that has none.
pub(super) fn accepted(config: MonitorConfig) -> Result<MonitorRules, RestoreError> {
    MonitorRules::new(config).map_err(|_| RestoreError {
        field: "config",
        found: 0,
        expected: "a configuration that a new monitor accepts",
    })
}

impl MonitorState {
    pub(crate) fn snapshot(&self, rules: &MonitorRules, now: Instant) -> MonitorSnapshot {
        let mut present = *self;
        present.handle_timeout(rules, now);
        let at = present.probe_at;
        MonitorSnapshot {
            version: VERSION,
            known: (present.counter != UNKNOWN).then(|| KnownSnapshot {
                counter: present.counter,
                slow: present.last_was_slow,
                left: left(present.stale_at, now),
            }),
            flap_history: present.flapping.history,
            flap_results: present.flapping.results,
            flapping: present.flapping.flapping,
            probe: match present.phase {
                Phase::Due => ProbeSnapshot::Due { left: left(at, now) },
                Phase::Running => ProbeSnapshot::Running { left: left(at, now) },
                Phase::Idle => ProbeSnapshot::Idle {
                    since: since(at, now),
                },
            },
            probes: present.probes,
        }
    }

    /// # Errors
    /// The snapshot has another version or holds what these rules cannot.
    pub(crate) fn restore(
        rules: &MonitorRules,
        from: &MonitorSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let mut state = Self::new();
        if let Some(known) = from.known {
            let counter = known.counter;
            RestoreError::unless(
                counter <= rules.top,
                "counter",
                counter.into(),
                "at most rise + fall - 1",
            )?;
            let left = at_most(known.left, rules.ttl, "known.left", "at most ttl")?;
            state.counter = counter;
            state.last_was_slow = known.slow;
            state.stale_at = now.saturating_add_nanos(left);
        }
        state.flapping = restore_flapping(rules, from)?;
        state.steady = state.is_steady(rules);
        (state.phase, state.probe_at) = match from.probe {
            ProbeSnapshot::Due { left } => {
                let longest = rules
                    .interval
                    .max(rules.transition_interval)
                    .max(rules.down_interval);
                let longest = longest.saturating_add(rules.spread(longest));
                let left = at_most(left, longest, "probe.left", "at most an interval and its jitter")?;
                (Phase::Due, now.saturating_add_nanos(left))
            }
            ProbeSnapshot::Running { left } => {
                let left = at_most(left, rules.timeout, "probe.left", "at most timeout")?;
                (Phase::Running, now.saturating_add_nanos(left))
            }
            ProbeSnapshot::Idle { since } => (Phase::Idle, now.saturating_sub(since)),
        };
        state.probes = from.probes;
        state.last_seen = LastSeen::at(now);
        Ok(state)
    }
}

fn restore_flapping(rules: &MonitorRules, from: &MonitorSnapshot) -> Result<Flapping, RestoreError> {
    let flapping = Flapping::of(from.flap_history, from.flap_results, from.flapping)?;
    // Damping may have been switched on or off in between: then it starts anew.
    Ok(match rules.flapping {
        Some(_) => flapping,
        None => Flapping::new(),
    })
}

/// The span in nanoseconds, if it is within the bound.
fn at_most(
    span: Duration,
    bound: u64,
    field: &'static str,
    expected: &'static str,
) -> Result<u64, RestoreError> {
    let span = nanos(span);
    RestoreError::unless(span <= bound, field, span, expected)?;
    Ok(span)
}
