//! A grid: every cell a scenario, on every core.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbridge_harness::result::{Cell, GridResult, Sample, SeedsResult, flags, replayed};

use super::bar::Bar;
use super::parallel::{cores, in_order};
use super::{Day, Failed, command, failed, seeds};
use crate::cli::ReplayArgs;
use crate::exit::Failure;

/// The most runs of one command: cells times seeds.
const MOST_RUNS: usize = 100_000;

/// Refuses what a grid cannot do, before anything runs.
pub(super) fn check(args: &ReplayArgs, days: &[Day<'_>]) -> Result<(), Failure> {
    if args.trace.is_some() {
        return Err(Failure::usage(
            "--trace writes one run, and a grid has many",
            "choose one of its cells with --set",
        ));
    }
    if args.live {
        return Err(Failure::usage(
            "--live runs one day, and a grid has many",
            "choose one of its cells with --set",
        ));
    }
    if args.html.is_some() && days.len() > 1 {
        return Err(Failure::usage(
            format!(
                "a page has one grid and nothing else, {} scenarios are given",
                days.len()
            ),
            "replay them one by one",
        ));
    }
    let most = days.iter().map(|day| day.cells.len()).max().unwrap_or(0);
    let runs = most.saturating_mul(runs(args));
    if runs > MOST_RUNS {
        return Err(Failure::usage(
            format!(
                "{most} cells under {} seeds are {runs} runs, at most {MOST_RUNS} are made",
                self::runs(args)
            ),
            "take fewer values or fewer seeds",
        ));
    }
    Ok(())
}

fn runs(args: &ReplayArgs) -> usize {
    args.seeds
        .map_or(1, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// Runs every cell.
pub(super) fn replay(day: &Day<'_>, args: &ReplayArgs, config: Option<&Path>) -> Result<GridResult, Failure> {
    let runs = runs(args);
    let name = day.cells.first().map_or("", |scenario| scenario.name.as_str());
    let total = u64::try_from(day.cells.len() * runs).unwrap_or(u64::MAX);
    let bar = Bar::new(total, "all runs", name);
    let done = AtomicU64::new(0);
    let tell = || bar.show(done.fetch_add(1, Ordering::Relaxed) + 1);
    let cells = in_order(day.cells.len(), cores(), &|index| {
        cell(day, index, args, config, &tell)
    });
    let cells = cells.map_err(|error| failed(day.path, &error))?;
    drop(bar);
    let given = flags(day.grid.given());
    let all = command(day.path, &given, args.seed, config) + &many(args);
    let Some(scenario) = day.cells.first() else {
        return Err(Failure::Internal("a grid without cells".to_owned()));
    };
    Ok(GridResult::new(&day.grid, scenario, runs, cells, all))
}

fn many(args: &ReplayArgs) -> String {
    args.seeds
        .map_or(String::new(), |count| format!(" --seeds {count}"))
}

fn cell(
    day: &Day<'_>,
    index: usize,
    args: &ReplayArgs,
    config: Option<&Path>,
    tell: &dyn Fn(),
) -> Result<Cell, Failed> {
    let scenario = &day.cells[index];
    let first = args.seed.unwrap_or(scenario.seed);
    let settings = day.grid.settings(index);
    let repeat = |seed: u64| {
        let other = (seed != scenario.seed).then_some(seed);
        command(day.path, &flags(&settings), other, config)
    };
    let run = |seed: u64| {
        let result = replayed(scenario, seed);
        tell();
        result.map_err(|error| Failed::of(format!("{}, seed {seed}: ", flags(&settings).trim()), error))
    };
    let mut result = run(first)?;
    if args.seeds.is_some() {
        let mut samples = vec![Sample::new(&result)];
        for seed in seeds::seeds(first, runs(args)).into_iter().skip(1) {
            samples.push(Sample::new(&run(seed)?));
        }
        result.set_seeds(scenario, SeedsResult::of(scenario, samples, repeat));
    }
    let command = repeat(first) + &many(args);
    Ok(Cell::new(&day.grid, index, scenario, result, command))
}
