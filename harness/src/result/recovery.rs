//! When the goodput was back after the faults, and whether it stayed.
//!
//! ```text
//!   goodput of a second
//!   level ▇▇▇▇▇▇▇▇▇▇                  ▇▇▇▇▇▇▇▇▇▇▇▇▇     ▇▇▇▇▇▇▇▇▇
//!                    ▃▁          ▁▃▅▆              ▃▁▅▆
//!                   │ faults │        │             │
//!                            ├─ after ┤─── lasts ───┤ a relapse
//! ```
//!
//! The level is 99 % of the goodput before the first fault; of a run that begins with a fault, of what
//! it should be. A second is judged by the calls that were offered in it. Seconds without calls are
//! neither at the level nor below it.
//!
//! A call that is still in flight when the run ends would make the last seconds look worse than they
//! are: so many calls of the last ones that have not succeeded are not counted at all. That is for
//! relapses only; the time of recovery takes every call as it is.

use crossbridge_core::Instant;

use super::counts::ratio;
use crate::scenario::Scenario;
use crate::tally::Counts;

/// The goodput is back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Recovery {
    /// Seconds from the end of the last fault.
    pub(super) after: f64,
    /// Seconds from then until the first relapse, or the end of the run.
    pub(super) lasts: f64,
    /// How often a second below the level followed on one at it.
    pub(super) relapses: u64,
}

impl Recovery {
    /// `None` where there was no fault, or the goodput never came back.
    pub(super) fn of(scenario: &Scenario, counts: &Counts) -> Option<Self> {
        let (first, last) = scenario.trouble()?;
        let series = &counts.series;
        let before = usize::try_from(first.as_nanos() / SECOND).ok()?;
        let sum = |counts: &[u64]| counts.iter().take(before).sum::<u64>();
        // A run that begins with a fault is measured by what it should be.
        let level = 0.99 * ratio(sum(&series.succeeded), sum(&series.offered)).unwrap_or(1.0);
        let from = usize::try_from(last.as_nanos().div_ceil(SECOND)).ok()?;
        let seconds = series.offered.iter().zip(&series.succeeded);
        let (back, _) = seconds
            .enumerate()
            .skip(from)
            .filter_map(|(second, (&offered, &succeeded))| Some((second, ratio(succeeded, offered)?)))
            .find(|&(_, goodput)| goodput >= level)?;
        let falls = falls(&judged(counts), back, level);
        let end = Instant::ZERO.saturating_add(scenario.duration);
        let until = falls.first().map_or(Some(end), |second| start(*second))?;
        Some(Self {
            after: start(back)?.saturating_duration_since(last).as_secs_f64(),
            lasts: until.saturating_duration_since(start(back)?).as_secs_f64(),
            relapses: u64::try_from(falls.len()).ok()?,
        })
    }
}

const SECOND: u64 = 1_000_000_000;

/// When a second begins.
fn start(second: usize) -> Option<Instant> {
    let nanos = u64::try_from(second).ok()?.saturating_mul(SECOND);
    Some(Instant::from_nanos(nanos))
}

/// Succeeded and ended calls of each second.
fn judged(counts: &Counts) -> Vec<(u64, u64)> {
    let series = &counts.series;
    let mut in_flight = counts.in_flight();
    let mut seconds: Vec<(u64, u64)> = series
        .succeeded
        .iter()
        .zip(&series.offered)
        .rev()
        .map(|(&succeeded, &offered)| {
            let open = in_flight.min(offered.saturating_sub(succeeded));
            in_flight -= open;
            (succeeded, offered - open)
        })
        .collect();
    seconds.reverse();
    seconds
}

/// The seconds after `back` that are below the level when the one before them was not.
fn falls(seconds: &[(u64, u64)], back: usize, level: f64) -> Vec<usize> {
    let mut well = true;
    let mut falls = Vec::new();
    for (second, &(succeeded, ended)) in seconds.iter().enumerate().skip(back) {
        let Some(goodput) = ratio(succeeded, ended) else {
            continue;
        };
        if well && goodput < level {
            falls.push(second);
        }
        well = goodput >= level;
    }
    falls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_is_a_second_below_after_one_that_was_not() {
        let seconds = [
            (0, 10),
            (10, 10),
            (9, 10),
            (0, 10),
            (0, 0),
            (10, 10),
            (0, 0),
            (5, 10),
        ];
        assert_eq!(falls(&seconds, 1, 0.95), [2, 7]);
        assert_eq!(falls(&seconds, 1, 0.9), [3, 7]);
        assert_eq!(falls(&seconds, 5, 0.4), [0_usize; 0]);
    }

    #[test]
    fn calls_in_flight_at_the_end_belong_to_the_last_seconds() {
        let mut counts = Counts::new(3);
        counts.series.offered = vec![10, 10, 10];
        counts.series.succeeded = vec![9, 8, 7];
        // 30 offered, 24 succeeded, 2 failed: 4 in flight, 3 of the last second and 1 before it.
        (counts.offered, counts.succeeded, counts.failed) = (30, 24, 2);
        assert_eq!(counts.in_flight(), 4);
        assert_eq!(judged(&counts), [(9, 10), (8, 9), (7, 7)]);
    }
}
