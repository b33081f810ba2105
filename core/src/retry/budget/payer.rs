//! Who pays for a retry.

#[cfg(target_has_atomic = "64")]
use super::SharedRetryBudget;
use super::{Receipt, RetryBudget};
use crate::fault::FaultKind;
use crate::time::Instant;

/// Where the price of a retry comes from: a budget of its own, one that is shared, or none.
///
/// `Option<B>` is a budget too: without one, retries are free.
pub trait Budget {
    /// A call begins.
    fn on_call(&mut self, now: Instant) {
        let _ = now;
    }

    /// A call's first attempt succeeded.
    fn on_first_success(&mut self) {}

    /// Pays for a retry after a failure of this kind; `None` when that is not allowed.
    fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt>;

    /// The retry paid for with this receipt succeeded.
    fn on_retry_success(&mut self, receipt: Receipt) {
        drop(receipt);
    }

    /// The retry paid for with this receipt was sent and failed.
    fn on_retry_failure(&mut self, receipt: Receipt) {
        drop(receipt);
    }

    /// The retry paid for with this receipt is not made.
    fn refund(&mut self, receipt: Receipt) {
        drop(receipt);
    }

    /// A call is over, however it ended.
    fn on_end(&mut self) {}
}

/// Retries are free without a budget.
impl<B: Budget> Budget for Option<B> {
    fn on_call(&mut self, now: Instant) {
        if let Some(budget) = self {
            budget.on_call(now);
        }
    }

    fn on_first_success(&mut self) {
        if let Some(budget) = self {
            budget.on_first_success();
        }
    }

    fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        match self {
            Some(budget) => budget.withdraw(now, kind),
            None => Some(Receipt(0)),
        }
    }

    fn on_retry_success(&mut self, receipt: Receipt) {
        if let Some(budget) = self {
            budget.on_retry_success(receipt);
        }
    }

    fn on_retry_failure(&mut self, receipt: Receipt) {
        if let Some(budget) = self {
            budget.on_retry_failure(receipt);
        }
    }

    fn refund(&mut self, receipt: Receipt) {
        if let Some(budget) = self {
            budget.refund(receipt);
        }
    }

    fn on_end(&mut self) {
        if let Some(budget) = self {
            budget.on_end();
        }
    }
}

impl<B: Budget + ?Sized> Budget for &mut B {
    fn on_call(&mut self, now: Instant) {
        (**self).on_call(now);
    }

    fn on_first_success(&mut self) {
        (**self).on_first_success();
    }

    fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        (**self).withdraw(now, kind)
    }

    fn on_retry_success(&mut self, receipt: Receipt) {
        (**self).on_retry_success(receipt);
    }

    fn on_retry_failure(&mut self, receipt: Receipt) {
        (**self).on_retry_failure(receipt);
    }

    fn refund(&mut self, receipt: Receipt) {
        (**self).refund(receipt);
    }

    fn on_end(&mut self) {
        (**self).on_end();
    }
}

impl Budget for RetryBudget {
    fn on_call(&mut self, now: Instant) {
        Self::on_call(self, now);
    }

    fn on_first_success(&mut self) {
        Self::on_first_success(self);
    }

    fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        Self::withdraw(self, now, kind)
    }

    fn on_retry_success(&mut self, receipt: Receipt) {
        Self::on_retry_success(self, receipt);
    }

    fn on_retry_failure(&mut self, receipt: Receipt) {
        Self::on_retry_failure(self, receipt);
    }

    fn refund(&mut self, receipt: Receipt) {
        Self::refund(self, receipt);
    }

    fn on_end(&mut self) {
        Self::on_end(self);
    }
}

#[cfg(target_has_atomic = "64")]
impl Budget for &SharedRetryBudget {
    fn on_call(&mut self, now: Instant) {
        SharedRetryBudget::on_call(self, now);
    }

    fn on_first_success(&mut self) {
        SharedRetryBudget::on_first_success(self);
    }

    fn withdraw(&mut self, now: Instant, kind: FaultKind) -> Option<Receipt> {
        SharedRetryBudget::withdraw(self, now, kind)
    }

    fn on_retry_success(&mut self, receipt: Receipt) {
        SharedRetryBudget::on_retry_success(self, receipt);
    }

    fn on_retry_failure(&mut self, receipt: Receipt) {
        SharedRetryBudget::on_retry_failure(self, receipt);
    }

    fn refund(&mut self, receipt: Receipt) {
        SharedRetryBudget::refund(self, receipt);
    }

    fn on_end(&mut self) {
        SharedRetryBudget::on_end(self);
    }
}
