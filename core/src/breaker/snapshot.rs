//! A breaker's state as a value: see [`crate::snapshot`].

use core::time::Duration;

use super::half_open::HalfOpen;
use super::window::{Window, WindowSnapshot};
use super::{Breaker, BreakerConfig, MAX_LEVEL, State};
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

impl Breaker {
    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BreakerSnapshot {
        let mut present = self.clone();
        present.handle_timeout(now);
        present.forgive(now);
        let state = match &mut present.state {
            State::Closed {
                since: closed,
                failures_in_a_row,
                window,
            } => StateSnapshot::Closed {
                closed_for: since(*closed, now),
                failures_in_a_row: *failures_in_a_row,
                window: window.snapshot(now),
            },
            State::Open { until } => StateSnapshot::Open {
                left: left(*until, now),
            },
            State::HalfOpen(half_open) => half_open.snapshot(now),
        };
        BreakerSnapshot {
            version: VERSION,
            generation: present.generation,
            level: present.level,
            state,
        }
    }

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
        let accepted = config.check().is_ok();
        RestoreError::unless(
            accepted,
            "config",
            0,
            "a configuration that a new breaker accepts",
        )?;
        let level = u64::from(from.level);
        RestoreError::unless(from.level <= MAX_LEVEL, "level", level, "at most 47")?;
        let state = match from.state {
            StateSnapshot::Closed {
                closed_for,
                failures_in_a_row,
                window,
            } => State::Closed {
                since: now.saturating_sub(closed_for),
                failures_in_a_row,
                window: Window::restore(config.window, &window, now)?,
            },
            StateSnapshot::Open { left } => {
                let longest = config.open_wait_max;
                RestoreError::unless(left <= longest, "left", nanos(left), "at most open_wait_max")?;
                State::Open {
                    until: now.saturating_add(left),
                }
            }
            StateSnapshot::HalfOpen {
                left,
                probes,
                admitted,
                succeeded,
                failed,
            } => {
                let counts = [admitted, succeeded, failed];
                State::HalfOpen(HalfOpen::restore(&config, left, &probes, counts, now)?)
            }
        };
        let last_seen = LastSeen::at(now);
        Ok(Self {
            config,
            state,
            generation: from.generation,
            level: from.level,
            slow_call: nanos(config.slow_call),
            last_seen,
        })
    }
}
