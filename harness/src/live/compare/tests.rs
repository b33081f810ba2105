use std::path::Path;

use super::*;
use crate::result::without_faults;
use crate::scenario::{self, Scenario};
use crate::world;

fn replay(scenario: &Scenario, seed: u64) -> ReplayResult {
    let outcome = world::run(scenario, seed, None, &mut |_| {}).unwrap();
    ReplayResult::new(scenario, seed, &outcome)
}

/// Which numbers of a measurement are not as predicted, on a machine that costs nothing.
fn off(scenario: &Scenario, measurement: &ReplayResult) -> Vec<&'static str> {
    off_on(OverheadMs::default(), LateMs::default(), scenario, measurement)
}

fn off_on(
    overhead: OverheadMs,
    late: LateMs,
    scenario: &Scenario,
    measurement: &ReplayResult,
) -> Vec<&'static str> {
    let results = seeds(scenario.seed).map(|seed| Ok::<_, ()>(replay(scenario, seed)));
    let scatter = Scatter::over(results).unwrap();
    let prediction = replay(scenario, scenario.seed);
    let compared = compare(&prediction, measurement, &scatter, overhead, late);
    assert_eq!(compared.len(), Metric::ALL.len());
    compared
        .iter()
        .filter(|one| !one.within)
        .map(|one| one.metric)
        .collect()
}

#[test]
fn another_seed_is_the_same_day_and_another_day_is_not() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios/live/postgres-refuse.yml");
    let scenario = scenario::load(&path, None, &|_| None).unwrap();
    assert!(off(&scenario, &replay(&scenario, scenario.seed)).is_empty());
    assert!(off(&scenario, &replay(&scenario, 4_711)).is_empty());

    // The fault did not come.
    let calm = without_faults(&scenario).unwrap();
    let all_but_latency = [
        "goodput",
        "amplification",
        "attempts",
        "refused",
        "recovery_seconds",
    ];
    assert_eq!(off(&scenario, &replay(&calm, scenario.seed)), all_but_latency);

    // The server is slower than it was said to be.
    let mut slow = scenario.clone();
    slow.nodes[0].service_time = crate::distribution::Distribution::Constant(30_000_000);
    let numbers = off(&scenario, &replay(&slow, scenario.seed));
    assert_eq!(numbers, ["latency_ms.p50", "latency_ms.p90"]);

    // The breaker is not there.
    let mut open = scenario.clone();
    open.clients[0].calls.guard.breaker.consecutive_failures = None;
    let numbers = off(&scenario, &replay(&open, scenario.seed));
    assert!(
        numbers.contains(&"attempts") && numbers.contains(&"refused"),
        "{numbers:?}"
    );
}

/// A tolerance that allows for a fault that never came would say nothing: so it is for every scenario
/// that is run on real servers, even on a machine that is busy.
#[test]
fn a_fault_that_did_not_come_is_noticed() {
    let overhead = OverheadMs { p50: 5.0, p90: 10.0 };
    let late = LateMs {
        p50: 0.3,
        p99: 10.0,
        max: 20.0,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios/live");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let scenario = scenario::load(&path, None, &|_| None).unwrap();
        let calm = replay(&without_faults(&scenario).unwrap(), scenario.seed);
        let numbers = off_on(overhead, late, &scenario, &calm);
        assert!(numbers.contains(&"amplification"), "{path:?}: {numbers:?}");
    }
}

/// A recovery that never came is the same only as another one.
#[test]
fn never_is_not_a_number() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios/live/postgres-refuse.yml");
    let scenario = scenario::load(&path, None, &|_| None).unwrap();
    let mut never = replay(&scenario, scenario.seed);
    never.recovery_seconds = None;
    assert_eq!(off(&scenario, &never), ["recovery_seconds"]);
}

#[test]
fn a_deviation_is_that_of_a_sample() {
    assert!((standard_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) - 2.138_089_935).abs() < 1e-9);
    assert!(standard_deviation(&[1.0]).abs() < 1e-9 && standard_deviation(&[]).abs() < 1e-9);
}
