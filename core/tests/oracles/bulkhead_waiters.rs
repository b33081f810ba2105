//! The bulkhead with a line against a list of names on a sheet of paper.

use core::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::bulkhead::limit::{AimdConfig, LimitConfig, gradient2::Gradient2Config};
use crossbridge_core::bulkhead::waiters::{
    Entered, Polled, Refusal, Released, Slot, Ticket, WaitingBulkhead,
};
use proptest::prelude::*;

use crate::{any_nanos, any_span, check};

const LINE: usize = 3;
/// Far enough from the origin that no step back reaches it.
const START: u64 = 1 << 40;

/// Names in line with the end of their patience, in time passed by a clock that never steps back.
struct Model {
    limit: u64,
    in_flight: u64,
    line: Vec<(u32, Option<u64>)>,
    hold: Option<i128>,
    passed: u64,
    last_now: u64,
}

impl Model {
    fn on_time(&mut self, now: u64) {
        self.passed += now.saturating_sub(self.last_now);
        self.last_now = now;
        let passed = self.passed;
        self.line
            .retain(|(_, until)| until.is_none_or(|until| passed < until));
    }

    fn free(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(self.in_flight)).unwrap()
    }

    /// Everybody in flight and in line, and the newcomer, less those who fit: each release lets one
    /// in, and `limit` slots are released in the time of one hold.
    fn expected_wait(&self) -> u64 {
        let everybody = self.in_flight + self.line.len() as u64 + 1;
        let releases = everybody.saturating_sub(self.limit);
        let hold = u64::try_from(self.hold.unwrap_or(0)).unwrap();
        (hold * releases).div_ceil(self.limit)
    }

    fn release(&mut self, held: u64) {
        self.in_flight -= 1;
        let held = i128::from(held);
        self.hold = Some(self.hold.map_or(held, |hold| hold + (held - hold) / 8));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    StepBack(u64),
    Enter(Option<u64>),
    Poll(usize),
    Cancel(usize),
    Release(usize, Released),
    Resize(u32),
    Timeout,
}

fn any_released() -> impl Strategy<Value = Released> + Clone {
    prop_oneof![
        any_span(0, u64::MAX).prop_map(|took| Released::Success { took }),
        Just(Released::Neutral),
        Just(Released::Dropped),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0..200_u64).prop_map(Op::Wait),
        1 => (0..200_u64).prop_map(Op::StepBack),
        6 => prop::option::weighted(0.8, 0..600_u64).prop_map(Op::Enter),
        4 => any::<usize>().prop_map(Op::Poll),
        1 => any::<usize>().prop_map(Op::Cancel),
        4 => (any::<usize>(), any_released()).prop_map(|(index, how)| Op::Release(index, how)),
        1 => (1..=4_u32).prop_map(Op::Resize),
        1 => Just(Op::Timeout),
    ];
    prop::collection::vec(op, 1..120)
}

#[test]
fn the_line_is_a_list_of_names() {
    check(300, (1..=4_u32, ops()), |(limit, ops)| {
        let mut bulkhead: WaitingBulkhead<LINE> = WaitingBulkhead::new(LimitConfig::Fixed(limit)).unwrap();
        let mut model = Model {
            limit: u64::from(limit),
            in_flight: 0,
            line: Vec::new(),
            hold: None,
            passed: START,
            last_now: START,
        };
        let mut now = START;
        bulkhead.handle_timeout(Instant::from_nanos(now));
        let mut tickets: Vec<(u32, Ticket)> = Vec::new();
        let mut slots: Vec<(Slot, u64)> = Vec::new();
        let mut names = 0_u32;
        for op in ops {
            let at = Instant::from_nanos;
            match op {
                Op::Wait(span) => now += span,
                Op::StepBack(span) => now -= span,
                Op::Enter(patience) => {
                    model.on_time(now);
                    let deadline = patience.map(|patience| at(now + patience));
                    let entered = bulkhead.enter(at(now), deadline);
                    let wait = model.expected_wait();
                    let refused = |reason| Entered::Refused {
                        reason,
                        expected_wait: Duration::from_nanos(wait),
                    };
                    if patience == Some(0) {
                        assert_eq!(entered, refused(Refusal::Expired));
                    } else if model.line.len() < model.free() {
                        let Entered::Now(slot) = entered else {
                            panic!("{entered:?} with a slot to spare")
                        };
                        model.in_flight += 1;
                        slots.push((slot, model.passed));
                    } else if patience.is_some_and(|patience| wait > patience) {
                        assert_eq!(entered, refused(Refusal::WouldExpire));
                    } else if model.line.len() == LINE {
                        assert_eq!(entered, refused(Refusal::LineFull));
                    } else {
                        let Entered::Waiting(ticket) = entered else {
                            panic!("{entered:?} with a place in line")
                        };
                        names += 1;
                        model.line.push((names, patience.map(|span| model.passed + span)));
                        tickets.push((names, ticket));
                    }
                }
                Op::Poll(index) if !tickets.is_empty() => {
                    let (name, ticket) = tickets.swap_remove(index % tickets.len());
                    model.on_time(now);
                    let place = model.line.iter().position(|&(other, _)| other == name);
                    match (bulkhead.poll(at(now), ticket), place) {
                        (Polled::Expired, None) => {}
                        (Polled::Ready(slot), Some(place)) => {
                            assert!(place < model.free(), "out of turn");
                            model.line.remove(place);
                            model.in_flight += 1;
                            slots.push((slot, model.passed));
                        }
                        (Polled::Waiting(ticket), Some(place)) => {
                            assert!(place >= model.free(), "its turn");
                            tickets.push((name, ticket));
                        }
                        (polled, place) => panic!("{polled:?} at {place:?}"),
                    }
                }
                Op::Cancel(index) if !tickets.is_empty() => {
                    let (name, ticket) = tickets.swap_remove(index % tickets.len());
                    bulkhead.cancel(ticket);
                    model.line.retain(|&(other, _)| other != name);
                }
                Op::Release(index, how) if !slots.is_empty() => {
                    let (slot, since) = slots.swap_remove(index % slots.len());
                    bulkhead.release(at(now), slot, how);
                    model.on_time(now);
                    model.release(model.passed - since);
                }
                Op::Poll(_) | Op::Cancel(_) | Op::Release(..) => {}
                Op::Resize(limit) => {
                    bulkhead.set_limit(LimitConfig::Fixed(limit)).unwrap();
                    model.limit = u64::from(limit);
                }
                Op::Timeout => {
                    bulkhead.handle_timeout(at(now));
                    model.on_time(now);
                }
            }
            assert_eq!(u64::from(bulkhead.in_flight()), model.in_flight);
            assert_eq!(bulkhead.in_flight() as usize, slots.len());
            assert_eq!(bulkhead.waiting(), model.line.len());
            assert_eq!(bulkhead.ready(), model.free().min(model.line.len()));
            let first = model.line.iter().filter_map(|&(_, until)| until).min();
            // The machine speaks in the caller's time, the model in time passed.
            let offset = model.passed - model.last_now;
            assert_eq!(
                bulkhead.poll_at().map(|at| at.as_nanos() + offset),
                first,
                "poll_at"
            );
        }
    });
}

fn any_limit() -> impl Strategy<Value = LimitConfig> {
    let bounds = (1..=u32::MAX, 1..=u32::MAX, 1..=u32::MAX).prop_map(|(a, b, c)| {
        let mut sorted = [a, b, c];
        sorted.sort_unstable();
        sorted
    });
    let small = (1..=5_u32).prop_map(|low| [low, low + 1, low + 20]);
    let bounds = prop_oneof![bounds, small];
    let aimd = |[min, initial, max]: [u32; 3]| AimdConfig {
        initial,
        min,
        max,
        ..AimdConfig::DEFAULT
    };
    let gradient = |[min, initial, max]: [u32; 3]| Gradient2Config {
        initial,
        min,
        max,
        ..Gradient2Config::DEFAULT
    };
    prop_oneof![
        (1..=u32::MAX).prop_map(LimitConfig::Fixed),
        bounds.clone().prop_map(move |b| LimitConfig::Aimd(aimd(b))),
        bounds.prop_map(move |b| LimitConfig::Gradient2(gradient(b))),
    ]
}

#[test]
fn any_now_and_any_order_lose_no_slot() {
    let op = (
        any_nanos(),
        0..6_u8,
        any::<usize>(),
        prop::option::of(any_nanos()),
        any_released(),
    );
    check(
        200,
        (any_limit(), prop::collection::vec(op, 1..100)),
        |(limit, ops)| {
            let mut bulkhead: WaitingBulkhead<2> = WaitingBulkhead::new(limit).unwrap();
            let (mut slots, mut tickets) = (Vec::new(), Vec::new());
            for (now, what, index, deadline, how) in ops {
                let now = Instant::from_nanos(now);
                match what {
                    0 | 1 => match bulkhead.enter(now, deadline.map(Instant::from_nanos)) {
                        Entered::Now(slot) => slots.push(slot),
                        Entered::Waiting(ticket) => tickets.push(ticket),
                        Entered::Refused { .. } => {}
                    },
                    2 if !tickets.is_empty() => {
                        let ticket = tickets.swap_remove(index % tickets.len());
                        match bulkhead.poll(now, ticket) {
                            Polled::Ready(slot) => slots.push(slot),
                            Polled::Waiting(ticket) => tickets.push(ticket),
                            Polled::Expired => {}
                        }
                    }
                    3 if !tickets.is_empty() => {
                        bulkhead.cancel(tickets.swap_remove(index % tickets.len()));
                    }
                    4 if !slots.is_empty() => {
                        bulkhead.release(now, slots.swap_remove(index % slots.len()), how);
                    }
                    _ => bulkhead.handle_timeout(now),
                }
                assert_eq!(bulkhead.in_flight() as usize, slots.len());
                assert!(bulkhead.limit() >= 1);
                let _ = (bulkhead.poll_at(), bulkhead.ready(), bulkhead.expected_wait());
            }
        },
    );
}

fn ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn one_slot<const N: usize>() -> (WaitingBulkhead<N>, Slot) {
    let mut bulkhead = WaitingBulkhead::new(LimitConfig::Fixed(1)).unwrap();
    let Entered::Now(slot) = bulkhead.enter(ms(0), None) else {
        panic!("it is empty")
    };
    (bulkhead, slot)
}

fn in_line<const N: usize>(
    bulkhead: &mut WaitingBulkhead<N>,
    now: Instant,
    until: Option<Instant>,
) -> Ticket {
    let Entered::Waiting(ticket) = bulkhead.enter(now, until) else {
        panic!("it may wait")
    };
    ticket
}

/// failsafe-lib/failsafe#393: each timed-out waiter took a permit with it, until none was left.
#[test]
fn an_expired_waiter_swallows_no_permit() {
    let mut bulkhead: WaitingBulkhead<4> = WaitingBulkhead::new(LimitConfig::Fixed(1)).unwrap();
    for round in 0..100 {
        let (start, end) = (ms(round * 100), ms(round * 100 + 10));
        let Entered::Now(slot) = bulkhead.enter(start, None) else {
            panic!("the slot is lost in round {round}")
        };
        let forgotten = in_line(&mut bulkhead, start, Some(end));
        bulkhead.handle_timeout(end);
        bulkhead.release(end, slot, Released::Neutral);
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
        assert_eq!(bulkhead.poll(end, forgotten), Polled::Expired);
    }
}

#[test]
fn a_cancelled_waiter_swallows_no_permit() {
    let (mut bulkhead, slot) = one_slot::<4>();
    let first = in_line(&mut bulkhead, ms(1), None);
    let second = in_line(&mut bulkhead, ms(2), None);
    bulkhead.release(ms(3), slot, Released::Neutral);
    assert_eq!(bulkhead.ready(), 1);
    bulkhead.cancel(first); // its turn, and it gives up
    assert!(matches!(bulkhead.poll(ms(4), second), Polled::Ready(_)));
}

#[test]
fn a_wait_that_outlasts_the_deadline_is_refused_at_once() {
    let (mut bulkhead, slot) = one_slot::<4>();
    bulkhead.release(ms(40), slot, Released::Neutral);
    let Entered::Now(_held) = bulkhead.enter(ms(40), None) else {
        panic!("it is empty")
    };
    let just_too_short = Instant::from_nanos(80_000_000 - 1);
    assert_eq!(
        bulkhead.enter(ms(40), Some(just_too_short)),
        Entered::Refused {
            reason: Refusal::WouldExpire,
            expected_wait: Duration::from_millis(40)
        }
    );
    let _first = in_line(&mut bulkhead, ms(40), Some(ms(80)));
    // The second in line waits for two releases.
    assert_eq!(bulkhead.expected_wait(), Duration::from_millis(80));
    assert!(matches!(
        bulkhead.enter(ms(40), Some(ms(100))),
        Entered::Refused { .. }
    ));
    let _second = in_line(&mut bulkhead, ms(40), None);
}

#[test]
fn ready_until_the_deadline_and_expired_at_it() {
    for (at, expected) in [(9_999_999, true), (10_000_000, false)] {
        let (mut bulkhead, slot) = one_slot::<1>();
        let ticket = in_line(&mut bulkhead, ms(1), Some(ms(10)));
        assert_eq!(bulkhead.poll_at(), Some(ms(10)));
        bulkhead.release(ms(2), slot, Released::Neutral);
        let polled = bulkhead.poll(Instant::from_nanos(at), ticket);
        assert_eq!(matches!(polled, Polled::Ready(_)), expected);
    }
}

#[test]
fn nobody_overtakes() {
    let (mut bulkhead, slot) = one_slot::<4>();
    let first = in_line(&mut bulkhead, ms(1), None);
    bulkhead.release(ms(1), slot, Released::Neutral);
    // The slot is free, and spoken for.
    let newcomer = in_line(&mut bulkhead, ms(2), None);
    let Polled::Waiting(newcomer) = bulkhead.poll(ms(2), newcomer) else {
        panic!("it is not its turn")
    };
    let Polled::Ready(slot) = bulkhead.poll(ms(3), first) else {
        panic!("its turn")
    };
    bulkhead.release(ms(4), slot, Released::Neutral);
    assert!(matches!(bulkhead.poll(ms(4), newcomer), Polled::Ready(_)));
}

#[test]
fn shrinking_never_blocks_and_takes_nothing_away() {
    let mut bulkhead: WaitingBulkhead<2> = WaitingBulkhead::new(LimitConfig::Fixed(3)).unwrap();
    let mut slots = Vec::new();
    while let Entered::Now(slot) = bulkhead.enter(ms(0), Some(ms(1))) {
        slots.push(slot);
    }
    assert_eq!(slots.len(), 3);
    bulkhead.handle_timeout(ms(1));
    bulkhead.set_limit(LimitConfig::Fixed(1)).unwrap();
    let ticket = in_line(&mut bulkhead, ms(1), None);
    assert_eq!((bulkhead.in_flight(), bulkhead.ready()), (3, 0));
    for left in [2, 1, 0] {
        bulkhead.release(ms(2), slots.pop().unwrap(), Released::Neutral);
        assert_eq!(bulkhead.ready(), usize::from(left == 0));
    }
    assert!(matches!(bulkhead.poll(ms(2), ticket), Polled::Ready(_)));
}

/// Nobody in line, by type: it refuses like a plain bulkhead.
#[test]
fn a_line_of_none_refuses_at_once() {
    let (mut bulkhead, _slot) = one_slot::<0>();
    assert_eq!(
        bulkhead.enter(ms(1), None),
        Entered::Refused {
            reason: Refusal::LineFull,
            expected_wait: Duration::ZERO
        }
    );
}

#[test]
fn the_limit_learns_from_what_is_released() {
    let config = AimdConfig {
        min: 1,
        ..AimdConfig::DEFAULT
    };
    let quick = Released::Success {
        took: Duration::from_millis(1),
    };
    // By how many were in flight when the call started, itself included.
    for (before, released, limit) in [
        (9, quick, 21),
        (8, quick, 20),
        (9, Released::Neutral, 20),
        (0, Released::Dropped, 18),
    ] {
        let mut bulkhead: WaitingBulkhead<1> = WaitingBulkhead::new(LimitConfig::Aimd(config)).unwrap();
        let mut slots = Vec::new();
        while slots.len() <= before {
            let Entered::Now(slot) = bulkhead.enter(ms(0), None) else {
                panic!("twenty fit")
            };
            slots.push(slot);
        }
        bulkhead.release(ms(1), slots.pop().unwrap(), released);
        assert_eq!(bulkhead.limit(), limit, "{released:?} beside {before}");
    }
}
