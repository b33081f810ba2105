//! Reading the fixtures.

#![allow(dead_code, unreachable_pub)] // Each test uses its part.

use std::fmt::Write as _;

use crossbridge_std::profiling::source::{self, Item};
use crossbridge_std::profiling::{Event, EventType, Options, Rejected, SourceError, Summary, Warning};

/// What a file gave, sorted by what it is.
#[derive(Debug, Default)]
pub struct Items {
    pub events: Vec<Event>,
    pub rejected: Vec<Rejected>,
    pub warnings: Vec<Warning>,
}

/// The bytes of `fixtures/profiling/<name>`.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/../fixtures/profiling/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reads bytes to their end or to the error.
pub fn try_read(name: &str, content: &[u8]) -> Result<(Items, Summary), SourceError> {
    let mut source = source::open(content, Options::named(name))?;
    let mut items = Items::default();
    for item in source.by_ref() {
        match item? {
            Item::Event(event) => items.events.push(event),
            Item::Rejected(rejected) => items.rejected.push(rejected),
            Item::Warning(warning) => items.warnings.push(warning),
        }
    }
    Ok((items, source.summary().clone()))
}

/// Reads a fixture that is fine.
pub fn read(name: &str) -> (Items, Summary) {
    try_read(name, &bytes(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Totals of a fixture as one line and its warnings, the same words for every file.
pub fn totals(name: &str) -> String {
    let (items, summary) = read(name);
    totals_of(name, &items, &summary)
}

/// The same of what was read already.
pub fn totals_of(name: &str, items: &Items, summary: &Summary) -> String {
    let mut out = format!("{name}: {} tests", summary.tests.total());
    for (status, count) in summary.tests.iter().filter(|(_, count)| *count > 0) {
        write!(out, ", {count} {status}").unwrap();
    }
    let retries = summary
        .by_type
        .get(&EventType::RetryEvent)
        .copied()
        .unwrap_or_default();
    write!(
        out,
        "; {} attempts, {retries} retried, {} flaky",
        summary.attempts, summary.flaky
    )
    .unwrap();
    write!(
        out,
        "; {:.3} s, {} not measured; {} warnings",
        summary.duration_ms / 1e3,
        summary.unmeasured,
        summary.warnings
    )
    .unwrap();
    let other = [EventType::TestEnd, EventType::RetryEvent];
    for (kind, count) in summary.by_type.iter().filter(|(kind, _)| !other.contains(kind)) {
        write!(out, ", {count} {kind}").unwrap();
    }
    assert_eq!(summary.events, items.events.len() as u64);
    for warning in &items.warnings {
        write!(out, "\n    {warning}").unwrap();
    }
    out
}
