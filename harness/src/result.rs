//! What a replay found, in the form that is printed: schema 1 of the JSON output.

mod control;
mod seeds;
mod vocabulary;

use std::collections::BTreeMap;

use crossbridge_core::Instant;
use serde::Serialize;
use serde_json::Value;

use crate::expect::{Finding, Name};
use crate::invariants::Findings;
use crate::recorder::Ledger;
use crate::scenario::Scenario;
use crate::tally::{BUCKET_SECONDS, Counts, Series};
use crate::world::Outcome;

pub use control::{ControlResult, without_faults};
pub use seeds::{FailingSeed, Outcomes, PromiseOverSeeds, Sample, SeedsResult, Spread};
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
    pub fn new(scenario: &Scenario, seed: u64, outcome: &Outcome) -> Self {
        let Ledger {
            total,
            groups,
            open,
            opened,
            ..
        } = &outcome.ledger;
        let clients = scenario.clients.iter().zip(groups);
        let nodes = scenario.nodes.iter().zip(&outcome.nodes);
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
            recovery_seconds: recovery(scenario, &total.series),
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
            trace_sha256: outcome.trace_sha256.clone(),
        };
        let numbers = serde_json::to_value(&result).unwrap_or_default();
        let judged = scenario
            .expect
            .iter()
            .map(|promise| promise.judge(|name| result.value(&numbers, name)));
        let findings: Vec<Finding> = judged.collect();
        if findings.iter().any(|finding| !finding.held) {
            result.verdict = Verdict::Fail;
        }
        let describe = |Finding { text, observed, held }| ExpectationResult { text, observed, held };
        result.expectations = findings.into_iter().map(describe).collect();
        result
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

    /// The value of a name in an expectation.
    fn value(&self, numbers: &Value, name: &Name) -> Option<f64> {
        let Some((from, to)) = name.window else {
            let path: Vec<&str> = name.path.split('.').collect();
            return path.iter().try_fold(numbers, |at, key| at.get(key))?.as_f64();
        };
        let (series, field) = match name
            .path
            .strip_prefix("clients.")
            .and_then(|rest| rest.rsplit_once('.'))
        {
            Some((client, field)) => (self.clients.get(client).map(|client| &client.series), field),
            None => (None, name.path.as_str()),
        };
        let of = |all: &[u64], own: fn(&Series) -> &Vec<u64>| {
            let buckets = series.map_or(all, |series| own(series));
            let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
            Some(buckets.get(range)?.iter().sum::<u64>())
        };
        let offered = of(&self.series.offered, |series| &series.offered)?;
        let succeeded = of(&self.series.succeeded, |series| &series.succeeded)?;
        let attempts = of(&self.series.attempts, |series| &series.attempts)?;
        match field {
            "offered" => Some(as_f64(offered)),
            "succeeded" => Some(as_f64(succeeded)),
            "attempts" => Some(as_f64(attempts)),
            "goodput" => ratio(succeeded, offered),
            "amplification" => ratio(attempts, offered),
            _ => None,
        }
    }
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

fn recovery(scenario: &Scenario, series: &Series) -> Option<f64> {
    let (first, last) = scenario.trouble()?;
    let before = usize::try_from(first.as_nanos() / 1_000_000_000).ok()?;
    let sum = |counts: &[u64]| counts.iter().take(before).sum::<u64>();
    // A run that begins with a fault is measured by what it should be.
    let level = ratio(sum(&series.succeeded), sum(&series.offered)).unwrap_or(1.0);
    let from = usize::try_from(last.as_nanos().div_ceil(1_000_000_000)).ok()?;
    let seconds = series
        .offered
        .iter()
        .zip(&series.succeeded)
        .enumerate()
        .skip(from);
    let (back, _) = seconds
        .filter_map(|(second, (&offered, &succeeded))| Some((second, ratio(succeeded, offered)?)))
        .find(|&(_, goodput)| goodput >= 0.99 * level)?;
    let back = Instant::from_nanos(u64::try_from(back).ok()?.saturating_mul(1_000_000_000));
    Some(back.saturating_duration_since(last).as_secs_f64())
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
