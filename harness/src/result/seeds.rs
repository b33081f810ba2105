//! Many seeds of one scenario: how the outcomes are spread, not what they are on average.
//!
//! An overload that recovers in seven runs of ten and never in the other three has a mean that
//! describes no run at all. So outcomes are counted, and numbers are given by quantiles. A quantile
//! is always the value of one run (nearest rank): nothing is interpolated.
//!
//! | outcome | the goodput is back at its level |
//! |---|---|
//! | recovered | within the time from the first fault's begin to the last one's end |
//! | slow | later than that |
//! | never | not before the run ended |

use std::time::Duration;

use serde::Serialize;

use super::{ExpectationResult, ReplayResult, Verdict};
use crate::scenario::Scenario;

/// What is kept of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its seed.
    pub seed: u64,
    /// See [`ReplayResult::recovery_seconds`].
    pub recovery_seconds: Option<f64>,
    /// See [`ReplayResult::goodput`].
    pub goodput: Option<f64>,
    /// See [`ReplayResult::amplification`].
    pub amplification: Option<f64>,
    /// What became of each promise, in the order of the scenario: observed, held.
    pub promises: Vec<(Option<f64>, bool)>,
}

/// A scenario under many seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeedsResult {
    /// Seeds tried, the run's own included.
    pub runs: usize,
    /// Of these, those that broke a promise.
    pub failed: usize,
    /// Whether every promise was kept under every seed, and those about all seeds together.
    pub verdict: Verdict,
    /// How it ended; null without faults.
    pub outcomes: Option<Outcomes>,
    /// Recovery times of all runs; null from the quantile on where runs never recovered.
    pub recovery_seconds: Spread,
    /// Goodput of all runs.
    pub goodput: Spread,
    /// Amplification of all runs.
    pub amplification: Spread,
    /// The promises, in the order of the scenario.
    pub expectations: Vec<PromiseOverSeeds>,
    /// The promises about all seeds together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promises: Vec<ExpectationResult>,
    /// The seed with most promises broken; then the longest recovery; then the least goodput.
    pub worst_seed: u64,
    /// What repeats it.
    pub worst_command: String,
    /// The seeds that broke a promise, in the order they were tried.
    pub failing: Vec<FailingSeed>,
    /// Every run, in the order of the seeds; not printed.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Back within the time the faults lasted.
    Recovered,
    /// Back later.
    Slow,
    /// Not back when the run ended.
    Never,
}

/// How many runs ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Back within the time the faults lasted.
    pub recovered: usize,
    /// Back later.
    pub slow: usize,
    /// Not back when the run ended.
    pub never: usize,
}

/// Quantiles by nearest rank; null where there is no such value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: Option<f64>,
    /// One of ten is at most this.
    pub p10: Option<f64>,
    /// Half are at most this.
    pub median: Option<f64>,
    /// Nine of ten are at most this.
    pub p90: Option<f64>,
    /// The most.
    pub max: Option<f64>,
}

/// A promise under many seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromiseOverSeeds {
    /// As it was written.
    pub text: String,
    /// Runs that kept it.
    pub held: usize,
    /// Runs that broke it.
    pub broken: usize,
    /// The values of its left side.
    pub observed: Spread,
}

/// A seed that broke a promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailingSeed {
    /// The seed.
    pub seed: u64,
    /// The promises it broke.
    pub broken: Vec<ExpectationResult>,
    /// What repeats it.
    pub command: String,
}

impl Sample {
    /// What is kept of a run.
    #[must_use]
    pub fn new(result: &ReplayResult) -> Self {
        let promises = result.expectations.iter();
        Self {
            seed: result.seed,
            recovery_seconds: result.recovery_seconds,
            goodput: result.goodput,
            amplification: result.amplification,
            promises: promises.map(|promise| (promise.observed, promise.held)).collect(),
        }
    }

    fn broken(&self) -> usize {
        self.promises.iter().filter(|(_, held)| !held).count()
    }
}

impl SeedsResult {
    /// Of these runs of a scenario. `command` repeats one.
    #[must_use]
    pub fn of(scenario: &Scenario, samples: Vec<Sample>, command: impl Fn(u64) -> String) -> Self {
        let promises = scenario.expect.iter();
        let promises: Vec<String> = promises.map(|promise| promise.text().to_owned()).collect();
        Self::new(&promises, scenario.trouble_lasts(), samples, command)
    }

    /// The distribution of these runs. `trouble` is how long the faults lasted, `command` words the
    /// command that repeats a seed.
    #[must_use]
    pub fn new(
        promises: &[String],
        trouble: Option<Duration>,
        samples: Vec<Sample>,
        command: impl Fn(u64) -> String,
    ) -> Self {
        let failing: Vec<FailingSeed> = samples
            .iter()
            .filter(|sample| sample.broken() > 0)
            .map(|sample| failing(promises, sample, command(sample.seed)))
            .collect();
        // Of equally bad ones the first.
        let worst_seed = samples.iter().reduce(|worst, sample| {
            let order = badness(sample).partial_cmp(&badness(worst));
            if order == Some(std::cmp::Ordering::Greater) {
                sample
            } else {
                worst
            }
        });
        let worst_seed = worst_seed.map_or(0, |sample| sample.seed);
        let recovery: Vec<Option<f64>> = samples.iter().map(|sample| sample.recovery_seconds).collect();
        let there = |value: fn(&Sample) -> Option<f64>| samples.iter().filter_map(value).map(Some).collect();
        let verdict = if failing.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        Self {
            runs: samples.len(),
            failed: failing.len(),
            verdict,
            outcomes: trouble.map(|trouble| outcomes(trouble, &recovery)),
            recovery_seconds: Spread::new(recovery),
            goodput: Spread::new(there(|sample| sample.goodput)),
            amplification: Spread::new(there(|sample| sample.amplification)),
            expectations: promises
                .iter()
                .enumerate()
                .map(|(index, text)| promise(text, index, &samples))
                .collect(),
            promises: Vec::new(),
            worst_seed,
            worst_command: command(worst_seed),
            failing,
            samples,
        }
    }
}

impl Spread {
    /// Of these values; those that are not there count as greater than all others.
    #[must_use]
    pub fn new(mut values: Vec<Option<f64>>) -> Self {
        let key = |value: &Option<f64>| value.unwrap_or(f64::INFINITY);
        values.sort_by(|one, other| key(one).total_cmp(&key(other)));
        let rank = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().flatten()
        };
        Self {
            min: rank(0),
            p10: rank(10),
            median: rank(50),
            p90: rank(90),
            max: rank(100),
        }
    }

    /// The quantiles by name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, Option<f64>); 5] {
        [
            ("min", self.min),
            ("p10", self.p10),
            ("median", self.median),
            ("p90", self.p90),
            ("max", self.max),
        ]
    }
}

impl Outcome {
    /// Of a run whose faults lasted so long.
    #[must_use]
    pub fn new(lasted: Duration, recovery_seconds: Option<f64>) -> Self {
        match recovery_seconds {
            Some(seconds) if seconds <= lasted.as_secs_f64() => Self::Recovered,
            Some(_) => Self::Slow,
            None => Self::Never,
        }
    }
}

fn outcomes(trouble: Duration, recovery: &[Option<f64>]) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for seconds in recovery {
        match Outcome::new(trouble, *seconds) {
            Outcome::Recovered => outcomes.recovered += 1,
            Outcome::Slow => outcomes.slow += 1,
            Outcome::Never => outcomes.never += 1,
        }
    }
    outcomes
}

/// Greater is worse.
fn badness(sample: &Sample) -> (usize, f64, f64) {
    let recovery = sample.recovery_seconds.unwrap_or(f64::INFINITY);
    (sample.broken(), recovery, -sample.goodput.unwrap_or(1.0))
}

fn promise(text: &str, index: usize, samples: &[Sample]) -> PromiseOverSeeds {
    let found: Vec<(Option<f64>, bool)> = samples
        .iter()
        .filter_map(|sample| sample.promises.get(index).copied())
        .collect();
    let held = found.iter().filter(|(_, held)| *held).count();
    PromiseOverSeeds {
        text: text.to_owned(),
        held,
        broken: found.len() - held,
        observed: Spread::new(found.into_iter().map(|(observed, _)| observed).collect()),
    }
}

fn failing(promises: &[String], sample: &Sample, command: String) -> FailingSeed {
    let broken = promises.iter().zip(&sample.promises);
    FailingSeed {
        seed: sample.seed,
        broken: broken
            .filter(|(_, (_, held))| !held)
            .map(|(text, &(observed, held))| ExpectationResult {
                text: text.clone(),
                observed,
                held,
            })
            .collect(),
        command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, recovery_seconds: Option<f64>, goodput: f64, held: bool) -> Sample {
        Sample {
            seed,
            recovery_seconds,
            goodput: Some(goodput),
            amplification: Some(1.0),
            promises: vec![(Some(goodput), held)],
        }
    }

    fn over(samples: Vec<Sample>) -> SeedsResult {
        let promises = ["goodput >= 0.9".to_owned()];
        SeedsResult::new(&promises, Some(Duration::from_secs(10)), samples, |seed| {
            format!("--seed {seed}")
        })
    }

    /// By definition: the least value that at least so many of a hundred do not exceed.
    #[test]
    fn a_quantile_is_the_value_of_a_run() {
        for count in 1_u32..40 {
            let values: Vec<f64> = (0..count).map(|i| f64::from(i * 7 % count)).collect();
            let spread = Spread::new(values.iter().copied().map(Some).collect());
            for (percent, found) in [
                (10, spread.p10),
                (50, spread.median),
                (90, spread.p90),
                (100, spread.max),
            ] {
                let reaches = |bound: f64| {
                    let below = values.iter().filter(|value| **value <= bound).count();
                    below * 100 >= values.len() * percent
                };
                let least = values
                    .iter()
                    .copied()
                    .filter(|bound| reaches(*bound))
                    .fold(f64::INFINITY, f64::min);
                assert_eq!(found, Some(least), "{count} values, {percent} %");
            }
            assert_eq!(spread.min, values.iter().copied().reduce(f64::min));
        }
        assert_eq!(Spread::new(Vec::new()), Spread::default());
    }

    #[test]
    fn a_run_that_never_recovered_is_longer_than_all_others() {
        let times = [Some(3.0), None, Some(1.0), Some(2.0)];
        let spread = Spread::new(times.to_vec());
        assert_eq!(
            (spread.min, spread.median, spread.p90, spread.max),
            (Some(1.0), Some(2.0), None, None)
        );
    }

    #[test]
    fn outcomes_are_counted_at_their_bounds() {
        let runs = [Some(0.0), Some(10.0), Some(10.5), None];
        let result = over(
            (0..4)
                .zip(runs)
                .map(|(seed, time)| sample(seed, time, 1.0, true))
                .collect(),
        );
        let outcomes = Outcomes {
            recovered: 2,
            slow: 1,
            never: 1,
        };
        assert_eq!(result.outcomes, Some(outcomes));
        assert_eq!((result.failed, result.verdict), (0, Verdict::Pass));
        assert_eq!(
            (result.worst_seed, result.worst_command.as_str()),
            (3, "--seed 3")
        );
    }

    #[test]
    fn a_broken_promise_is_worse_than_a_long_recovery_and_that_than_little_goodput() {
        let worst = |samples: &[Sample]| over(samples.to_vec()).worst_seed;
        let (calm, poor) = (sample(1, Some(1.0), 0.95, true), sample(2, Some(1.0), 0.5, true));
        let (long, never) = (sample(3, Some(9.0), 0.95, true), sample(4, None, 0.99, true));
        let broken = sample(5, Some(0.0), 0.99, false);
        assert_eq!(worst(&[calm.clone(), poor.clone()]), 2);
        assert_eq!(worst(&[poor.clone(), long.clone()]), 3);
        assert_eq!(worst(&[long.clone(), never.clone()]), 4);
        assert_eq!(worst(&[never, broken.clone(), long]), 5);
        // Equally bad: the first of them.
        assert_eq!(worst(&[sample(8, Some(1.0), 0.5, true), poor]), 8);

        let result = over(vec![calm, broken]);
        assert_eq!((result.failed, result.verdict), (1, Verdict::Fail));
        assert_eq!(
            (result.expectations[0].held, result.expectations[0].broken),
            (1, 1)
        );
        assert_eq!(result.failing[0].seed, 5);
        assert_eq!(result.failing[0].broken[0].text, "goodput >= 0.9");
    }
}
