//! How a budget earns and spends.

use crate::{ConfigError, PerMille};

/// How a budget earns and spends, in tokens.
///
/// | preset | capacity | transient retry | throttled retry | deposits | reserve |
/// |---|---|---|---|---|---|
/// | [`UNLIMITED`](Self::UNLIMITED) | - | 0 | 0 | - | - |
/// | [`AWS`](Self::AWS) | 500 | 14 | 5 | 1 per call that succeeds at once, the cost of a retry that succeeds | - |
/// | [`ratio(10 %)`](Self::ratio) | burst × 10 000 + 999 | 10 000 | 10 000 | 1 000 per call, and a rate | - |
/// | [`grpc(10, 10 %)`](Self::grpc) | 10 000 | 1 000 | 1 000 | 100 per call that succeeds | half |
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
    /// Earned by a retry that succeeds, apart from a refund.
    #[cfg_attr(feature = "serde", serde(default))]
    pub deposit_on_retry_success: u32,
    /// The gate of gRPC, off by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub reserve: Option<Reserve>,
    /// The gate of Envoy, off by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub concurrency: Option<Concurrency>,
}

/// What is never spent on retries: they are paid for only while more than this is left afterwards.
///
/// A retry that is refused for it costs its price all the same, so that a server that fails every
/// call takes the budget down to nothing, and has to serve many before it is retried again. This is
/// the throttle of gRPC (gRFC A6), which counts every failure. Here a failure counts when it would
/// be retried but for the budget; the one after the last attempt does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Reserve(pub u32);

/// How many retries may be under way at once: at most `share` of the calls under way, rounded
/// down, or `min` if that is more. A retry is under way from the decision on, its wait included.
///
/// The budget counts both: calls from `on_call` to `on_end`, retries from `withdraw` until their
/// receipt is handed back. A call that ends leaves no more retries counted than calls: what a lost
/// receipt held is free again when the calls of its time are over.
///
/// ```
/// use crossbridge_core::retry::{Concurrency, RetryBudget};
/// use crossbridge_core::{BudgetConfig, FaultKind, Instant};
///
/// let mut budget = RetryBudget::new(BudgetConfig {
///     concurrency: Some(Concurrency::ENVOY),
///     ..BudgetConfig::UNLIMITED
/// })?;
/// let now = Instant::ZERO;
/// (0..20).for_each(|_| budget.on_call(now));
/// let paid = (0..20).filter(|_| budget.withdraw(now, FaultKind::Transient).is_some());
/// assert_eq!(paid.count(), 4); // 20 % of 20
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Concurrency {
    /// Retries for each call under way.
    pub share: PerMille,
    /// So many are always allowed.
    pub min: u32,
}

impl Concurrency {
    /// A fifth of the calls, three at least: the defaults of Envoy's retry budget
    /// (`CircuitBreakers.Thresholds.RetryBudget`: `budget_percent`, `min_retry_concurrency`).
    pub const ENVOY: Self = Self {
        share: match PerMille::new(200) {
            Ok(fifth) => fifth,
            Err(_) => PerMille::ALL,
        },
        min: 3,
    };
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
        deposit_on_retry_success: 0,
        reserve: None,
        concurrency: None,
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
    ///
    /// Above the burst there is room for the deposit of one call, less a token: a caller whose
    /// calls follow one another and who retries whenever there is enough gets the whole ratio, with
    /// a burst of one too. Where `n` calls begin before the first of them fails, their deposits
    /// wait together: what the burst (at least `n * ratio`) does not hold of them is lost.
    #[must_use]
    pub const fn ratio(ratio: PerMille, min_per_second: u32, burst: u32) -> Self {
        const PER_CALL: u32 = 1_000;
        // Rounded up: a retry is never too cheap.
        let (deposit, cost) = match ratio.get() as u32 {
            0 => (0, PER_CALL),
            share => (PER_CALL, (PER_CALL * 1_000).div_ceil(share)),
        };
        Self {
            // Before a deposit there are at most `cost - 1` tokens; the room is less than a retry.
            capacity: cost
                .saturating_mul(burst)
                .saturating_add(deposit.saturating_sub(1)),
            retry_cost: cost,
            throttled_retry_cost: cost,
            deposit_per_call: deposit,
            deposit_per_second: cost.saturating_mul(min_per_second),
            ..Self::UNLIMITED
        }
    }

    /// gRPC's throttle (gRFC A6): every call that succeeds earns `token_ratio` tokens, every
    /// failure that would be retried costs one, and retries are made only while more than half of
    /// `max_tokens` are left. gRPC's own examples have 10 tokens and a ratio of 10 %.
    #[must_use]
    pub const fn grpc(max_tokens: u32, token_ratio: PerMille) -> Self {
        const TOKEN: u32 = 1_000;
        let capacity = max_tokens.saturating_mul(TOKEN);
        Self {
            capacity,
            retry_cost: TOKEN,
            throttled_retry_cost: TOKEN,
            deposit_on_first_success: token_ratio.get() as u32,
            deposit_on_retry_success: token_ratio.get() as u32,
            reserve: Some(Reserve(capacity / 2)),
            ..Self::UNLIMITED
        }
    }

    /// Whether a machine accepts the configuration.
    ///
    /// # Errors
    /// A capacity that does not pay for one retry, or not beside its reserve; a concurrency that
    /// never allows one.
    pub const fn check(&self) -> Result<(), ConfigError> {
        let cost = if self.retry_cost > self.throttled_retry_cost {
            self.retry_cost
        } else {
            self.throttled_retry_cost
        };
        if self.capacity < cost {
            return Err(ConfigError::new(
                "capacity",
                self.capacity as u64,
                "at least the cost of one retry",
            ));
        }
        if let Some(Reserve(kept)) = self.reserve
            && kept >= self.capacity - cost
        {
            let expected = "less than the capacity without the cost of one retry";
            return Err(ConfigError::new("reserve", kept as u64, expected));
        }
        if let Some(Concurrency { share, min: 0 }) = self.concurrency
            && share.get() == 0
        {
            return Err(ConfigError::new("concurrency", 0, "a share or a minimum above 0"));
        }
        Ok(())
    }
}
