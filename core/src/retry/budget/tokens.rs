//! What a budget holds: the pure steps, and the state of the exclusive form.
//!
//! The state is one number, the tick at which nothing would be missing any more. It is what the
//! theoretical arrival time is to a rate limiter: to spend moves it on, to earn moves it back, and
//! what comes by the second comes by itself, for time passes.
//!
//! ```text
//!        now              full_at                    now + capacity
//!   ──────┼──────────────────┼──────────────────────────┼───▶ ticks
//!         │◀──── missing ───▶│◀───── what is left ─────▶│
//! ```

use core::time::Duration;

use super::in_flight::InFlight;
use super::{BudgetRules, BudgetSnapshot, Receipt, Reserve};
use crate::fault::FaultKind;
use crate::snapshot::{RestoreError, VERSION};
use crate::time::Instant;

/// When nothing would be missing any more, in ticks. A tick that has passed means a full budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct FullAt(pub(super) u64);

/// What became of a retry's price, and what is stored then.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Paid(FullAt),
    Refused(FullAt),
}

impl FullAt {
    /// Nothing is missing, whatever the time is.
    pub(super) const FULL: Self = Self(0);

    /// Ticks that are missing; more than the capacity after a clock stepped back.
    #[inline]
    pub(super) const fn missing(self, now: u64) -> u64 {
        self.0.saturating_sub(now)
    }

    /// Whole tokens there are.
    pub(super) fn tokens(self, now: u64, rules: &BudgetRules) -> u32 {
        let left = rules.ticks(rules.capacity()).saturating_sub(self.missing(now));
        // At most the capacity, which fits.
        u32::try_from(rules.tokens(left)).unwrap_or(u32::MAX)
    }

    /// With so many tokens more, as far as they are missing.
    #[inline]
    pub(super) const fn earn(self, now: u64, tokens: u32, rules: &BudgetRules) -> Self {
        if self.0 <= now {
            return self;
        }
        Self(self.0.saturating_sub(rules.ticks(tokens)))
    }

    /// Pays `cost`, where that leaves what has to be left.
    #[inline]
    pub(super) fn spend(self, now: u64, cost: u32, rules: &BudgetRules) -> Spent {
        let capacity = rules.ticks(rules.capacity());
        let most = match rules.reserve() {
            None => capacity,
            // More than the reserve has to be left.
            Some(Reserve(kept)) => capacity.saturating_sub(rules.ticks(kept)).saturating_sub(1),
        };
        // At the end of the clock there is no tick to store: nothing more is paid.
        let next = self.0.max(now).checked_add(rules.ticks(cost));
        if let Some(next) = next
            && next - now <= most
        {
            return Spent::Paid(Self(next));
        }
        if rules.reserve().is_none() {
            return Spent::Refused(self);
        }
        // It failed, and counts: down to nothing, but no thread that is late gives anything back.
        let empty = now.saturating_add(capacity);
        Spent::Refused(Self(next.unwrap_or(empty).min(empty).max(self.0)))
    }

    pub(super) fn snapshot(self, now: u64, rules: &BudgetRules) -> BudgetSnapshot {
        let left = rules.ticks(rules.capacity()).saturating_sub(self.missing(now));
        let tokens = self.tokens(now, rules);
        let part = left.saturating_sub(rules.ticks(tokens));
        BudgetSnapshot {
            version: VERSION,
            tokens,
            unbooked: Duration::from_nanos(rules.nanos(part)),
        }
    }

    pub(super) fn restore(
        rules: &BudgetRules,
        from: &BudgetSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let Some(missing) = rules.capacity().checked_sub(from.tokens) else {
            let found = from.tokens.into();
            return Err(RestoreError {
                field: "tokens",
                found,
                expected: "at most the capacity",
            });
        };
        let unbooked = rules.clock(Instant::ZERO.saturating_add(from.unbooked));
        let missing = rules.ticks(missing).saturating_sub(unbooked);
        Ok(Self(rules.clock(now).saturating_add(missing)))
    }
}

/// The state of a budget that one owner has, apart from its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Tokens {
    full_at: FullAt,
    /// The tick of the last input.
    last_seen: u64,
    in_flight: InFlight,
}

impl Tokens {
    /// Full.
    pub(crate) const fn new() -> Self {
        Self {
            full_at: FullAt::FULL,
            last_seen: 0,
            in_flight: InFlight::NONE,
        }
    }

    /// Tokens there are.
    pub(crate) fn left(&self, rules: &BudgetRules, now: Instant) -> u32 {
        let now = rules.clock(now);
        self.since_step(now).tokens(now, rules)
    }

    /// A call begins.
    #[inline]
    pub(crate) fn on_call(&mut self, rules: &BudgetRules, now: Instant) {
        if rules.concurrency().is_some() {
            self.in_flight.begin();
        }
        let now = self.observe(rules, now);
        self.full_at = self.full_at.earn(now, rules.per_call(), rules);
    }

    /// A call is over.
    #[inline]
    pub(crate) fn on_end(&mut self, rules: &BudgetRules) {
        if rules.concurrency().is_some() {
            self.in_flight.end();
        }
    }

    /// A call's first attempt succeeded.
    #[inline]
    pub(crate) fn on_first_success(&mut self, rules: &BudgetRules) {
        self.earn(rules, rules.per_first_success());
    }

    /// Pays for a retry after a failure of this kind; `None` when that is not allowed.
    #[inline]
    pub(crate) fn withdraw(&mut self, rules: &BudgetRules, now: Instant, kind: FaultKind) -> Option<Receipt> {
        let now = self.observe(rules, now);
        if let Some(gate) = rules.concurrency()
            && !self.in_flight.has_room(gate)
        {
            return None;
        }
        let cost = rules.cost(kind);
        match self.full_at.spend(now, cost, rules) {
            Spent::Paid(next) => {
                self.full_at = next;
                if rules.concurrency().is_some() {
                    self.in_flight.retry();
                }
                Some(Receipt(cost))
            }
            Spent::Refused(next) => {
                self.full_at = next;
                None
            }
        }
    }

    /// The retry paid for with this receipt succeeded.
    pub(crate) fn on_retry_success(&mut self, rules: &BudgetRules, receipt: Receipt) {
        self.earn(rules, rules.per_retry_success(receipt.0));
        self.on_retry_failure(rules, receipt);
    }

    /// The retry paid for with this receipt failed.
    #[inline]
    pub(crate) fn on_retry_failure(&mut self, rules: &BudgetRules, receipt: Receipt) {
        let Receipt(_) = receipt;
        if rules.concurrency().is_some() {
            self.in_flight.settle();
        }
    }

    /// The retry paid for with this receipt is not made.
    pub(crate) fn refund(&mut self, rules: &BudgetRules, receipt: Receipt) {
        self.earn(rules, receipt.0);
        self.on_retry_failure(rules, receipt);
    }

    /// The state at `now`.
    pub(crate) fn snapshot(&self, rules: &BudgetRules, now: Instant) -> BudgetSnapshot {
        let now = rules.clock(now);
        self.since_step(now).snapshot(now, rules)
    }

    /// The state that was taken a snapshot of, at `now`.
    pub(crate) fn restore(
        rules: &BudgetRules,
        from: &BudgetSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        Ok(Self {
            full_at: FullAt::restore(rules, from, now)?,
            last_seen: rules.clock(now),
            in_flight: InFlight::NONE,
        })
    }

    /// More than the capacity is as much as the capacity, so the time does not matter.
    #[inline]
    fn earn(&mut self, rules: &BudgetRules, tokens: u32) {
        self.full_at = self.full_at.earn(0, tokens, rules);
    }

    /// The tick of `now`. What is remembered moves back with a clock that went back.
    #[inline]
    fn observe(&mut self, rules: &BudgetRules, now: Instant) -> u64 {
        if !rules.earns_by_time() {
            return 0;
        }
        let now = rules.clock(now);
        self.full_at = self.since_step(now);
        self.last_seen = now;
        now
    }

    #[inline]
    const fn since_step(&self, now: u64) -> FullAt {
        let step = self.last_seen.saturating_sub(now);
        FullAt(self.full_at.0.saturating_sub(step))
    }
}
