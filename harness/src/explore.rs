//! Looks for a bad day that breaks a promise: random faults, the same rules every time.
//!
//! A replay runs the day somebody thought of. An exploration keeps the scenario's clients, nodes and
//! policies, leaves its faults and promises aside, and draws schedules of its own. Each run also draws
//! which kinds of faults it may have at all: a run with few kinds goes deeper than one with all of them
//! (swarm testing; Groce and others, ISSTA 2012).
//!
//! ```text
//!   |── lead ──|────────── storm ──────────|──── recovery ────|── judged ──|─ tail ─|
//!      calm      faults begin and are over    policies' waits    goodput     calls end
//! ```
//!
//! # Rules
//! - The [invariants](crate::invariants) hold in every run, and the same run again has the same trace.
//! - Recovery: once the faults are over and the policies' own longest waits have passed ([`Plan`]),
//!   goodput is at least 90 % of what it is in the same seconds without any fault.
//! - A run that is late is compared with its reference, the same run with one attempt a call and no other
//!   policy. If that is not back in time either, the run is excused (as `TigerBeetle`'s VOPR asks whether a
//!   state could be recovered from at all). If it is, the run goes on: its goodput has to be back as late
//!   after the reference's as the policies' longest waits and the storm take together. So slow is not never.
//! - A run is its seed: the n-th run of an exploration has the exploration's seed plus n. So one run is
//!   repeated by its own seed and `--runs 1`, and nothing depends on how many threads there are.
//! - For each rule that was broken the first run that broke it is made smaller: a shorter run, fewer
//!   faults, fewer clients, shorter and later faults, as long as the same rule is broken. Greedy and
//!   without a draw: the same failure shrinks to the same day.
//!
//! ```
//! use crossbridge_harness::explore::{self, Options};
//! use crossbridge_harness::scenario;
//! # use std::path::Path;
//! # let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios/runner-hang.yml");
//!
//! let scenario = scenario::load(&path, None, &|_| None).map_err(|error| error.render())?;
//! let found = explore::explore(&scenario, Options { seed: 1, runs: 2, threads: 1 }, &|_| {});
//! assert_eq!((found.runs, found.failures.len()), (2, 0));
//! # Ok::<(), String>(())
//! ```

mod draw;
mod plan;
mod save;
mod schedule;
mod shrink;
mod text;
mod trial;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::scenario::Scenario;
use crate::world::RunError;

pub use plan::Plan;
pub use save::{SaveError, Source};
pub use schedule::{Schedule, Trouble};
pub use text::page;
pub use trial::{Failure, Flaw};

use trial::{Judged, Trials};

/// How much is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The seed of the first run.
    pub seed: u64,
    /// How many runs.
    pub runs: u64,
    /// Threads they are spread over; what is found does not depend on it.
    pub threads: usize,
}

impl Options {
    /// As many threads as there are cores.
    #[must_use]
    pub fn all_cores() -> usize {
        std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }
}

/// What an exploration found.
#[derive(Debug, Serialize)]
pub struct Exploration {
    /// Version of this form.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of the first run.
    pub seed: u64,
    /// Runs made.
    pub runs: u64,
    /// Runs in which everything held.
    pub passed: u64,
    /// Runs that did not come back in time, and would not have without the policies either.
    pub excused: u64,
    /// Runs that could not be finished, such as those in which time stood still.
    pub unfinished: u64,
    /// Why the first of them could not.
    pub unfinished_because: Option<String>,
    /// How a run is laid out.
    pub plan: Plan,
    /// One for each rule that was broken, in the order of their first runs.
    pub failures: Vec<Finding>,
}

/// A rule that was broken, and the smallest day that breaks it.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// The seed of the first run that broke it.
    pub seed: u64,
    /// How many runs broke it first of all rules.
    pub runs: u64,
    /// What was found wrong with the first run.
    pub first: Failure,
    /// Its faults, as they were drawn.
    pub drawn: Schedule,
    /// What is found wrong with the smallest.
    pub failure: Failure,
    /// The smallest.
    pub shrunk: Schedule,
    /// Runs it took to get there.
    pub trials: u64,
    /// The file it was saved in.
    pub saved: Option<String>,
}

/// Explores. `watch` is told after each run how many are done, by any thread.
pub fn explore(scenario: &Scenario, options: Options, watch: &(dyn Fn(u64) + Sync)) -> Exploration {
    let plan = Plan::new(scenario);
    let trials = Trials::new(scenario, plan);
    let ended = run_all(&trials, options, watch);
    let mut exploration = Exploration {
        schema: 1,
        scenario: scenario.name.clone(),
        seed: options.seed,
        runs: options.runs,
        passed: 0,
        excused: 0,
        unfinished: 0,
        unfinished_because: None,
        plan,
        failures: Vec::new(),
    };
    for (seed, ended) in ended {
        match ended {
            Err(why) => {
                exploration.unfinished += 1;
                let why = || format!("seed {seed}: {why}");
                exploration.unfinished_because.get_or_insert_with(why);
            }
            Ok(Judged::Broken(failure)) => exploration.add(&trials, seed, failure),
            Ok(Judged::Excused) => exploration.excused += 1,
            Ok(Judged::Held) => exploration.passed += 1,
        }
    }
    exploration
}

impl Exploration {
    fn add(&mut self, trials: &Trials<'_>, seed: u64, first: Failure) {
        let rule = first.flaw.name();
        if let Some(known) = self.failures.iter_mut().find(|known| known.rule == rule) {
            known.runs += 1;
            return;
        }
        let drawn = trials.draw(seed);
        let smallest = shrink::shrink(trials, drawn.clone(), first.clone());
        let drawn = trials.whole(drawn, &first);
        let shrunk = trials.whole(smallest.schedule, &smallest.failure);
        self.failures.push(Finding {
            rule,
            seed,
            runs: 1,
            first,
            drawn,
            failure: smallest.failure,
            shrunk,
            trials: smallest.trials,
            saved: None,
        });
    }
}

/// Every run, in the order of their seeds.
fn run_all(
    trials: &Trials<'_>,
    options: Options,
    watch: &(dyn Fn(u64) + Sync),
) -> Vec<(u64, Result<Judged, RunError>)> {
    in_order(options.runs, options.threads, watch, |run| {
        let seed = options.seed.wrapping_add(run);
        (seed, trials.try_all(&trials.draw(seed)))
    })
}

/// `work` of 0, 1 and so on, on so many threads: in this order, whichever thread is done first.
fn in_order<T: Send>(
    runs: u64,
    threads: usize,
    watch: &(dyn Fn(u64) + Sync),
    work: impl Fn(u64) -> T + Sync,
) -> Vec<T> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let ended = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return;
            }
            let result = work(run);
            // A thread that panicked has taken the exploration with it.
            ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((run, result));
            watch(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(worker);
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|&(run, _)| run);
    ended.into_iter().map(|(_, result)| result).collect()
}
