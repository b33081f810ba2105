//! What a record is about.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The thirteen categories of the platform. A record's target is `crossbridge::<category>`.
///
/// ```
/// use crossbridge_std::logging::Category;
///
/// assert_eq!(Category::Persistence.target(), "crossbridge::persistence");
/// assert_eq!(Category::of_target("crossbridge::ai::openai"), Some(Category::Ai));
/// assert_eq!(Category::of_target("hyper::client"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(description = "What a record is about.")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Category {
    General,
    Cli,
    Ai,
    Adapter,
    Migration,
    Governance,
    Execution,
    Persistence,
    Orchestration,
    Testing,
    Performance,
    Security,
    Observer,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::General,
        Self::Cli,
        Self::Ai,
        Self::Adapter,
        Self::Migration,
        Self::Governance,
        Self::Execution,
        Self::Persistence,
        Self::Orchestration,
        Self::Testing,
        Self::Performance,
        Self::Security,
        Self::Observer,
    ];

    /// The target of its records.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::General => "crossbridge::general",
            Self::Cli => "crossbridge::cli",
            Self::Ai => "crossbridge::ai",
            Self::Adapter => "crossbridge::adapter",
            Self::Migration => "crossbridge::migration",
            Self::Governance => "crossbridge::governance",
            Self::Execution => "crossbridge::execution",
            Self::Persistence => "crossbridge::persistence",
            Self::Orchestration => "crossbridge::orchestration",
            Self::Testing => "crossbridge::testing",
            Self::Performance => "crossbridge::performance",
            Self::Security => "crossbridge::security",
            Self::Observer => "crossbridge::observer",
        }
    }

    /// The name in files and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.target().trim_start_matches("crossbridge::")
    }

    /// The category a target belongs to.
    #[must_use]
    pub fn of_target(target: &str) -> Option<Self> {
        let mut parts = target.split("::");
        let (root, name) = (parts.next()?, parts.next()?);
        let known = |category: &Self| category.name() == name;
        Self::ALL
            .into_iter()
            .find(known)
            .filter(|_| root == "crossbridge")
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
