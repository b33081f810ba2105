//! How long the parts of an explored run are.

use std::time::Duration;

use crossbridge_core::breaker::BreakerMode;
use crossbridge_core::time::nanos;
use crossbridge_core::{GuardConfig, Instant};
use serde::{Serialize, Serializer};

use crate::scenario::{Arrivals, ClientGroup, Scenario};

/// How an explored run is laid out, in whole seconds.
///
/// The recovery is what the policies themselves may take, added up over clients and services, for
/// one may have to wait for the other:
///
/// | part | of each guard |
/// |---|---|
/// | the circuit has just opened for as long as it may | `open_wait_max`, or a drawn hint |
/// | it is half open | `half_open_timeout` |
/// | its probes have to come | `half_open_successes` times the time between two calls of a client |
/// | it lets more and more through | `slow_start` |
/// | calls from before are in the way | the longest call: `deadline`, or all attempts and delays |
///
/// A scenario that recovers more slowly than that has something else in it that waits: a queue without
/// bound, most often. What then counts is the reference: the same run with one attempt a call and no
/// other policy.
///
/// | reference | the run |
/// |---|---|
/// | is not back within the recovery either | is excused: no policy is to blame for what is left in a queue |
/// | is back at some second after the storm | is judged once more, the recovery and the storm's length after that second |
///
/// The storm's length is for what the policies themselves have put into the queue. A target that has as
/// much room to spare as they retry in the storm works that off in the time it took to come. So a run
/// that is slow passes, and one that never comes back does not. It is made longer for that as needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Before the first fault.
    #[serde(rename = "lead_seconds", serialize_with = "seconds")]
    pub lead: Duration,
    /// Faults begin and are over in it.
    #[serde(rename = "storm_seconds", serialize_with = "seconds")]
    pub storm: Duration,
    /// The policies' own longest waits.
    #[serde(rename = "recovery_seconds", serialize_with = "seconds")]
    pub recovery: Duration,
    /// Goodput is judged in it.
    #[serde(rename = "judged_seconds", serialize_with = "seconds")]
    pub judged: Duration,
    /// For the calls of the judged part to end.
    #[serde(rename = "tail_seconds", serialize_with = "seconds")]
    pub tail: Duration,
}

const LEAD: Duration = Duration::from_secs(5);
const STORM: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
const JUDGED: (f64, f64) = (10.0, 120.0);
/// Calls a judgement should have to go by.
const ENOUGH_CALLS: f64 = 100.0;
/// The longest hint that is drawn.
pub(super) const LONGEST_HINT: Duration = Duration::from_secs(5);
/// An attempt that nothing bounds is expected to take this long at most.
pub(super) const UNBOUNDED: Duration = Duration::from_secs(60);
/// No part is longer than this, whatever the policies say.
const LONGEST: Duration = Duration::from_secs(86_400);

impl Plan {
    /// The plan for a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let services = scenario.nodes.iter().filter_map(|node| node.downstream.as_ref());
        let longest = |groups: &mut dyn Iterator<Item = Duration>| groups.max().unwrap_or_default();
        let of_clients = longest(&mut scenario.clients.iter().map(|group| {
            let breaker = &group.calls.guard.breaker;
            let probes = match breaker.mode {
                BreakerMode::Auto => u32::from(breaker.half_open_successes),
                BreakerMode::ForcedOpen | BreakerMode::Disabled | BreakerMode::MetricsOnly => 0,
            };
            patience(&group.calls.guard)
                .saturating_add(between_calls(group, scenario.duration).saturating_mul(probes))
        }));
        let of_services: Duration = services.map(|service| patience(&service.guard)).sum();
        let tail = longest(
            &mut scenario
                .clients
                .iter()
                .map(|group| longest_call(&group.calls.guard)),
        );
        let rate: f64 = scenario
            .clients
            .iter()
            .map(|group| {
                f64::from(group.count) / between_calls(group, scenario.duration).as_secs_f64().max(1e-9)
            })
            .sum();
        let judged = (ENOUGH_CALLS / rate.max(1e-9)).clamp(JUDGED.0, JUDGED.1);
        Self {
            lead: LEAD,
            storm: whole((scenario.duration / 2).clamp(STORM.0, STORM.1)),
            recovery: whole(of_clients.saturating_add(of_services)),
            judged: whole(Duration::from_secs_f64(judged)),
            tail: whole(tail),
        }
    }

    /// How long the run is.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.lead + self.storm + self.recovery + self.judged + self.tail
    }

    /// The seconds in which goodput is judged.
    #[must_use]
    pub fn window(&self) -> (u64, u64) {
        self.window_after(self.recovery.as_secs())
    }

    /// The seconds in which goodput is judged once more, where the reference is back so many seconds
    /// after the storm.
    pub(super) fn late_window(&self, back_after: u64) -> (u64, u64) {
        self.window_after(back_after + (self.recovery + self.storm).as_secs())
    }

    /// As many seconds, so long after the storm.
    pub(super) fn window_after(&self, seconds: u64) -> (u64, u64) {
        let from = (self.lead + self.storm).as_secs() + seconds;
        (from, from + self.judged.as_secs())
    }
}

/// How long a guard may hold calls back once its target is well.
fn patience(guard: &GuardConfig) -> Duration {
    let breaker = guard.breaker;
    let circuit = if breaker.mode == BreakerMode::Auto {
        let open = breaker.open_wait_max.max(LONGEST_HINT);
        let slow_start = breaker.slow_start.unwrap_or_default();
        open.saturating_add(breaker.half_open_timeout)
            .saturating_add(slow_start)
    } else {
        Duration::ZERO
    };
    circuit.saturating_add(longest_call(guard)).min(LONGEST)
}

/// How long a call may take.
fn longest_call(guard: &GuardConfig) -> Duration {
    let each = guard.attempt_timeout.unwrap_or(UNBOUNDED);
    let delay = guard.retry.max_delay.saturating_add(LONGEST_HINT);
    let attempts = guard.retry.attempts;
    let all = each
        .saturating_mul(attempts)
        .saturating_add(delay.saturating_mul(attempts - 1));
    guard
        .deadline
        .map_or(all, |deadline| deadline.min(all))
        .min(LONGEST)
}

/// The mean time between two calls of a client.
pub(super) fn between_calls(group: &ClientGroup, duration: Duration) -> Duration {
    match group.arrivals {
        Arrivals::Closed { think } => Duration::from_nanos(think).saturating_add(Duration::from_secs(1)),
        Arrivals::Every(_) | Arrivals::Poisson(_) | Arrivals::Burst { .. } | Arrivals::Trace(_) => {
            let calls = group
                .arrivals
                .expected(nanos(duration), group.count)
                .unwrap_or(1.0);
            Duration::from_secs_f64(duration.as_secs_f64() / calls.max(1.0))
        }
    }
}

/// Rounded up.
fn whole(span: Duration) -> Duration {
    Duration::from_secs(nanos(span.min(LONGEST)).div_ceil(1_000_000_000))
}

/// After the begin of the run.
pub(super) fn instant(millis: u64) -> Instant {
    Instant::from_nanos(millis.saturating_mul(1_000_000))
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(span.as_secs())
}
