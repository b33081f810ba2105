//! The retry budget against an account book in exact fractions.

use crossbridge_core::retry::{Receipt, Reserve, RetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, PerMille};
use proptest::prelude::*;

use crate::budget_shared::any_gated;
use crate::{any_nanos, check, log_uniform};

/// A token in the book's unit: what a rate of one a second earns in a nanosecond is 1.
const TOKEN: i128 = 1_000_000_000;

/// What is there, to the billionth of a token.
struct Book {
    config: BudgetConfig,
    balance: i128,
    /// How far the budget may be off, for it counts time in whole ticks: one at each end of a span,
    /// of which there are `10^9 / rate` to a token. Nothing where they are nanoseconds.
    slack: i128,
    booked_at: u64,
}

impl Book {
    fn new(config: BudgetConfig) -> Self {
        let rate = i128::from(config.deposit_per_second.max(1));
        let tick = TOKEN / (TOKEN / rate).max(1) + 1;
        Self {
            config,
            balance: i128::from(config.capacity) * TOKEN,
            slack: if TOKEN % rate == 0 { 0 } else { 2 * tick },
            booked_at: 0,
        }
    }

    fn earn(&mut self, now: u64) {
        let span = i128::from(now.saturating_sub(self.booked_at));
        self.booked_at = now;
        self.add(span * i128::from(self.config.deposit_per_second));
    }

    fn add(&mut self, billionths: i128) {
        self.balance = (self.balance + billionths).min(i128::from(self.config.capacity) * TOKEN);
    }

    fn most(&self) -> i128 {
        self.balance + self.slack
    }

    fn least(&self) -> i128 {
        self.balance - self.slack
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Wait(u64),
    Call,
    FirstSuccess,
    Withdraw(FaultKind),
    End,
    /// Hands back the receipt at this index, if there are any: not made, succeeded or failed.
    Settle(usize, u8),
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => log_uniform(0, 10_000_000_000).prop_map(Op::Wait),
        2 => Just(Op::Call),
        2 => Just(Op::FirstSuccess),
        6 => prop::sample::select(FaultKind::ALL.to_vec()).prop_map(Op::Withdraw),
        1 => Just(Op::End),
        3 => (any::<usize>(), 0..3_u8).prop_map(|(index, how)| Op::Settle(index, how)),
    ];
    prop::collection::vec(op, 1..80)
}

pub(crate) fn any_config() -> impl Strategy<Value = BudgetConfig> {
    let small = || 0..40_u32;
    let rate = prop_oneof![
        Just(0_u32),
        prop::sample::select(vec![1_u32, 2, 5, 10, 1_000, 1_000_000, 1_000_000_000]),
        1..3_000_000_u32,
    ];
    (1..200_u32, small(), small(), small(), small(), rate).prop_map(
        |(capacity, cost, throttled, call, first, rate)| BudgetConfig {
            capacity,
            retry_cost: cost.min(capacity),
            throttled_retry_cost: throttled.min(capacity),
            deposit_per_call: call,
            deposit_on_first_success: first,
            deposit_per_second: rate,
            refund_on_success: capacity % 2 == 0,
            deposit_on_retry_success: capacity % 5,
            ..BudgetConfig::UNLIMITED
        },
    )
}

#[test]
fn keeps_its_account_like_a_book() {
    check(
        400,
        (any_gated(), ops(), log_uniform(0, 1 << 60)),
        |(config, ops, start)| {
            let mut budget = RetryBudget::new(config).unwrap();
            let mut book = Book::new(config);
            let mut receipts: Vec<Receipt> = Vec::new();
            let (mut calls, mut retries) = (0_u32, 0_u32);
            let mut now = start;
            for op in ops {
                let at = Instant::from_nanos(now);
                match op {
                    Op::Wait(span) => now += span,
                    Op::Call => {
                        budget.on_call(at);
                        calls += 1;
                        book.earn(now);
                        book.add(i128::from(config.deposit_per_call) * TOKEN);
                    }
                    Op::FirstSuccess => {
                        budget.on_first_success();
                        book.add(i128::from(config.deposit_on_first_success) * TOKEN);
                    }
                    Op::Withdraw(kind) => {
                        book.earn(now);
                        let cost = if kind == FaultKind::Throttled {
                            config.throttled_retry_cost
                        } else {
                            config.retry_cost
                        };
                        let price = i128::from(cost) * TOKEN;
                        let kept = config.reserve.map(|Reserve(kept)| i128::from(kept) * TOKEN);
                        let enough = |there: i128| match kept {
                            None => there >= price,
                            Some(kept) => there - price > kept,
                        };
                        let room = config.concurrency.is_none_or(|gate| {
                            let share = u64::from(calls) * u64::from(gate.share.get()) / 1_000;
                            u64::from(retries) < share.max(u64::from(gate.min))
                        });
                        match budget.withdraw(at, kind) {
                            Some(receipt) => {
                                assert_eq!(receipt.cost(), cost);
                                assert!(room && enough(book.most()), "paid what is not allowed");
                                book.balance -= price;
                                retries += 1;
                                receipts.push(receipt);
                            }
                            None if !room => {}
                            None => {
                                assert!(!enough(book.least()), "kept what is there");
                                // gRPC counts a failure that is not retried as well.
                                if kept.is_some() {
                                    book.balance = (book.balance - price).max(0);
                                }
                            }
                        }
                    }
                    Op::End => {
                        budget.on_end();
                        calls -= u32::from(calls > 0);
                        retries = retries.min(calls);
                    }
                    Op::Settle(index, how) if !receipts.is_empty() => {
                        let receipt = receipts.swap_remove(index % receipts.len());
                        retries -= u32::from(retries > 0);
                        let cost = receipt.cost();
                        let back = match how {
                            0 => {
                                budget.refund(receipt);
                                cost
                            }
                            1 => {
                                budget.on_retry_success(receipt);
                                let refund = if config.refund_on_success { cost } else { 0 };
                                refund + config.deposit_on_retry_success
                            }
                            _ => {
                                budget.on_retry_failure(receipt);
                                0
                            }
                        };
                        book.add(i128::from(back) * TOKEN);
                    }
                    Op::Settle(..) => {}
                }
                // What a question says now, and what is written down.
                book.earn(now);
                let tokens = budget.tokens(Instant::from_nanos(now));
                assert!(tokens <= config.capacity);
                assert!(
                    i128::from(tokens) * TOKEN <= book.most(),
                    "{tokens} tokens, at most {}",
                    book.most()
                );
                assert!(
                    (i128::from(tokens) + 1) * TOKEN > book.least(),
                    "{tokens} tokens, at least {}",
                    book.least()
                );
            }
        },
    );
}

/// Whatever the rate and however often it is asked, never more than the rate, and less by the token
/// that is on its way at most.
#[test]
fn asking_often_earns_no_more() {
    let gaps = prop::collection::vec(1..40_u64, 300);
    check(
        100,
        (log_uniform(1, u64::from(u32::MAX)), gaps),
        |(rate, gaps)| {
            let config = BudgetConfig {
                capacity: u32::MAX,
                retry_cost: u32::MAX,
                deposit_per_second: u32::try_from(rate).unwrap(),
                ..BudgetConfig::UNLIMITED
            };
            let mut budget = RetryBudget::new(config).unwrap();
            assert!(budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
            let mut now = 0;
            for gap in &gaps {
                now += gap;
                budget.on_call(Instant::from_nanos(now));
            }
            let exact = u128::from(now) * u128::from(rate);
            let earned = u128::from(budget.tokens(Instant::from_nanos(now))) * 1_000_000_000;
            // Less than a token is on its way, and less than a tick was cut off.
            let tick = 1_000_000_000 / (1_000_000_000 / rate).max(1) + 1;
            let missing = 1_000_000_000 + u128::from(tick);
            assert!(earned <= exact && exact < earned + missing, "{earned} of {exact}");
        },
    );
}

/// Over any time, at most `ratio * calls + burst + rate * seconds` retries are paid for, where the
/// room above the burst counts as one call more.
#[test]
fn a_ratio_is_kept() {
    let steps = prop::collection::vec((log_uniform(0, 3_000_000_000), 0..4_u32, 0..4_u32), 1..120);
    let inputs = (0..=1_000_u16, 0..5_u32, 1..5_u32, steps);
    check(300, inputs, |(ratio, per_second, burst, steps)| {
        let config = BudgetConfig::ratio(PerMille::new(ratio).unwrap(), per_second, burst);
        let mut budget = RetryBudget::new(config).unwrap();
        let (mut now, mut calls, mut retries) = (0_u64, 0_u128, 0_u128);
        for (gap, begun, wanted) in steps {
            now += gap;
            for _ in 0..begun {
                budget.on_call(Instant::from_nanos(now));
                calls += 1;
            }
            for _ in 0..wanted {
                retries += u128::from(
                    budget
                        .withdraw(Instant::from_nanos(now), FaultKind::Transient)
                        .is_some(),
                );
            }
            // In thousandths of a billionth, so that nothing is rounded.
            let earned = u128::from(ratio) * (calls + 1) * 1_000_000_000
                + u128::from(burst) * 1_000_000_000_000
                + u128::from(per_second) * u128::from(now) * 1_000;
            assert!(
                retries * 1_000_000_000_000 <= earned,
                "{retries} retries for {calls} calls"
            );
        }
    });
}

#[test]
fn aws_pays_for_35_transient_or_100_throttled_retries_from_full() {
    for (kind, expected) in [(FaultKind::Transient, 35), (FaultKind::Throttled, 100)] {
        let mut budget = RetryBudget::new(BudgetConfig::AWS).unwrap();
        let paid = (0..1_000).filter(|_| budget.withdraw(Instant::ZERO, kind).is_some());
        assert_eq!(paid.count(), expected);
    }
}

#[test]
fn any_now_and_any_order_stay_within_the_capacity() {
    let number = || log_uniform(0, u64::from(u32::MAX)).prop_map(|n| u32::try_from(n).unwrap());
    let config = (number(), number(), number(), number(), number(), number());
    let steps = prop::collection::vec((any_nanos(), 0..4_u8), 1..60);
    check(
        400,
        (config, steps),
        |((capacity, cost, throttled, call, first, rate), steps)| {
            let config = BudgetConfig {
                capacity,
                retry_cost: cost.min(capacity),
                throttled_retry_cost: throttled.min(capacity),
                deposit_per_call: call,
                deposit_on_first_success: first,
                deposit_per_second: rate,
                refund_on_success: rate % 2 == 0,
                ..BudgetConfig::UNLIMITED
            };
            let mut budget = RetryBudget::new(config).unwrap();
            let mut receipts = Vec::new();
            for (now, what) in steps {
                let now = Instant::from_nanos(now);
                match what {
                    0 => budget.on_call(now),
                    1 => budget.on_first_success(),
                    2 => receipts.extend(budget.withdraw(now, FaultKind::Transient)),
                    _ => receipts
                        .pop()
                        .into_iter()
                        .for_each(|receipt| budget.refund(receipt)),
                }
                assert!(budget.tokens(now) <= capacity);
            }
        },
    );
}
