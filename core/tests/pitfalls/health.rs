//! Monitors that flip on a stray result, wait for the hung, or remember the past as the present.

use core::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::health::summary::{Criticality, summarize};
use crossbridge_core::health::{Health, Monitor, MonitorConfig, ProbeResult};

use crate::at_secs;

fn after(results: &[ProbeResult]) -> Health {
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    for &result in results {
        monitor.observe(Instant::ZERO, result);
    }
    monitor.health()
}

/// One pass among the failures starts the count again, as in `HAProxy`.
#[test]
fn only_failures_in_a_row_bring_it_down() {
    use ProbeResult::{Fail, Pass};
    assert_eq!(after(&[Pass, Fail, Fail, Pass]), Health::Healthy);
    assert_eq!(after(&[Pass, Fail, Fail, Pass, Fail, Fail]), Health::Degraded);
    assert_eq!(
        after(&[Pass, Fail, Fail, Pass, Fail, Fail, Fail]),
        Health::Unhealthy
    );
}

#[test]
fn only_passes_in_a_row_bring_it_up() {
    use ProbeResult::{Fail, Pass};
    assert_eq!(after(&[Fail, Pass]), Health::Unhealthy);
    assert_eq!(after(&[Fail, Pass, Fail, Pass]), Health::Unhealthy);
    assert_eq!(after(&[Fail, Pass, Pass]), Health::Healthy);
}

#[test]
fn unknown_is_never_healthy() {
    assert_eq!(after(&[]), Health::Unknown);
    assert_eq!(after(&[ProbeResult::Inconclusive]), Health::Unknown);
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    monitor.observe(Instant::ZERO, ProbeResult::Pass);
    monitor.handle_timeout(Instant::from_nanos(89_999_999_999));
    assert_eq!(monitor.health(), Health::Healthy);
    monitor.handle_timeout(at_secs(90));
    assert_eq!(monitor.health(), Health::Unknown);
    for criticality in [Criticality::Critical, Criticality::Optional] {
        assert_ne!(summarize([(criticality, Health::Unknown)]), Health::Healthy);
    }
}

/// A probe that hangs ends by its timeout, and its late result is not the next one's.
#[test]
fn a_hung_probe_fails_and_its_late_result_is_ignored() {
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    let mut rng = SplitMix64::new(1);
    let hung = monitor.start_probe(at_secs(1), &mut rng).expect("due at once");
    assert!(
        monitor.start_probe(at_secs(2), &mut rng).is_none(),
        "one at a time"
    );
    assert_eq!(monitor.poll_at(), Some(at_secs(11)));
    monitor.handle_timeout(at_secs(11));
    assert_eq!(monitor.health(), Health::Unhealthy);

    let due = monitor.next_probe_at(&mut rng).expect("it is over");
    let next = monitor.start_probe(due, &mut rng).expect("due");
    monitor.finish_probe(due, hung, ProbeResult::Pass);
    assert_eq!(monitor.health(), Health::Unhealthy, "too late");
    monitor.finish_probe(due, next, ProbeResult::Pass);
    assert_eq!(monitor.health(), Health::Unhealthy, "the first of two");
}

/// A thousand monitors that failed together do not probe together.
#[test]
fn a_fleet_does_not_probe_in_step() {
    let mut rng = SplitMix64::new(1);
    let due: Vec<Instant> = (0..1_000)
        .map(|_| {
            let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
            let probe = monitor.start_probe(Instant::ZERO, &mut rng).expect("due at once");
            monitor.finish_probe(Instant::ZERO, probe, ProbeResult::Pass);
            monitor.next_probe_at(&mut rng).expect("scheduled")
        })
        .collect();
    let (first, last) = (due.iter().min().unwrap(), due.iter().max().unwrap());
    assert!(*first >= at_secs(27) && *last <= at_secs(33));
    assert!(last.saturating_duration_since(*first) > Duration::from_secs(5));
}
