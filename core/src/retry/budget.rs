//! What a group of callers may spend on retries.
//!
//! Retries help against a fault that is rare, and multiply the load of one that is not: with three
//! attempts a dead server sees three times its traffic. A budget caps that. Every retry costs
//! tokens; calls that go well earn them back; an empty budget means that failures are returned at
//! once.
//!
//! ```text
//!   capacity ┤■■■■■■■■╲         ╱■■■   + deposit per call, per first-try success, per second
//!            │         ╲_______╱       - cost per retry (a receipt)
//!          0 ┤  retries refused
//!            └────────────────────▶ time
//! ```
//!
//! # Rules
//! - The budget is asked before the wait, not after it.
//! - What a retry cost is a receipt that belongs to the call. A retry that was never sent gives its
//!   cost back, and one that succeeds where the budget says so.
//! - Tokens are whole numbers, never below zero and never above the capacity.
//!
//! Sources: AWS SDK retry 2.1 (`aws-smithy-runtime`, `token_bucket.rs`); Finagle `RetryBudget` for
//! the ratio, with a minimum rate that is a rate (tower's grants ten seconds of it at once).

use core::num::NonZeroU64;
use core::time::Duration;

use crate::fault::FaultKind;
use crate::snapshot::{RestoreError, VERSION, since};
use crate::time::{Instant, LastSeen, nanos};
use crate::{ConfigError, PerMille};

/// How a budget earns and spends, in tokens.
///
/// | preset | capacity | transient retry | throttled retry | deposits |
/// |---|---|---|---|---|
/// | [`UNLIMITED`](Self::UNLIMITED) | - | 0 | 0 | - |
/// | [`AWS`](Self::AWS) | 500 | 14 | 5 | 1 per call that succeeds at once |
/// | [`ratio(10 %)`](Self::ratio) | burst × 10 000 | 10 000 | 10 000 | 1 000 per call, and a rate |
///
/// ```
/// use crossbridge_core::{BudgetConfig, PerMille};
///
/// // One retry for every ten calls, one more a second, ten to begin with.
/// const BUDGET: BudgetConfig = match PerMille::new(100) {
///     Ok(tenth) => BudgetConfig::ratio(tenth, 1, 10),
///     Err(_) => panic!(),
/// };
/// assert!(BUDGET.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BudgetConfig {
    /// The most there can be, and what a new budget holds.
    pub capacity: u32,
    /// Cost of a retry.
    pub retry_cost: u32,
    /// Cost of a retry after a throttled failure.
    pub throttled_retry_cost: u32,
    /// Earned by every call when it begins.
    pub deposit_per_call: u32,
    /// Earned by a call whose first attempt succeeds.
    pub deposit_on_first_success: u32,
    /// Earned every second, evenly.
    pub deposit_per_second: u32,
    /// Whether a retry that succeeds gets its cost back (AWS), or retries cost what they cost
    /// (Finagle: the ratio then bounds all of them, not only those in vain).
    pub refund_on_success: bool,
}

impl BudgetConfig {
    /// Retries are free.
    pub const UNLIMITED: Self = Self {
        capacity: 0,
        retry_cost: 0,
        throttled_retry_cost: 0,
        deposit_per_call: 0,
        deposit_on_first_success: 0,
        deposit_per_second: 0,
        refund_on_success: false,
    };

    /// AWS SDK retry 2.1. It runs dry when more than about a fifth of all calls need a retry.
    pub const AWS: Self = Self {
        capacity: 500,
        retry_cost: 14,
        throttled_retry_cost: 5,
        deposit_on_first_success: 1,
        refund_on_success: true,
        ..Self::UNLIMITED
    };

    /// At most `ratio` retries per call in the long run, and `min_per_second` more; `burst`
    /// retries are there at the start and are never exceeded. A ratio of zero leaves the rate.
    #[must_use]
    pub const fn ratio(ratio: PerMille, min_per_second: u32, burst: u32) -> Self {
        const PER_CALL: u32 = 1_000;
        // Rounded up: a retry is never too cheap.
        let (deposit, cost) = match ratio.get() as u32 {
            0 => (0, PER_CALL),
            share => (PER_CALL, (PER_CALL * 1_000).div_ceil(share)),
        };
        Self {
            capacity: cost.saturating_mul(burst),
            retry_cost: cost,
            throttled_retry_cost: cost,
            deposit_per_call: deposit,
            deposit_on_first_success: 0,
            deposit_per_second: cost.saturating_mul(min_per_second),
            refund_on_success: false,
        }
    }

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// A capacity that does not pay for one retry.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.capacity < self.retry_cost || self.capacity < self.throttled_retry_cost {
            return Err(ConfigError::new(
                "capacity",
                self.capacity as u64,
                "at least the cost of one retry",
            ));
        }
        Ok(())
    }
}

/// What a retry cost. Hand it back with [`RetryBudget::refund`] when the retry was never sent, with
/// [`RetryBudget::on_retry_success`] when it succeeded; drop it when it failed.
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

/// The state of a [`RetryBudget`] as a value: see [`crate::snapshot`].
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
    config: BudgetConfig,
    tokens: u32,
    /// Up to when the deposits per second have been booked.
    booked: Instant,
    last_seen: LastSeen,
}

impl RetryBudget {
    /// A full budget.
    ///
    /// # Errors
    /// See [`BudgetConfig::check`].
    pub const fn new(config: BudgetConfig) -> Result<Self, ConfigError> {
        match config.check() {
            Ok(()) => Ok(Self {
                config,
                tokens: config.capacity,
                booked: Instant::ZERO,
                last_seen: LastSeen::new(),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// Tokens there are, deposits per second up to `now` included.
    #[must_use]
    pub fn tokens(&self, now: Instant) -> u32 {
        let mut present = self.clone();
        present.accrue(now);
        present.tokens
    }

    /// A call begins.
    pub fn on_call(&mut self, now: Instant) {
        self.accrue(now);
        self.deposit(self.config.deposit_per_call);
    }

    /// A call's first attempt succeeded.
    pub fn on_first_success(&mut self) {
        self.deposit(self.config.deposit_on_first_success);
    }

    /// Pays for a retry after a failure of this kind; `None` when there is not enough.
    pub fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        self.accrue(now);
        let cost = match kind {
            FaultKind::Throttled => self.config.throttled_retry_cost,
            FaultKind::NotSent
            | FaultKind::Transient
            | FaultKind::Unknown
            | FaultKind::Permanent
            | FaultKind::Overloaded => self.config.retry_cost,
        };
        self.tokens = self.tokens.checked_sub(cost)?;
        Some(Receipt(cost))
    }

    /// The retry paid for with this receipt succeeded.
    pub fn on_retry_success(&mut self, receipt: Receipt) {
        if self.config.refund_on_success {
            self.refund(receipt);
        }
    }

    /// Takes a receipt back.
    pub fn refund(&mut self, receipt: Receipt) {
        let Receipt(cost) = receipt;
        self.deposit(cost);
    }

    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BudgetSnapshot {
        let mut present = self.clone();
        present.accrue(now);
        let earns = self.config.deposit_per_second > 0;
        let unbooked = if earns {
            since(present.booked, now)
        } else {
            Duration::ZERO
        };
        BudgetSnapshot {
            version: VERSION,
            tokens: present.tokens,
            unbooked,
        }
    }

    /// The budget that was taken a snapshot of, at `now`.
    ///
    /// # Errors
    /// The snapshot has another version or holds more than the capacity; or the configuration is
    /// refused (field `config`).
    pub fn restore(config: BudgetConfig, from: &BudgetSnapshot, now: Instant) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let accepted = config.check().is_ok();
        RestoreError::unless(accepted, "config", 0, "a configuration that a new budget accepts")?;
        let tokens = from.tokens;
        RestoreError::unless(
            tokens <= config.capacity,
            "tokens",
            tokens.into(),
            "at most the capacity",
        )?;
        let booked = now.saturating_sub(from.unbooked);
        Ok(Self {
            config,
            tokens,
            booked,
            last_seen: LastSeen::at(now),
        })
    }

    fn deposit(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(self.config.capacity);
    }

    /// Books what the seconds since `booked` earned, in whole tokens; the rest of the last token's
    /// time stays unbooked, so that polling often loses nothing.
    fn accrue(&mut self, now: Instant) {
        let Some(per_second) = NonZeroU64::new(u64::from(self.config.deposit_per_second)) else {
            return;
        };
        if let Some(step) = self.last_seen.observe(now) {
            self.booked = self.booked.saturating_sub(step);
        }
        if self.tokens >= self.config.capacity {
            // Nothing can be earned: time that passes now is not owed later.
            self.booked = now;
            return;
        }
        // Whole seconds apart from the rest, so that 64 bits are enough: a product they do not hold
        // is more than any capacity. 128 bits would take 1 200 bytes of a small target's flash.
        let elapsed = nanos(now.saturating_duration_since(self.booked));
        let rest = elapsed % NANOS_PER_SECOND * per_second.get() / NANOS_PER_SECOND;
        let whole = (elapsed / NANOS_PER_SECOND).saturating_mul(per_second.get());
        let earned = whole.saturating_add(rest);
        if earned == 0 {
            return;
        }
        if let Ok(earned) = u32::try_from(earned)
            && earned < self.config.capacity
        {
            // Rounded up: the time of a token is not booked twice.
            let used = (u64::from(earned) * NANOS_PER_SECOND + (per_second.get() - 1)) / per_second;
            self.booked = self.booked.saturating_add(Duration::from_nanos(used));
            self.deposit(earned);
        } else {
            self.booked = now;
            self.tokens = self.config.capacity;
        }
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
