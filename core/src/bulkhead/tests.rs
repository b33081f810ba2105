//! What each event does in each state.

use core::time::Duration;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::limit::{AimdConfig, Limit, LimitConfig, Sample};
use super::waiters::{Entered, Polled, Released, Slot, Ticket, WaitingBulkhead};
use crate::Instant;
use crate::tests::{row, table};

/// Two slots, two places in line.
struct Setting {
    bulkhead: WaitingBulkhead<2>,
    slots: Vec<Slot>,
    tickets: Vec<Ticket>,
}

const DEADLINE: Instant = at(100);

const fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn setting(slots: usize, tickets: usize) -> Setting {
    let mut setting = Setting {
        bulkhead: WaitingBulkhead::new(LimitConfig::Fixed(2)).unwrap(),
        slots: Vec::new(),
        tickets: Vec::new(),
    };
    for _ in 0..slots + tickets {
        enter(&mut setting, Some(DEADLINE));
    }
    setting
}

fn enter(setting: &mut Setting, deadline: Option<Instant>) -> String {
    match setting.bulkhead.enter(at(0), deadline) {
        Entered::Now(slot) => {
            setting.slots.push(slot);
            "now".into()
        }
        Entered::Waiting(ticket) => {
            setting.tickets.push(ticket);
            "waiting".into()
        }
        Entered::Refused { reason, .. } => reason.name().into(),
    }
}

/// The waiter at this place polls.
fn poll(setting: &mut Setting, place: usize) -> String {
    if place >= setting.tickets.len() {
        return String::new();
    }
    let ticket = setting.tickets.remove(place);
    match setting.bulkhead.poll(at(0), ticket) {
        Polled::Ready(_) => "ready".into(),
        Polled::Waiting(_) => "waiting".into(),
        Polled::Expired => "expired".into(),
    }
}

/// A slot comes back, and the line is as it is then.
fn release(setting: &mut Setting) {
    let slot = setting.slots.remove(0);
    setting.bulkhead.release(at(0), slot, Released::Neutral);
}

type Start = (&'static str, fn() -> Setting);

const STATES: [Start; 7] = [
    ("empty", || setting(0, 0)),
    ("one free", || setting(1, 0)),
    ("full", || setting(2, 0)),
    ("full, 1 in line", || setting(2, 1)),
    ("full, 2 in line", || setting(2, 2)),
    ("one free, 1 in line", || {
        let mut one_back = setting(2, 1);
        release(&mut one_back);
        one_back
    }),
    ("one free, 2 in line", || {
        let mut one_back = setting(2, 2);
        release(&mut one_back);
        one_back
    }),
];

type Event = (&'static str, fn(&mut Setting) -> String);

const EVENTS: [Event; 7] = [
    ("enter", |setting| enter(setting, None)),
    ("enter, too late", |setting| enter(setting, Some(at(0)))),
    ("first polls", |setting| poll(setting, 0)),
    ("second polls", |setting| poll(setting, 1)),
    ("first cancels", |setting| {
        if setting.tickets.is_empty() {
            return String::new();
        }
        setting.bulkhead.cancel(setting.tickets.remove(0));
        "gone".into()
    }),
    ("release", |setting| {
        if setting.slots.is_empty() {
            return String::new();
        }
        release(setting);
        "back".into()
    }),
    ("deadline", |setting| {
        setting.bulkhead.handle_timeout(DEADLINE);
        "passed".into()
    }),
];

/// Slots out, callers in line, and how many of them would get one.
fn describe(setting: &Setting) -> String {
    let bulkhead = &setting.bulkhead;
    let (out, waiting, ready) = (bulkhead.in_flight(), bulkhead.waiting(), bulkhead.ready());
    format!("{out}/{waiting}/{ready}")
}

#[test]
fn waiters_by_event() {
    let mut header = vec!["slots out/in line/ready".into(), String::new()];
    header.extend(EVENTS.iter().map(|&(name, _)| name.into()));
    let mut rows = vec![header];
    for (name, start) in STATES {
        let mut cells = vec![name.into(), describe(&start())];
        for (_, event) in EVENTS {
            let mut setting = start();
            let answer = event(&mut setting);
            cells.push(if answer.is_empty() {
                "-".into()
            } else {
                format!("{answer} {}", describe(&setting))
            });
        }
        rows.push(cells);
    }
    insta::assert_snapshot!(table(&rows));
}

#[test]
fn aimd_by_sample() {
    let config = AimdConfig {
        initial: 10,
        min: 10,
        max: 40,
        ..AimdConfig::DEFAULT
    };
    let samples = [
        ("half in use", 1, 2, Duration::ZERO, false),
        ("less", 1, 3, Duration::ZERO, false),
        ("as slow as may be", 1, 1, config.timeout, false),
        ("slower", 1, 1, config.timeout + Duration::from_nanos(1), false),
        ("dropped", 1, 1, Duration::ZERO, true),
        ("dropped, few in use", 0, 1, Duration::ZERO, true),
    ];
    let mut header = row(["limit"]);
    header.extend(samples.iter().map(|&(name, ..)| name.into()));
    let mut rows = vec![header];
    for limit in [10_u32, 11, 12, 25, 39, 40] {
        let mut cells = vec![format!("{limit}")];
        for (_, part, of, took, dropped) in samples {
            let sample = Sample {
                in_flight: (limit * part).div_ceil(of),
                took,
                dropped,
            };
            let initial = limit;
            let mut limit = Limit::new(LimitConfig::Aimd(AimdConfig { initial, ..config })).unwrap();
            limit.on_sample(sample);
            cells.push(format!("{}", limit.get()));
        }
        rows.push(cells);
    }
    insta::assert_snapshot!(table(&rows));
}
