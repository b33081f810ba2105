//! What each result does to each value of the counter.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use core::time::Duration;

use super::state::UNKNOWN;
use super::*;
use crate::tests::{row, table};

const RESULTS: [(&str, ProbeResult); 5] = [
    ("pass", ProbeResult::Pass),
    ("slow pass", ProbeResult::SlowPass),
    ("fail", ProbeResult::Fail),
    ("fatal", ProbeResult::Fatal),
    ("inconclusive", ProbeResult::Inconclusive),
];

fn describe(monitor: &Monitor) -> String {
    let counter = match monitor.state.counter {
        UNKNOWN => "-".into(),
        h => format!("{h}"),
    };
    format!("{counter} {}", monitor.health().name())
}

fn counter_by_result(rise: u8, fall: u8) -> String {
    let config = MonitorConfig {
        rise,
        fall,
        ..MonitorConfig::DEFAULT
    };
    let mut header = vec![format!("rise {rise}, fall {fall}")];
    header.extend(RESULTS.iter().map(|&(name, _)| name.into()));
    header.push("silence".into());
    let mut rows = vec![header];
    for counter in core::iter::once(UNKNOWN).chain(0..rise + fall) {
        let mut start = Monitor::new(config).unwrap();
        start.state.counter = counter;
        start.state.stale_at = Instant::from_nanos(90);
        let mut cells = vec![describe(&start)];
        for (_, result) in RESULTS {
            let mut monitor = start.clone();
            monitor.observe(Instant::ZERO, result);
            cells.push(describe(&monitor));
        }
        let mut silent = start;
        silent.handle_timeout(Instant::from_nanos(90));
        cells.push(describe(&silent));
        rows.push(cells);
    }
    table(&rows)
}

#[test]
fn counter_by_result_as_by_default() {
    insta::assert_snapshot!(counter_by_result(2, 3));
}

/// Where one result each way is enough.
#[test]
fn counter_by_result_without_patience() {
    insta::assert_snapshot!(counter_by_result(1, 1));
}

/// When the next probe is due, by the state that the last one left.
#[test]
fn interval_by_counter() {
    let config = MonitorConfig {
        interval: Duration::from_secs(30),
        transition_interval: Duration::from_secs(10),
        down_interval: Duration::from_secs(20),
        ..MonitorConfig::DEFAULT
    };
    let mut rows = vec![row(["counter", "next probe", "with jitter"])];
    for counter in core::iter::once(UNKNOWN).chain(0..5) {
        let mut monitor = Monitor::new(config).unwrap();
        monitor.state.counter = counter;
        let nanos = monitor.state.interval(&monitor.rules);
        let interval = Duration::from_nanos(nanos);
        let spread = Duration::from_nanos(monitor.rules.spread(nanos));
        rows.push(Vec::from([
            describe(&monitor),
            format!("{interval:?}"),
            format!("{:?} to {:?}", interval - spread, interval + spread),
        ]));
    }
    insta::assert_snapshot!(table(&rows));
}

/// What each result does to a target that flaps, or is about to.
#[test]
fn health_by_result_with_damping() {
    use ProbeResult::{Fail, Fatal, Pass};
    let starts: [(&str, &[ProbeResult]); 6] = [
        ("up, steady", &[Pass; 21]),
        ("down and up twice", &[Pass, Fatal, Pass, Pass, Fatal, Pass, Pass]),
        (
            "three times",
            &[Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fatal, Pass, Pass],
        ),
        (
            "and down",
            &[
                Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fatal,
            ],
        ),
        (
            "flapping, on its way down",
            &[
                Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fail, Fail,
            ],
        ),
        (
            "down for 14",
            &[
                Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fatal, Pass, Pass, Fatal, Fatal, Fatal, Fatal,
                Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal, Fatal,
            ],
        ),
    ];
    let cell = |monitor: &Monitor| format!("{} {}", monitor.flapping().share(), describe(monitor));
    let mut header = vec!["share, counter, health".into(), String::new()];
    header.extend(RESULTS.iter().map(|&(name, _)| name.into()));
    header.push("silence".into());
    let mut rows = vec![header];
    for (name, results) in starts {
        let mut start = Monitor::new(MonitorConfig::DEFAULT).unwrap();
        for &result in results {
            start.observe(Instant::ZERO, result);
        }
        let mut cells = vec![name.into(), cell(&start)];
        for (_, result) in RESULTS {
            let mut monitor = start.clone();
            monitor.observe(Instant::ZERO, result);
            cells.push(cell(&monitor));
        }
        start.handle_timeout(Instant::from_nanos(90_000_000_000));
        cells.push(cell(&start));
        rows.push(cells);
    }
    insta::assert_snapshot!(table(&rows));
}

/// What the health of the two targets of a feature does to it.
#[test]
fn feature_by_health_of_its_targets() {
    use super::degraded::{DegradedMode, Feature, Why};
    use super::summary::Target;

    const FEATURES: &[Feature<'_>] = &[Feature {
        name: "search",
        needs: &[0, 1],
    }];
    let healths = [
        Health::Healthy,
        Health::Degraded,
        Health::Unknown,
        Health::Unhealthy,
    ];
    let mut header = vec!["feature".into(), "first target".into()];
    header.extend(healths.map(|second| format!("second {}", second.name())));
    let mut rows = vec![header];
    for on in [true, false] {
        for first in healths {
            let name = if on { "on" } else { "off" };
            let mut cells = vec![name.into(), first.name().into()];
            for second in healths {
                let mut mode = DegradedMode::new(FEATURES, 2).unwrap();
                if !on {
                    let _ = mode.update(Instant::ZERO, &[Target::critical(Health::Unhealthy); 2]);
                }
                let targets = [first, second].map(Target::critical);
                let change = mode.update(Instant::ZERO, &targets).next();
                cells.push(match change.map(|change| change.why) {
                    None => "as it was".into(),
                    Some(Why::Down { target }) => format!("off: {target} is down"),
                    Some(Why::Answering { degraded }) => format!("on: {degraded} degraded"),
                });
            }
            rows.push(cells);
        }
    }
    insta::assert_snapshot!(table(&rows));
}

/// Steady for as long as may be, and one nanosecond longer: the damping has forgotten.
#[test]
fn a_steady_target_is_forgotten_after_its_ttl() {
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    for _ in 0..30 {
        monitor.observe(Instant::ZERO, ProbeResult::Pass);
    }
    let last = Instant::from_nanos(89_999_999_999);
    monitor.observe(last, ProbeResult::Pass);
    assert_eq!(monitor.flapping().snapshot().results, 21);
    monitor.observe(last.saturating_add(Duration::from_secs(90)), ProbeResult::Pass);
    assert_eq!(monitor.flapping().snapshot().results, 1);
    assert_eq!(monitor.health(), Health::Healthy);
}

#[test]
fn the_state_is_small() {
    assert_eq!(size_of::<MonitorState>(), 40);
}
