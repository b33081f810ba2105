//! What is written, and how long that took.

use std::time::Duration;

use crossbridge_std::profiling::{Event, EventType, Millis, Seconds};

/// Events as a run of tests makes them, some 230 bytes each.
pub(crate) fn events(count: usize) -> Vec<Event> {
    (0..count)
        .map(|number| {
            let id = format!("30e76e67-0000-8007-a7e7-{number:012x}");
            let test = format!("tests/test_checkout.py::test_total[{}]", number % 500);
            let kind = if number % 2 == 0 {
                EventType::TestEnd
            } else {
                EventType::StepEnd
            };
            let mut event = Event::new(id, "2c7cf4f5-3c5e-4b6f-9f3f-0b7f7f3f2a11", test, kind);
            let seconds = u32::try_from(number).unwrap_or(0);
            event.framework = "pytest".to_owned();
            event.step_name = Some("call".to_owned());
            event.start_time = Seconds::new(f64::from(seconds) * 0.013).ok();
            event.duration_ms = Millis::new(f64::from(seconds % 1_000) + 0.125).ok();
            event.created_at = "2026-11-21T16:53:04.026751Z".parse().ok();
            event.metadata.insert("status", "passed".into());
            event.metadata.insert("attempts", 1.into());
            event.metadata.insert("worker", "gw3".into());
            event
        })
        .collect()
}

/// Rows per second.
pub(crate) fn per_second(count: usize, took: Duration) -> u64 {
    let rows = u128::try_from(count).unwrap_or(u128::MAX) * 1_000_000;
    u64::try_from(rows / took.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// A line of `/proc/self/status` in MiB, rounded up: `VmRSS` is the memory in use, `VmHWM` its highest.
pub(crate) fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).div_ceil(1_024)
}
