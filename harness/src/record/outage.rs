//! Failures of attempts, and the faults of a scenario that explain them.
//!
//! ```text
//!   attempts   . . . x x x   (nobody asks)   x x . . . . x . . . .
//!   faults           └───────── refuse ──────┘          └ a stray: one fault over the whole run
//! ```
//!
//! | an attempt that met | is explained by |
//! |---|---|
//! | `not_sent` | `refuse` |
//! | `unknown`, after half of its timeout or more | `hang` |
//! | `unknown`, sooner | `reset` |
//! | `throttled` | `throttle` at the rate of those that were let through; `error` 429 where none was |
//! | `transient`, `overloaded`, `permanent` | `error` with a code of that kind |

use crossbridge_core::FaultKind;
use crossbridge_std::classify::http::status_kind;
use serde::Serialize;

use super::Times;
use super::log::Attempt;

/// Something that went wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outage {
    /// When it began, in microseconds of the run.
    pub from_us: u64,
    /// When it was over; `None` for what went on all the time.
    pub until_us: Option<u64>,
    /// What it was.
    #[serde(flatten)]
    pub cause: Cause,
    /// Attempts that failed so while it lasted.
    pub failed: u64,
    /// Attempts while it lasted.
    pub of: u64,
}

/// A kind of fault, as a scenario has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cause {
    /// Connections are refused.
    Refuse,
    /// No answer comes.
    Hang,
    /// Connections break.
    Reset,
    /// An error of this code.
    Error {
        /// An HTTP status or a SQLSTATE.
        code: String,
    },
    /// Less is let through than comes.
    Throttle {
        /// What is let through, per second.
        rate: f64,
    },
}

/// Failures closer than this belong together, whatever happened between them.
const TOGETHER_US: i64 = 2_000_000;
/// Fewer failures than this are an outage only where nothing else happened among them.
const FEW: usize = 5;
/// As many as this are one even so.
const FEWEST: usize = 3;
/// More outages of a kind are not outages but how it always is.
const MOST_OUTAGES: usize = 50;

/// The faults that explain what `attempts` met, which are in the order of their begins. Failures of a
/// kind are one outage while they are less than two seconds apart, and across any time in which no
/// attempt ended otherwise: behind an open breaker nobody asks. An outage begins halfway between the
/// last attempt before it that did not fail so and its first failure, and ends likewise.
pub(super) fn find(attempts: &[Attempt], times: &Times<'_>) -> Vec<Outage> {
    let mut outages = Vec::new();
    let half_a_timeout = times.timeout.map_or(u128::MAX, |timeout| timeout.as_micros() / 2);
    for wanted in Symptom::ALL {
        let matches = |attempt: &Attempt| Symptom::of(attempt, half_a_timeout) == Some(wanted);
        let runs = runs(attempts, matches);
        let is_outage = |run: &Run| run.failed >= FEW || (run.failed >= FEWEST && run.failed == run.of());
        let (mut long, mut strays): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(is_outage);
        if long.len() > MOST_OUTAGES {
            strays.append(&mut long);
        }
        let cause = |run: &Run| wanted.cause(run, attempts, times);
        for run in &long {
            outages.push(Outage {
                from_us: edge(attempts, run.first.checked_sub(1), run.first, times),
                until_us: Some(edge(attempts, Some(run.last), run.last + 1, times)),
                cause: cause(run),
                failed: count(run.failed),
                of: count(run.of()),
            });
        }
        let failed = strays.iter().map(|run| run.failed).sum();
        if failed > 0 {
            let whole = Run {
                first: 0,
                last: attempts.len() - 1,
                failed,
            };
            outages.push(Outage {
                from_us: 0,
                until_us: None,
                cause: cause(&whole),
                failed: count(failed),
                of: count(attempts.len()),
            });
        }
    }
    outages.sort_by_key(|outage| (outage.from_us, outage.until_us));
    outages
}

/// Consecutive attempts, the first and the last of which failed in the same way.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: usize,
    last: usize,
    failed: usize,
}

impl Run {
    const fn of(&self) -> usize {
        self.last - self.first + 1
    }
}

fn runs(attempts: &[Attempt], matches: impl Fn(&Attempt) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last_us = i64::MIN;
    for (index, attempt) in attempts.iter().enumerate() {
        if !matches(attempt) {
            continue;
        }
        let near = attempt.began_us.saturating_sub(last_us) <= TOGETHER_US;
        match runs.last_mut() {
            Some(run) if near || run.last + 1 == index => {
                run.last = index;
                run.failed += 1;
            }
            _ => runs.push(Run {
                first: index,
                last: index,
                failed: 1,
            }),
        }
        last_us = attempt.began_us;
    }
    runs
}

/// Halfway between two attempts, in microseconds of the run; where there is only one, at it.
fn edge(attempts: &[Attempt], before: Option<usize>, after: usize, times: &Times<'_>) -> u64 {
    let at = |index: usize| attempts.get(index).map(|attempt| attempt.began_us);
    let (before, after) = (before.and_then(at), at(after));
    let middle = match (before, after) {
        (Some(before), Some(after)) => before + (after - before + 1) / 2,
        // The last failure of all is part of its outage.
        (Some(only), None) => only.saturating_add(1),
        (None, only) => only.unwrap_or(times.start_us),
    };
    u64::try_from(middle.saturating_sub(times.start_us)).unwrap_or(0)
}

/// Failures that have one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symptom {
    NotSent,
    NoAnswer,
    Broken,
    Throttled,
    Transient,
    Overloaded,
    Permanent,
}

impl Symptom {
    const ALL: [Self; 7] = [
        Self::NotSent,
        Self::NoAnswer,
        Self::Broken,
        Self::Throttled,
        Self::Transient,
        Self::Overloaded,
        Self::Permanent,
    ];

    fn of(attempt: &Attempt, half_a_timeout: u128) -> Option<Self> {
        Some(match attempt.fault? {
            FaultKind::NotSent => Self::NotSent,
            FaultKind::Unknown if u128::from(attempt.took_us) >= half_a_timeout => Self::NoAnswer,
            FaultKind::Unknown => Self::Broken,
            FaultKind::Throttled => Self::Throttled,
            FaultKind::Transient => Self::Transient,
            FaultKind::Overloaded => Self::Overloaded,
            FaultKind::Permanent => Self::Permanent,
        })
    }

    fn cause(self, run: &Run, attempts: &[Attempt], times: &Times<'_>) -> Cause {
        let error = |kind| Cause::Error {
            code: code(kind, times.retryable_codes),
        };
        match self {
            Self::NotSent => Cause::Refuse,
            Self::NoAnswer => Cause::Hang,
            Self::Broken => Cause::Reset,
            Self::Throttled => let_through(run, attempts)
                .map_or_else(|| error(FaultKind::Throttled), |rate| Cause::Throttle { rate }),
            Self::Transient => error(FaultKind::Transient),
            Self::Overloaded => error(FaultKind::Overloaded),
            Self::Permanent => error(FaultKind::Permanent),
        }
    }
}

/// Attempts per second that went through among those that were throttled, in steps of a thousandth.
fn let_through(run: &Run, attempts: &[Attempt]) -> Option<f64> {
    let slice = attempts.get(run.first..=run.last)?;
    let (first, last) = (slice.first()?.began_us, slice.last()?.began_us);
    let good = slice.iter().filter(|attempt| attempt.fault.is_none()).count();
    // A rate needs a while to be one.
    if good < FEW || last - first < 1_000_000 {
        return None;
    }
    let rate = as_f64(count(good)) * 1e6 / as_f64(u64::try_from(last - first).ok()?);
    Some(((rate * 1e3).round() / 1e3).max(0.001))
}

/// A code that means this kind of fault to a path with these retryable statuses.
fn code(kind: FaultKind, retryable: &[u16]) -> String {
    // The plainest first.
    let plain = [503, 500, 502, 504, 429, 400, 404, 422];
    let statuses = plain.into_iter().chain(400..=599);
    let found = statuses
        .into_iter()
        .find(|&status| status_kind(status, retryable, false) == Some(kind));
    match (found, kind) {
        (Some(status), _) => status.to_string(),
        (None, FaultKind::Throttled) => "53300".to_owned(), // too_many_connections
        (None, _) => "40001".to_owned(),                    // serialization_failure
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss)]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CODES: [u16; 3] = [429, 500, 503];

    fn found(attempts: &[(i64, u32, Option<FaultKind>)]) -> Vec<(u64, Option<u64>, Cause, u64, u64)> {
        let attempts: Vec<Attempt> = attempts
            .iter()
            .map(|&(at, took_us, fault)| Attempt {
                began_us: at * 1_000,
                took_us,
                fault,
            })
            .collect();
        let times = Times {
            start_us: 0,
            timeout: Some(Duration::from_secs(1)),
            retryable_codes: &CODES,
        };
        let outages = find(&attempts, &times).into_iter();
        outages
            .map(|outage| {
                (
                    outage.from_us / 1_000,
                    outage.until_us.map(|us| us / 1_000),
                    outage.cause,
                    outage.failed,
                    outage.of,
                )
            })
            .collect()
    }

    const REFUSED: Option<FaultKind> = Some(FaultKind::NotSent);
    const UNKNOWN: Option<FaultKind> = Some(FaultKind::Unknown);

    /// Attempts each 100 ms of these milliseconds.
    fn each(
        from: i64,
        to: i64,
        took_us: u32,
        fault: Option<FaultKind>,
    ) -> Vec<(i64, u32, Option<FaultKind>)> {
        (from..to).step_by(100).map(|at| (at, took_us, fault)).collect()
    }

    #[test]
    fn an_outage_reaches_across_the_time_nobody_asks() {
        let probes = [(9_000, 0, REFUSED), (24_000, 0, REFUSED)];
        let attempts = [
            each(0, 5_000, 9, None),
            each(5_000, 5_600, 0, REFUSED),
            probes.to_vec(),
            each(30_000, 31_000, 9, None),
        ];
        assert_eq!(
            found(&attempts.concat()),
            [(4_950, Some(27_000), Cause::Refuse, 8, 8)]
        );
    }

    #[test]
    fn success_in_between_makes_two_outages() {
        let attempts = [
            each(0, 1_000, 0, REFUSED),
            each(1_000, 9_000, 9, None),
            each(9_000, 10_000, 0, REFUSED),
        ];
        let kinds: Vec<_> = found(&attempts.concat())
            .into_iter()
            .map(|o| (o.0, o.1))
            .collect();
        assert_eq!(kinds, [(0, Some(950)), (8_950, Some(9_900))]);
    }

    #[test]
    fn strays_are_a_probability_of_the_whole_run() {
        let mut attempts = each(0, 100_000, 9, None);
        for index in [100, 500, 900] {
            attempts[index].2 = Some(FaultKind::Transient);
        }
        let code = "503".to_owned();
        assert_eq!(found(&attempts), [(0, None, Cause::Error { code }, 3, 1_000)]);
    }

    #[test]
    fn a_timeout_hangs_and_a_sooner_end_is_a_reset() {
        let attempts = [
            each(0, 1_000, 1_000_000, UNKNOWN),
            each(5_000, 6_000, 3_000, UNKNOWN),
        ];
        let kinds: Vec<_> = found(&attempts.concat()).into_iter().map(|o| o.2).collect();
        assert_eq!(kinds, [Cause::Hang, Cause::Reset]);
    }

    #[test]
    fn a_throttle_has_the_rate_that_was_let_through() {
        let mut attempts = each(0, 20_000, 9, None);
        for (index, attempt) in attempts.iter_mut().enumerate() {
            if index % 2 == 0 {
                attempt.2 = Some(FaultKind::Throttled);
            }
        }
        let all = found(&attempts);
        assert!(
            matches!(all[..], [(_, _, Cause::Throttle { rate }, 100, _)] if (4.9..5.2).contains(&rate)),
            "{all:?}"
        );
    }
}
