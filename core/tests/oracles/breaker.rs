//! The breaker against its model, step by step.

use core::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::breaker::{
    Breaker, BreakerConfig, BreakerMode, BreakerState, Permit, Settled, WindowKind,
};
use proptest::prelude::*;

use crate::breaker_model::{Given, Model, State, in_flight, used};
use crate::{any_span, check, per_mille};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Wait(u64),
    StepBack(u64),
    /// Waits until the open circuit admits a probe, or just before.
    WaitForIt(bool),
    Admit,
    Settle(usize, Settled),
    Drop(usize),
    Timeout,
}

pub(crate) fn any_settled() -> impl Strategy<Value = Settled> + Clone {
    prop_oneof![
        4 => Just(Settled::Success),
        4 => Just(Settled::Failure { retry_after: None }),
        1 => any_span(0, 1 << 35).prop_map(|hint| Settled::Failure { retry_after: Some(hint) }),
        1 => Just(Settled::Neutral),
        1 => Just(Settled::Lost),
    ]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let wait = || (0..4_u32, 0..20_u64).prop_map(|(size, n)| n * 40_u64.pow(size) * 1_000);
    let op = prop_oneof![
        3 => wait().prop_map(Op::Wait),
        1 => wait().prop_map(Op::StepBack),
        2 => any::<bool>().prop_map(Op::WaitForIt),
        8 => Just(Op::Admit),
        8 => (any::<usize>(), any_settled()).prop_map(|(index, settled)| Op::Settle(index, settled)),
        1 => any::<usize>().prop_map(Op::Drop),
        1 => Just(Op::Timeout),
    ];
    prop::collection::vec(op, 1..150)
}

/// Small windows and short times, so that every state is reached often.
pub(crate) fn small_config() -> impl Strategy<Value = BreakerConfig> + Clone {
    let window = prop_oneof![
        (1..=12_u8).prop_map(WindowKind::Calls),
        (120..=128_u8).prop_map(WindowKind::Calls),
        (10_000..100_000_u64).prop_map(|us| WindowKind::Time(Duration::from_micros(us))),
    ];
    let rates = (
        prop::option::of(per_mille(1, 1_000)),
        prop::option::of(per_mille(1, 1_000)),
    );
    let span = || any_span(1, 1 << 26);
    let spans = (span(), span(), span(), span(), span());
    let half_open = (1..=8_u8, 1..=6_u16, 0..=4_u16);
    let row = prop::option::of(1..5_u32);
    let extra = (any::<u64>(), prop::option::of(span()));
    (window, 1..8_u32, rates, row, spans, half_open, extra).prop_map(
        |(
            window,
            min_calls,
            rates,
            consecutive_failures,
            spans,
            (concurrent, successes, more),
            (jitter_seed, slow_start),
        )| {
            let (open_wait, longer, slow_call, probe_timeout, half_open_timeout) = spans;
            BreakerConfig {
                mode: BreakerMode::Auto,
                window,
                min_calls: match window {
                    WindowKind::Calls(size) => min_calls.min(u32::from(size)),
                    WindowKind::Time(_) => min_calls,
                },
                failure_rate: rates.0,
                slow_rate: rates.1,
                slow_call,
                consecutive_failures,
                open_wait,
                open_wait_max: open_wait + longer,
                half_open_concurrent: concurrent,
                half_open_calls: successes + more,
                half_open_successes: successes,
                probe_timeout,
                half_open_timeout,
                hanging_calls: None,
                slow_start,
                jitter_seed,
            }
        },
    )
}

/// The same, and calls that hang trip some of them.
pub(crate) fn small_config_and_hanging() -> impl Strategy<Value = BreakerConfig> + Clone {
    let hanging = prop::option::of((1..4_u32, 1_000_000..20_000_000_u64));
    (small_config(), hanging).prop_map(|(config, hanging)| match hanging {
        None => config,
        Some((limit, slow_call)) => BreakerConfig {
            hanging_calls: Some(limit),
            slow_call: Duration::from_nanos(slow_call),
            ..config
        },
    })
}

/// Far enough from the origin that no step back reaches it.
const START: u64 = 1 << 50;

#[test]
fn does_what_the_model_does() {
    check(500, (small_config_and_hanging(), ops()), |(config, ops)| {
        let mut breaker = Breaker::new(config).unwrap();
        let mut model = Model::new(config, START);
        let mut now = START;
        let mut permits: Vec<(Permit, Given)> = Vec::new();
        // A first call, from which on the window's buckets are counted.
        let first = breaker.admit(Instant::from_nanos(now)).expect("closed");
        breaker.settle(Instant::from_nanos(now), first, Settled::Success);
        let first = model.admit(now).expect("closed");
        model.settle(now, first, Settled::Success);
        for op in ops {
            match op {
                Op::Wait(span) => now += span,
                Op::StepBack(span) => now -= span,
                Op::WaitForIt(late) => {
                    if let State::Open { from, .. } = model.state {
                        let until = model.last_now + from.saturating_sub(model.passed);
                        now = now.max(until - u64::from(!late));
                    }
                }
                Op::Admit => {
                    let answer = breaker.admit(Instant::from_nanos(now));
                    match (answer, model.admit(now)) {
                        (Ok(permit), Some(given)) => permits.push((permit, given)),
                        (Err(refused), None) => {
                            assert_eq!(refused.state, model.state());
                            assert_eq!(
                                refused.retry_at.is_none(),
                                model.state() == BreakerState::HalfOpen
                            );
                            if model.state() == BreakerState::Closed {
                                right_about_when(&breaker, now, refused.retry_at.unwrap());
                            }
                        }
                        (answer, wanted) => {
                            panic!("{answer:?}, the model says {wanted:?} in {:?}", model.state)
                        }
                    }
                }
                Op::Settle(index, settled) if !permits.is_empty() => {
                    let (permit, given) = permits.swap_remove(index % permits.len());
                    breaker.settle(Instant::from_nanos(now), permit, settled);
                    model.settle(now, given, settled);
                }
                Op::Drop(index) if !permits.is_empty() => {
                    drop(permits.swap_remove(index % permits.len()));
                }
                Op::Timeout => {
                    breaker.handle_timeout(Instant::from_nanos(now));
                    model.on_time(now);
                }
                Op::Settle(..) | Op::Drop(_) => {}
            }
            learn_when(&breaker, &mut model, now);
            agree(&breaker, &model, &config);
        }
    });
}

/// The wait has a part by chance: it is checked against its bounds, then taken over.
fn learn_when(breaker: &Breaker, model: &mut Model, now: u64) {
    let State::Open { from, to } = model.state else {
        return;
    };
    if from == to {
        return;
    }
    // The model opened just now: the circuit says until when.
    let refused = breaker
        .clone()
        .admit(Instant::from_nanos(now))
        .expect_err("it opened just now");
    let until = refused.retry_at.expect("an open circuit says when");
    let passed = until.as_nanos() - now + model.passed;
    assert!(from <= passed && passed <= to, "{passed} is not in {from}..={to}");
    model.state = State::Open {
        from: passed,
        to: passed,
    };
    // Right about when: refused a nanosecond earlier, a probe at the instant itself.
    let early = Instant::from_nanos(until.as_nanos() - 1);
    let refused = breaker.clone().admit(early).expect_err("a nanosecond too early");
    assert_eq!(refused.retry_at, Some(until));
    let mut probed = breaker.clone();
    let probe = probed.admit(until);
    assert!(probe.is_ok(), "{probe:?}");
    assert_eq!(probed.state(), BreakerState::HalfOpen);
}

/// A slow start says when the next ask is admitted.
fn right_about_when(breaker: &Breaker, now: u64, at: Instant) {
    assert!(at.as_nanos() >= now);
    if breaker.poll_at().is_some_and(|overdue| overdue <= at) {
        return; // if calls in flight do not trip it before
    }
    assert!(breaker.clone().admit(at).is_ok(), "promised at {at}");
    if at.as_nanos() > now {
        let early = Instant::from_nanos(at.as_nanos() - 1);
        let refused = breaker.clone().admit(early);
        assert!(refused.is_err(), "a nanosecond before {at}");
    }
}

fn agree(breaker: &Breaker, model: &Model, config: &BreakerConfig) {
    assert_eq!(breaker.state(), model.state());
    assert_eq!(breaker.counts(), model.counts());
    assert_eq!(breaker.poll_at().map(Instant::as_nanos), model.poll_at());
    if let State::HalfOpen { probes, .. } = &model.state {
        assert!(in_flight(probes) <= usize::from(config.half_open_concurrent));
        assert!(used(probes) <= usize::from(config.half_open_calls));
    }
}
