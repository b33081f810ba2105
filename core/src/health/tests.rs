//! What each result does to each value of the counter.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

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
    let counter = monitor.counter.map_or_else(|| "-".into(), |h| format!("{h}"));
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
    let counters = core::iter::once(None).chain((0..rise + fall).map(Some));
    for counter in counters {
        let start = Monitor {
            counter,
            stale_at: Instant::from_nanos(90),
            ..Monitor::new(config).unwrap()
        };
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
    for counter in core::iter::once(None).chain((0..5).map(Some)) {
        let monitor = Monitor {
            counter,
            ..Monitor::new(config).unwrap()
        };
        let interval = monitor.interval();
        let spread = Duration::from_nanos(config.jitter.of(nanos(interval)));
        rows.push(Vec::from([
            describe(&monitor),
            format!("{interval:?}"),
            format!("{:?} to {:?}", interval - spread, interval + spread),
        ]));
    }
    insta::assert_snapshot!(table(&rows));
}
