//! The numbers of a result: calls, attempts, latency, and who counted them.

use serde::Serialize;

use crate::tally::{BUCKET_SECONDS, Counts, Series};
use crate::world::Outcome;

/// Calls: `offered = succeeded + failed + refused + in_flight`, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CallCounts {
    /// Calls there were to make.
    pub offered: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that ended by what the dependency answered.
    pub failed: u64,
    /// Calls that ended by the guard's own decision.
    pub refused: RefusedCounts,
    /// Calls that had not ended when the run did.
    pub in_flight: u64,
}

impl CallCounts {
    pub(super) fn of(counts: &Counts) -> Self {
        let r = counts.refused;
        Self {
            offered: counts.offered,
            succeeded: counts.succeeded,
            failed: counts.failed,
            refused: RefusedCounts {
                rate_limit: r.rate_limit,
                breaker: r.breaker,
                bulkhead: r.bulkhead,
                budget: r.budget,
                deadline: r.deadline,
            },
            in_flight: counts.in_flight(),
        }
    }
}

/// Calls that ended by the guard's own decision, before the first attempt or instead of a further
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedCounts {
    /// No permit.
    pub rate_limit: u64,
    /// Circuit open.
    pub breaker: u64,
    /// No slot.
    pub bulkhead: u64,
    /// No tokens for a retry.
    pub budget: u64,
    /// No time for an attempt.
    pub deadline: u64,
}

impl RefusedCounts {
    /// For whatever reason.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.rate_limit + self.breaker + self.bulkhead + self.budget + self.deadline
    }
}

/// Attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptCounts {
    /// All.
    pub total: u64,
    /// First ones of a call.
    pub first: u64,
    /// The rest.
    pub retries: u64,
}

impl AttemptCounts {
    pub(super) const fn of(counts: &Counts) -> Self {
        let (total, first) = (counts.attempts, counts.first_attempts);
        Self {
            total,
            first,
            retries: total - first,
        }
    }
}

/// Latency in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyMs {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten are faster.
    pub p90: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl LatencyMs {
    /// `None` where no call succeeded.
    pub(super) fn of(counts: &Counts) -> Option<Self> {
        let quantile = |q| counts.latency_quantile(q).map(millis);
        Some(Self {
            mean: millis(counts.mean_latency()?),
            p50: quantile(0.5)?,
            p90: quantile(0.9)?,
            p99: quantile(0.99)?,
            max: quantile(1.0)?,
        })
    }
}

/// What circuits did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerCounts {
    /// How often one opened from closed.
    pub opened: u64,
    /// The most that were open at once.
    pub most_open: u64,
}

/// What a dependency saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DependencyCounts {
    /// Requests that arrived, refused ones included.
    pub received: u64,
    /// Requests worked on to the end.
    pub served: u64,
    /// Of these, those whose caller had given up.
    pub wasted: u64,
    /// The most waiting or worked on at once.
    pub peak_in_flight: u64,
}

/// A group of clients, or all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientResult {
    /// Their calls.
    pub calls: CallCounts,
    /// Their attempts.
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

impl ClientResult {
    /// The counts of all clients of a run.
    #[must_use]
    pub fn of_all(outcome: &Outcome) -> Self {
        Self::of(&outcome.ledger.total)
    }

    pub(super) fn of(counts: &Counts) -> Self {
        Self {
            calls: CallCounts::of(counts),
            attempts: AttemptCounts::of(counts),
            amplification: ratio(counts.attempts, counts.first_attempts),
            goodput: ratio(counts.succeeded, counts.offered),
            latency_ms: LatencyMs::of(counts),
            series: counts.series.clone(),
        }
    }
}

/// Counts by second.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesResult {
    /// The step in seconds.
    pub bucket_seconds: u64,
    /// Calls offered.
    pub offered: Vec<u64>,
    /// Of the calls offered in that second, those that succeeded, whenever they did.
    pub succeeded: Vec<u64>,
    /// Attempts sent.
    pub attempts: Vec<u64>,
}

impl SeriesResult {
    pub(super) fn of(series: &Series) -> Self {
        Self {
            bucket_seconds: BUCKET_SECONDS,
            offered: series.offered.clone(),
            succeeded: series.succeeded.clone(),
            attempts: series.attempts.clone(),
        }
    }
}

/// `None` of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    if whole == 0 {
        None
    } else {
        Some(as_f64(part) / as_f64(whole))
    }
}

/// Exact below 2^53: more events than a run can have.
#[expect(clippy::cast_precision_loss)]
pub(super) const fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Milliseconds to three decimals.
fn millis(nanos: u64) -> f64 {
    as_f64((nanos + 500) / 1_000) / 1_000.0
}
