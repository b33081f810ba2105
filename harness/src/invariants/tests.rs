//! Each rule, kept and broken by made-up events: the machines themselves break none.

use std::time::Duration;

use crossbridge_core::breaker::{BreakerConfig, BreakerState};
use crossbridge_core::bulkhead::BulkheadConfig;
use crossbridge_core::{
    BudgetConfig, Event, FaultKind, GuardConfig, Instant, PerMille, Quota, RetryPolicy, StopReason, Verdict,
};

use super::guard::GuardBook;
use super::{Rule, Seen};

const MS: u64 = 1_000_000;

/// A guard that does nothing but what a test adds.
const OPEN: GuardConfig = GuardConfig {
    retry: RetryPolicy::QUICK,
    breaker: BreakerConfig::DISABLED,
    ..GuardConfig::DEFAULT
};

/// The rules these events break, in order: milliseconds by the guard's clock, call, event.
fn broken(config: GuardConfig, events: &[(u64, u64, Event)]) -> Vec<Rule> {
    let mut book = GuardBook::new(&config);
    let mut rules = Vec::new();
    for (at, call, event) in events {
        let local = Instant::from_nanos(at * MS);
        let seen = Seen {
            at: local,
            local,
            actor: 0,
            call: *call,
            event,
        };
        rules.extend(book.on_event(&seen).into_iter().map(|(rule, _)| rule));
    }
    rules
}

const fn start(number: u32) -> Event {
    Event::AttemptStarted { number }
}

const fn end(number: u32, fault: Option<FaultKind>) -> Event {
    let took = Duration::ZERO;
    Event::AttemptEnded { number, fault, took }
}

const fn over(attempts: u32) -> Event {
    Event::CallEnded {
        verdict: Verdict::Succeeded,
        attempts,
        took: Duration::ZERO,
    }
}

const fn retry(number: u32, at_ms: u64) -> Event {
    let (at, fault) = (Instant::from_nanos(at_ms * MS), FaultKind::Transient);
    Event::RetryScheduled { number, at, fault }
}

const fn change(from: BreakerState, to: BreakerState) -> Event {
    Event::BreakerChanged { from, to }
}

const FAILED: Option<FaultKind> = Some(FaultKind::Transient);

#[test]
fn accounting() {
    let good = [(0, 1, start(1)), (1, 1, end(1, None)), (1, 1, over(1))];
    assert_eq!(broken(OPEN, &good), []);
    let stopped = Event::CallEnded {
        verdict: Verdict::Stopped {
            reason: StopReason::Bulkhead,
            fault: None,
        },
        attempts: 0,
        took: Duration::ZERO,
    };
    assert_eq!(broken(OPEN, &[(0, 1, stopped)]), []);
    for bad in [
        &[(0, 1, start(2))][..],
        &[(0, 1, start(1)), (0, 1, start(2))],
        &[(0, 1, start(1)), (0, 1, over(1))],
        &[(0, 1, end(1, None))],
        &[(0, 1, over(0)), (0, 1, over(0))],
        &[(0, 1, start(1)), (0, 1, end(1, None)), (0, 1, over(2))],
    ] {
        assert_eq!(broken(OPEN, bad), [Rule::Accounting], "{bad:?}");
    }
}

#[test]
fn quota() {
    let quota = Quota::per_second(10)
        .and_then(|quota| quota.burst(2))
        .expect("a quota");
    let config = GuardConfig { quota, ..OPEN };
    let good = [
        (0, 1, start(1)),
        (0, 2, start(1)),
        (100, 3, start(1)),
        (300, 4, start(1)),
        (300, 5, start(1)),
    ];
    assert_eq!(broken(config, &good), []);
    assert_eq!(
        broken(config, &[(0, 1, start(1)), (0, 2, start(1)), (99, 3, start(1))]),
        [Rule::Quota]
    );
    // A clock that steps back lets no time pass.
    let stepped = [(500, 1, start(1)), (500, 2, start(1)), (100, 3, start(1))];
    assert_eq!(broken(config, &stepped), [Rule::Quota]);
}

#[test]
fn bulkhead() {
    let bulkhead = BulkheadConfig { limit: 1 };
    let config = GuardConfig { bulkhead, ..OPEN };
    assert_eq!(
        broken(
            config,
            &[(0, 1, start(1)), (0, 1, end(1, None)), (0, 2, start(1))]
        ),
        []
    );
    assert_eq!(
        broken(config, &[(0, 1, start(1)), (0, 2, start(1))]),
        [Rule::Bulkhead]
    );
}

#[test]
fn circuit() {
    use BreakerState::{Closed, HalfOpen, Open};
    let breaker = BreakerConfig {
        half_open_concurrent: 1,
        half_open_calls: 2,
        half_open_successes: 1,
        ..BreakerConfig::DEFAULT
    };
    let config = GuardConfig { breaker, ..OPEN };
    let half = [(0, 1, change(Closed, Open)), (9, 1, change(Open, HalfOpen))];
    let after = |events: &[(u64, u64, Event)]| broken(config, &[&half[..], events].concat());

    assert_eq!(
        broken(config, &[(0, 1, change(Closed, Open)), (0, 2, start(1))]),
        [Rule::OpenCircuit]
    );
    let probe = [
        (9, 1, start(1)),
        (10, 1, end(1, None)),
        (10, 1, change(HalfOpen, Closed)),
    ];
    assert_eq!(after(&probe), []);
    let failed = [
        (9, 1, start(1)),
        (10, 1, end(1, FAILED)),
        (10, 1, change(HalfOpen, Closed)),
    ];
    assert_eq!(after(&failed), [Rule::HalfOpen]);
    assert_eq!(after(&[(9, 1, start(1)), (9, 2, start(1))]), [Rule::Probes]);
    // A probe that says nothing for 30 s has failed; the whole round is over after 60 s.
    assert_eq!(after(&[(9, 1, start(1)), (30_009, 2, start(1))]), []);
    let third = [(9, 1, start(1)), (30_009, 2, start(1)), (60_008, 3, start(1))];
    assert_eq!(after(&third), [Rule::Probes, Rule::Probes]);
    let anew = [(9, 1, start(1)), (30_009, 2, start(1)), (60_009, 3, start(1))];
    assert_eq!(after(&anew), []);

    // A probe whose request was wrong says nothing, and another may take its place; not so one that
    // failed, nor one that is told after its time.
    let third = |fault, told| {
        after(&[
            (9, 1, start(1)),
            (told, 1, end(1, Some(fault))),
            (told, 2, start(1)),
            (told, 2, end(1, FAILED)),
            (told, 3, start(1)),
        ])
    };
    assert_eq!(third(FaultKind::Permanent, 10), []);
    assert_eq!(third(FaultKind::Transient, 10), [Rule::Probes]);
    assert_eq!(third(FaultKind::Permanent, 30_009), [Rule::Probes]);

    // The result of a call from before it opened is nobody's probe.
    let stale = [
        (0, 1, start(1)),
        (0, 2, change(Closed, Open)),
        (9, 3, change(Open, HalfOpen)),
        (9, 3, start(1)),
        (10, 1, end(1, None)),
        (10, 1, change(HalfOpen, Closed)),
    ];
    assert_eq!(broken(config, &stale), [Rule::HalfOpen]);
}

#[test]
fn deadline() {
    let deadline = Some(Duration::from_millis(100));
    let config = GuardConfig { deadline, ..OPEN };
    let second = |at| {
        broken(
            config,
            &[(0, 1, start(1)), (1, 1, end(1, FAILED)), (at, 1, start(2))],
        )
    };
    assert_eq!(second(99), []);
    assert_eq!(second(100), [Rule::Deadline]);
}

#[test]
fn delay() {
    // At most a second, and five more where the server asks for it.
    let at = |due| {
        broken(
            OPEN,
            &[(0, 1, start(1)), (0, 1, end(1, FAILED)), (0, 1, retry(2, due))],
        )
    };
    assert_eq!(at(6_000), []);
    assert_eq!(at(6_001), [Rule::Delay]);
}

#[test]
fn budget() {
    // Two retries at once, one more after a second, and one for ten calls.
    let tenth = PerMille::new(100).expect("a share");
    let config = GuardConfig {
        budget: BudgetConfig::ratio(tenth, 1, 2),
        ..OPEN
    };
    let fails = |at: u64, call: u64| {
        [
            (at, call, start(1)),
            (at, call, end(1, FAILED)),
            (at, call, retry(2, at)),
        ]
    };
    let unsent = |at: u64, call: u64| [&fails(at, call)[..], &[(at, call, over(1))]].concat();
    assert_eq!(broken(config, &[fails(0, 1), fails(0, 2)].concat()), []);
    assert_eq!(
        broken(config, &[fails(0, 1), fails(0, 2), fails(0, 3)].concat()),
        [Rule::Budget]
    );
    assert_eq!(
        broken(config, &[fails(0, 1), fails(0, 2), fails(1_000, 3)].concat()),
        []
    );
    // What was never sent is given back.
    assert_eq!(
        broken(config, &[unsent(0, 1), unsent(0, 2), unsent(0, 3)].concat()),
        []
    );
}

#[test]
fn a_guard_that_begins_anew_has_used_nothing() {
    let quota = Quota::per_second(1).expect("a quota");
    let mut book = GuardBook::new(&GuardConfig { quota, ..OPEN });
    let event = start(1);
    let take = |book: &mut GuardBook, call| {
        let (at, local) = (Instant::ZERO, Instant::ZERO);
        let seen = Seen {
            at,
            local,
            actor: 0,
            call,
            event: &event,
        };
        book.on_event(&seen).len()
    };
    assert_eq!(take(&mut book, 1), 0);
    assert_eq!(take(&mut book, 2), 1);
    book.restart();
    assert_eq!(take(&mut book, 3), 0);
}
