//! A monitor's state as a value: see [`crate::snapshot`].

use core::time::Duration;

use super::flapping::{Flapping, HISTORY, RESULTS};
use super::{Monitor, MonitorConfig, ProbeState};
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
        let mut present = self.clone();
        present.handle_timeout(now);
        let probe = match present.probe {
            ProbeState::Due { at } => ProbeSnapshot::Due { left: left(at, now) },
            ProbeState::Running { deadline } => ProbeSnapshot::Running {
                left: left(deadline, now),
            },
            ProbeState::Idle { since: ended } => ProbeSnapshot::Idle {
                since: since(ended, now),
            },
        };
        MonitorSnapshot {
            version: VERSION,
            known: present.counter.map(|counter| KnownSnapshot {
                counter,
                slow: present.last_was_slow,
                left: left(present.stale_at, now),
            }),
            flap_history: present.flapping.history,
            flap_results: present.flapping.results,
            flapping: present.flapping.flapping,
            probe,
            probes: present.probes,
        }
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
        RestoreError::check_version(from.version)?;
        let Ok(mut monitor) = Self::new(config) else {
            return Err(RestoreError {
                field: "config",
                found: 0,
                expected: "a configuration that a new monitor accepts",
            });
        };
        if let Some(known) = from.known {
            let counter = known.counter;
            RestoreError::unless(
                counter <= monitor.top(),
                "counter",
                counter.into(),
                "at most rise + fall - 1",
            )?;
            at_most(known.left, config.ttl, "known.left", "at most ttl")?;
            monitor.counter = Some(counter);
            monitor.last_was_slow = known.slow;
            monitor.stale_at = now.saturating_add(known.left);
        }
        monitor.flapping = restore_flapping(&config, from)?;
        monitor.probe = match from.probe {
            ProbeSnapshot::Due { left } => {
                let longest = config
                    .interval
                    .max(config.transition_interval)
                    .max(config.down_interval);
                let spread = Duration::from_nanos(config.jitter.of(nanos(longest)));
                let longest = longest.saturating_add(spread);
                at_most(left, longest, "probe.left", "at most an interval and its jitter")?;
                ProbeState::Due {
                    at: now.saturating_add(left),
                }
            }
            ProbeSnapshot::Running { left } => {
                at_most(left, config.timeout, "probe.left", "at most timeout")?;
                ProbeState::Running {
                    deadline: now.saturating_add(left),
                }
            }
            ProbeSnapshot::Idle { since } => ProbeState::Idle {
                since: now.saturating_sub(since),
            },
        };
        monitor.probes = from.probes;
        monitor.last_seen = LastSeen::at(now);
        Ok(monitor)
    }
}

fn restore_flapping(config: &MonitorConfig, from: &MonitorSnapshot) -> Result<Flapping, RestoreError> {
    let results = from.flap_results;
    RestoreError::unless(results <= RESULTS, "flap_results", results.into(), "at most 21")?;
    let history = from.flap_history;
    RestoreError::unless(
        history & !(HISTORY >> (RESULTS - results)) == 0,
        "flap_history",
        history.into(),
        "no more bits than flap_results",
    )?;
    // Damping may have been switched on or off in between: then it starts anew.
    if config.flapping.is_none() {
        return Ok(Flapping::new());
    }
    Ok(Flapping {
        history,
        results,
        flapping: from.flapping,
    })
}

fn at_most(
    span: Duration,
    bound: Duration,
    field: &'static str,
    expected: &'static str,
) -> Result<(), RestoreError> {
    RestoreError::unless(span <= bound, field, nanos(span), expected)
}
