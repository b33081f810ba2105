//! What is said about one cell, for every report.

use crate::report::text::observed;
use crate::result::{Cell, Outcome, Verdict};

/// How good a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Colour {
    /// It recovers, under every seed.
    Good,
    /// It is slow, or recovers under some seeds.
    Mixed,
    /// It never recovers, under no seed.
    Bad,
    /// Nothing goes wrong in it.
    None,
}

pub(in crate::report) fn colour(cell: &Cell) -> Colour {
    if let Some(outcomes) = cell.seeds.as_ref().and_then(|seeds| seeds.outcomes) {
        return match (outcomes.recovered, outcomes.slow, outcomes.never) {
            (_, 0, 0) => Colour::Good,
            (0, 0, _) => Colour::Bad,
            (_, _, _) => Colour::Mixed,
        };
    }
    match cell.outcome {
        Some(Outcome::Recovered) => Colour::Good,
        Some(Outcome::Slow) => Colour::Mixed,
        Some(Outcome::Never) => Colour::Bad,
        None => Colour::None,
    }
}

/// The outcome in a letter, or the share of the seeds that recovered; `!` where a promise was broken.
pub(in crate::report) fn mark(cell: &Cell) -> String {
    let outcome = match &cell.seeds {
        Some(seeds) => seeds.outcomes.map(|outcomes| {
            // Rounded down: 100 % are all of them.
            format!("{}%", outcomes.recovered * 100 / seeds.runs.max(1))
        }),
        None => cell.outcome.map(|outcome| word(outcome)[..1].to_uppercase()),
    };
    let broken = if cell.verdict == Verdict::Fail { "!" } else { "" };
    outcome.unwrap_or_else(|| "-".to_owned()) + broken
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Recovered => "recovered",
        Outcome::Slow => "slow",
        Outcome::Never => "never",
    }
}

/// The facts of a cell by name; with several seeds the outcomes are counted, and the others medians.
pub(in crate::report) fn facts(cell: Option<&Cell>) -> [(&'static str, String); 5] {
    let of = |say: fn(&Cell) -> String| cell.map_or(String::new(), say);
    [
        ("outcome", of(outcome)),
        (
            "goodput",
            of(|cell| {
                let goodput = match &cell.seeds {
                    Some(seeds) => seeds.goodput.median,
                    None => cell.goodput,
                };
                goodput.map_or("none".to_owned(), |share| format!("{:.2}%", share * 100.0))
            }),
        ),
        (
            "attempts per call",
            of(|cell| {
                let ratio = match &cell.seeds {
                    Some(seeds) => seeds.amplification.median,
                    None => cell.amplification,
                };
                ratio.map_or("none".to_owned(), |ratio| format!("{ratio:.3}"))
            }),
        ),
        ("recovery", of(recovery)),
        ("promises", of(promises)),
    ]
}

fn outcome(cell: &Cell) -> String {
    match (&cell.seeds, cell.outcome) {
        (_, None) => "no fault".to_owned(),
        (None, Some(outcome)) => word(outcome).to_owned(),
        (Some(seeds), Some(_)) => {
            let outcomes = seeds.outcomes.unwrap_or_default();
            let all = [
                (outcomes.recovered, Outcome::Recovered),
                (outcomes.slow, Outcome::Slow),
                (outcomes.never, Outcome::Never),
            ];
            let there = all.into_iter().filter(|(runs, _)| *runs > 0);
            let told: Vec<String> = there
                .map(|(runs, outcome)| format!("{runs} {}", word(outcome)))
                .collect();
            told.join(", ")
        }
    }
}

fn recovery(cell: &Cell) -> String {
    if cell.outcome.is_none() {
        return "-".to_owned();
    }
    let seconds = match &cell.seeds {
        Some(seeds) => seeds.recovery_seconds.median,
        None => cell.recovery_seconds,
    };
    seconds.map_or("never".to_owned(), |seconds| {
        format!("{} s", observed(Some(seconds)))
    })
}

/// Promises that were kept, under every seed; those about all seeds included.
fn promises(cell: &Cell) -> String {
    let (kept, all) = match &cell.seeds {
        Some(seeds) => {
            let each = seeds.expectations.iter().map(|promise| promise.broken == 0);
            let together = seeds.promises.iter().map(|promise| promise.held);
            count(each.chain(together))
        }
        None => count(cell.expectations.iter().map(|promise| promise.held)),
    };
    format!("{kept} of {all}")
}

fn count(held: impl Iterator<Item = bool>) -> (usize, usize) {
    held.fold((0, 0), |(kept, all), held| (kept + usize::from(held), all + 1))
}
