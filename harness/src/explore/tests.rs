//! What is drawn, and that a file says exactly the same.

use std::fmt::Write as _;
use std::fs;

use super::plan::Plan;
use super::{Schedule, draw};
use crate::scenario::{self, Scenario};

const BASE: &str = "\
scenario: base
duration: 60s
policies:
  paths:
    store: { attempt_timeout: 1s, deadline: 2s, idempotent: true }
dependencies:
  \"data: base\": { servers: 8, service_time: { constant: 5ms } }
services:
  front: { servers: 4, service_time: { constant: 1ms }, path: store, calls: \"data: base\" }
clients:
  users: { count: 3, path: store, calls: front, arrivals: { poisson: 5/s } }
";

fn load(text: &str) -> Scenario {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("scenario.yml");
    fs::write(&path, text).expect("written");
    scenario::load(&path, None, &|_| None).unwrap_or_else(|error| panic!("{}", error.render()))
}

fn drawn(base: &Scenario, seed: u64) -> Schedule {
    draw::draw(base, &Plan::new(base), seed)
}

/// Every kind of fault, as it is drawn and as it is read again.
#[test]
fn a_file_says_what_was_drawn() {
    let base = load(BASE);
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..150 {
        let schedule = drawn(&base, seed);
        let seconds = schedule.duration.as_secs();
        let mut text = BASE.replace("duration: 60s", &format!("duration: {seconds}s\nseed: {seed}"));
        text += "faults:\n";
        for fault in &schedule.faults {
            let line = fault.to_string();
            let kind = line
                .split("kind: ")
                .nth(1)
                .and_then(|rest| rest.split([',', ' ']).next());
            kinds.extend(kind.map(str::to_owned));
            let _ = writeln!(text, "  - {line}");
        }
        let (read, meant) = (load(&text), schedule.scenario(&base));
        assert_eq!(
            format!("{:?}", read.faults),
            format!("{:?}", meant.faults),
            "{text}"
        );
        assert_eq!(read.client_faults.len(), meant.client_faults.len());
        for (read, meant) in read.client_faults.iter().zip(&meant.client_faults) {
            assert_eq!(format!("{read:?}"), format!("{meant:?}"));
        }
        assert_eq!((read.seed, read.duration), (meant.seed, meant.duration));
    }
    assert_eq!(kinds.len(), 17, "{kinds:?}");
}

#[test]
fn faults_are_over_when_the_storm_is() {
    let base = load(BASE);
    let plan = Plan::new(&base);
    let storm = u64::try_from((plan.lead + plan.storm).as_millis()).expect("short");
    for seed in 0..150 {
        let schedule = drawn(&base, seed);
        assert!((1..=6).contains(&schedule.faults.len()));
        for fault in &schedule.faults {
            assert!(fault.at >= 5_000 && fault.at + fault.lasts <= storm, "{fault}");
        }
    }
}

#[test]
fn the_plan_follows_from_the_policies() {
    let with = |policies: &str| Plan::new(&load(&BASE.replace("  paths:\n", policies)));
    let plain = with("  paths:\n");
    // Two layers of at most two seconds, and nothing else that waits.
    assert_eq!(plain.recovery.as_secs(), 4);
    assert_eq!(
        (
            plain.storm.as_secs(),
            plain.judged.as_secs(),
            plain.tail.as_secs()
        ),
        (30, 10, 2)
    );
    let breaker = "  circuit_breakers: { slow: { open_wait_max: 20s, half_open_timeout: 30s } }\n  paths:\n";
    let text = BASE
        .replace("  paths:\n", breaker)
        .replace("{ attempt", "{ breaker: slow, attempt");
    // Two layers of 20 s open, 30 s half open, 2 s for a call; two probes of a client every 200 ms.
    assert_eq!(Plan::new(&load(&text)).recovery.as_secs(), 105);
}
