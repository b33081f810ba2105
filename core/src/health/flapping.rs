//! Up, down, up, down: damping for a target that cannot make up its mind.
//!
//! A target that goes down and comes back every minute is neither: whoever switches on each change
//! (routes, features, pagers) makes it worse. While it flaps, [`Monitor`](super::Monitor) holds its
//! health at degraded.
//!
//! ```text
//!   the last 21 results   ▄▄▄▄▄▁▁▁▄▄▄▁▁▁▁▄▄▄▁▁▁      old ──▶ new
//!   a change weighs        0.75 ─────────▶ 1.25      the newest most
//!
//!   share of change = weighted changes / 20
//!                     share >= start (30 %)
//!        Steady ───────────────────────────────▶ Flapping     in between: as it was
//!          ▲─────────────────────────────────────────┘
//!                     share <= stop (20 %)
//! ```
//!
//! # Rules
//! - What is remembered of a result is the side that it left the target on, up or down. A failure
//!   that has not brought it down yet is not remembered (Nagios: a soft state): one stray failure
//!   is no change, however often it strays.
//! - Results that are missing in the beginning count as no change.
//! - A steady target is no longer flapping after at most twenty results. An outage that begins
//!   while it flaps is therefore reported as degraded until that many results have confirmed it.
//! - Silence for the monitor's `ttl` forgets the history.
//! - Integers: the weights are 57, 59, … 95 out of 76, which is Nagios's line exactly.
//!
//! | field | default | source |
//! |---|---|---|
//! | `start`, `stop` | 30 %, 20 % | Nagios `DEFAULT_HIGH_SERVICE_FLAP_THRESHOLD`, `DEFAULT_LOW_…` |
//!
//! ```
//! use crossbridge_core::health::flapping::{FlapConfig, Flapping};
//!
//! let config = FlapConfig::DEFAULT;
//! let mut target = Flapping::new();
//! for up in [true, false, true, false, true] {
//!     target = target.record(config, up);
//! }
//! assert_eq!(target.share().to_string(), "24.2%"); // four changes, young ones
//! assert!(!target.is_flapping());
//! target = target.record(config, false).record(config, true);
//! assert!(target.is_flapping());
//! for _ in 0..20 {
//!     target = target.record(config, false);
//! }
//! assert!(!target.is_flapping()); // down, and steady
//! ```
//!
//! Source: nagioscore, `base/flapping.c` and `include/defaults.h`. Nagios silences its
//! notifications while a service flaps and goes on showing its state; here the state is held.

use crate::snapshot::{RestoreError, VERSION};
use crate::{ConfigError, PerMille};

/// When a target begins to flap, and when it has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FlapConfig {
    /// It flaps from this share of change on; more than `stop`.
    pub start: PerMille,
    /// It no longer flaps at this share or below.
    pub stop: PerMille,
}

impl FlapConfig {
    /// The defaults in the [table](self).
    pub const DEFAULT: Self = Self {
        start: match PerMille::new(300) {
            Ok(share) => share,
            Err(_) => PerMille::HALF,
        },
        stop: match PerMille::new(200) {
            Ok(share) => share,
            Err(_) => PerMille::ZERO,
        },
    };

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// A start that is not above the stop.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.start.get() <= self.stop.get() {
            return Err(ConfigError::new(
                "flapping.start",
                self.start.get() as u64,
                "more than flapping.stop",
            ));
        }
        Ok(())
    }

    /// What a file without the field means: the default of the monitor.
    #[cfg(feature = "serde")]
    #[expect(clippy::unnecessary_wraps, reason = "the field is optional: `null` is off")]
    pub(super) const fn on() -> Option<Self> {
        Some(Self::DEFAULT)
    }
}

/// The last results of one target. See the [module](self) for the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flapping {
    /// One bit per result, set for up; the newest is the lowest.
    pub(super) history: u32,
    /// Results in it, at most 21.
    pub(super) results: u8,
    pub(super) flapping: bool,
}

impl Flapping {
    /// No result yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            history: 0,
            results: 0,
            flapping: false,
        }
    }

    /// The history with one more result, pure: whether it left the target up.
    #[must_use]
    pub const fn record(self, config: FlapConfig, up: bool) -> Self {
        let results = if self.results < RESULTS {
            self.results + 1
        } else {
            RESULTS
        };
        let mut next = Self {
            history: ((self.history << 1) | up as u32) & HISTORY,
            results,
            flapping: self.flapping,
        };
        let change = next.weighted_changes() * 1_000;
        if change >= config.start.get() as u32 * FULL {
            next.flapping = true;
        } else if change <= config.stop.get() as u32 * FULL {
            next.flapping = false;
        }
        next
    }

    /// Whether the target flaps.
    #[must_use]
    pub const fn is_flapping(&self) -> bool {
        self.flapping
    }

    /// The weighted share of change, rounded down: the evidence.
    #[must_use]
    pub const fn share(&self) -> PerMille {
        // Twenty changes weigh `FULL`: a thousand at most, which fits.
        #[expect(clippy::cast_possible_truncation)]
        let thousandths = (self.weighted_changes() * 1_000 / FULL) as u16;
        match PerMille::new(thousandths) {
            Ok(share) => share,
            Err(_) => PerMille::ALL,
        }
    }

    /// Whether one more result that leaves the target up would change nothing.
    pub(super) const fn is_all_up(&self) -> bool {
        self.history == HISTORY && self.results == RESULTS && !self.flapping
    }

    /// At most [`FULL`].
    const fn weighted_changes(&self) -> u32 {
        // The oldest result follows on none.
        let pairs = (1 << self.results.saturating_sub(1)) - 1;
        let mut changes = (self.history ^ (self.history >> 1)) & pairs;
        let mut sum = 0;
        while changes != 0 {
            sum += NEWEST - STEP * changes.trailing_zeros();
            changes &= changes - 1;
        }
        sum
    }
}

impl Flapping {
    /// The state.
    pub const fn snapshot(&self) -> FlappingSnapshot {
        FlappingSnapshot {
            version: VERSION,
            history: self.history,
            results: self.results,
            flapping: self.flapping,
        }
    }

    /// The history that the snapshot was taken of.
    ///
    /// ```
    /// use crossbridge_core::health::flapping::{FlapConfig, Flapping, FlappingSnapshot};
    ///
    /// let target = Flapping::new().record(FlapConfig::DEFAULT, true);
    /// let taken = target.snapshot();
    /// assert_eq!(Flapping::restore(&taken)?, target);
    ///
    /// let broken = FlappingSnapshot { results: 22, ..taken };
    /// let refused = Flapping::restore(&broken).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: flap_results is 22, expected at most 21");
    /// # Ok::<(), crossbridge_core::snapshot::RestoreError>(())
    /// ```
    ///
    /// # Errors
    /// Another version, more than 21 results, or a history of more than there were.
    pub fn restore(from: &FlappingSnapshot) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        Self::of(from.history, from.results, from.flapping)
    }

    /// These parts, if they fit each other.
    pub(super) fn of(history: u32, results: u8, flapping: bool) -> Result<Self, RestoreError> {
        RestoreError::unless(results <= RESULTS, "flap_results", results.into(), "at most 21")?;
        RestoreError::unless(
            history & !(HISTORY >> (RESULTS - results)) == 0,
            "flap_history",
            history.into(),
            "no more bits than flap_results",
        )?;
        Ok(Self {
            history,
            results,
            flapping,
        })
    }
}

/// The state of a [`Flapping`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct FlappingSnapshot {
    /// Version of this form.
    pub version: u32,
    /// The last results as bits, up is set, the newest is the lowest.
    pub history: u32,
    /// How many they are, at most 21.
    pub results: u8,
    /// Whether the target flaps.
    pub flapping: bool,
}

/// `MAX_STATE_HISTORY_ENTRIES`.
const RESULTS: u8 = 21;
/// The bits of so many results.
const HISTORY: u32 = (1 << RESULTS) - 1;
/// 1.25 of 76.
const NEWEST: u32 = 95;
/// From 1.25 to 0.75 in 19 steps: half of 76, 2 at a time.
const STEP: u32 = 2;
/// Twenty changes: their weights are 1 on average.
const FULL: u32 = 20 * 76;
