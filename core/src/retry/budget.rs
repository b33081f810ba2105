//! What a group of callers may spend on retries.
//!
//! Retries help against a fault that is rare, and multiply the load of one that is not: with three
//! attempts a dead server sees three times its traffic. A budget caps that. Every retry costs
//! tokens; calls that go well earn them back; an empty budget means that failures are returned at
//! once.
//!
//! ```text
//!   capacity ┤■■■■■■■■╲         ╱■■■   + deposit per call, per success, per second
//!            │         ╲_______╱       - cost per retry (a receipt)
//!          0 ┤  retries refused
//!            └────────────────────▶ time
//! ```
//!
//! # Rules
//! - The budget is asked before the wait, not after it.
//! - What a retry cost is a receipt that belongs to the call. A retry that was never sent gives its
//!   cost back, and one that succeeds where the budget says so.
//! - What is left is never below zero and never above the capacity. What is earned by the second is
//!   earned evenly, and asking often loses nothing of it.
//! - Two gates can be added. [`Reserve`]: retries only while more than this is left, half of the
//!   capacity in gRPC. [`Concurrency`]: retries under way at most a share of the calls under way,
//!   a fifth in Envoy.
//!
//! | | default | gRPC | Envoy |
//! |---|---|---|---|
//! | capacity | [`BudgetConfig::UNLIMITED`] | 10 tokens | - |
//! | reserve | none | half of it | none |
//! | concurrency | none | none | 20 %, at least 3 |
//!
//! # Example
//! A server that fails one call in two: the budget of AWS pays until it is empty, then one retry
//! for every fourteen calls that succeed.
//!
//! ```
//! use crossbridge_core::retry::RetryBudget;
//! use crossbridge_core::{BudgetConfig, FaultKind, Instant};
//!
//! let mut budget = RetryBudget::new(BudgetConfig::AWS)?;
//! let now = Instant::ZERO;
//! let mut retries = 0;
//! for call in 0..1_000 {
//!     budget.on_call(now);
//!     if call % 2 == 0 {
//!         budget.on_first_success();
//!     } else if let Some(receipt) = budget.withdraw(now, FaultKind::Transient) {
//!         budget.on_retry_failure(receipt); // in vain
//!         retries += 1;
//!     }
//! }
//! assert_eq!(retries, (500 + 499) / 14);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! Sources: AWS SDK retry 2.1 (`aws-smithy-runtime`, `token_bucket.rs`); Finagle `RetryBudget` for
//! the ratio, with a minimum rate that is a rate (tower's grants ten seconds of it at once); gRFC
//! A6 for the reserve; Envoy's `RetryBudget` for the concurrency.

mod config;
mod in_flight;
mod payer;
mod rules;
#[cfg(target_has_atomic = "64")]
mod shared;
mod tokens;

use core::time::Duration;

pub use config::{BudgetConfig, Concurrency, Reserve};
pub use payer::Budget;
pub use rules::BudgetRules;
#[cfg(target_has_atomic = "64")]
pub use shared::SharedRetryBudget;
pub(crate) use tokens::Tokens;

use crate::ConfigError;
use crate::fault::FaultKind;
use crate::snapshot::RestoreError;
use crate::time::Instant;

/// What a retry cost. Hand it back: with `on_retry_success` or `on_retry_failure` when the retry
/// was sent, with `refund` when it was not.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receipt(u32);

impl Receipt {
    /// Tokens paid.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.0
    }
}

/// The state of a [`RetryBudget`] as a value: see [`crate::snapshot`]. Calls and retries under way
/// are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BudgetSnapshot {
    /// Version of this form.
    pub version: u32,
    /// Tokens there are.
    pub tokens: u32,
    /// Time that has passed and earned no whole token yet.
    pub unbooked: Duration,
}

/// A retry budget owned by one caller. See the [module](self) for the rules.
///
/// ```
/// use crossbridge_core::{BudgetConfig, FaultKind, Instant, retry::RetryBudget};
///
/// let mut budget = RetryBudget::new(BudgetConfig::AWS)?;
/// let spent = (0..).take_while(|_| budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
/// assert_eq!(spent.count(), 35); // 500 / 14
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RetryBudget {
    rules: BudgetRules,
    tokens: Tokens,
}

impl RetryBudget {
    /// A full budget.
    ///
    /// # Errors
    /// What [`BudgetConfig::check`] refuses.
    pub const fn new(config: BudgetConfig) -> Result<Self, ConfigError> {
        match BudgetRules::new(config) {
            Ok(rules) => Ok(Self::under(rules)),
            Err(refused) => Err(refused),
        }
    }

    /// A full budget under rules that are ready.
    #[must_use]
    pub const fn under(rules: BudgetRules) -> Self {
        Self {
            rules,
            tokens: Tokens::new(),
        }
    }

    /// Tokens there are, deposits per second up to `now` included.
    #[must_use]
    pub fn tokens(&self, now: Instant) -> u32 {
        self.tokens.left(&self.rules, now)
    }

    /// A call begins.
    #[inline]
    pub fn on_call(&mut self, now: Instant) {
        self.tokens.on_call(&self.rules, now);
    }

    /// A call's first attempt succeeded.
    #[inline]
    pub fn on_first_success(&mut self) {
        self.tokens.on_first_success(&self.rules);
    }

    /// Pays for a retry after a failure of this kind; `None` when that is not allowed.
    #[inline]
    pub fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        self.tokens.withdraw(&self.rules, now, kind)
    }

    /// The retry paid for with this receipt succeeded.
    #[inline]
    pub fn on_retry_success(&mut self, receipt: Receipt) {
        self.tokens.on_retry_success(&self.rules, receipt);
    }

    /// The retry paid for with this receipt was sent and failed.
    #[inline]
    pub fn on_retry_failure(&mut self, receipt: Receipt) {
        self.tokens.on_retry_failure(&self.rules, receipt);
    }

    /// The retry paid for with this receipt is not made.
    #[inline]
    pub fn refund(&mut self, receipt: Receipt) {
        self.tokens.refund(&self.rules, receipt);
    }

    /// A call is over, however it ended. Only [`Concurrency`] asks.
    #[inline]
    pub fn on_end(&mut self) {
        self.tokens.on_end(&self.rules);
    }

    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BudgetSnapshot {
        self.tokens.snapshot(&self.rules, now)
    }

    /// The budget that was taken a snapshot of, at `now`.
    ///
    /// # Errors
    /// The snapshot has another version or holds more than the capacity; or the configuration is
    /// refused (field `config`).
    pub fn restore(config: BudgetConfig, from: &BudgetSnapshot, now: Instant) -> Result<Self, RestoreError> {
        let rules = BudgetRules::restore(config)?;
        let tokens = Tokens::restore(&rules, from, now)?;
        Ok(Self { rules, tokens })
    }
}
