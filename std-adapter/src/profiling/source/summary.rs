//! What was found in an input, counted.

use std::collections::BTreeMap;

use super::{Item, SourceKind};
use crate::profiling::event::{Event, EventType, Status};

/// What was found in one input: the items given out so far, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What the input was read as.
    pub kind: SourceKind,
    /// The run of the last event.
    pub run_id: Option<String>,
    /// Events given out.
    pub events: u64,
    /// The same by kind; kinds that did not occur are not in it.
    pub by_type: BTreeMap<EventType, u64>,
    /// Tests that ended, by status.
    pub tests: StatusCounts,
    /// How often those tests were tried, all together: at least their number.
    pub attempts: u64,
    /// Tests that passed at last, after an attempt that did not.
    pub flaky: u64,
    /// The sum of the durations of the last attempts in milliseconds; those not measured add nothing.
    pub duration_ms: f64,
    /// Tests whose duration the input does not tell, or tells as something that is no time.
    pub unmeasured: u64,
    /// Lines that are no events.
    pub rejected: u64,
    /// Things that are odd.
    pub warnings: u64,
    /// Fields of JSONL lines that the model does not have, by name; they were kept in `metadata`.
    /// Names after the first 64 are counted together under `…`.
    pub unknown_fields: BTreeMap<String, u64>,
}

impl Summary {
    pub(super) const fn new(kind: SourceKind) -> Self {
        Self {
            kind,
            run_id: None,
            events: 0,
            by_type: BTreeMap::new(),
            tests: StatusCounts([0; Status::ALL.len()]),
            attempts: 0,
            flaky: 0,
            duration_ms: 0.0,
            unmeasured: 0,
            rejected: 0,
            warnings: 0,
            unknown_fields: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, item: &Item) {
        match item {
            Item::Event(event) => self.count_event(event),
            Item::Rejected(_) => self.rejected += 1,
            Item::Warning(_) => self.warnings += 1,
        }
    }

    fn count_event(&mut self, event: &Event) {
        self.events += 1;
        *self.by_type.entry(event.event_type).or_default() += 1;
        if self.run_id.as_ref() != Some(&event.run_id) {
            self.run_id = Some(event.run_id.clone());
        }
        let Some(status) = event.status() else { return };
        self.tests.add(status);
        self.attempts += event
            .metadata
            .get("attempts")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(1)
            .max(1);
        if event.metadata.get("flaky").and_then(serde_json::Value::as_bool) == Some(true) {
            self.flaky += 1;
        }
        match event.duration_ms {
            Some(duration) => self.duration_ms += duration.get(),
            None => self.unmeasured += 1,
        }
    }

    pub(super) fn unknown_field(&mut self, name: &str) {
        if self.unknown_fields.len() < MAX_NAMES || self.unknown_fields.contains_key(name) {
            *self
                .unknown_fields
                .entry(name.chars().take(80).collect())
                .or_default() += 1;
        } else {
            *self.unknown_fields.entry("…".to_owned()).or_default() += 1;
        }
    }
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; Status::ALL.len()]);

impl StatusCounts {
    /// How many ended with `status`.
    #[must_use]
    pub fn get(&self, status: Status) -> u64 {
        Status::ALL
            .iter()
            .zip(self.0)
            .find(|(known, _)| **known == status)
            .map_or(0, |(_, count)| count)
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every status with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().zip(self.0)
    }

    fn add(&mut self, status: Status) {
        for (known, count) in Status::ALL.iter().zip(&mut self.0) {
            *count += u64::from(*known == status);
        }
    }
}

/// How many names of unknown fields are told apart.
const MAX_NAMES: usize = 64;
