//! How a setting does: its runs, added up.

use std::cmp::Ordering;

use super::objective::Objective;
use crate::result::replayed;
use crate::scenario::Scenario;
use crate::world::RunError;

/// How a setting did, over all seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The mean of what is wanted; `None` where a run has no such number.
    pub objective: Option<f64>,
    /// Whether less of it is better.
    pub(super) least: bool,
    /// Conditions that held, in all runs.
    pub held: u64,
    /// Conditions, in all runs.
    pub conditions: u64,
    /// Attempts per first attempt; `None` without any.
    pub amplification: Option<f64>,
    /// The share of offered calls that succeeded; `None` without any.
    pub goodput: Option<f64>,
    /// The longest recovery in seconds; `None` where a run never recovered, or had nothing to recover
    /// from.
    pub recovery_seconds: Option<f64>,
    /// The longest 99th percentile of the latency, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Promises of the scenario that were kept, in all runs.
    pub promises_kept: u64,
    /// Promises, in all runs.
    pub promises: u64,
}

pub(super) fn measure(
    mut scenario: Scenario,
    objective: &Objective,
    seeds: &[u64],
) -> Result<Measured, RunError> {
    // What is wanted is judged like the scenario's own promises, before them.
    let own = std::mem::take(&mut scenario.expect);
    let conditions = objective.conditions.len();
    scenario.expect = vec![objective.number.clone()];
    scenario.expect.extend(objective.conditions.iter().cloned());
    scenario.expect.extend(own);

    let (mut offered, mut succeeded, mut attempts, mut first) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut objectives = Vec::new();
    let mut recoveries = Vec::new();
    let mut measured = Measured {
        objective: None,
        least: !objective.most,
        held: 0,
        conditions: 0,
        amplification: None,
        goodput: None,
        recovery_seconds: None,
        p99_ms: None,
        promises_kept: 0,
        promises: 0,
    };
    for &seed in seeds {
        let result = replayed(&scenario, seed)?;
        offered += result.calls.offered;
        succeeded += result.calls.succeeded;
        attempts += result.attempts.total;
        first += result.attempts.first;
        recoveries.push(result.recovery_seconds);
        let p99 = result.latency_ms.map(|latency| latency.p99);
        measured.p99_ms = match (measured.p99_ms, p99) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        let mut judged = result.expectations.iter();
        objectives.push(judged.next().and_then(|number| number.observed));
        for (index, judged) in judged.enumerate() {
            let (kept, all) = if index < conditions {
                (&mut measured.held, &mut measured.conditions)
            } else {
                (&mut measured.promises_kept, &mut measured.promises)
            };
            *kept += u64::from(judged.held);
            *all += 1;
        }
    }
    if objective.promises {
        measured.held += measured.promises_kept;
        measured.conditions += measured.promises;
    }
    measured.amplification = ratio(attempts, first);
    measured.goodput = ratio(succeeded, offered);
    let all: Option<Vec<f64>> = recoveries.into_iter().collect();
    measured.recovery_seconds = all.and_then(|all| all.into_iter().reduce(f64::max));
    let all: Option<Vec<f64>> = objectives.into_iter().collect();
    measured.objective = all.and_then(|all| {
        let runs = as_f64(u64::try_from(all.len()).ok()?);
        (runs > 0.0).then(|| all.iter().sum::<f64>() / runs)
    });
    Ok(measured)
}

impl Measured {
    /// Whether every condition held in every run.
    #[must_use]
    pub const fn meets_the_conditions(&self) -> bool {
        self.held == self.conditions
    }

    /// Better ones are less: more conditions held, more of what is wanted, then goodput, amplification
    /// and recovery. Where not all conditions hold, what is wanted is not the question.
    pub(super) fn rank(&self, other: &Self) -> Ordering {
        let wanted = |one: &Self| {
            let number = if one.least {
                one.objective
            } else {
                one.objective.map(|number| -number)
            };
            number.unwrap_or(f64::INFINITY)
        };
        (other.held.cmp(&self.held))
            .then_with(
                || match self.meets_the_conditions() && other.meets_the_conditions() {
                    true => wanted(self).total_cmp(&wanted(other)),
                    false => Ordering::Equal,
                },
            )
            .then_with(|| other.goodness().total_cmp(&self.goodness()))
            .then_with(|| self.by_amplification(other))
    }

    /// By amplification, then goodput, then recovery; better ones first.
    pub(super) fn by_amplification(&self, other: &Self) -> Ordering {
        (self.load().total_cmp(&other.load()))
            .then_with(|| other.goodness().total_cmp(&self.goodness()))
            .then_with(|| self.recovery().total_cmp(&other.recovery()))
    }

    pub(super) fn does_the_same(&self, other: &Self) -> bool {
        self.by_amplification(other) == Ordering::Equal
    }

    /// Nowhere worse, and better somewhere.
    pub(super) fn beats(&self, other: &Self) -> bool {
        let no_worse = self.load() <= other.load()
            && self.goodness() >= other.goodness()
            && self.recovery() <= other.recovery();
        no_worse && !self.does_the_same(other)
    }

    fn load(&self) -> f64 {
        self.amplification.unwrap_or(f64::INFINITY)
    }

    fn goodness(&self) -> f64 {
        self.goodput.unwrap_or(0.0)
    }

    fn recovery(&self) -> f64 {
        self.recovery_seconds.unwrap_or(f64::INFINITY)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| as_f64(part) / as_f64(whole))
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss)]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(amplification: f64, goodput: f64, recovery_seconds: Option<f64>, held: u64) -> Measured {
        Measured {
            objective: Some(amplification),
            least: true,
            held,
            conditions: 1,
            amplification: Some(amplification),
            goodput: Some(goodput),
            recovery_seconds,
            p99_ms: None,
            promises_kept: 0,
            promises: 0,
        }
    }

    #[test]
    fn conditions_come_before_what_is_wanted() {
        let cheap = measured(1.0, 0.5, None, 0);
        let good = measured(2.0, 0.99, None, 1);
        assert_eq!(good.rank(&cheap), Ordering::Less);
        let most = |one: Measured| Measured { least: false, ..one };
        // Nothing is gained by few attempts where too little succeeds.
        let worse = measured(1.0, 0.4, None, 0);
        let dearer = measured(3.0, 0.5, None, 0);
        assert_eq!(dearer.rank(&worse), Ordering::Less);
        let (less, more) = (
            most(measured(1.0, 0.9, None, 1)),
            most(measured(2.0, 0.9, None, 1)),
        );
        assert_eq!(more.rank(&less), Ordering::Less);
    }

    #[test]
    fn what_never_recovers_is_beaten_by_what_does() {
        let never = measured(1.0, 0.9, None, 1);
        let late = measured(1.0, 0.9, Some(60.0), 1);
        assert!(late.beats(&never) && !never.beats(&late));
        assert!(!late.beats(&late.clone()));
        let dearer = measured(1.1, 0.9, Some(1.0), 1);
        assert!(!late.beats(&dearer) && !dearer.beats(&late));
    }
}
