//! A breaker's state as a value: see [`crate::snapshot`].

use core::time::Duration;

use super::annex::{self, Annex};
use super::circuit::{Circuit, Head, Phase};
use super::closed::Closed;
use super::half_open::HalfOpen;
use super::rules::MAX_LEVEL;
use super::window::{Window, WindowSnapshot};
use super::{Breaker, BreakerConfig, BreakerRules, slow_start};
use crate::snapshot::{RestoreError, VERSION, left, since};
use crate::time::{Instant, LastSeen, nanos};

/// The state of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BreakerSnapshot {
    /// Version of this form.
    pub version: u32,
    /// Changes of state so far.
    pub generation: u32,
    /// How often the next wait is doubled.
    pub level: u8,
    /// The state.
    pub state: StateSnapshot,
}

/// What exists only in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum StateSnapshot {
    /// Calls go through.
    Closed {
        /// For how long, since the last doubling was taken off.
        closed_for: Duration,
        /// Failures since the last success.
        failures_in_a_row: u32,
        /// The recent calls.
        window: WindowSnapshot,
    },
    /// Closed of late: a share of the calls goes through.
    SlowStart {
        /// Since the circuit closed.
        closed_for: Duration,
        /// What has been saved for the next call, in thousandths of one.
        credit: u16,
        /// Failures since the last success.
        failures_in_a_row: u32,
        /// The recent calls.
        window: WindowSnapshot,
    },
    /// Calls are refused.
    Open {
        /// Until a probe is admitted.
        left: Duration,
    },
    /// Probes decide.
    HalfOpen {
        /// Until the state has failed.
        left: Duration,
        /// Until each probe in flight has failed.
        probes: [Option<Duration>; 8],
        /// Probes made.
        admitted: u16,
        /// Of these, succeeded.
        succeeded: u16,
        /// Of these, failed.
        failed: u16,
    },
}

impl<const ANNEX: usize> Circuit<ANNEX> {
    /// The state at `now`. Calls in flight are not part of it.
    pub(crate) fn snapshot(&self, rules: &BreakerRules, now: Instant) -> BreakerSnapshot {
        let mut present = self.clone();
        present.handle_timeout(rules, now);
        let state = match present.head.phase {
            phase @ (Phase::Closed | Phase::SlowStart) => {
                if phase == Phase::Closed {
                    present.forgive(rules, now);
                }
                let closed = present.take_closed(rules);
                let closed_for = since(closed.since, now);
                let failures_in_a_row = closed.in_a_row;
                let window = closed.window.snapshot(annex::buckets(&mut present.annex), now);
                if phase == Phase::Closed {
                    StateSnapshot::Closed {
                        closed_for,
                        failures_in_a_row,
                        window,
                    }
                } else {
                    StateSnapshot::SlowStart {
                        closed_for,
                        credit: closed.credit,
                        failures_in_a_row,
                        window,
                    }
                }
            }
            Phase::Open => StateSnapshot::Open {
                left: left(present.until(), now),
            },
            Phase::HalfOpen => HalfOpen::load(&present.body).snapshot(now, rules),
        };
        BreakerSnapshot {
            version: VERSION,
            generation: present.head.generation,
            level: present.head.level,
            state,
        }
    }

    /// The circuit that was taken a snapshot of, at `now`.
    pub(crate) fn restore(
        rules: &BreakerRules,
        from: &BreakerSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let level = u64::from(from.level);
        RestoreError::unless(from.level <= MAX_LEVEL, "level", level, "at most 47")?;
        let mut annex = [const { Annex::new(Instant::ZERO) }; ANNEX];
        for annex in &mut annex {
            *annex = Annex::new(now);
        }
        let mut closed = |closed_for, credit, in_a_row, window| {
            let window = Window::restore(rules, window, annex::buckets(&mut annex), now)?;
            let closed = Closed {
                since: now.saturating_sub(closed_for),
                in_a_row,
                credit,
                window,
            };
            Ok(closed.store())
        };
        let (phase, body) = match from.state {
            StateSnapshot::Closed {
                closed_for,
                failures_in_a_row,
                window,
            } => (Phase::Closed, closed(closed_for, 0, failures_in_a_row, &window)?),
            StateSnapshot::SlowStart {
                closed_for,
                credit,
                failures_in_a_row,
                window,
            } => {
                let part = credit < slow_start::WHOLE;
                RestoreError::unless(part, "credit", credit.into(), "below 1000")?;
                (
                    Phase::SlowStart,
                    closed(closed_for, credit, failures_in_a_row, &window)?,
                )
            }
            StateSnapshot::Open { left } => {
                let left = nanos(left);
                RestoreError::unless(left <= rules.open_wait_max, "left", left, "at most open_wait_max")?;
                (Phase::Open, [now.as_nanos().saturating_add(left), 0, 0, 0, 0, 0])
            }
            StateSnapshot::HalfOpen {
                left,
                probes,
                admitted,
                succeeded,
                failed,
            } => {
                let counts = [admitted, succeeded, failed];
                let half_open = HalfOpen::restore(rules, left, &probes, counts, now)?;
                (Phase::HalfOpen, half_open.store())
            }
        };
        Ok(Self {
            last_seen: LastSeen::at(now),
            head: Head {
                generation: from.generation,
                good: 0,
                phase,
                level: from.level,
            },
            body,
            annex,
        })
    }
}

impl<const ANNEX: usize> Breaker<ANNEX> {
    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BreakerSnapshot {
        self.circuit.snapshot(&self.rules, now)
    }
}

impl Breaker {
    /// The breaker that was taken a snapshot of, at `now`.
    ///
    /// ```
    /// use crossbridge_core::{Breaker, BreakerConfig, Instant};
    ///
    /// let breaker = Breaker::new(BreakerConfig::DEFAULT)?;
    /// let taken = breaker.snapshot(Instant::from_nanos(9_000_000_000));
    /// // In the next process the clock starts again.
    /// let mut restored = Breaker::restore(BreakerConfig::DEFAULT, &taken, Instant::ZERO)?;
    /// assert!(restored.admit(Instant::ZERO).is_ok());
    ///
    /// let foreign = crossbridge_core::breaker::BreakerSnapshot { version: 9, ..taken };
    /// let refused = Breaker::restore(BreakerConfig::DEFAULT, &foreign, Instant::ZERO).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: version is 9, expected 1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The snapshot has another version, is of another kind of window, or holds what this
    /// configuration cannot; or the configuration itself is refused (field `config`).
    pub fn restore(
        config: BreakerConfig,
        from: &BreakerSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let rules = rules_of(config)?;
        let circuit = Circuit::restore(&rules, from, now)?;
        Ok(Self { rules, circuit })
    }
}

/// The rules of a configuration that a snapshot is put back under.
pub(super) fn rules_of(config: BreakerConfig) -> Result<BreakerRules, RestoreError> {
    BreakerRules::new(config).map_err(|_| RestoreError {
        field: "config",
        found: 0,
        expected: "a configuration that a new breaker accepts",
    })
}
