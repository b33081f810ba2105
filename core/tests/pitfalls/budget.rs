//! Budgets that do not keep their ratio, their rate or their gates.

use core::time::Duration;

use crossbridge_core::retry::{Concurrency, RetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, PerMille};

use crate::at_secs;

/// tower rounds a ratio of 0.6 up to 1.0.
#[test]
fn budget_ratio_06_grants_06() {
    let mut budget = RetryBudget::new(BudgetConfig::ratio(PerMille::new(600).unwrap(), 0, 10)).unwrap();
    let mut retries = 0;
    for _ in 0..1_000 {
        budget.on_call(Instant::ZERO);
        retries += u32::from(budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
    }
    assert!(
        (609..=610).contains(&retries),
        "{retries} retries for 1000 calls, and a burst of 10"
    );
}

/// tower grants the minimum of ten seconds at once, 100 retries at t = 0.
#[test]
fn budget_does_not_grant_ten_seconds_at_once() {
    let config = BudgetConfig::ratio(PerMille::new(200).unwrap(), 10, 1);
    let mut budget = RetryBudget::new(config).unwrap();
    let mut granted = |now| {
        (0..1_000)
            .filter(|_| budget.withdraw(now, FaultKind::Transient).is_some())
            .count()
    };
    assert_eq!(granted(Instant::ZERO), 1, "the burst");
    assert_eq!(granted(at_secs(10)), 1, "however long nobody asked");
    // Asked steadily, it is the rate it says.
    let a_second =
        (1..=100).map(|tenth| granted(at_secs(10).saturating_add(Duration::from_millis(10 * tenth))));
    assert_eq!(a_second.sum::<usize>(), 10);
}

/// The ratio bounds every retry, not only those in vain (Finagle); AWS pays successes back.
#[test]
fn a_ratio_is_not_refunded_by_success() {
    let tenth = PerMille::new(100).expect("a share");
    for (config, refunded) in [
        (BudgetConfig::ratio(tenth, 0, 5), false),
        (BudgetConfig::AWS, true),
    ] {
        let mut budget = RetryBudget::new(config).expect("a budget");
        let full = budget.tokens(Instant::ZERO);
        let receipt = budget
            .withdraw(Instant::ZERO, FaultKind::Transient)
            .expect("there is enough");
        budget.on_retry_success(receipt);
        assert_eq!(budget.tokens(Instant::ZERO) == full, refunded, "{config:?}");
    }
}

/// A budget of one retry that cuts each deposit off at its price grants 500 of 1 000 here.
#[test]
fn a_burst_of_one_keeps_the_ratio() {
    for (ratio, least) in [
        (600, 600),
        (700, 700),
        (300, 300),
        (1_000, 1_000),
        (333, 333),
        (10, 10),
    ] {
        let config = BudgetConfig::ratio(PerMille::new(ratio).unwrap(), 0, 1);
        let mut budget = RetryBudget::new(config).unwrap();
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.on_call(Instant::ZERO);
            retries += u32::from(budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
        }
        // The one it starts with may be above.
        assert!(
            (least..=least + 1).contains(&retries),
            "{retries} of {ratio} and a burst of 1"
        );
    }
}

/// The example of gRFC A6: ten tokens, a tenth for each success, retries above five only; and a
/// failure that is not retried counts as well, so that the way back is as long as the outage.
#[test]
fn grpc_retries_only_above_half() {
    let now = Instant::ZERO;
    let mut budget = RetryBudget::new(BudgetConfig::grpc(10, PerMille::new(100).unwrap())).unwrap();
    let fail = |budget: &mut RetryBudget| budget.withdraw(now, FaultKind::Transient);
    let paid = (0..100).filter(|_| fail(&mut budget).is_some()).count();
    assert_eq!(paid, 4, "9, 8, 7 and 6 are more than five");
    assert_eq!(budget.tokens(now), 0, "96 were refused and counted");
    // Sixty successes make six tokens: one failure leaves five, which is not more than five.
    (0..60).for_each(|_| budget.on_first_success());
    assert_eq!(budget.tokens(now), 6_000);
    assert!(fail(&mut budget).is_none());
    assert_eq!(budget.tokens(now), 5_000);
    (0..11).for_each(|_| budget.on_first_success());
    let receipt = fail(&mut budget).expect("5.1 are left");
    budget.on_retry_success(receipt);
    assert_eq!(
        budget.tokens(now),
        5_200,
        "a call that succeeds earns once, whichever attempt it was"
    );
}

/// Envoy: a fifth of the calls under way, rounded down, three at least.
#[test]
fn envoy_retries_a_fifth_at_once() {
    let now = Instant::ZERO;
    for (calls, allowed) in [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (24, 4), (100, 20)] {
        let mut budget = RetryBudget::new(BudgetConfig {
            concurrency: Some(Concurrency::ENVOY),
            ..BudgetConfig::UNLIMITED
        })
        .unwrap();
        (0..calls).for_each(|_| budget.on_call(now));
        let mut receipts = Vec::new();
        while let Some(receipt) = budget.withdraw(now, FaultKind::Transient) {
            receipts.push(receipt);
        }
        assert_eq!(receipts.len(), allowed, "{calls} calls");
        // One back, one more.
        budget.on_retry_failure(receipts.pop().unwrap());
        assert!(budget.withdraw(now, FaultKind::Transient).is_some());
        assert!(budget.withdraw(now, FaultKind::Transient).is_none());
    }
}

/// A receipt that is dropped would shut the gate for good.
#[test]
fn lost_receipts_do_not_shut_the_gate() {
    let now = Instant::ZERO;
    let mut budget = RetryBudget::new(BudgetConfig {
        concurrency: Some(Concurrency::ENVOY),
        ..BudgetConfig::UNLIMITED
    })
    .unwrap();
    (0..10).for_each(|_| budget.on_call(now));
    while let Some(lost) = budget.withdraw(now, FaultKind::Transient) {
        drop(lost);
    }
    (0..10).for_each(|_| budget.on_end());
    budget.on_call(now);
    assert!(budget.withdraw(now, FaultKind::Transient).is_some());
}

/// Time that is asked for often is not rounded away: seven tokens a second for an hour.
#[test]
fn a_rate_that_does_not_divide_a_second_loses_nothing() {
    let mut budget = RetryBudget::new(BudgetConfig {
        capacity: u32::MAX,
        retry_cost: u32::MAX,
        deposit_per_second: 7,
        ..BudgetConfig::UNLIMITED
    })
    .unwrap();
    assert!(budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
    for tick in 0..=100_000 {
        budget.on_call(Instant::from_nanos(tick * 36_000_000));
    }
    let tokens = budget.tokens(at_secs(3_600));
    assert!((25_199..=25_200).contains(&tokens), "{tokens}");
}

/// What is left stays left when the clock steps back, and the rest comes as if no time had passed.
#[test]
fn a_step_back_takes_nothing_away() {
    let mut budget = RetryBudget::new(BudgetConfig {
        capacity: 10,
        retry_cost: 10,
        deposit_per_second: 1,
        ..BudgetConfig::UNLIMITED
    })
    .unwrap();
    assert!(budget.withdraw(at_secs(7_200), FaultKind::Transient).is_some());
    budget.on_call(at_secs(7_203));
    assert_eq!(budget.tokens(at_secs(100)), 3);
    budget.on_call(at_secs(100));
    assert_eq!(budget.tokens(at_secs(106)), 9);
    assert!(budget.withdraw(at_secs(106), FaultKind::Transient).is_none());
    assert!(budget.withdraw(at_secs(107), FaultKind::Transient).is_some());
}
