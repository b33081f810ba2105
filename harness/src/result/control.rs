//! The control: the same scenario and seed on a day on which nothing goes wrong.
//!
//! Every actor and purpose draws from a stream of its own, so both runs have the same arrivals and
//! service times: what differs between them comes from the faults and from nothing else.

use serde::Serialize;

use super::counts::ratio;
use super::{AttemptCounts, CallCounts, LatencyMs};
use crate::scenario::Scenario;
use crate::tally::Series;
use crate::world::Outcome;

/// What the same seed gives without faults: the same counts as in the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControlResult {
    /// All clients' calls.
    pub calls: CallCounts,
    /// All clients' attempts.
    pub attempts: AttemptCounts,
    /// Attempts per first attempt; null without any.
    pub amplification: Option<f64>,
    /// The share of offered calls that succeeded; null without any.
    pub goodput: Option<f64>,
    /// Latency of calls that succeeded; null without any.
    pub latency_ms: Option<LatencyMs>,
    /// By second, for windows; not printed.
    #[serde(skip)]
    pub(super) series: Series,
}

impl ControlResult {
    /// The counts of a run.
    #[must_use]
    pub fn new(outcome: &Outcome) -> Self {
        let total = &outcome.ledger.total;
        Self {
            calls: CallCounts::of(total),
            attempts: AttemptCounts::of(total),
            amplification: ratio(total.attempts, total.first_attempts),
            goodput: ratio(total.succeeded, total.offered),
            latency_ms: LatencyMs::of(total),
            series: total.series.clone(),
        }
    }
}

/// The scenario with nothing going wrong; `None` where nothing does anyway.
#[must_use]
pub fn without_faults(scenario: &Scenario) -> Option<Scenario> {
    scenario.trouble()?;
    let mut control = scenario.clone();
    control.faults.clear();
    control.client_faults.clear();
    Some(control)
}
