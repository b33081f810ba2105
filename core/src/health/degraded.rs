//! Degraded mode: features that are off while what they need is down.
//!
//! For a product that can do with less: without the vector database there is no semantic search,
//! and everything else goes on. Each feature names its targets; nobody else has to know.
//!
//! ```text
//!            a target it needs is unhealthy
//!      On ──────────────────────────────────▶ Off
//!       ▲                                      │
//!       └──────────────────────────────────────┘
//!            all of them are healthy or degraded again
//! ```
//!
//! # Rules
//! - On in the beginning: nothing has been shown to be down.
//! - Off when at least one target is unhealthy. On again when every one of them answers, healthy
//!   or degraded.
//! - Unknown moves nothing: silence is no evidence, neither for off nor for on.
//! - A breaker that is not closed turns nothing off: it makes its target degraded at most. A target
//!   that flaps is degraded, so that its features do not flap with it.
//! - Every change is told once, with the target that is the reason and its health.
//! - Across a restart it goes on where it was ([`DegradedMode::restore`]).
//! - At most 64 features; each names targets by their index, known when the mode is built.
//!
//! There are no defaults: which feature needs what is the product's to say.
//!
//! ```
//! use crossbridge_core::Instant;
//! use crossbridge_core::health::Health;
//! use crossbridge_core::health::degraded::{DegradedMode, Feature, Why};
//! use crossbridge_core::health::summary::Target;
//!
//! const FEATURES: &[Feature] = &[
//!     Feature { name: "reports", needs: &[0] },
//!     Feature { name: "semantic_search", needs: &[0, 1] },
//! ];
//! let mut mode = DegradedMode::new(FEATURES, 2)?;
//! let mut targets = [Target::critical(Health::Healthy); 2]; // database, vector store
//!
//! targets[1].health = Health::Unhealthy;
//! let mut changes = mode.update(Instant::ZERO, &targets);
//! let off = changes.next().expect("one feature needs it");
//! assert_eq!((off.feature, off.on), ("semantic_search", false));
//! assert_eq!(off.why, Why::Down { target: 1 });
//! assert!(changes.next().is_none());
//! assert!(mode.is_on("reports") && !mode.is_on("semantic_search"));
//!
//! targets[1].health = Health::Degraded;
//! assert_eq!(mode.update(Instant::from_nanos(1), &targets).count(), 1);
//! assert!(mode.is_on("semantic_search"));
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! Source: the platform's `degraded_mode.disable_features`; the names of what "degraded" means to a
//! user are those of graceful degradation (Google, *Site Reliability Engineering*, chapter 22).

use super::Health;
use super::summary::Target;
use crate::ConfigError;
use crate::snapshot::{RestoreError, VERSION};
use crate::time::Instant;

/// Something that can be switched off, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Feature<'a> {
    /// Its name in configuration and reports.
    pub name: &'a str,
    /// Indices of the targets that it does not work without.
    pub needs: &'a [u16],
}

/// Which features are on. See the [module](self) for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DegradedMode<'a> {
    features: &'a [Feature<'a>],
    /// One bit per feature, set while it is off.
    off: u64,
}

/// A feature was switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FeatureChange<'a> {
    /// When it was seen.
    pub at: Instant,
    /// Which.
    pub feature: &'a str,
    /// Whether it is on now.
    pub on: bool,
    /// Why.
    pub why: Why,
}

/// Why a feature was switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Why {
    /// Off: this target, the first of those it needs, is unhealthy.
    Down {
        /// Its index.
        target: u16,
    },
    /// On: everything it needs answers again.
    Answering {
        /// How many of its targets are degraded.
        degraded: u32,
    },
}

impl<'a> DegradedMode<'a> {
    /// Every feature is on.
    ///
    /// # Errors
    /// More than 64 features, or a feature that needs a target at or beyond `targets`.
    pub const fn new(features: &'a [Feature<'a>], targets: u16) -> Result<Self, ConfigError> {
        if features.len() > MOST_FEATURES {
            return Err(ConfigError::new("features", features.len() as u64, "at most 64"));
        }
        let mut feature = 0;
        while feature < features.len() {
            let needs = features[feature].needs;
            let mut need = 0;
            while need < needs.len() {
                if needs[need] >= targets {
                    return Err(ConfigError::new(
                        "needs",
                        needs[need] as u64,
                        "the index of a target",
                    ));
                }
                need += 1;
            }
            feature += 1;
        }
        Ok(Self { features, off: 0 })
    }

    /// Whether the feature of this name is on. One that is not named here is never switched off.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        let named = |(_, feature): &(usize, &Feature<'_>)| feature.name == name;
        self.features
            .iter()
            .enumerate()
            .filter(named)
            .all(|(index, _)| self.off & (1 << index) == 0)
    }

    /// The names of those that are off.
    pub fn off(&self) -> impl Iterator<Item = &'a str> {
        let off = self.off;
        let features = self.features.iter().enumerate();
        features
            .filter(move |(index, _)| off & (1 << index) != 0)
            .map(|(_, feature)| feature.name)
    }

    /// Looks at the targets and switches; what was switched is told by the iterator. A target that
    /// `targets` is too short for is unknown.
    pub fn update<'m>(&'m mut self, now: Instant, targets: &'m [Target]) -> Changes<'a, 'm> {
        let before = self.off;
        for (index, feature) in self.features.iter().enumerate() {
            match evidence(feature, targets) {
                Some(Why::Down { .. }) => self.off |= 1 << index,
                Some(Why::Answering { .. }) => self.off &= !(1 << index),
                None => {}
            }
        }
        Changes {
            at: now,
            features: self.features,
            targets,
            changed: before ^ self.off,
        }
    }
}

impl<'a> DegradedMode<'a> {
    /// The state.
    pub fn snapshot(&self) -> DegradedSnapshot {
        DegradedSnapshot {
            version: VERSION,
            features: count(self.features),
            off: self.off,
        }
    }

    /// The mode that the snapshot was taken of: what was off is off, and is told when it comes on.
    ///
    /// The features have to be those of before, in their order: bits have no names.
    ///
    /// ```
    /// use crossbridge_core::health::degraded::{DegradedMode, DegradedSnapshot, Feature};
    ///
    /// const FEATURES: &[Feature] = &[Feature { name: "reports", needs: &[0] }];
    /// let taken = DegradedSnapshot { version: 1, features: 1, off: 0b1 };
    /// let mode = DegradedMode::restore(FEATURES, 1, &taken)?;
    /// assert!(!mode.is_on("reports"));
    /// assert_eq!(mode.snapshot(), taken);
    ///
    /// let broken = DegradedSnapshot { off: 0b10, ..taken };
    /// let refused = DegradedMode::restore(FEATURES, 1, &broken).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: off is 2, expected no more bits than features");
    /// # Ok::<(), crossbridge_core::snapshot::RestoreError>(())
    /// ```
    ///
    /// # Errors
    /// Another version, another number of features, a bit for none of them; or what
    /// [`new`](Self::new) refuses (field `config`).
    pub fn restore(
        features: &'a [Feature<'a>],
        targets: u16,
        from: &DegradedSnapshot,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let Ok(mode) = Self::new(features, targets) else {
            return Err(RestoreError {
                field: "config",
                found: 0,
                expected: "features that a new mode accepts",
            });
        };
        let found = from.features;
        RestoreError::unless(
            found == count(features),
            "features",
            found.into(),
            "as many as there are",
        )?;
        let known = features
            .iter()
            .enumerate()
            .fold(0, |bits, (index, _)| bits | 1 << index);
        RestoreError::unless(
            from.off & !known == 0,
            "off",
            from.off,
            "no more bits than features",
        )?;
        Ok(Self {
            off: from.off,
            ..mode
        })
    }
}

/// The state of a [`DegradedMode`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct DegradedSnapshot {
    /// Version of this form.
    pub version: u32,
    /// How many features there are, at most 64.
    pub features: u8,
    /// One bit per feature, the first is the lowest, set while it is off.
    pub off: u64,
}

/// What one [`update`](DegradedMode::update) switched, in the order of the features. The switching
/// is done; dropping this loses the report alone.
#[derive(Clone, Debug)]
pub struct Changes<'a, 'm> {
    at: Instant,
    features: &'a [Feature<'a>],
    targets: &'m [Target],
    /// One bit per feature still to be told.
    changed: u64,
}

impl<'a> Iterator for Changes<'a, '_> {
    type Item = FeatureChange<'a>;

    fn next(&mut self) -> Option<FeatureChange<'a>> {
        let index = usize::try_from(self.changed.trailing_zeros()).ok()?;
        // Sixty-four of them: nothing is left, and no feature has that index.
        let feature = self.features.get(index).filter(|_| self.changed != 0)?;
        self.changed &= self.changed - 1;
        let why = evidence(feature, self.targets)?;
        Some(FeatureChange {
            at: self.at,
            feature: feature.name,
            on: matches!(why, Why::Answering { .. }),
            why,
        })
    }
}

/// What the targets say about a feature; `None` where one of them is unknown and none is down.
fn evidence(feature: &Feature<'_>, targets: &[Target]) -> Option<Why> {
    let (mut degraded, mut unknown) = (0_u32, false);
    for &target in feature.needs {
        let health = targets
            .get(usize::from(target))
            .map_or(Health::Unknown, Target::effective);
        match health {
            Health::Unhealthy => return Some(Why::Down { target }),
            Health::Unknown => unknown = true,
            Health::Degraded => degraded = degraded.saturating_add(1),
            Health::Healthy => {}
        }
    }
    (!unknown).then_some(Why::Answering { degraded })
}

/// At most 64.
fn count(features: &[Feature<'_>]) -> u8 {
    u8::try_from(features.len()).unwrap_or(u8::MAX)
}

const MOST_FEATURES: usize = 64;
