//! What each kind of failure leads to under each condition.

use std::format;
use std::string::String;
use std::vec;

use super::*;
use crate::draw::SplitMix64;
use crate::tests::table;

/// What is different from a first failure of a call that is not idempotent and has no deadline.
#[derive(Clone, Copy)]
struct Condition {
    name: &'static str,
    /// Transient failures before this one.
    before: u32,
    idempotent: bool,
    retry_exhausted: bool,
    retry_after: Option<u64>,
    deadline: Option<u64>,
    give_up_after: Option<u64>,
    tokens: u32,
}

const FIRST: Condition = Condition {
    name: "first",
    before: 0,
    idempotent: false,
    retry_exhausted: false,
    retry_after: None,
    deadline: None,
    give_up_after: None,
    tokens: 500,
};

const CONDITIONS: [Condition; 12] = [
    FIRST,
    Condition {
        name: "second",
        before: 1,
        ..FIRST
    },
    Condition {
        name: "last",
        before: 2,
        ..FIRST
    },
    Condition {
        name: "idempotent",
        idempotent: true,
        ..FIRST
    },
    Condition {
        name: "retry exhausted",
        retry_exhausted: true,
        ..FIRST
    },
    Condition {
        name: "hint 3s",
        retry_after: Some(3_000),
        ..FIRST
    },
    Condition {
        name: "hint 60s",
        retry_after: Some(60_000),
        ..FIRST
    },
    Condition {
        name: "hint 61s",
        retry_after: Some(61_000),
        ..FIRST
    },
    Condition {
        name: "1s left",
        deadline: Some(1_000),
        ..FIRST
    },
    Condition {
        name: "50ms left",
        deadline: Some(50),
        ..FIRST
    },
    Condition {
        name: "give up in 1s",
        give_up_after: Some(1_000),
        before: 1,
        ..FIRST
    },
    Condition {
        name: "no tokens",
        tokens: 0,
        ..FIRST
    },
];

fn decide(kind: FaultKind, condition: Condition) -> String {
    let policy = RetryPolicy {
        retry_exhausted: condition.retry_exhausted,
        give_up_after: condition.give_up_after.map(Duration::from_millis),
        ..RetryPolicy::STANDARD.jitter(Jitter::None)
    };
    let rules = RetryRules::new(policy).unwrap();
    let mut budget = RetryBudget::new(BudgetConfig::AWS).unwrap();
    let mut rng = SplitMix64::new(1);
    let mut retry = Retry::new(&rules);
    let now = Instant::from_nanos(1_000_000_000);
    let bounds = Bounds {
        deadline: condition
            .deadline
            .map(|ms| now.saturating_add(Duration::from_millis(ms))),
        idempotent: condition.idempotent,
    };
    for _ in 0..condition.before {
        let failure = Failure {
            kind: FaultKind::Transient,
            retry_after: None,
        };
        let _ = retry.on_failure(now, failure, &rules, bounds, &mut budget, &mut rng);
    }
    // Spends down to what the condition leaves.
    while budget.tokens(now) > condition.tokens && budget.withdraw(now, FaultKind::Throttled).is_some() {}
    let failure = Failure {
        kind,
        retry_after: condition.retry_after.map(Duration::from_millis),
    };
    match retry.on_failure(now, failure, &rules, bounds, &mut budget, &mut rng) {
        Decision::RetryAt(at, receipt) => {
            let wait = at.saturating_duration_since(now);
            match receipt {
                Some(receipt) => format!("in {wait:?} for {}", receipt.cost()),
                None => format!("in {wait:?}, free"),
            }
        }
        Decision::Stop(reason) => reason.name().into(),
    }
}

/// Policy `STANDARD` without jitter, budget `AWS`.
#[test]
fn condition_by_kind() {
    let mut header = vec!["".into()];
    header.extend(FaultKind::ALL.iter().map(|kind| kind.name().into()));
    let mut rows = vec![header];
    for condition in CONDITIONS {
        let mut cells = vec![condition.name.into()];
        cells.extend(FaultKind::ALL.iter().map(|&kind| decide(kind, condition)));
        rows.push(cells);
    }
    insta::assert_snapshot!(table(&rows));
}
