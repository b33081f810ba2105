//! What is drawn, and that a file says exactly the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use super::plan::Plan;
use super::schedule::Effect;
use super::trial::{Judged, Trials};
use super::{Options, Schedule, draw, explore, in_order};
use crate::scenario::{self, ClientEffect, Scenario};
use crate::world;

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

/// Run 0 ends only after all others, and still comes first.
#[test]
fn results_are_in_the_order_of_runs() {
    let ended = Mutex::new(Vec::new());
    let others_are_done = Condvar::new();
    let results = in_order(6, 2, &|_| {}, |run| {
        let mut ended = ended.lock().expect("nobody panicked");
        if run == 0 {
            ended = others_are_done
                .wait_while(ended, |ended| ended.len() < 5)
                .expect("nobody panicked");
        }
        ended.push(run);
        others_are_done.notify_all();
        run
    });
    assert_eq!(ended.into_inner().expect("nobody panicked"), [1, 2, 3, 4, 5, 0]);
    assert_eq!(results, [0, 1, 2, 3, 4, 5]);
}

/// Nine tenths of the capacity are in use and nobody retries: what piles up is gone late, and no policy is
/// to blame. With retries the same never ends, and that is found.
#[test]
fn a_queue_that_alone_outlasts_the_bound_is_excused() {
    let busy = |retry: &str| {
        let text = BASE
            .replace(
                "servers: 8, service_time: { constant: 5ms }",
                "servers: 4, service_time: { constant: 100ms }",
            )
            .replace(
                "calls: front, arrivals: { poisson: 5/s }",
                "calls: \"data: base\", arrivals: { poisson: 12/s }",
            )
            .replace("store: { ", &format!("store: {{ retry: {retry}, "));
        let (before, after) = text.split_once("services:").expect("a service");
        let (_, clients) = after.split_once("clients:").expect("clients");
        let options = Options {
            seed: 1,
            runs: 8,
            threads: 2,
        };
        explore(&load(&format!("{before}clients:{clients}")), options, &|_| {})
    };
    let once = busy("never");
    assert_eq!(once.failures.len(), 0, "{once:?}");
    assert!(once.excused > 0 && once.passed > 0, "{once:?}");
    assert_eq!(once.passed + once.excused, 8);
    let again = busy("standard");
    assert_eq!(
        again.failures.first().map(|found| found.rule),
        Some("recovery"),
        "{again:?}"
    );
}

/// With few retries the queue that a storm leaves is worked off at seven calls a second, where one attempt a
/// call does it at ten: late, and still back.
#[test]
fn slow_is_not_never() {
    let incident = "../fixtures/scenarios/incidents/2013-spotify-popcount/with-our-policy.yml";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(incident);
    let scenario =
        scenario::load(&path, None, &|_| None).unwrap_or_else(|error| panic!("{}", error.render()));
    let plan = Plan::new(&scenario);
    let trials = Trials::new(&scenario, plan);
    let late = trials.draw(20_130_484);
    let in_time = trials.shortfall(
        &late,
        &world::run(&late.scenario(&scenario), late.seed, None, &mut |_| {}).expect("it ends"),
        plan.window(),
    );
    assert!(matches!(in_time, Ok(Some(_))), "{in_time:?}");
    assert_eq!(trials.try_all(&late).expect("it ends"), Judged::Held);
}

/// Three clients that call five times a second, in a storm of thirty seconds.
#[test]
fn a_burst_is_at_most_what_the_clients_do_anyway() {
    let most = |rate: &str| {
        let base = load(&BASE.replace("5/s", rate));
        let bursts = (0..600).flat_map(|seed| drawn(&base, seed).faults);
        bursts
            .filter_map(|fault| match fault.effect {
                Effect::Client(ClientEffect::Burst(calls)) => Some(calls),
                Effect::Client(_) | Effect::Node(..) => None,
            })
            .max()
            .expect("there are bursts")
    };
    assert!((100..=150).contains(&most("5/s")), "{}", most("5/s"));
    assert_eq!(most("0.02/s"), 1);
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
