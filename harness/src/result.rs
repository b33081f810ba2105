//! What a replay found, in the form that is printed: schema 1 of the JSON output.

mod control;
mod grid;
mod names;
mod recovery;
mod seeds;
mod vocabulary;

use std::collections::BTreeMap;

use crossbridge_core::Instant;
use serde::Serialize;

use crate::expect::{Expectation, Finding};
use crate::invariants::Findings;
use crate::recorder::Ledger;
use crate::scenario::Scenario;
use crate::tally::{BUCKET_SECONDS, Counts, Series};
use crate::world::{self, RunError};

use recovery::Recovery;

pub use control::{ControlResult, without_faults};
pub use grid::{AxisResult, Cell, GridResult, flags};
pub use seeds::{FailingSeed, Outcome, Outcomes, PromiseOverSeeds, Sample, SeedsResult, Spread};
pub use vocabulary::vocabulary;

/// One scenario's result. Fields are only added within a schema.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayResult {
    /// Version of this form.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// How long it ran, in virtual time.
    pub virtual_seconds: f64,
    /// Events of the simulation.
    pub events: u64,
    /// Whether every promise was kept.
    pub verdict: Verdict,
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
    /// From the end of the last fault until the goodput of a second is back at 99 % of its level
    /// before the first fault; null where it never is.
    pub recovery_seconds: Option<f64>,
    /// From there until the goodput of a second is below its level again, or until the run ends; null
    /// where it never was back.
    pub recovery_lasts_seconds: Option<f64>,
    /// How often it fell below its level after it was back; null where it never was.
    pub relapses: Option<u64>,
    /// Circuits.
    pub breaker: BreakerCounts,
    /// Calls that ended without success, by reason.
    pub stopped: BTreeMap<&'static str, u64>,
    /// What each dependency and service saw.
    pub dependencies: BTreeMap<String, DependencyCounts>,
    /// The same counts for each group of clients.
    pub clients: BTreeMap<String, ClientResult>,
    /// How often each policy decided something, for every group of clients and every service that has
    /// it. A policy with 0 was there and is not tested by this run.
    pub exercised: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// The same seed without the faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlResult>,
    /// The same scenario under other seeds, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedsResult>,
    /// By second.
    pub series: SeriesResult,
    /// What was found wrong with the run itself; only where the invariants were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariants: Option<Findings>,
    /// The promises.
    pub expectations: Vec<ExpectationResult>,
    /// Promises about many seeds, where only one was run; with more they are in `seeds`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<String>,
    /// The hash of every event of the run.
    pub trace_sha256: String,
}

/// Whether every promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All of them.
    Pass,
    /// Not all of them.
    Fail,
}

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

/// A group of clients.
#[derive(Clone, Debug, Serialize)]
pub struct ClientResult {
    /// Its calls.
    pub calls: CallCounts,
    /// Its attempts.
    pub attempts: AttemptCounts,
    /// Attempts per first attempt.
    pub amplification: Option<f64>,
    /// The share of offered calls that succeeded.
    pub goodput: Option<f64>,
    /// Latency of calls that succeeded.
    pub latency_ms: Option<LatencyMs>,
    /// By second, for windows; not printed.
    #[serde(skip)]
    series: Series,
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

/// A promise and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectationResult {
    /// As it was written.
    pub text: String,
    /// The value of its left side.
    pub observed: Option<f64>,
    /// Whether it holds.
    pub held: bool,
}

impl ReplayResult {
    /// Everything that is said about a run.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64, outcome: &world::Outcome) -> Self {
        let Ledger {
            total,
            groups,
            open,
            opened,
            ..
        } = &outcome.ledger;
        let clients = scenario.clients.iter().zip(groups);
        let nodes = scenario.nodes.iter().zip(&outcome.nodes);
        let recovery = Recovery::of(scenario, total);
        let mut result = Self {
            schema: 1,
            scenario: scenario.name.clone(),
            seed,
            virtual_seconds: scenario.duration.as_secs_f64(),
            events: outcome.events,
            verdict: Verdict::Pass,
            calls: calls(total),
            attempts: attempts(total),
            amplification: ratio(total.attempts, total.first_attempts),
            goodput: ratio(total.succeeded, total.offered),
            latency_ms: latency(total),
            recovery_seconds: recovery.map(|recovery| recovery.after),
            recovery_lasts_seconds: recovery.map(|recovery| recovery.lasts),
            relapses: recovery.map(|recovery| recovery.relapses),
            breaker: BreakerCounts {
                opened: *opened,
                most_open: open.peaks.iter().copied().max().unwrap_or(0),
            },
            stopped: total.stopped.clone(),
            exercised: exercised(scenario, &outcome.ledger),
            control: None,
            seeds: None,
            dependencies: nodes
                .map(|(node, n)| {
                    let (received, served, wasted) = (n.received, n.served, n.wasted);
                    let peak_in_flight = n.peak_in_flight;
                    (
                        node.name.clone(),
                        DependencyCounts {
                            received,
                            served,
                            wasted,
                            peak_in_flight,
                        },
                    )
                })
                .collect(),
            clients: clients
                .map(|(group, counts)| (group.name.clone(), client(counts)))
                .collect(),
            series: SeriesResult {
                bucket_seconds: BUCKET_SECONDS,
                offered: total.series.offered.clone(),
                succeeded: total.series.succeeded.clone(),
                attempts: total.series.attempts.clone(),
            },
            invariants: outcome.invariants.clone(),
            expectations: Vec::new(),
            not_judged: Vec::new(),
            trace_sha256: outcome.trace_sha256.clone(),
        };
        result.not_judged = scenario
            .over_seeds
            .iter()
            .map(|promise| promise.text().to_owned())
            .collect();
        result.judge(scenario);
        result
    }

    /// With the same seed without the faults: promises may be about both.
    pub fn set_control(&mut self, scenario: &Scenario, control: ControlResult) {
        self.control = Some(control);
        if scenario.is_about("control.") {
            self.judge(scenario);
        }
    }

    /// With the same scenario under other seeds: promises about them can be judged now.
    pub fn set_seeds(&mut self, scenario: &Scenario, seeds: SeedsResult) {
        self.seeds = Some(seeds);
        let promises = self.judged(&scenario.over_seeds);
        self.not_judged.clear();
        if let Some(seeds) = &mut self.seeds {
            if promises.iter().any(|promise| !promise.held) {
                seeds.verdict = Verdict::Fail;
            }
            seeds.promises = promises;
        }
    }

    fn judge(&mut self, scenario: &Scenario) {
        self.expectations = self.judged(&scenario.expect);
        let held = self.expectations.iter().all(|promise| promise.held);
        self.verdict = if held { Verdict::Pass } else { Verdict::Fail };
    }

    fn judged(&self, promises: &[Expectation]) -> Vec<ExpectationResult> {
        if promises.is_empty() {
            return Vec::new();
        }
        let numbers = serde_json::to_value(self).unwrap_or_default();
        let judged = promises
            .iter()
            .map(|promise| promise.judge(|name| self.value(&numbers, name)));
        judged
            .map(|Finding { text, observed, held }| ExpectationResult { text, observed, held })
            .collect()
    }

    /// Whether a promise was broken, under this seed or under another one that was tried.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let elsewhere = self
            .seeds
            .as_ref()
            .is_some_and(|seeds| seeds.verdict == Verdict::Fail);
        self.verdict == Verdict::Fail || elsewhere
    }
}

/// Runs a scenario under one seed, and its control where a promise is about it.
///
/// # Errors
/// One of the runs could not be finished.
pub fn replayed(scenario: &Scenario, seed: u64) -> Result<ReplayResult, RunError> {
    watched(scenario, seed, &mut |_| {}).map(|(result, _)| result)
}

/// The same with what was counted; `watch` is told the time of the run.
///
/// # Errors
/// One of the runs could not be finished.
pub fn watched(
    scenario: &Scenario,
    seed: u64,
    watch: &mut dyn FnMut(Instant),
) -> Result<(ReplayResult, Ledger), RunError> {
    let outcome = world::run(scenario, seed, None, watch)?;
    let mut result = ReplayResult::new(scenario, seed, &outcome);
    if scenario.is_about("control.") {
        let calm = without_faults(scenario);
        let control = calm.map(|calm| world::run(&calm, seed, None, &mut |_| {}));
        let control = control.transpose()?;
        result.set_control(scenario, ControlResult::new(control.as_ref().unwrap_or(&outcome)));
    }
    Ok((result, outcome.ledger))
}

/// What each policy did, by whose it is.
fn exercised(scenario: &Scenario, ledger: &Ledger) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
    let clients = scenario
        .clients
        .iter()
        .map(|group| (&group.name, Some(&group.calls)));
    let services = scenario
        .nodes
        .iter()
        .map(|node| (&node.name, node.downstream.as_ref()));
    let mut exercised: BTreeMap<String, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for (group, (name, calls)) in clients.chain(services).enumerate() {
        let Some(calls) = calls else { continue };
        let uses = ledger.uses.get(group).copied().unwrap_or_default();
        let counts = exercised.entry(name.clone()).or_default();
        for (policy, count) in uses.of(&calls.guard) {
            *counts.entry(policy).or_default() += count;
        }
    }
    exercised
}

fn calls(counts: &Counts) -> CallCounts {
    let r = counts.refused;
    CallCounts {
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

const fn attempts(counts: &Counts) -> AttemptCounts {
    let (total, first) = (counts.attempts, counts.first_attempts);
    AttemptCounts {
        total,
        first,
        retries: total - first,
    }
}

fn client(counts: &Counts) -> ClientResult {
    ClientResult {
        calls: calls(counts),
        attempts: attempts(counts),
        amplification: ratio(counts.attempts, counts.first_attempts),
        goodput: ratio(counts.succeeded, counts.offered),
        latency_ms: latency(counts),
        series: counts.series.clone(),
    }
}

fn latency(counts: &Counts) -> Option<LatencyMs> {
    let quantile = |q| counts.latency_quantile(q).map(millis);
    Some(LatencyMs {
        mean: millis(counts.mean_latency()?),
        p50: quantile(0.5)?,
        p90: quantile(0.9)?,
        p99: quantile(0.99)?,
        max: quantile(1.0)?,
    })
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    if whole == 0 {
        None
    } else {
        Some(as_f64(part) / as_f64(whole))
    }
}

/// Exact below 2^53: more events than a run can have.
#[expect(clippy::cast_precision_loss)]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Milliseconds to three decimals.
fn millis(nanos: u64) -> f64 {
    as_f64((nanos + 500) / 1_000) / 1_000.0
}
