//! `profiling:` how much of what is on its way to the event store is kept, and where.
//!
//! ```yaml
//! profiling:
//!   spool:                      # on disk, one file per store
//!     max_events: 10000000
//!     max_size_mb: 4096         # of events; the file takes some 10 % more
//!     overflow: refuse          # or drop_oldest, drop_newest
//!   collector:                  # in programs
//!     durability: spool         # or memory
//!     at_risk: 100ms            # the longest an event is in memory only, 1 ms to 1 min
//!     queue_events: 65536       # in memory
//!     queue_size_mb: 64
//!     overflow: refuse
//!     sampling_rate: 1.0        # the share of tests that is recorded
//!     sampling_seed: 0
//! ```
//!
//! The section's other keys are the platform's own.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::Problem;
use super::key_path::KeyPath;
use super::scalar::{Seconds, Share, Whole};
use crate::profiling::settings::LEAST_AT_RISK;
use crate::profiling::{CollectorSettings, Durability, Limits, Overflow, Sampling};

/// What waits on disk until the store is back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Spool")]
pub(super) struct SpoolFile {
    /// The most events.
    #[schemars(extend("default" = Limits::DEFAULT.events))]
    max_events: Option<Whole<1, { u32::MAX }>>,
    /// The most megabytes of events; the file takes some 10 % more.
    #[schemars(extend("default" = Limits::DEFAULT.bytes >> 20))]
    max_size_mb: Option<Whole<1, 16_777_216>>,
    /// What happens to an event that does not fit; one that is dropped is counted as lost.
    overflow: Option<OverflowFile>,
}

/// What programs keep on the way.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Collector")]
pub(super) struct CollectorFile {
    /// Whether events wait on disk or in memory only.
    durability: Option<DurabilityFile>,
    /// The longest an event is in memory only, 1 ms to 1 min.
    at_risk: Option<Seconds>,
    /// The most events in memory.
    queue_events: Option<Whole<1, { u32::MAX }>>,
    /// The most megabytes of events in memory.
    queue_size_mb: Option<Whole<1, 1_048_576>>,
    /// What happens to an event that does not fit.
    overflow: Option<OverflowFile>,
    /// The share of tests that is recorded, all events of a test or none.
    sampling_rate: Option<Share>,
    /// Another seed draws other tests.
    sampling_seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum OverflowFile {
    /// The caller is told.
    Refuse,
    /// The oldest event goes.
    DropOldest,
    /// It goes itself.
    DropNewest,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum DurabilityFile {
    /// In memory only: what a killed program held is lost.
    Memory,
    /// On disk, after `at_risk` at the latest.
    Spool,
}

pub(super) fn spool(file: &SpoolFile) -> Limits {
    let default = Limits::DEFAULT;
    Limits {
        events: file.max_events.map_or(default.events, |most| most.get().into()),
        bytes: file
            .max_size_mb
            .map_or(default.bytes, |most| u64::from(most.get()) << 20),
        overflow: file.overflow.map_or(default.overflow, overflow),
    }
}

pub(super) fn collector(
    file: &CollectorFile,
    path: &KeyPath,
    problems: &mut Vec<Problem>,
) -> CollectorSettings {
    let default = CollectorSettings::DEFAULT;
    if let Some(span) = file.at_risk
        && !(LEAST_AT_RISK..=MOST_AT_RISK).contains(&span.get())
    {
        problems.push(Problem::invalid(path.key("at_risk"), span, "1ms to 1m"));
    }
    let rate = file.sampling_rate.map(Share::per_mille);
    CollectorSettings {
        durability: match file.durability {
            Some(DurabilityFile::Memory) => Durability::Memory,
            Some(DurabilityFile::Spool) => Durability::Spool,
            None => default.durability,
        },
        at_risk: file.at_risk.map_or(default.at_risk, Seconds::get),
        queue_events: file
            .queue_events
            .map_or(default.queue_events, |most| most.get().into()),
        queue_bytes: file
            .queue_size_mb
            .map_or(default.queue_bytes, |most| u64::from(most.get()) << 20),
        overflow: file.overflow.map_or(default.overflow, overflow),
        sampling: rate.map_or(default.sampling, |rate| {
            Sampling::new(rate, file.sampling_seed.unwrap_or_default())
        }),
    }
}

const fn overflow(file: OverflowFile) -> Overflow {
    match file {
        OverflowFile::Refuse => Overflow::Refuse,
        OverflowFile::DropOldest => Overflow::DropOldest,
        OverflowFile::DropNewest => Overflow::DropNewest,
    }
}

const MOST_AT_RISK: Duration = Duration::from_secs(60);
