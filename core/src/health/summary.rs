//! Many targets folded into one verdict.
//!
//! For a readiness page, a balancer, or whoever asks "are we well?" and means all of it: databases,
//! services, replicas of which some will do.
//!
//! ```text
//!   Target  health ─┬─ worse of the two ──▶ cap by criticality ──────────────┐
//!           breaker ┘                                                        ├─ worst ─▶ Verdict
//!   Group   members ──▶ k of n ───────────▶ cap by criticality ──────────────┘     health, reason,
//!                                                                                  cause, evidence
//!   Summary::update: the verdict before ≠ the verdict now ──▶ Change
//! ```
//!
//! # Rules
//! - The verdict is the worst of the critical targets. A target that is not critical caps at
//!   degraded: a broken nicety does not take the whole down.
//! - Unknown is worse than degraded and better than unhealthy: what nobody has looked at is not
//!   healthy. Nothing to look at is unknown.
//! - A group needs `need` of its members (at least one). Healthy if so many are healthy, degraded
//!   if so many are healthy or degraded, unknown if the unknown ones could make up the number,
//!   unhealthy otherwise. A group without members is unknown. Its members count through it alone.
//! - A breaker that is not closed is evidence for degraded, never for dead: it is this caller that
//!   has stopped asking (resilience4j/resilience4j#607 took every instance out of the balancer).
//! - A target whose group does not exist stands for itself: nothing drops out of the verdict
//!   (Spring's aggregator drops what it does not know, resilience4j/resilience4j#1642).
//! - The cause is the first, in the order given, of those that are worst.
//!
//! There are no defaults: criticality and `need` are decided per system.
//!
//! ```
//! use crossbridge_core::Instant;
//! use crossbridge_core::health::Health;
//! use crossbridge_core::health::summary::{Criticality, Group, Reason, Summary, Target, summarize};
//!
//! let database = Target::critical(Health::Healthy);
//! let cache = Target { criticality: Criticality::Optional, ..database };
//! let replicas = [Target { group: Some(0), ..database }; 3];
//! let groups = [Group { need: 2, criticality: Criticality::Critical }];
//! let mut targets = [database, cache, replicas[0], replicas[1], replicas[2]];
//!
//! let mut summary = Summary::new();
//! let change = summary.update(Instant::ZERO, &targets, &groups).expect("it was unknown");
//! assert_eq!((change.from, change.to.health), (Health::Unknown, Health::Healthy));
//!
//! targets[4].health = Health::Unhealthy; // two of three will do
//! assert!(summary.update(Instant::from_nanos(1), &targets, &groups).is_none());
//! targets[3].health = Health::Unhealthy;
//! let change = summary.update(Instant::from_nanos(2), &targets, &groups).expect("one will not");
//! assert_eq!(change.to.reason, Reason::QuorumLost);
//! assert_eq!(change.to.health, Health::Unhealthy);
//!
//! let verdict = summarize([
//!     (Criticality::Critical, Health::Healthy),
//!     (Criticality::Optional, Health::Unhealthy),
//! ]);
//! assert_eq!(verdict, Health::Degraded);
//! assert_eq!(summarize([]), Health::Unknown);
//! ```
//!
//! Source: the calculated health checks of Route 53 (k of n), Spring Boot's `StatusAggregator` and
//! the two defects named above.

use super::Health;
use crate::breaker::BreakerState;
use crate::snapshot::{RestoreError, VERSION};
use crate::time::Instant;

/// Whether the whole can do without the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Criticality {
    /// It cannot.
    Critical,
    /// It can, with less.
    Optional,
}

impl Criticality {
    /// The health as far as the whole is concerned.
    #[must_use]
    pub const fn cap(self, health: Health) -> Health {
        match (self, health) {
            (Self::Optional, Health::Unhealthy | Health::Unknown) => Health::Degraded,
            (Self::Optional, Health::Healthy | Health::Degraded) | (Self::Critical, _) => health,
        }
    }
}

/// The verdict over all targets. See the [module](self) for the rules.
#[must_use]
pub fn summarize(targets: impl IntoIterator<Item = (Criticality, Health)>) -> Health {
    let capped = targets
        .into_iter()
        .map(|(criticality, health)| criticality.cap(health));
    capped
        .max_by_key(|&health| severity(health))
        .unwrap_or(Health::Unknown)
}

/// The health of a group that needs `need` of its members.
#[must_use]
pub fn quorum(need: u32, members: impl IntoIterator<Item = Health>) -> Health {
    Counts::of(members).quorum(need)
}

/// What a target's breaker adds to its health: not closed, it is degraded at best.
#[must_use]
pub fn with_breaker(health: Health, breaker: BreakerState) -> Health {
    if breaker != BreakerState::Closed && health == Health::Healthy {
        return Health::Degraded;
    }
    health
}

/// One target as the summary sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Target {
    /// By its monitor.
    pub health: Health,
    /// By its breaker, where it has one.
    pub breaker: Option<BreakerState>,
    /// Whether the whole can do without it; of no effect inside a group.
    pub criticality: Criticality,
    /// Index of the group it is a member of.
    pub group: Option<u16>,
}

impl Target {
    /// A critical target without a breaker, in no group.
    #[must_use]
    pub const fn critical(health: Health) -> Self {
        Self {
            health,
            breaker: None,
            criticality: Criticality::Critical,
            group: None,
        }
    }

    /// Its health with its breaker's evidence.
    #[must_use]
    pub fn effective(&self) -> Health {
        self.breaker
            .map_or(self.health, |breaker| with_breaker(self.health, breaker))
    }
}

/// Targets of which some will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Group {
    /// How many; zero counts as one.
    pub need: u32,
    /// Whether the whole can do without the group.
    pub criticality: Criticality,
}

/// How many targets are how well: the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Counts {
    /// Healthy ones.
    pub healthy: u32,
    /// Degraded ones.
    pub degraded: u32,
    /// Unknown ones.
    pub unknown: u32,
    /// Unhealthy ones.
    pub unhealthy: u32,
}

impl Counts {
    fn of(members: impl IntoIterator<Item = Health>) -> Self {
        let mut counts = Self::default();
        for health in members {
            let count = match health {
                Health::Healthy => &mut counts.healthy,
                Health::Degraded => &mut counts.degraded,
                Health::Unknown => &mut counts.unknown,
                Health::Unhealthy => &mut counts.unhealthy,
            };
            *count = count.saturating_add(1);
        }
        counts
    }

    fn quorum(&self, need: u32) -> Health {
        let need = need.max(1);
        let up = self.healthy.saturating_add(self.degraded);
        if *self == Self::default() {
            Health::Unknown
        } else if self.healthy >= need {
            Health::Healthy
        } else if up >= need {
            Health::Degraded
        } else if up.saturating_add(self.unknown) >= need {
            Health::Unknown
        } else {
            Health::Unhealthy
        }
    }
}

/// Why the verdict is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Reason {
    /// There is nothing to look at.
    NoTargets,
    /// Everything that counts is healthy.
    AllWell,
    /// A target is degraded by its own results.
    TargetDegraded,
    /// A target's breaker is not closed.
    BreakerNotClosed,
    /// A target that is not critical, or a group, is unknown or down.
    OptionalLost,
    /// A critical target is unknown.
    TargetUnknown,
    /// A critical target is down.
    TargetDown,
    /// A group has its number only with degraded members.
    QuorumDegraded,
    /// A critical group may or may not have its number.
    QuorumUnknown,
    /// A critical group does not have its number.
    QuorumLost,
}

impl Reason {
    /// The name in logs, traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoTargets => "no_targets",
            Self::AllWell => "all_well",
            Self::TargetDegraded => "target_degraded",
            Self::BreakerNotClosed => "breaker_not_closed",
            Self::OptionalLost => "optional_lost",
            Self::TargetUnknown => "target_unknown",
            Self::TargetDown => "target_down",
            Self::QuorumDegraded => "quorum_degraded",
            Self::QuorumUnknown => "quorum_unknown",
            Self::QuorumLost => "quorum_lost",
        }
    }
}

/// Who decided a verdict that is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Cause {
    /// The target at this index.
    Target(usize),
    /// The group at this index.
    Group(usize),
}

/// How well the whole is, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Verdict {
    /// How well.
    pub health: Health,
    /// Why.
    pub reason: Reason,
    /// Because of whom; `None` while all is well or there is nothing.
    pub cause: Option<Cause>,
    /// All targets, their breakers' evidence included.
    pub evidence: Counts,
}

impl Verdict {
    /// The verdict over targets and groups, pure. See the [module](self) for the rules.
    #[must_use]
    pub fn over(targets: &[Target], groups: &[Group]) -> Self {
        let alone = |target: &Target| {
            target
                .group
                .is_none_or(|group| usize::from(group) >= groups.len())
        };
        let singles = targets.iter().enumerate().filter(|(_, target)| alone(target));
        let singles = singles.map(|(index, target)| {
            let health = target.criticality.cap(target.effective());
            (health, target_reason(target), Some(Cause::Target(index)))
        });
        let grouped = groups.iter().enumerate().map(|(index, group)| {
            let members = targets
                .iter()
                .filter(|target| target.group.is_some_and(|of| usize::from(of) == index));
            let health = quorum(group.need, members.map(Target::effective));
            let reason = group_reason(group.criticality, health);
            (group.criticality.cap(health), reason, Some(Cause::Group(index)))
        });
        // The first of the worst: `max_by_key` would take the last.
        let worst = singles.chain(grouped).reduce(|worst, next| {
            if severity(next.0) > severity(worst.0) {
                next
            } else {
                worst
            }
        });
        let (health, reason, cause) = match worst {
            None => (Health::Unknown, Reason::NoTargets, None),
            Some((Health::Healthy, ..)) => (Health::Healthy, Reason::AllWell, None),
            Some(worst) => worst,
        };
        Self {
            health,
            reason,
            cause,
            evidence: Counts::of(targets.iter().map(Target::effective)),
        }
    }
}

/// The verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Change {
    /// When it was seen.
    pub at: Instant,
    /// The health before.
    pub from: Health,
    /// The verdict now, with its reason and evidence.
    pub to: Verdict,
}

/// Remembers the last verdict, so that each change is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    health: Health,
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

impl Summary {
    /// Nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            health: Health::Unknown,
        }
    }

    /// How well the whole was when it was last looked at.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.health
    }

    /// Looks at the targets; `Some` when the health of the whole is another than before.
    pub fn update(&mut self, now: Instant, targets: &[Target], groups: &[Group]) -> Option<Change> {
        let to = Verdict::over(targets, groups);
        let from = core::mem::replace(&mut self.health, to.health);
        (from != to.health).then_some(Change { at: now, from, to })
    }
}

impl Summary {
    /// The state.
    pub const fn snapshot(&self) -> SummarySnapshot {
        SummarySnapshot {
            version: VERSION,
            health: self.health,
        }
    }

    /// The summary that the snapshot was taken of: what was told before is not told again.
    ///
    /// ```
    /// use crossbridge_core::Instant;
    /// use crossbridge_core::health::Health;
    /// use crossbridge_core::health::summary::{Summary, SummarySnapshot, Target};
    ///
    /// let targets = [Target::critical(Health::Healthy)];
    /// let mut summary = Summary::new();
    /// assert!(summary.update(Instant::ZERO, &targets, &[]).is_some());
    /// let taken = summary.snapshot();
    /// let mut restored = Summary::restore(&taken)?;
    /// assert!(restored.update(Instant::ZERO, &targets, &[]).is_none());
    ///
    /// let newer = SummarySnapshot { version: 2, ..taken };
    /// let refused = Summary::restore(&newer).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: version is 2, expected 1");
    /// # Ok::<(), crossbridge_core::snapshot::RestoreError>(())
    /// ```
    ///
    /// # Errors
    /// Another version.
    pub fn restore(from: &SummarySnapshot) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        Ok(Self { health: from.health })
    }
}

/// The state of a [`Summary`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct SummarySnapshot {
    /// Version of this form.
    pub version: u32,
    /// The health that was told last.
    pub health: Health,
}

fn target_reason(target: &Target) -> Reason {
    match (target.effective(), target.criticality) {
        (Health::Healthy, _) => Reason::AllWell,
        (Health::Degraded, _) if target.health == Health::Healthy => Reason::BreakerNotClosed,
        (Health::Degraded, _) => Reason::TargetDegraded,
        (Health::Unknown | Health::Unhealthy, Criticality::Optional) => Reason::OptionalLost,
        (Health::Unknown, Criticality::Critical) => Reason::TargetUnknown,
        (Health::Unhealthy, Criticality::Critical) => Reason::TargetDown,
    }
}

const fn group_reason(criticality: Criticality, health: Health) -> Reason {
    match (health, criticality) {
        (Health::Healthy, _) => Reason::AllWell,
        (Health::Degraded, _) => Reason::QuorumDegraded,
        (Health::Unknown | Health::Unhealthy, Criticality::Optional) => Reason::OptionalLost,
        (Health::Unknown, Criticality::Critical) => Reason::QuorumUnknown,
        (Health::Unhealthy, Criticality::Critical) => Reason::QuorumLost,
    }
}

const fn severity(health: Health) -> u8 {
    match health {
        Health::Healthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Unhealthy => 3,
    }
}
