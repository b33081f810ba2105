//! What is counted while a run goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::health::Health;
use crossbridge_core::{Event, Instant, StopReason, Verdict};
use hdrhistogram::Histogram;

/// The series' step: one second of virtual time.
pub const BUCKET_SECONDS: u64 = 1;

/// Counts of one group of clients, or of all of them.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Calls clients had to make.
    pub offered: u64,
    /// Of these, those that succeeded.
    pub succeeded: u64,
    /// Those that ended by what the dependency answered.
    pub failed: u64,
    /// Those that ended by the guard's own decision, by reason.
    pub refused: Refused,
    /// Attempts sent.
    pub attempts: u64,
    /// Of these, first attempts.
    pub first_attempts: u64,
    /// Why calls ended without success.
    pub stopped: BTreeMap<&'static str, u64>,
    /// How long calls took that succeeded, in nanoseconds.
    latency: Latency,
    /// By second.
    pub series: Series,
}

/// Calls that ended by the guard's own decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// By the rate limiter.
    pub rate_limit: u64,
    /// By the breaker.
    pub breaker: u64,
    /// By the bulkhead.
    pub bulkhead: u64,
    /// By the retry budget.
    pub budget: u64,
    /// By the deadline.
    pub deadline: u64,
}

/// Counts by second of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Calls offered in that second.
    pub offered: Vec<u64>,
    /// Calls offered in that second that succeeded, whenever they did.
    pub succeeded: Vec<u64>,
    /// Attempts sent in that second.
    pub attempts: Vec<u64>,
}

/// Something that changed for somebody, together with its like soon after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The first of them.
    pub at: Instant,
    /// The last of them.
    pub last: Instant,
    /// How many.
    pub count: u64,
    /// The group it happened to; services come after clients.
    pub group: usize,
    /// What.
    pub change: Change,
}

/// A change worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A circuit opened.
    Opened,
    /// A circuit closed again.
    Closed,
    /// A target is known to be down.
    WentDown,
    /// A target that was down is up.
    CameUp,
    /// A call ended for this reason, for the first time in a while.
    Stopped(&'static str),
}

/// How many guards of a kind are in a state, and the most at once in each second.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    present: u64,
    /// The most at once, by second.
    pub peaks: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Latency {
    histogram: Histogram<u64>,
    sum: u128,
    max: u64,
}

impl Counts {
    pub(crate) fn new(seconds: usize) -> Self {
        let zeros = vec![0; seconds];
        Self {
            offered: 0,
            succeeded: 0,
            failed: 0,
            refused: Refused::default(),
            attempts: 0,
            first_attempts: 0,
            stopped: BTreeMap::new(),
            latency: Latency::new(),
            series: Series {
                offered: zeros.clone(),
                succeeded: zeros.clone(),
                attempts: zeros,
            },
        }
    }

    /// Adds the counts of another group.
    pub(crate) fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.refused.rate_limit += other.refused.rate_limit;
        self.refused.breaker += other.refused.breaker;
        self.refused.bulkhead += other.refused.bulkhead;
        self.refused.budget += other.refused.budget;
        self.refused.deadline += other.refused.deadline;
        self.attempts += other.attempts;
        self.first_attempts += other.first_attempts;
        for (reason, count) in &other.stopped {
            *self.stopped.entry(reason).or_default() += count;
        }
        self.latency.add(&other.latency);
        self.series.add(&other.series);
    }

    /// Calls that have not ended.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        let r = &self.refused;
        let refused = r.rate_limit + r.breaker + r.bulkhead + r.budget + r.deadline;
        self.offered - self.succeeded - self.failed - refused
    }

    pub(crate) fn on_offered(&mut self, now: Instant) {
        self.offered += 1;
        add(&mut self.series.offered, now);
    }

    pub(crate) fn on_event(&mut self, now: Instant, event: &Event) {
        match *event {
            Event::AttemptStarted { number } => {
                self.attempts += 1;
                self.first_attempts += u64::from(number == 1);
                add(&mut self.series.attempts, now);
            }
            Event::CallEnded { verdict, took, .. } => self.on_end(now, verdict, took),
            Event::AttemptEnded { .. }
            | Event::RetryScheduled { .. }
            | Event::WaitingForLimit { .. }
            | Event::BreakerChanged { .. }
            | Event::HealthChanged { .. } => {}
        }
    }

    fn on_end(&mut self, now: Instant, verdict: Verdict, took: Duration) {
        let reason = match verdict {
            Verdict::Succeeded => {
                self.succeeded += 1;
                self.latency.record(crossbridge_core::time::nanos(took));
                add(&mut self.series.succeeded, now.saturating_sub(took));
                return;
            }
            // Its client was restarted before it ended: to whoever made it, the call failed.
            Verdict::Cancelled => {
                self.failed += 1;
                return;
            }
            Verdict::Stopped { reason, .. } => reason,
        };
        *self.stopped.entry(reason.name()).or_default() += 1;
        match reason {
            StopReason::RateLimit { .. } => self.refused.rate_limit += 1,
            StopReason::Breaker { .. } => self.refused.breaker += 1,
            StopReason::Bulkhead => self.refused.bulkhead += 1,
            StopReason::Budget => self.refused.budget += 1,
            StopReason::Deadline => self.refused.deadline += 1,
            StopReason::AttemptsExhausted
            | StopReason::Permanent
            | StopReason::NotIdempotent
            | StopReason::Overloaded
            | StopReason::HintTooLong { .. }
            | StopReason::GaveUp => self.failed += 1,
        }
    }

    /// The mean latency of successes in nanoseconds; `None` without any.
    #[must_use]
    pub fn mean_latency(&self) -> Option<u64> {
        let count = u128::from(self.succeeded);
        let mean = (self.latency.sum + count / 2).checked_div(count)?;
        u64::try_from(mean).ok()
    }

    /// This quantile (0 to 1) of the latency of successes in nanoseconds, to three digits.
    #[must_use]
    pub fn latency_quantile(&self, quantile: f64) -> Option<u64> {
        // The histogram's value is the upper end of a cell, the maximum is exact.
        let value = self
            .latency
            .histogram
            .value_at_quantile(quantile)
            .min(self.latency.max);
        (self.succeeded > 0).then_some(value)
    }
}

impl Series {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.offered, &other.offered),
            (&mut self.succeeded, &other.succeeded),
            (&mut self.attempts, &other.attempts),
        ];
        for (sums, counts) in pairs {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
}

impl Latency {
    fn new() -> Self {
        // Three significant digits, growing with what is recorded: these bounds are in range.
        #[expect(clippy::expect_used, reason = "constant arguments")]
        let histogram = Histogram::new(3).expect("three digits are supported");
        Self {
            histogram,
            sum: 0,
            max: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        // As with single values: what the histogram cannot keep still counts in the mean.
        let _ = self.histogram.add(&other.histogram);
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    fn record(&mut self, nanos: u64) {
        // The histogram grows with its values; one that cannot be kept still counts in the mean.
        let _ = self.histogram.record(nanos);
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }
}

impl Gauge {
    pub(crate) fn new(seconds: usize) -> Self {
        Self {
            present: 0,
            peaks: vec![0; seconds],
        }
    }

    /// One more, or one less, from `now` on.
    pub(crate) fn step(&mut self, now: Instant, up: bool) {
        self.present = if up {
            self.present + 1
        } else {
            self.present.saturating_sub(1)
        };
        self.carry(second(now));
    }

    /// The value holds in this second too.
    pub(crate) fn carry(&mut self, second: usize) {
        if let Some(peak) = self.peaks.get_mut(second) {
            *peak = (*peak).max(self.present);
        }
    }
}

/// The second of the run `now` falls into.
pub(crate) fn second(now: Instant) -> usize {
    usize::try_from(now.as_nanos() / (BUCKET_SECONDS * 1_000_000_000)).unwrap_or(usize::MAX)
}

fn add(series: &mut [u64], now: Instant) {
    if let Some(count) = series.get_mut(second(now)) {
        *count += 1;
    }
}

/// Whether a breaker's change makes one more open, or one less.
pub(crate) const fn opens(from: BreakerState, to: BreakerState) -> Option<bool> {
    match (from, to) {
        (BreakerState::Closed, BreakerState::Open | BreakerState::HalfOpen) => Some(true),
        (BreakerState::Open | BreakerState::HalfOpen, BreakerState::Closed) => Some(false),
        _ => None,
    }
}

/// Whether a change of health makes one more target unhealthy, or one less.
pub(crate) const fn falls_ill(from: Health, to: Health) -> Option<bool> {
    match (from, to) {
        (Health::Unhealthy, Health::Unhealthy) => None,
        (_, Health::Unhealthy) => Some(true),
        (Health::Unhealthy, _) => Some(false),
        _ => None,
    }
}
