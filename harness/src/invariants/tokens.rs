//! What has been used of a quota and of a retry budget.

use crossbridge_core::time::nanos;
use crossbridge_core::{BudgetConfig, FaultKind, Quota};

/// A bucket that leaks: full means that some window has had all the quota admits in it.
///
/// In every window of length `w` at most `capacity + w / interval` are admitted exactly if the bucket,
/// which gains an interval for each and loses as much as time passes, never holds more than
/// `capacity` intervals.
#[derive(Debug)]
pub(super) struct QuotaBook {
    quota: Quota,
    /// In nanoseconds.
    level: u128,
    last: u64,
}

impl QuotaBook {
    pub(super) const fn new(quota: Quota) -> Self {
        Self {
            quota,
            level: 0,
            last: 0,
        }
    }

    /// A permit was taken; what is wrong with that.
    pub(super) fn take(&mut self, now: u64) -> Option<String> {
        // Rounded up by the quota, which would make the books stricter than it is: the fractions of
        // the fastest quotas are given back.
        let interval = nanos(self.quota.emission_interval());
        let interval = if interval < 1_024 {
            interval.saturating_sub(1)
        } else {
            interval
        };
        let most = u128::from(interval) * u128::from(self.quota.capacity());
        let passed = u128::from(now.saturating_sub(self.last));
        self.last = now;
        self.level = self.level.saturating_sub(passed) + u128::from(interval);
        if self.level <= most {
            return None;
        }
        let above = self.level - most;
        // Told once: what was taken too much is forgotten.
        self.level = most;
        Some(format!(
            "a permit {above} ns early; {} at once and one every {interval} ns are allowed",
            self.quota.capacity()
        ))
    }
}

/// The tokens of a retry budget, in billionths.
#[derive(Debug)]
pub(super) struct TokenBook {
    config: BudgetConfig,
    tokens: i128,
    last: u64,
}

const TOKEN: i128 = 1_000_000_000;

impl TokenBook {
    pub(super) fn new(config: BudgetConfig) -> Self {
        Self {
            config,
            tokens: i128::from(config.capacity) * TOKEN,
            last: 0,
        }
    }

    /// A call begins.
    pub(super) fn on_call(&mut self, now: u64) {
        self.pass(now);
        self.earn(self.config.deposit_per_call);
    }

    /// An attempt succeeded: the first one, or a retry that cost so much.
    pub(super) fn on_success(&mut self, number: u32, paid: Option<u32>) {
        match paid {
            None if number == 1 => self.earn(self.config.deposit_on_first_success),
            None => {}
            Some(cost) => {
                self.earn(if self.config.refund_on_success { cost } else { 0 });
                self.earn(self.config.deposit_on_retry_success);
            }
        }
    }

    /// A retry that cost so much was never sent.
    pub(super) fn refund(&mut self, cost: u32) {
        self.earn(cost);
    }

    /// A retry is paid for: its cost, and what is wrong with that.
    pub(super) fn pay(&mut self, now: u64, fault: FaultKind) -> (u32, Option<String>) {
        self.pass(now);
        let cost = if fault == FaultKind::Throttled {
            self.config.throttled_retry_cost
        } else {
            self.config.retry_cost
        };
        let before = self.tokens;
        self.tokens -= i128::from(cost) * TOKEN;
        // The budget counts time in ticks of about a nanosecond: so much may be rounded.
        let slack = 4 * i128::from(self.config.deposit_per_second);
        if self.tokens >= -slack {
            return (cost, None);
        }
        self.tokens = 0;
        let found = format!("a retry for {cost} tokens, and only {} are there", before / TOKEN);
        (cost, Some(found))
    }

    fn pass(&mut self, now: u64) {
        let passed = i128::from(now.saturating_sub(self.last));
        self.last = now;
        self.tokens += passed * i128::from(self.config.deposit_per_second);
        self.cap();
    }

    fn earn(&mut self, tokens: u32) {
        self.tokens += i128::from(tokens) * TOKEN;
        self.cap();
    }

    fn cap(&mut self) {
        self.tokens = self.tokens.min(i128::from(self.config.capacity) * TOKEN);
    }
}
