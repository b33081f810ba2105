//! Never overdrawn, and what is given back is there again.

use crossbridge_core::retry::SharedRetryBudget;
use crossbridge_core::{BudgetConfig, FaultKind, Instant};
use loom::sync::Arc;

use crate::together;

/// Tokens for so many retries, and none to be earned.
fn retries(count: u32) -> SharedRetryBudget {
    let config = BudgetConfig {
        capacity: 7 * count,
        retry_cost: 7,
        throttled_retry_cost: 7,
        deposit_on_first_success: 0,
        ..BudgetConfig::AWS
    };
    let budget = SharedRetryBudget::new(config).expect("in its ranges");
    assert_eq!(budget.tokens(Instant::ZERO), 7 * count);
    budget.on_end();
    budget
}

#[test]
fn never_overdrawn() {
    loom::model(|| {
        let shared = Arc::new(retries(1));
        let paid = together::<2, _, _>(&shared, |shared, _| {
            shared.withdraw(Instant::ZERO, FaultKind::Transient).is_some()
        });
        assert!(paid[0] != paid[1], "tokens for one");
        assert_eq!(shared.tokens(Instant::ZERO), 0);
    });
}

#[test]
fn what_was_not_used_is_there_again() {
    loom::model(|| {
        let shared = Arc::new(retries(2));
        let paid = together::<2, _, _>(&shared, |shared, which| {
            let receipt = shared
                .withdraw(Instant::ZERO, FaultKind::Transient)
                .expect("two are there");
            if which == 0 {
                shared.refund(receipt);
            } else {
                shared.on_retry_failure(receipt);
            }
        });
        assert_eq!(paid.len(), 2);
        assert_eq!(shared.tokens(Instant::ZERO), 7);
    });
}
