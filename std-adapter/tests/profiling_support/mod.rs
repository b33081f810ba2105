//! Reading the fixtures.

#![allow(dead_code, unreachable_pub)] // Each test uses its part.

use crossbridge_std::profiling::source::{self, Item};
use crossbridge_std::profiling::{Event, Options, Rejected, SourceError, Summary, Warning};

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
