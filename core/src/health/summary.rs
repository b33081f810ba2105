//! Many targets folded into one verdict.
//!
//! # Rules
//! - The verdict is the worst of the critical targets. A target that is not critical caps at
//!   degraded: a broken nicety does not take the whole down.
//! - Unknown is worse than degraded and better than unhealthy: what nobody has looked at is not
//!   healthy. Nothing to look at is unknown.
//!
//! ```
//! use crossbridge_core::health::{Health, summary::{Criticality, summarize}};
//!
//! let verdict = summarize([
//!     (Criticality::Critical, Health::Healthy),
//!     (Criticality::Optional, Health::Unhealthy),
//! ]);
//! assert_eq!(verdict, Health::Degraded);
//! assert_eq!(summarize([]), Health::Unknown);
//! ```

use super::Health;

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

/// The verdict over all targets. See the [module](self) for the rules.
#[must_use]
pub fn summarize(targets: impl IntoIterator<Item = (Criticality, Health)>) -> Health {
    let worst = targets
        .into_iter()
        .map(|(criticality, health)| match (criticality, health) {
            (Criticality::Optional, Health::Unhealthy | Health::Unknown) => Health::Degraded,
            (_, health) => health,
        })
        .max_by_key(|&health| severity(health));
    worst.unwrap_or(Health::Unknown)
}

const fn severity(health: Health) -> u8 {
    match health {
        Health::Healthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Unhealthy => 3,
    }
}
