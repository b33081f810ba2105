//! The budget shared by threads: one atomic word around the same pure steps.

use crate::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use super::in_flight::InFlight;
use super::tokens::{FullAt, Spent};
use super::{BudgetConfig, BudgetRules, BudgetSnapshot, Receipt};
use crate::ConfigError;
use crate::fault::FaultKind;
use crate::snapshot::RestoreError;
use crate::time::Instant;

/// A retry budget that many threads earn for and spend from, without a lock.
///
/// ```text
///   earn:   load full_at ──▶ full? ──yes──▶ nothing is written
///              ▲               └──no──▶ compare-and-swap ──▶ done
///              └──────────────── lost ────────┘
///   spend:  load full_at ──▶ enough? ──no──▶ refused, nothing is written
///              ▲               └──yes─▶ compare-and-swap ──▶ receipt
///              └──────────────── lost ────────┘
/// ```
///
/// # Rules
/// - Those of the [module](super), and the answers of [`RetryBudget`](super::RetryBudget). It is
///   never overdrawn and never above its capacity, however many threads ask (tower's pays for 3
///   retries too many in 300 races).
/// - A call that goes well costs a load where the budget is full, else one compare-and-swap.
///   [`Concurrency`](super::Concurrency) keeps its counts in a second word and adds two.
/// - Threads read the clock before they ask, so `now` may be older than another's: up to
///   [`LATE`](Self::LATE) older it sees what is left at the later one. Further back the clock stepped:
///   the budget counts as empty, and is full again within one refill and [`LATE`](Self::LATE). Time
///   matters only where tokens come by the second.
///
/// The targets are those with 64-bit atomics. Elsewhere a budget belongs to one owner.
///
/// ```
/// use crossbridge_core::retry::SharedRetryBudget;
/// use crossbridge_core::{BudgetConfig, FaultKind, Instant};
///
/// static STORAGE: SharedRetryBudget = match SharedRetryBudget::new(BudgetConfig::AWS) {
///     Ok(budget) => budget,
///     Err(_) => panic!("refused"),
/// };
/// let now = Instant::ZERO;
/// STORAGE.on_call(now);
/// let receipt = STORAGE.withdraw(now, FaultKind::Transient).expect("a full budget pays");
/// assert_eq!(STORAGE.tokens(now), 486);
/// STORAGE.on_retry_success(receipt);
/// STORAGE.on_end();
/// assert_eq!(STORAGE.tokens(now), 500);
/// ```
#[derive(Debug)]
pub struct SharedRetryBudget {
    rules: BudgetRules,
    // Every access of both is Relaxed. A word publishes no other memory, so there is nothing to
    // acquire or release; and the changes of one atomic have one order that all threads agree on,
    // so each successful compare-and-swap applies the step to the value it replaces.
    full_at: AtomicU64,
    in_flight: AtomicU64,
}

impl SharedRetryBudget {
    /// How much older than another thread's a `now` may be before it counts as a clock that
    /// stepped back: as long as a thread may be off its core between reading the clock and asking.
    pub const LATE: Duration = Duration::from_secs(1);

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
            full_at: AtomicU64::new(FullAt::FULL.0),
            in_flight: AtomicU64::new(InFlight::NONE.word()),
        }
    }

    /// Tokens there are, deposits per second up to `now` included.
    #[must_use]
    pub fn tokens(&self, now: Instant) -> u32 {
        FullAt(self.full_at.load(Relaxed)).tokens(self.rules.clock(now), &self.rules)
    }

    /// A call begins.
    #[inline]
    pub fn on_call(&self, now: Instant) {
        if self.rules.concurrency().is_some() {
            self.count(|in_flight| {
                in_flight.begin();
                true
            });
        }
        if self.rules.per_call() > 0 {
            self.earn(self.rules.clock(now), self.rules.per_call());
        }
    }

    /// A call's first attempt succeeded.
    #[inline]
    pub fn on_first_success(&self) {
        if self.rules.per_first_success() > 0 {
            self.earn(0, self.rules.per_first_success());
        }
    }

    /// Pays for a retry after a failure of this kind; `None` when that is not allowed.
    pub fn withdraw(&self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        if let Some(gate) = self.rules.concurrency()
            && !self.count(|in_flight| {
                let room = in_flight.has_room(gate);
                if room {
                    in_flight.retry();
                }
                room
            })
        {
            return None;
        }
        let cost = self.rules.cost(kind);
        if self.spend(self.rules.clock(now), cost) {
            return Some(Receipt(cost));
        }
        self.settle();
        None
    }

    /// The retry paid for with this receipt succeeded.
    pub fn on_retry_success(&self, receipt: Receipt) {
        self.earn(0, self.rules.per_retry_success(receipt.0));
        self.settle();
    }

    /// The retry paid for with this receipt was sent and failed.
    #[inline]
    pub fn on_retry_failure(&self, receipt: Receipt) {
        let Receipt(_) = receipt;
        self.settle();
    }

    /// The retry paid for with this receipt is not made.
    pub fn refund(&self, receipt: Receipt) {
        self.earn(0, receipt.0);
        self.settle();
    }

    /// A call is over, however it ended. Only [`Concurrency`](super::Concurrency) asks.
    #[inline]
    pub fn on_end(&self) {
        if self.rules.concurrency().is_some() {
            self.count(|in_flight| {
                in_flight.end();
                true
            });
        }
    }

    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BudgetSnapshot {
        FullAt(self.full_at.load(Relaxed)).snapshot(self.rules.clock(now), &self.rules)
    }

    /// The budget that was taken a snapshot of, at `now`; of an exclusive one as well.
    ///
    /// # Errors
    /// Those of [`RetryBudget::restore`](super::RetryBudget::restore).
    pub fn restore(config: BudgetConfig, from: &BudgetSnapshot, now: Instant) -> Result<Self, RestoreError> {
        Self::restore_under(BudgetRules::restore(config)?, from, now)
    }

    /// The same under rules that exist already.
    pub(crate) fn restore_under(
        rules: BudgetRules,
        from: &BudgetSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let FullAt(full_at) = FullAt::restore(&rules, from, now)?;
        Ok(Self {
            full_at: AtomicU64::new(full_at),
            ..Self::under(rules)
        })
    }

    #[inline]
    fn earn(&self, now: u64, tokens: u32) {
        let mut seen = self.full_at.load(Relaxed);
        loop {
            let FullAt(next) = FullAt(seen).earn(now, tokens, &self.rules);
            if next == seen {
                return;
            }
            match self.full_at.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(found) => seen = found,
            }
        }
    }

    #[inline]
    fn spend(&self, now: u64, cost: u32) -> bool {
        let mut seen = self.full_at.load(Relaxed);
        loop {
            let (paid, next) = match FullAt(seen).spend(now, cost, &self.rules) {
                Spent::Paid(FullAt(next)) => (true, next),
                Spent::Refused(FullAt(next)) => (false, self.at_most_late(next, now)),
            };
            if next == seen {
                return paid;
            }
            match self.full_at.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return paid,
                Err(found) => seen = found,
            }
        }
    }

    /// After a refusal. More is missing than there can be: this thread is late, and others have
    /// spent at a later tick, which stays; or the clock stepped back, and nothing is left.
    #[inline]
    fn at_most_late(&self, full_at: u64, now: u64) -> u64 {
        let empty = now.saturating_add(self.rules.ticks(self.rules.capacity()));
        // As many ticks as a second has: `LATE`.
        if full_at.saturating_sub(empty) > self.rules.ticks_per_second() {
            empty
        } else {
            full_at
        }
    }

    fn settle(&self) {
        if self.rules.concurrency().is_some() {
            self.count(|in_flight| {
                in_flight.settle();
                true
            });
        }
    }

    /// Applies a step to the counts, as one.
    fn count(&self, step: impl Fn(&mut InFlight) -> bool) -> bool {
        let mut seen = self.in_flight.load(Relaxed);
        loop {
            let mut counts = InFlight::from_word(seen);
            let answer = step(&mut counts);
            let next = counts.word();
            if next == seen {
                return answer;
            }
            match self.in_flight.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return answer,
                Err(found) => seen = found,
            }
        }
    }
}
