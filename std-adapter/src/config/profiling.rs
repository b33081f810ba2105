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

use serde::Deserialize;

use super::error::Problem;
use super::key_path::KeyPath;
use super::scalar::{Seconds, Share, Whole};
use crate::profiling::{CollectorSettings, Durability, Limits, Overflow, Sampling};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpoolFile {
    max_events: Option<Whole<1, { u32::MAX }>>,
    max_size_mb: Option<Whole<1, 16_777_216>>,
    overflow: Option<OverflowFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CollectorFile {
    durability: Option<DurabilityFile>,
    at_risk: Option<Seconds>,
    queue_events: Option<Whole<1, { u32::MAX }>>,
    queue_size_mb: Option<Whole<1, 1_048_576>>,
    overflow: Option<OverflowFile>,
    sampling_rate: Option<Share>,
    sampling_seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OverflowFile {
    Refuse,
    DropOldest,
    DropNewest,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DurabilityFile {
    Memory,
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

/// Less, and a disk is busy with nothing but its own syncs.
const LEAST_AT_RISK: Duration = Duration::from_millis(1);
const MOST_AT_RISK: Duration = Duration::from_secs(60);
