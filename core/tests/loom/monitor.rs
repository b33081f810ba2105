//! No evidence is lost, and a change of health is told once.

use crossbridge_core::Instant;
use crossbridge_core::health::{Health, MonitorConfig, ProbeResult, SharedMonitor};
use loom::sync::Arc;

use crate::together;

#[test]
fn two_failures_are_one_change() {
    loom::model(|| {
        let config = MonitorConfig {
            rise: 1,
            fall: 2,
            flapping: None,
            ..MonitorConfig::DEFAULT
        };
        let monitor = SharedMonitor::new(config).expect("in its ranges");
        assert!(monitor.observe(Instant::ZERO, ProbeResult::Pass).is_some());
        let before = monitor.health();
        let shared = Arc::new(monitor);
        let told = together::<2, _, _>(&shared, |shared, _| {
            shared.observe(Instant::ZERO, ProbeResult::Fail)
        });
        let down: Vec<_> = told
            .into_iter()
            .flatten()
            .filter(|change| change.to == shared.health())
            .collect();
        assert_eq!(down.len(), 1, "one thread is told, of the change that was made");
        assert_ne!(shared.health(), before);
        assert_ne!(shared.health(), Health::Unknown);
    });
}
