//! What a run on real servers found, in the form that is printed: schema 1 of `replay --live`.

use std::time::Duration;

use serde::Serialize;

use super::compare::Comparison;
use crate::result::{ReplayResult, Verdict};
use crate::scenario::Scenario;

/// Prediction and measurement. Fields are only added within a schema.
#[derive(Clone, Debug, Serialize)]
pub struct LiveResult {
    /// Version of this form.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of both.
    pub seed: u64,
    /// Pass where every number is within its tolerance and every promise was kept in both.
    pub verdict: Verdict,
    /// Number by number.
    pub comparison: Vec<Comparison>,
    /// The servers.
    pub servers: Vec<ServerResult>,
    /// How late calls began: more than some milliseconds say that the machine was too busy to measure.
    pub late_ms: LateMs,
    /// The replay in virtual time.
    pub prediction: ReplayResult,
    /// The same counts on real servers. `virtual_seconds` were real ones, `events` are those of guards. Of
    /// a dependency it is known what its clients saw: `received` are attempts, `served` those that
    /// succeeded, `wasted` is 0.
    pub measurement: ReplayResult,
}

/// A real server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerResult {
    /// The dependency's name.
    pub dependency: String,
    /// What it was: `postgres`, `redis` or `http`.
    pub server: &'static str,
    /// What an attempt took that asked for nothing, before or after the run, whichever was slower.
    pub overhead_ms: OverheadMs,
}

/// What connecting, greeting and hearing an answer takes, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OverheadMs {
    /// The median.
    pub p50: f64,
    /// Nine of ten are faster.
    pub p90: f64,
}

/// How late calls began, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LateMs {
    /// The median.
    pub p50: f64,
    /// 99 of 100 are less late.
    pub p99: f64,
    /// The latest.
    pub max: f64,
}

impl LiveResult {
    pub(super) fn new(
        scenario: &Scenario,
        prediction: ReplayResult,
        measurement: ReplayResult,
        comparison: Vec<Comparison>,
        servers: Vec<ServerResult>,
        late_ms: LateMs,
    ) -> Self {
        let agree = comparison.iter().all(|one| one.within);
        let kept = prediction.verdict == Verdict::Pass && measurement.verdict == Verdict::Pass;
        Self {
            schema: 1,
            scenario: scenario.name.clone(),
            seed: prediction.seed,
            verdict: if agree && kept {
                Verdict::Pass
            } else {
                Verdict::Fail
            },
            comparison,
            servers,
            late_ms,
            prediction,
            measurement,
        }
    }
}

impl OverheadMs {
    pub(super) fn of(mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        Self {
            p50: quantile(&spans, 50),
            p90: quantile(&spans, 90),
        }
    }

    pub(super) const fn max(self, other: Self) -> Self {
        Self {
            p50: self.p50.max(other.p50),
            p90: self.p90.max(other.p90),
        }
    }
}

impl LateMs {
    pub(super) fn of(mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        Self {
            p50: quantile(&spans, 50),
            p99: quantile(&spans, 99),
            max: quantile(&spans, 100),
        }
    }
}

/// The nearest rank of a sorted list, in milliseconds to three decimals; 0 of an empty one.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    let span = sorted.get(rank - 1).copied().unwrap_or_default();
    (span.as_secs_f64() * 1e6).round() / 1e3
}
