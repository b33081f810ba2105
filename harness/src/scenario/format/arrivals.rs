//! The `arrivals:` of a group of clients.

use crossbridge_std::config::{Rate, Seconds};
use schemars::JsonSchema;
use serde::Deserialize;

/// When a client calls.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Arrivals")]
pub enum ArrivalsFile {
    /// At a steady pace.
    Every(Seconds),
    /// At random, with this mean rate.
    Poisson(Rate),
    /// One at a time.
    Closed(ClosedFile),
    /// Several at once.
    Burst(BurstFile),
    /// At the instants of this file.
    Trace(String),
}

/// Several calls at once.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Burst")]
pub struct BurstFile {
    /// How many.
    pub size: u32,
    /// When first.
    #[serde(default)]
    pub at: Seconds,
    /// How long until the next; there is none where nothing is said.
    pub every: Option<Seconds>,
}

/// One call at a time.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Closed")]
pub struct ClosedFile {
    /// Between the end of a call and the begin of the next.
    pub think: Seconds,
}
