//! The shared budget: alone it answers like the exclusive one, together it is never overdrawn.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Barrier;
use std::thread;

use crossbridge_core::retry::{Concurrency, Receipt, Reserve, RetryBudget, SharedRetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, PerMille};
use proptest::prelude::*;

use crate::budget::{Op, any_config, ops};
use crate::{any_nanos, check, log_uniform, per_mille};

/// Every configuration, each gate in some of them.
pub(crate) fn any_gated() -> impl Strategy<Value = BudgetConfig> {
    let concurrency = (per_mille(0, 1_000), 1..4_u32).prop_map(|(share, min)| Concurrency { share, min });
    let inputs = (
        any_config(),
        prop::option::of(0..200_u32),
        prop::option::of(concurrency),
    );
    inputs.prop_map(|(config, kept, concurrency)| {
        let cost = config.retry_cost.max(config.throttled_retry_cost);
        let room = config.capacity - cost;
        BudgetConfig {
            // Where there is no room for one there is none.
            reserve: kept.filter(|_| room > 0).map(|kept| Reserve(kept % room)),
            concurrency,
            ..config
        }
    })
}

#[test]
fn alone_it_answers_like_the_exclusive_one() {
    check(
        400,
        (any_gated(), ops(), log_uniform(0, 1 << 60)),
        |(config, ops, start)| {
            let mut one = RetryBudget::new(config).unwrap();
            let shared = SharedRetryBudget::new(config).unwrap();
            let mut receipts: Vec<(Receipt, Receipt)> = Vec::new();
            let mut now = start;
            for op in ops {
                let at = Instant::from_nanos(now);
                match op {
                    Op::Wait(span) => now += span,
                    Op::Call => {
                        one.on_call(at);
                        shared.on_call(at);
                    }
                    Op::End => {
                        one.on_end();
                        shared.on_end();
                    }
                    Op::FirstSuccess => {
                        one.on_first_success();
                        shared.on_first_success();
                    }
                    Op::Withdraw(kind) => {
                        let (said, wanted) = (shared.withdraw(at, kind), one.withdraw(at, kind));
                        assert_eq!(said, wanted);
                        receipts.extend(said.zip(wanted));
                    }
                    Op::Settle(index, how) if !receipts.is_empty() => {
                        let (mine, theirs) = receipts.swap_remove(index % receipts.len());
                        match how {
                            0 => {
                                shared.refund(mine);
                                one.refund(theirs);
                            }
                            1 => {
                                shared.on_retry_success(mine);
                                one.on_retry_success(theirs);
                            }
                            _ => {
                                shared.on_retry_failure(mine);
                                one.on_retry_failure(theirs);
                            }
                        }
                    }
                    Op::Settle(..) => {}
                }
                let at = Instant::from_nanos(now);
                assert_eq!(shared.tokens(at), one.tokens(at));
                assert_eq!(shared.snapshot(at), one.snapshot(at));
            }
            let (taken, at) = (
                shared.snapshot(Instant::from_nanos(now)),
                Instant::from_nanos(now),
            );
            let restored = SharedRetryBudget::restore(config, &taken, at).unwrap();
            assert_eq!(restored.tokens(at), shared.tokens(at));
        },
    );
}

/// What so many threads did, added up. They start together.
fn together(threads: usize, work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let start = Barrier::new(threads);
    let work = |who| {
        start.wait();
        work(who)
    };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..threads).map(|who| scope.spawn(move || work(who))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// tower overdraws 3 of 300 such races.
#[test]
fn threads_spend_a_full_budget_exactly() {
    for round in 0..10 {
        let config = BudgetConfig {
            capacity: 300_000 + round,
            retry_cost: 7,
            ..BudgetConfig::UNLIMITED
        };
        let budget = SharedRetryBudget::new(config).unwrap();
        let withdraw = |_| {
            (0..30_000)
                .filter(|_| budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some())
                .count() as u64
        };
        let paid = together(4, withdraw);
        assert_eq!(paid, u64::from(config.capacity / 7));
        assert_eq!(
            u64::from(budget.tokens(Instant::ZERO)),
            u64::from(config.capacity) - 7 * paid
        );
    }
}

/// Nothing is lost and nothing is made: a big enough budget holds, in the end, what was paid in
/// less what was paid out.
#[test]
fn threads_keep_one_account() {
    let config = BudgetConfig {
        capacity: 4_000_000,
        retry_cost: 14,
        deposit_per_call: 3,
        deposit_on_first_success: 2,
        ..BudgetConfig::UNLIMITED
    };
    let budget = SharedRetryBudget::new(config).unwrap();
    // Room for every deposit: none of them is cut off at the capacity.
    let opened = (0..200_000).filter(|_| budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
    assert_eq!(opened.count(), 200_000);
    let paid = together(4, |who| {
        let mut paid = 0;
        for turn in 0..50_000 {
            budget.on_call(Instant::ZERO);
            match (turn + who) % 3 {
                0 => budget.on_first_success(),
                1 => paid += u64::from(budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some()),
                _ => budget
                    .withdraw(Instant::ZERO, FaultKind::Transient)
                    .into_iter()
                    .for_each(|receipt| budget.refund(receipt)),
            }
        }
        paid
    });
    let successes = (0..4).map(|who| (0..50_000).filter(|turn| (turn + who) % 3 == 0).count() as u64);
    let earned = 4 * 50_000 * 3 + successes.sum::<u64>() * 2;
    let left = 4_000_000 - 200_000 * 14 + earned - paid * 14;
    assert_eq!(u64::from(budget.tokens(Instant::ZERO)), left);
}

/// With a rate, under a clock that every thread moves on: never more than the rate and the burst.
#[test]
fn threads_never_exceed_the_rate() {
    for (step, rate) in [(10, 1_000_000), (1_000, 300_000), (7, 999_999_999)] {
        let config = BudgetConfig {
            capacity: 20,
            retry_cost: 2,
            deposit_per_second: rate,
            ..BudgetConfig::UNLIMITED
        };
        let budget = SharedRetryBudget::new(config).unwrap();
        let clock = AtomicU64::new(0);
        let paid = together(4, |_| {
            (0..5_000)
                .filter(|_| {
                    let now = Instant::from_nanos(clock.fetch_add(step, Ordering::Relaxed));
                    assert!(budget.tokens(now) <= config.capacity);
                    budget.withdraw(now, FaultKind::Transient).is_some()
                })
                .count() as u64
        });
        let earned = clock.load(Ordering::Relaxed) * u64::from(rate) / 1_000_000_000;
        assert!(paid * 2 <= 20 + earned, "{paid} retries of {earned} tokens");
        assert!(paid > 10, "the burst");
    }
}

#[test]
fn threads_never_exceed_the_concurrency() {
    let gate = Concurrency {
        share: PerMille::new(250).unwrap(),
        min: 2,
    };
    let config = BudgetConfig {
        concurrency: Some(gate),
        ..BudgetConfig::UNLIMITED
    };
    let budget = SharedRetryBudget::new(config).unwrap();
    // Twelve calls under way for the whole time: three retries, at most.
    (0..12).for_each(|_| budget.on_call(Instant::ZERO));
    let under_way = AtomicU64::new(0);
    let paid = together(4, |_| {
        let mut paid = 0;
        for _ in 0..5_000 {
            let taken: Vec<_> = (0..2)
                .filter_map(|_| budget.withdraw(Instant::ZERO, FaultKind::Transient))
                .collect();
            let new = taken.len() as u64;
            assert!(under_way.fetch_add(new, Ordering::SeqCst) + new <= 3);
            paid += new;
            for receipt in taken {
                under_way.fetch_sub(1, Ordering::SeqCst);
                budget.on_retry_failure(receipt);
            }
        }
        paid
    });
    assert!(paid >= 5_000);
    // Every receipt came back: there is room for three again, and no more.
    let last: Vec<_> = (0..5)
        .filter_map(|_| budget.withdraw(Instant::ZERO, FaultKind::Transient))
        .collect();
    assert_eq!(last.len(), 3);
}

/// A thread that read the clock before the others spends nothing that they have spent.
#[test]
fn a_late_thread_moves_nothing_back() {
    let inputs = (
        any_gated(),
        0..1_000_000_000_u64,
        log_uniform(2_000_000_000, 1 << 60),
    );
    check(400, inputs, |(config, late, now)| {
        let budget = SharedRetryBudget::new(config).unwrap();
        let (at, early) = (Instant::from_nanos(now), Instant::from_nanos(now - late));
        while budget.tokens(at) > 0 && budget.withdraw(at, FaultKind::Transient).is_some() {
            if config.retry_cost == 0 {
                break;
            }
        }
        let before = budget.tokens(at);
        let paid = budget.withdraw(early, FaultKind::Transient);
        let spent = paid.map_or(0, |receipt| receipt.cost());
        assert!(budget.tokens(at) <= before - spent);
    });
}

/// However far the clock steps back: after a refill and the slack a retry is paid for.
#[test]
fn a_step_back_locks_for_one_refill_and_the_slack() {
    let inputs = (
        1..50_u32,
        1..1_000_u32,
        log_uniform(0, 1 << 60),
        log_uniform(0, 1 << 60),
    );
    check(400, inputs, |(capacity, rate, now, step)| {
        let config = BudgetConfig {
            capacity,
            retry_cost: capacity,
            deposit_per_second: rate,
            ..BudgetConfig::UNLIMITED
        };
        let budget = SharedRetryBudget::new(config).unwrap();
        assert!(
            budget
                .withdraw(Instant::from_nanos(now), FaultKind::Transient)
                .is_some()
        );
        let back = now.saturating_sub(step);
        let _ = budget.withdraw(Instant::from_nanos(back), FaultKind::Transient);
        let refill = u64::from(capacity) * 1_000_000_000 / u64::from(rate) + u64::from(capacity);
        let later = Instant::from_nanos(back + refill).saturating_add(SharedRetryBudget::LATE);
        assert!(budget.withdraw(later, FaultKind::Transient).is_some());
    });
}

#[test]
fn any_now_and_any_order_stay_within_the_capacity() {
    let steps = prop::collection::vec((any_nanos(), 0..6_u8), 1..60);
    check(400, (any_gated(), steps), |(config, steps)| {
        let shared = SharedRetryBudget::new(config).unwrap();
        let mut one = RetryBudget::new(config).unwrap();
        let mut receipts = Vec::new();
        for (nanos, what) in steps {
            let now = Instant::from_nanos(nanos);
            match what {
                0 => {
                    shared.on_call(now);
                    one.on_call(now);
                }
                1 => {
                    shared.on_first_success();
                    one.on_first_success();
                }
                2 => {
                    shared.on_end();
                    one.on_end();
                }
                3 => receipts.extend(
                    shared
                        .withdraw(now, FaultKind::Transient)
                        .zip(one.withdraw(now, FaultKind::Transient)),
                ),
                _ => receipts.pop().into_iter().for_each(|(mine, theirs)| {
                    shared.on_retry_success(mine);
                    one.on_retry_success(theirs);
                }),
            }
            assert!(shared.tokens(now) <= config.capacity && one.tokens(now) <= config.capacity);
        }
    });
}
