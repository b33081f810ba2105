//! Prediction beside measurement, number by number.
//!
//! Two runs of the same day differ by chance: jitter, service times and which requests a fault meets are
//! drawn anew. How much, the simulator says itself: the same scenario under 40 other seeds has, for each
//! number, a standard deviation `s`, and the difference of two such runs has one of `√2 s`. A quantile
//! between two humps of the latencies jumps from one to the other, which no deviation describes: the
//! seed that is farthest from the prediction, at a distance `d`, is as good a day as it. Beyond that a real
//! run differs by what the model leaves out.
//!
//! ```text
//!   tolerance = max(3 √2 s, d) + allowance
//! ```
//!
//! | number | allowance | why |
//! |---|---|---|
//! | goodput | 0.01 | calls at the edge of a fault |
//! | amplification | 0.02 | attempts that a real connection brings just over their timeout |
//! | attempts | 2 % | the same |
//! | refused | 1 % of the calls | circuits that open or close a little later |
//! | `recovery_seconds` | 1 s | it is measured in seconds |
//! | latency p50 | 3 ms, 3 times the p50 of a connection before or after the run, 10 times the p50 of the delay with which calls began | connecting, and the server's own work; threads and processes that wait for a core |
//! | latency p90 | 3 ms, 3 times the p90 of a connection, 5 times the p99 of that delay | the same |
//!
//! An attempt waits for a core some ten times: in client, proxy and server, there and back, for the greeting
//! and for the request. Each may wait as long as a call did that was due, and one attempt in ten meets the
//! p99 of that at least once; on a busy machine such delays come together.

use serde::Serialize;

use super::result::{LateMs, OverheadMs};
use crate::result::ReplayResult;
use crate::stream::stream;

/// One number of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Its name.
    pub metric: &'static str,
    /// In the replay; null where there is none, as a recovery that never came.
    pub predicted: Option<f64>,
    /// On real servers.
    pub measured: Option<f64>,
    /// Measured less predicted; null where one is null.
    pub difference: Option<f64>,
    /// The most that may be.
    pub tolerance: f64,
    /// Whether the difference is no more than that, or both are null.
    pub within: bool,
}

/// The numbers of other seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter([Vec<f64>; Metric::ALL.len()]);

/// Runs that a standard deviation comes from: it is known to a ninth, `1 / √(2 · 40)`.
const SEEDS: usize = 40;

/// The other seeds that are predicted.
pub fn seeds(first: u64) -> impl Iterator<Item = u64> {
    let mut draws = stream(first, "live", 0, "seeds");
    std::iter::repeat_with(move || draws.next()).take(SEEDS)
}

impl Scatter {
    /// That of these results.
    ///
    /// # Errors
    /// The first error among them.
    pub fn over<E>(results: impl Iterator<Item = Result<ReplayResult, E>>) -> Result<Self, E> {
        let results = results.collect::<Result<Vec<_>, E>>()?;
        let values = |metric: Metric| results.iter().filter_map(|result| metric.of(result)).collect();
        Ok(Self(Metric::ALL.map(values)))
    }
}

/// Every number of both runs, in the order of the table.
#[must_use]
pub fn compare(
    prediction: &ReplayResult,
    measurement: &ReplayResult,
    scatter: &Scatter,
    overhead: OverheadMs,
    late: LateMs,
) -> Vec<Comparison> {
    let compare = |(metric, others): (Metric, &Vec<f64>)| {
        let (predicted, measured) = (metric.of(prediction), metric.of(measurement));
        let difference = predicted
            .zip(measured)
            .map(|(predicted, measured)| measured - predicted);
        let deviation = 3.0 * std::f64::consts::SQRT_2 * standard_deviation(others);
        let distances = others
            .iter()
            .map(|other| (other - predicted.unwrap_or(*other)).abs());
        let chance = distances.fold(deviation, f64::max);
        let tolerance = chance + metric.allowance(prediction, overhead, late);
        Comparison {
            metric: metric.name(),
            predicted,
            measured,
            difference,
            tolerance,
            within: difference.map_or(predicted == measured, |difference| difference.abs() <= tolerance),
        }
    };
    Metric::ALL.into_iter().zip(&scatter.0).map(compare).collect()
}

/// A number that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Goodput,
    Amplification,
    Attempts,
    Refused,
    Recovery,
    LatencyP50,
    LatencyP90,
}

impl Metric {
    const ALL: [Self; 7] = [
        Self::Goodput,
        Self::Amplification,
        Self::Attempts,
        Self::Refused,
        Self::Recovery,
        Self::LatencyP50,
        Self::LatencyP90,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Goodput => "goodput",
            Self::Amplification => "amplification",
            Self::Attempts => "attempts",
            Self::Refused => "refused",
            Self::Recovery => "recovery_seconds",
            Self::LatencyP50 => "latency_ms.p50",
            Self::LatencyP90 => "latency_ms.p90",
        }
    }

    fn of(self, result: &ReplayResult) -> Option<f64> {
        let latency = result.latency_ms.as_ref();
        match self {
            Self::Goodput => result.goodput,
            Self::Amplification => result.amplification,
            Self::Attempts => Some(as_f64(result.attempts.total)),
            Self::Refused => Some(as_f64(result.calls.refused.total())),
            Self::Recovery => result.recovery_seconds,
            Self::LatencyP50 => latency.map(|latency| latency.p50),
            Self::LatencyP90 => latency.map(|latency| latency.p90),
        }
    }

    /// What the model leaves out: see the [module](self).
    fn allowance(self, prediction: &ReplayResult, overhead: OverheadMs, late: LateMs) -> f64 {
        match self {
            Self::Goodput => 0.01,
            Self::Amplification => 0.02,
            Self::Attempts => 0.02 * as_f64(prediction.attempts.total),
            Self::Refused => 0.01 * as_f64(prediction.calls.offered),
            Self::Recovery => 1.0,
            Self::LatencyP50 => 3.0 + 3.0 * overhead.p50 + 10.0 * late.p50,
            Self::LatencyP90 => 3.0 + 3.0 * overhead.p90 + 5.0 * late.p99,
        }
    }
}

/// Of a sample; 0 where there are too few values to say.
fn standard_deviation(values: &[f64]) -> f64 {
    let count = as_f64(u64::try_from(values.len()).unwrap_or(u64::MAX));
    if count < 2.0 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    libm::sqrt(squares / (count - 1.0))
}

/// Exact below 2^53: more events than a run can have.
#[expect(clippy::cast_precision_loss)]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
