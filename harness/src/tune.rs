//! Which numbers would have been better: searches the parameters of a path against a scenario.
//!
//! ```text
//!   scenario ─▶ grid ─▶ runs, on all cores ─▶ frontier ─▶ best ─▶ YAML
//!                          ▲                               │
//!                          └── halfway to its neighbours ◀─┘ until nothing gets better
//! ```
//!
//! # Rules
//! - A [setting](Setting) has a value for each [key](Key) that is varied. The grid is every combination
//!   of the values, the one in force among them; then values halfway between the best one and its
//!   neighbours are tried, one key at a time, while that helps, [`ROUNDS`] times at most.
//! - Each setting runs under the same seeds. Counts are added up over them; the worst recovery and the
//!   worst tail count; a condition holds where it holds under every seed.
//! - A setting that the core refuses (a base delay above the maximum) is left out and counted.
//! - The result depends on the scenario, the keys, the objective and the seeds alone: not on the
//!   number of threads and not on which of them is faster.
//! - The frontier is every setting of which no other is at least as good in amplification, goodput and
//!   recovery, and better in one.
//!
//! | default | value |
//! |---|---|
//! | objective | [`least amplification with goodput >= 0.99`](Objective::DEFAULT) |
//! | keys | those that the path uses, of [`Key::varied_by_default`] |
//! | seeds | 3, the scenario's first, then those of `replay --seeds` |
//! | settings | at most [`MAX_SETTINGS`] in the grid |
//!
//! ```
//! use crossbridge_harness::tune::{Axis, Key};
//!
//! let axis: Axis = "retry.base_delay=50ms,200ms".parse()?;
//! assert_eq!((axis.key, axis.values.as_slice()), (Key::BaseDelay, &[50_000_000, 200_000_000][..]));
//! # Ok::<(), String>(())
//! ```

mod key;
mod measure;
mod objective;
mod repeat;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbridge_core::GuardConfig;
use crossbridge_core::guard::Policies;

pub use key::{Axis, Key};
pub use measure::Measured;
pub use objective::Objective;
pub use yaml::fragment;

use crate::scenario::{Downstream, Scenario};
use crate::world::RunError;

/// How often the neighbourhood of the best setting is searched.
pub const ROUNDS: usize = 4;
/// The most settings of a grid.
pub const MAX_SETTINGS: usize = 10_000;

/// A value for each key, in the key's unit.
pub type Setting = Vec<u64>;

/// What is searched, and how.
#[derive(Debug)]
pub struct Search<'s> {
    /// The day. Its expectations are the promises that are counted.
    pub scenario: &'s Scenario,
    /// The call path whose policies are varied.
    pub path: &'s str,
    /// What is varied.
    pub axes: Vec<Axis>,
    /// What is wanted.
    pub objective: &'s Objective,
    /// Each setting runs under each of them.
    pub seeds: Vec<u64>,
    /// Runs at the same time.
    pub threads: usize,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was varied, in the order of the settings' values.
    pub keys: Vec<Key>,
    /// What is in force.
    pub now: Trial,
    /// The best there is.
    pub best: Trial,
    /// Settings that nothing beats in everything, by their amplification.
    pub frontier: Vec<Trial>,
    /// Settings that were run.
    pub settings: usize,
    /// Settings that the core refused.
    pub refused: usize,
}

/// A setting and how it did.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its values.
    pub setting: Setting,
    /// How it did.
    pub measured: Measured,
}

/// Why a search cannot be done.
#[derive(Debug)]
pub enum TuneError {
    /// No client and no service goes through this path; those there are.
    UnknownPath(Vec<String>),
    /// The grid has so many settings.
    TooMany(usize),
    /// The setting in force cannot be run.
    Run(RunError),
}

impl Search<'_> {
    /// Runs the grid, then the neighbourhood of the best. `watch` is told how many settings are done.
    ///
    /// # Errors
    /// See [`TuneError`].
    pub fn run(&self, watch: &(dyn Fn(usize) + Sync)) -> Result<Found, TuneError> {
        let guard =
            guard_of(self.scenario, self.path).ok_or_else(|| TuneError::UnknownPath(paths(self.scenario)))?;
        let now: Setting = self.axes.iter().map(|axis| axis.key.of(guard)).collect();
        let mut values: Vec<Vec<u64>> = Vec::new();
        for (axis, &current) in self.axes.iter().zip(&now) {
            let mut axis = axis.values.clone();
            axis.push(current);
            axis.sort_unstable();
            axis.dedup();
            values.push(axis);
        }
        let size = values
            .iter()
            .fold(1_usize, |size, axis| size.saturating_mul(axis.len()));
        if size > MAX_SETTINGS {
            return Err(TuneError::TooMany(size));
        }
        let mut trials = Trials::default();
        trials
            .add(self, vec![now.clone()], watch)
            .map_err(TuneError::Run)?;
        let Some(in_force) = trials.done.get(&now).cloned() else {
            // What a scenario was loaded with is what a guard accepts.
            return Err(TuneError::UnknownPath(paths(self.scenario)));
        };
        trials.add(self, grid(&values), watch).map_err(TuneError::Run)?;
        for _ in 0..ROUNDS {
            let Some(best) = trials.best() else { break };
            let near = neighbours(&best.setting, &values, &self.axes);
            for setting in &near {
                for (axis, &value) in values.iter_mut().zip(setting) {
                    if let Err(place) = axis.binary_search(&value) {
                        axis.insert(place, value);
                    }
                }
            }
            trials.add(self, near, watch).map_err(TuneError::Run)?;
            if trials.best().is_none_or(|better| better.setting == best.setting) {
                break;
            }
        }
        let now = Trial {
            setting: now,
            measured: in_force,
        };
        Ok(Found {
            keys: self.axes.iter().map(|axis| axis.key).collect(),
            best: trials.best().unwrap_or_else(|| now.clone()),
            frontier: trials.frontier(),
            settings: trials.done.len(),
            refused: trials.refused,
            now,
        })
    }

    /// The scenario under a setting; `None` where the core refuses it.
    fn scenario_with(&self, setting: &[u64]) -> Option<Scenario> {
        let mut scenario = self.scenario.clone();
        let mut accepted = true;
        let ours = |downstream: &&mut Downstream| downstream.path == self.path;
        for downstream in scenario.downstreams_mut().filter(ours) {
            for (axis, &value) in self.axes.iter().zip(setting) {
                axis.key.set(&mut downstream.guard, value);
            }
            accepted &= Policies::new(downstream.guard).is_ok();
        }
        accepted.then_some(scenario)
    }

    fn measure(&self, setting: &[u64]) -> Result<Option<Measured>, RunError> {
        match self.scenario_with(setting) {
            None => Ok(None),
            Some(scenario) => measure::measure(scenario, self.objective, &self.seeds).map(Some),
        }
    }
}

/// The policies of a path under a setting, as they stand in the scenario.
#[must_use]
pub fn guard_with(scenario: &Scenario, path: &str, keys: &[Key], setting: &[u64]) -> Option<GuardConfig> {
    let mut guard = *guard_of(scenario, path)?;
    for (key, &value) in keys.iter().zip(setting) {
        key.set(&mut guard, value);
    }
    Some(guard)
}

/// The first that go through this path.
#[must_use]
pub fn guard_of<'s>(scenario: &'s Scenario, path: &str) -> Option<&'s GuardConfig> {
    let clients = scenario.clients.iter().map(|group| &group.calls);
    let services = scenario.nodes.iter().filter_map(|node| node.downstream.as_ref());
    let mut all = clients.chain(services);
    all.find(|downstream| downstream.path == path)
        .map(|downstream| &downstream.guard)
}

/// The paths of clients and services, clients first, each once.
#[must_use]
pub fn paths(scenario: &Scenario) -> Vec<String> {
    let clients = scenario.clients.iter().map(|group| &group.calls);
    let services = scenario.nodes.iter().filter_map(|node| node.downstream.as_ref());
    let mut paths: Vec<String> = Vec::new();
    for downstream in clients.chain(services) {
        if !paths.contains(&downstream.path) {
            paths.push(downstream.path.clone());
        }
    }
    paths
}

/// Everything that was run.
#[derive(Debug, Default)]
struct Trials {
    done: BTreeMap<Setting, Measured>,
    refused: usize,
    seen: std::collections::BTreeSet<Setting>,
}

impl Trials {
    /// Runs those of the settings that are new.
    fn add(
        &mut self,
        search: &Search<'_>,
        settings: Vec<Setting>,
        watch: &(dyn Fn(usize) + Sync),
    ) -> Result<(), RunError> {
        let new: Vec<Setting> = settings
            .into_iter()
            .filter(|setting| self.seen.insert(setting.clone()))
            .collect();
        let before = self.done.len();
        let next = AtomicUsize::new(0);
        let done = AtomicUsize::new(before);
        let results = Mutex::new(Vec::new());
        let work = || {
            while let Some(setting) = new.get(next.fetch_add(1, Ordering::Relaxed)) {
                let measured = search.measure(setting);
                watch(done.fetch_add(1, Ordering::Relaxed) + 1);
                if let Ok(mut results) = results.lock() {
                    results.push((setting.clone(), measured));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..search.threads.clamp(1, new.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        let mut results = results.into_inner().unwrap_or_default();
        // Threads end in any order; what follows does not depend on it.
        results.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (setting, measured) in results {
            match measured? {
                Some(measured) => drop(self.done.insert(setting, measured)),
                None => self.refused += 1,
            }
        }
        Ok(())
    }

    /// Of equals the one with the smallest values.
    fn best(&self) -> Option<Trial> {
        self.trials()
            .min_by(|one, other| one.measured.rank(&other.measured))
    }

    fn frontier(&self) -> Vec<Trial> {
        let mut frontier: Vec<Trial> = self
            .trials()
            .filter(|trial| !self.done.values().any(|other| other.beats(&trial.measured)))
            .collect();
        // Settings that do the same are one point; the first, with the smallest values, stands for all.
        frontier.sort_by(|one, other| one.measured.by_amplification(&other.measured));
        frontier.dedup_by(|one, other| one.measured.does_the_same(&other.measured));
        frontier
    }

    fn trials(&self) -> impl Iterator<Item = Trial> {
        self.done.iter().map(|(setting, measured)| Trial {
            setting: setting.clone(),
            measured: measured.clone(),
        })
    }
}

/// Every combination, the last key changing fastest.
fn grid(values: &[Vec<u64>]) -> Vec<Setting> {
    let mut settings = vec![Setting::new()];
    for axis in values {
        settings = settings
            .iter()
            .flat_map(|setting| {
                axis.iter().map(move |&value| {
                    let mut longer = setting.clone();
                    longer.push(value);
                    longer
                })
            })
            .collect();
    }
    settings
}

/// The settings with one value halfway to the next one that was tried, below and above.
fn neighbours(setting: &[u64], values: &[Vec<u64>], axes: &[Axis]) -> Vec<Setting> {
    let mut near = Vec::new();
    for (index, ((&value, tried), axis)) in setting.iter().zip(values).zip(axes).enumerate() {
        let below = tried.iter().rev().find(|&&other| other < value);
        let above = tried.iter().find(|&&other| other > value);
        for &other in below.into_iter().chain(above) {
            let middle = axis.key.between(value, other);
            if middle != value && middle != other {
                let mut one = setting.to_vec();
                if let Some(place) = one.get_mut(index) {
                    *place = middle;
                }
                near.push(one);
            }
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_every_combination() {
        let all = grid(&[vec![1, 2], vec![7, 8, 9]]);
        assert_eq!(all.len(), 6);
        assert_eq!((&all[0], &all[5]), (&vec![1, 7], &vec![2, 9]));
        assert_eq!(grid(&[]), [Setting::new()]);
    }

    #[test]
    fn neighbours_are_halfway_to_what_was_tried() {
        let axes = ["retry.max_attempts=1,5", "retry.base_delay=1s"]
            .map(|axis| axis.parse::<Axis>().expect("an axis"));
        let second = 1_000_000_000;
        let near = neighbours(&[5, second], &[vec![1, 5, 6], vec![second]], &axes);
        assert_eq!(near, [[3, second]]); // between 5 and 6 there is nothing
    }
}
