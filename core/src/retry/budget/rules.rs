//! A budget's configuration, checked, and the time it counts in.

use super::{BudgetConfig, Concurrency, Reserve};
use crate::ConfigError;
use crate::fault::FaultKind;
use crate::snapshot::RestoreError;
use crate::time::Instant;

/// A [`BudgetConfig`] that was checked once: what [`RetryBudget`](super::RetryBudget) and its
/// shared form decide by.
///
/// # Ticks
/// Tokens that come by the second need a clock that counts in them. A tick is the part of a token
/// that is nearest to a nanosecond: `scale` ticks are a token, `ticks_per_second` are earned each
/// second. For a rate that divides a billion, a tick is a nanosecond and nothing is rounded ever;
/// for any other the ticks of an instant are a function of it, rounded down once, so that asking
/// often loses nothing. Without a rate the ticks stand still, and one is a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BudgetRules {
    config: BudgetConfig,
    scale: u32,
    ticks_per_second: u32,
}

impl BudgetRules {
    /// The rules of this configuration.
    ///
    /// # Errors
    /// What [`BudgetConfig::check`] refuses.
    pub const fn new(config: BudgetConfig) -> Result<Self, ConfigError> {
        if let Err(refused) = config.check() {
            return Err(refused);
        }
        let rate = config.deposit_per_second;
        let scale = match NANOS_PER_SECOND.checked_div(rate) {
            // No rate, or more than a token a nanosecond.
            None | Some(0) => 1,
            Some(scale) => scale,
        };
        Ok(Self {
            config,
            scale,
            // At most a billion where it was scaled.
            ticks_per_second: rate.saturating_mul(scale),
        })
    }

    /// The same for a budget that is restored.
    pub(super) fn restore(config: BudgetConfig) -> Result<Self, RestoreError> {
        Self::new(config).map_err(|_| RestoreError {
            field: "config",
            found: 0,
            expected: "a configuration that a new budget accepts",
        })
    }

    /// The most there can be.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.config.capacity
    }

    /// Cost of a retry after a failure of this kind.
    #[inline]
    pub(super) const fn cost(&self, kind: FaultKind) -> u32 {
        match kind {
            FaultKind::Throttled => self.config.throttled_retry_cost,
            FaultKind::NotSent
            | FaultKind::Transient
            | FaultKind::Unknown
            | FaultKind::Permanent
            | FaultKind::Overloaded => self.config.retry_cost,
        }
    }

    /// Earned by a call that begins.
    #[inline]
    pub(super) const fn per_call(&self) -> u32 {
        self.config.deposit_per_call
    }

    /// Earned by a call whose first attempt succeeds.
    #[inline]
    pub(super) const fn per_first_success(&self) -> u32 {
        self.config.deposit_on_first_success
    }

    /// Earned by a retry that cost this and succeeded.
    #[inline]
    pub(super) const fn per_retry_success(&self, cost: u32) -> u32 {
        let refund = if self.config.refund_on_success { cost } else { 0 };
        refund.saturating_add(self.config.deposit_on_retry_success)
    }

    /// What is never spent.
    #[inline]
    pub(super) const fn reserve(&self) -> Option<Reserve> {
        self.config.reserve
    }

    /// How many retries at once.
    #[inline]
    pub(super) const fn concurrency(&self) -> Option<Concurrency> {
        self.config.concurrency
    }

    /// Whether anything is earned by the second.
    #[inline]
    pub(super) const fn earns_by_time(&self) -> bool {
        self.ticks_per_second > 0
    }

    /// Earned in a second.
    #[cfg(target_has_atomic = "64")]
    pub(super) const fn ticks_per_second(&self) -> u64 {
        self.ticks_per_second as u64
    }

    /// These tokens in ticks: below 2^62.
    #[inline]
    pub(super) const fn ticks(&self, tokens: u32) -> u64 {
        tokens as u64 * self.scale as u64
    }

    /// These ticks in whole tokens.
    pub(super) const fn tokens(&self, ticks: u64) -> u64 {
        match ticks.checked_div(self.scale as u64) {
            Some(tokens) => tokens,
            None => 0,
        }
    }

    /// The ticks at `now`. They end at `u64::MAX`, which only a rate above a billion reaches.
    #[inline]
    pub(super) const fn clock(&self, now: Instant) -> u64 {
        match self.ticks_per_second {
            0 => 0,
            NANOS_PER_SECOND => now.as_nanos(),
            rate => scaled(now.as_nanos(), rate),
        }
    }

    /// The nanoseconds that these ticks take, rounded down; fewer than a token's.
    pub(super) const fn nanos(&self, ticks: u64) -> u64 {
        match (ticks * NANOS_PER_SECOND as u64).checked_div(self.ticks_per_second as u64) {
            Some(nanos) => nanos,
            None => 0,
        }
    }
}

/// `nanos * rate / 10^9`, rounded down. Whole seconds apart from the rest, so that 64 bits are
/// enough: 128 would take 1 200 bytes of a small target's flash.
const fn scaled(nanos: u64, rate: u32) -> u64 {
    const NANOS: u64 = NANOS_PER_SECOND as u64;
    let whole = (nanos / NANOS).saturating_mul(rate as u64);
    whole.saturating_add(nanos % NANOS * rate as u64 / NANOS)
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_those_of_128_bits() {
        let instants = [0, 1, 999_999_999, 1_000_000_000, 123_456_789_012_345, u64::MAX];
        for rate in [1, 3, 7, 999, 60_000, 999_999_999, 1_000_000_001, u32::MAX] {
            for nanos in instants {
                let exact = u128::from(nanos) * u128::from(rate) / 1_000_000_000;
                assert_eq!(u128::from(scaled(nanos, rate)), exact.min(u128::from(u64::MAX)));
            }
        }
    }

    #[test]
    fn a_tick_is_about_a_nanosecond() {
        for (rate, scale, ticks_per_second) in [
            (0, 1, 0),
            (1, 1_000_000_000, 1_000_000_000),
            (3, 333_333_333, 999_999_999),
            (10_000, 100_000, 1_000_000_000),
            (700_000_000, 1, 700_000_000),
            (u32::MAX, 1, u32::MAX),
        ] {
            let rules = BudgetRules::new(BudgetConfig {
                deposit_per_second: rate,
                ..BudgetConfig::UNLIMITED
            })
            .unwrap();
            assert_eq!((rules.scale, rules.ticks_per_second), (scale, ticks_per_second));
        }
    }
}
