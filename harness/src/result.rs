//! What a replay found, in the form that is printed: schema 1 of the JSON output.

mod control;
mod counts;
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
use crate::world::{self, RunError};

use counts::ratio;
use recovery::Recovery;

pub use control::without_faults;
pub use counts::{
    AttemptCounts, BreakerCounts, CallCounts, ClientResult, DependencyCounts, LatencyMs, RefusedCounts,
    SeriesResult,
};
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
    pub control: Option<ClientResult>,
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
            calls: CallCounts::of(total),
            attempts: AttemptCounts::of(total),
            amplification: ratio(total.attempts, total.first_attempts),
            goodput: ratio(total.succeeded, total.offered),
            latency_ms: LatencyMs::of(total),
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
                .map(|(group, counts)| (group.name.clone(), ClientResult::of(counts)))
                .collect(),
            series: SeriesResult::of(&total.series),
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
    pub fn set_control(&mut self, scenario: &Scenario, control: ClientResult) {
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
        result.set_control(
            scenario,
            ClientResult::of_all(control.as_ref().unwrap_or(&outcome)),
        );
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
