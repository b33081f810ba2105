//! Makes a failing run smaller, as long as it fails the same way.
//!
//! ```text
//!   cut the end ─▶ drop faults ─▶ halve clients ─▶ halve faults ─▶ delay faults ─┐
//!        ▲                                                                       │
//!        └──────────────── again, until nothing helps any more ──────────────────┘
//! ```

use std::time::Duration;

use super::schedule::Schedule;
use super::trial::{Failure, Flaw, Trials};

/// The smallest run that was found.
#[derive(Debug)]
pub(super) struct Smallest {
    pub(super) schedule: Schedule,
    pub(super) failure: Failure,
    /// Runs it took.
    pub(super) trials: u64,
}

/// The most runs it may take.
const MOST_TRIALS: u64 = 400;
/// Steps smaller than this are not worth a run, in milliseconds.
const SMALLEST_STEP: u64 = 50;

pub(super) fn shrink(trials: &Trials<'_>, schedule: Schedule, failure: Failure) -> Smallest {
    let mut shrinker = Shrinker {
        trials,
        smallest: Smallest {
            schedule,
            failure,
            trials: 0,
        },
    };
    while shrinker.pass() && shrinker.smallest.trials < MOST_TRIALS {}
    shrinker.smallest
}

struct Shrinker<'t, 's> {
    trials: &'t Trials<'s>,
    smallest: Smallest,
}

impl Shrinker<'_, '_> {
    /// Tries every way once; whether one of them helped.
    fn pass(&mut self) -> bool {
        let mut helped = self.cut();
        let faults = self.smallest.schedule.faults.len();
        // From the last to the first: what is dropped moves nothing that is still to come.
        for index in (0..faults).rev() {
            helped |= self.attempt(|smaller| {
                if index < smaller.faults.len() {
                    smaller.faults.remove(index);
                }
            });
        }
        for index in 0..self.smallest.schedule.clients.len() {
            helped |= self.attempt(|smaller| {
                if let Some(count) = smaller.clients.get_mut(index) {
                    *count = (*count / 2).max(1);
                }
            });
        }
        for index in 0..self.smallest.schedule.faults.len() {
            helped |= self.attempt(|smaller| {
                if let Some(fault) = smaller.faults.get_mut(index)
                    && fault.lasts >= 2 * SMALLEST_STEP
                {
                    fault.lasts /= 2;
                }
            });
        }
        for index in 0..self.smallest.schedule.faults.len() {
            let end = self.latest();
            helped |= self.attempt(|smaller| {
                if let Some(fault) = smaller.faults.get_mut(index) {
                    let step = end.saturating_sub(fault.at + fault.lasts) / 2;
                    fault.at += if step >= SMALLEST_STEP { step } else { 0 };
                }
            });
        }
        helped
    }

    /// Ends the run with the second of its violation.
    fn cut(&mut self) -> bool {
        let Some(violation) = &self.smallest.failure.violation else {
            return false;
        };
        if violation.at_ns == 0 {
            return false;
        }
        let end = Duration::from_secs(violation.at_ns / 1_000_000_000 + 1);
        self.attempt(|smaller| {
            if end >= smaller.duration {
                return;
            }
            smaller.duration = end;
            let end = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
            smaller.faults.retain(|fault| fault.at < end);
            for fault in &mut smaller.faults {
                fault.lasts = fault.lasts.min(end - fault.at);
            }
        })
    }

    /// When faults have to be over, in milliseconds.
    fn latest(&self) -> u64 {
        let plan = self.trials.plan();
        let end = match self.smallest.failure.flaw {
            Flaw::Recovery => plan.lead + plan.storm,
            Flaw::Invariant(_) => (plan.lead + plan.storm).min(self.smallest.schedule.duration),
        };
        u64::try_from(end.as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps a change after which the run is another one and fails the same way.
    fn attempt(&mut self, change: impl FnOnce(&mut Schedule)) -> bool {
        let mut smaller = self.smallest.schedule.clone();
        change(&mut smaller);
        if smaller == self.smallest.schedule || self.smallest.trials >= MOST_TRIALS {
            return false;
        }
        self.smallest.trials += 1;
        match self.trials.try_one(&smaller, self.smallest.failure.flaw) {
            Ok(Some(failure)) => {
                (self.smallest.schedule, self.smallest.failure) = (smaller, failure);
                true
            }
            // It holds, or cannot be run at all.
            Ok(None) | Err(_) => false,
        }
    }
}
