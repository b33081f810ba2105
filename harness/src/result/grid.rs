//! What a grid of scenarios found: an outcome for each combination of its values.

use serde::Serialize;
use serde_json::Value;

use super::{AttemptCounts, CallCounts, ExpectationResult, Outcome, ReplayResult, SeedsResult, Verdict};
use crate::scenario::Scenario;
use crate::scenario::grid::{Grid, Setting, shown};

/// A grid's result: schema 1 of the JSON output, told from a replay's by its `axes`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridResult {
    /// Version of this form.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What it is about; not printed.
    #[serde(skip)]
    pub about: Option<String>,
    /// Seeds tried in each cell.
    pub runs: usize,
    /// Whether every promise was kept in every cell.
    pub verdict: Verdict,
    /// What is varied, in the order of the file.
    pub axes: Vec<AxisResult>,
    /// A cell for each combination; the last axis changes first.
    pub cells: Vec<Cell>,
    /// Promises about many seeds, where only one was run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<String>,
    /// What repeats all of it.
    pub command: String,
}

/// What is varied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AxisResult {
    /// Where it stands in the scenario.
    pub path: String,
    /// Its values, as they were written.
    pub values: Vec<Value>,
    /// What people call it; not printed.
    #[serde(skip)]
    pub title: String,
    /// The values on one line each; not printed.
    #[serde(skip)]
    pub labels: Vec<String>,
}

/// One combination of values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The value of each axis.
    pub values: Vec<Value>,
    /// The same on one line each; not printed.
    #[serde(skip)]
    pub labels: Vec<String>,
    /// The seed of the run, or the first of the seeds.
    pub seed: u64,
    /// How long it ran, in virtual time.
    pub virtual_seconds: f64,
    /// Whether every promise was kept, under every seed.
    pub verdict: Verdict,
    /// How the run ended; null without faults.
    pub outcome: Option<Outcome>,
    /// See [`ReplayResult::goodput`].
    pub goodput: Option<f64>,
    /// See [`ReplayResult::amplification`].
    pub amplification: Option<f64>,
    /// See [`ReplayResult::recovery_seconds`].
    pub recovery_seconds: Option<f64>,
    /// See [`ReplayResult::relapses`].
    pub relapses: Option<u64>,
    /// All clients' calls.
    pub calls: CallCounts,
    /// All clients' attempts.
    pub attempts: AttemptCounts,
    /// The promises.
    pub expectations: Vec<ExpectationResult>,
    /// How the outcomes are spread over the seeds, where several were run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedsResult>,
    /// What repeats it.
    pub command: String,
    /// The hash of every event of the run.
    pub trace_sha256: String,
}

impl GridResult {
    /// Of these cells, in their order.
    #[must_use]
    pub fn new(grid: &Grid, scenario: &Scenario, runs: usize, cells: Vec<Cell>, command: String) -> Self {
        let kept = cells.iter().all(|cell| cell.verdict == Verdict::Pass);
        let name = |path: &crossbridge_std::config::KeyPath| {
            let alike = grid.axes().iter().filter(|axis| axis.path.name() == path.name());
            if alike.count() == 1 {
                path.name()
            } else {
                path.to_string()
            }
        };
        let axes = grid.axes().iter().map(|axis| AxisResult {
            path: axis.path.to_string(),
            values: axis.values.iter().map(json).collect(),
            title: name(&axis.path),
            labels: axis.values.iter().map(shown).collect(),
        });
        let together = scenario
            .over_seeds
            .iter()
            .map(|promise| promise.text().to_owned());
        Self {
            schema: 1,
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            runs,
            verdict: if kept { Verdict::Pass } else { Verdict::Fail },
            axes: axes.collect(),
            cells,
            not_judged: if runs == 1 { together.collect() } else { Vec::new() },
            command,
        }
    }
}

impl Cell {
    /// Of the run of one cell.
    #[must_use]
    pub fn new(grid: &Grid, cell: usize, scenario: &Scenario, result: ReplayResult, command: String) -> Self {
        let outcome = scenario
            .trouble_lasts()
            .map(|lasted| Outcome::new(lasted, result.recovery_seconds));
        let values = grid.values(cell);
        Self {
            values: values.iter().map(|value| json(value)).collect(),
            labels: values.iter().map(|value| shown(value)).collect(),
            seed: result.seed,
            virtual_seconds: result.virtual_seconds,
            verdict: if result.is_broken() {
                Verdict::Fail
            } else {
                Verdict::Pass
            },
            outcome,
            goodput: result.goodput,
            amplification: result.amplification,
            recovery_seconds: result.recovery_seconds,
            relapses: result.relapses,
            calls: result.calls,
            attempts: result.attempts,
            expectations: result.expectations,
            seeds: result.seeds,
            command,
            trace_sha256: result.trace_sha256,
        }
    }
}

/// The settings of a cell as words of a command.
#[must_use]
pub fn flags(settings: &[Setting]) -> String {
    settings
        .iter()
        .map(|setting| format!(" --set {}", setting.word()))
        .collect()
}

fn json(value: &serde_yaml_ng::Value) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
