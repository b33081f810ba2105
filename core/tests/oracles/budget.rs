//! The retry budget against an account book in exact fractions.

use crossbridge_core::retry::{Receipt, RetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, PerMille};
use proptest::prelude::*;

use crate::{any_nanos, check, log_uniform};

/// A token in the book's unit: what a rate of one a second earns in a nanosecond is 1.
const TOKEN: i128 = 1_000_000_000;

/// The most and the least there can be. A full budget may or may not have kept the part of a token
/// that was on its way, and each booking may lose less than a nanosecond of it.
struct Book {
    config: BudgetConfig,
    most: i128,
    least: i128,
    booked_at: u64,
}

impl Book {
    fn new(config: BudgetConfig) -> Self {
        let full = i128::from(config.capacity) * TOKEN;
        Self {
            config,
            most: full,
            least: full,
            booked_at: 0,
        }
    }

    fn earn(&mut self, now: u64) {
        let earned =
            i128::from(now.saturating_sub(self.booked_at)) * i128::from(self.config.deposit_per_second);
        self.booked_at = now;
        let rounding = if self.is_exact() {
            0
        } else {
            i128::from(self.config.deposit_per_second)
        };
        self.most += earned;
        self.least += earned - if earned > 0 { rounding } else { 0 };
        self.cap();
    }

    fn add(&mut self, tokens: u32) {
        self.most += i128::from(tokens) * TOKEN;
        self.least += i128::from(tokens) * TOKEN;
        self.cap();
    }

    fn take(&mut self, tokens: u32) {
        self.most -= i128::from(tokens) * TOKEN;
        self.least -= i128::from(tokens) * TOKEN;
    }

    fn cap(&mut self) {
        let full = i128::from(self.config.capacity) * TOKEN;
        self.least = self.least.min(full);
        self.most = self.most.min(full + TOKEN - 1);
    }

    /// Whether a token takes whole nanoseconds, so that nothing is rounded.
    fn is_exact(&self) -> bool {
        TOKEN % i128::from(self.config.deposit_per_second.max(1)) == 0
    }
}

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    Call,
    FirstSuccess,
    Withdraw(FaultKind),
    /// Gives back the receipt at this index, if there are any.
    Refund(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => log_uniform(0, 10_000_000_000).prop_map(Op::Wait),
        2 => Just(Op::Call),
        2 => Just(Op::FirstSuccess),
        6 => prop::sample::select(FaultKind::ALL.to_vec()).prop_map(Op::Withdraw),
        2 => any::<usize>().prop_map(Op::Refund),
    ];
    prop::collection::vec(op, 1..80)
}

fn any_config() -> impl Strategy<Value = BudgetConfig> {
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
        },
    )
}

#[test]
fn keeps_its_account_like_a_book() {
    check(
        600,
        (any_config(), ops(), log_uniform(0, 1 << 60)),
        |(config, ops, start)| {
            let mut budget = RetryBudget::new(config).unwrap();
            let mut book = Book::new(config);
            let mut receipts: Vec<Receipt> = Vec::new();
            let mut now = start;
            for op in ops {
                let at = Instant::from_nanos(now);
                match op {
                    Op::Wait(span) => now += span,
                    Op::Call => {
                        budget.on_call(at);
                        book.earn(now);
                        book.add(config.deposit_per_call);
                    }
                    Op::FirstSuccess => {
                        budget.on_first_success();
                        book.add(config.deposit_on_first_success);
                    }
                    Op::Withdraw(kind) => {
                        book.earn(now);
                        let cost = if kind == FaultKind::Throttled {
                            config.throttled_retry_cost
                        } else {
                            config.retry_cost
                        };
                        match budget.withdraw(at, kind) {
                            Some(receipt) => {
                                assert_eq!(receipt.cost(), cost);
                                assert!(book.most >= i128::from(cost) * TOKEN, "spent what is not there");
                                book.take(cost);
                                receipts.push(receipt);
                            }
                            None => assert!(book.least < i128::from(cost) * TOKEN, "kept what is there"),
                        }
                    }
                    Op::Refund(index) if !receipts.is_empty() => {
                        let receipt = receipts.swap_remove(index % receipts.len());
                        book.add(receipt.cost());
                        budget.refund(receipt);
                    }
                    Op::Refund(_) => {}
                }
                // What a question says now, and what is written down.
                book.earn(now);
                let tokens = budget.tokens(Instant::from_nanos(now));
                assert!(tokens <= config.capacity);
                assert!(
                    i128::from(tokens) * TOKEN <= book.most,
                    "{tokens} tokens, at most {}",
                    book.most
                );
                assert!(
                    (i128::from(tokens) + 1) * TOKEN > book.least,
                    "{tokens} tokens, at least {}",
                    book.least
                );
            }
        },
    );
}

/// Whatever the rate and however often it is asked, never more than the rate, and less by a
/// nanosecond's worth for each time at most.
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
            let lost = u128::from(rate) * 300 + 1_000_000_000;
            assert!(earned <= exact && exact <= earned + lost, "{earned} of {exact}");
        },
    );
}

/// Over any time, at most `ratio * calls + burst + rate * seconds` retries are paid for.
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
            let earned = u128::from(ratio) * calls * 1_000_000_000
                + u128::from(burst) * 1_000_000_000_000
                + u128::from(per_second) * u128::from(now) * 1_000;
            // A token on its way when the budget is full may be kept.
            let token = 1_000_000_000_000 / u128::from(config.retry_cost) + 1;
            assert!(
                retries * 1_000_000_000_000 <= earned + token,
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
