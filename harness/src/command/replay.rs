//! `crossbridge replay`.

pub(super) mod bar;
pub(super) mod files;
mod grid;
mod live;
mod parallel;
pub(super) mod seeds;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::thread;

use crossbridge_core::time::nanos;
use crossbridge_harness::report::text::{Paint, page};
use crossbridge_harness::report::{self, Replay, html, junit, timeline};
use crossbridge_harness::result::{
    ClientResult, GridResult, ReplayResult, Sample, SeedsResult, Verdict, flags, without_faults,
};
use crossbridge_harness::scenario::{Grid, Scenario};
use crossbridge_harness::world::{self, Outcome, RunError};
use serde::Serialize;

use super::{environment, invalid, print};
use crate::cli::ReplayArgs;
use crate::exit::Failure;
use bar::Bar;
use files::Reports;

/// A scenario of the command line: one, or a grid of them.
struct Day<'a> {
    path: &'a Path,
    grid: Grid,
    /// The scenario of each cell; one where there is no grid.
    cells: Vec<Scenario>,
}

impl Day<'_> {
    /// What repeats a scenario that is no grid.
    fn command(&self, scenario: &Scenario, seed: u64, config: Option<&Path>) -> String {
        let settings = flags(&self.grid.settings(0));
        let seed = (seed != scenario.seed).then_some(seed);
        command(self.path, &settings, seed, config)
    }
}

/// Runs every scenario; all of them are read before the first one runs.
pub(crate) fn run(
    args: &ReplayArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let days = read(args, config)?;
    if args.live {
        return live::run(args, &days, config, json, output);
    }
    let mut trace = args.trace.as_deref().map(files::trace).transpose()?;
    let reports = Reports::create(args)?;
    let paint = Paint::new(std::io::stdout().is_terminal());
    let mut kept = Kept::default();
    let mut broken = false;
    for (index, day) in days.iter().enumerate() {
        let mut text = String::new();
        if !json && index > 0 {
            let _ = writeln!(text, "\n{}\n", "─".repeat(78));
        }
        if day.grid.axes().is_empty() {
            let file = trace.as_mut().map(|file| file as &mut dyn Write);
            let Some(replay) = single(day, args, config, file)? else {
                continue;
            };
            broken |= replay.result.is_broken();
            text += &if json {
                line(&replay.result)?
            } else {
                page(
                    replay.scenario,
                    &replay.ledger,
                    &replay.result,
                    &replay.command,
                    paint,
                )
            };
            print(output, &text)?;
            if reports.wanted() {
                kept.replays.push(replay);
            }
        } else {
            let grid = grid::replay(day, args, config)?;
            broken |= grid.verdict == Verdict::Fail;
            text += &if json {
                line(&grid)?
            } else {
                report::grid::page(&grid, paint)
            };
            print(output, &text)?;
            kept.grids.push(grid);
        }
    }
    write(reports, &kept)?;
    if broken { Err(Failure::Expectation) } else { Ok(()) }
}

/// What the files beside the page are written from.
#[derive(Default)]
struct Kept<'s> {
    replays: Vec<Replay<'s>>,
    grids: Vec<GridResult>,
}

fn read<'a>(args: &'a ReplayArgs, config: Option<&Path>) -> Result<Vec<Day<'a>>, Failure> {
    let mut days = Vec::new();
    for path in &args.scenarios {
        let grid = Grid::read(path, &args.set).map_err(invalid)?;
        let mut cells = Vec::new();
        for cell in 0..grid.cells() {
            cells.push(grid.scenario(cell, config, &environment).map_err(invalid)?);
        }
        days.push(Day { path, grid, cells });
    }
    if days.iter().any(|day| !day.grid.axes().is_empty()) {
        grid::check(args, &days)?;
    }
    Ok(days)
}

/// The replay of a scenario that is no grid.
fn single<'s>(
    day: &'s Day<'_>,
    args: &ReplayArgs,
    config: Option<&Path>,
    trace: Option<&mut dyn Write>,
) -> Result<Option<Replay<'s>>, Failure> {
    let Some(scenario) = day.cells.first() else {
        return Ok(None);
    };
    let seed = args.seed.unwrap_or(scenario.seed);
    let command = |seed| day.command(scenario, seed, config);
    let replay = replay(scenario, seed, args.seeds, trace, &command);
    replay.map(Some).map_err(|error| failed(day.path, &error))
}

fn line(result: &impl Serialize) -> Result<String, Failure> {
    let line = serde_json::to_string(result).map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(line + "\n")
}

/// The run, its control beside it, and the other seeds after them.
fn replay<'s>(
    scenario: &'s Scenario,
    seed: u64,
    count: Option<u32>,
    trace: Option<&mut dyn Write>,
    command: &dyn Fn(u64) -> String,
) -> Result<Replay<'s>, Failed> {
    let (outcome, control) = pair(scenario, seed, trace)?;
    let mut result = ReplayResult::new(scenario, seed, &outcome);
    result.set_control(
        scenario,
        ClientResult::of_all(control.as_ref().unwrap_or(&outcome)),
    );
    if let Some(count) = count {
        let seeds = seeds::seeds(seed, usize::try_from(count).unwrap_or(usize::MAX));
        let bar = Bar::new(u64::from(count), "all seeds", &scenario.name);
        let show = |done: usize| bar.show(u64::try_from(done).unwrap_or(u64::MAX));
        let mut samples = vec![Sample::new(&result)];
        samples.extend(seeds::samples(
            scenario,
            seeds.get(1..).unwrap_or_default(),
            parallel::cores(),
            &show,
        )?);
        result.set_seeds(scenario, SeedsResult::of(scenario, samples, command));
    }
    Ok(Replay {
        scenario,
        ledger: outcome.ledger,
        control: control.map(|control| control.ledger),
        result,
        command: command(seed) + &count.map_or(String::new(), |count| format!(" --seeds {count}")),
    })
}

/// A run and, where it has faults, its control. They share nothing, so each has its own thread.
fn pair(
    scenario: &Scenario,
    seed: u64,
    trace: Option<&mut dyn Write>,
) -> Result<(Outcome, Option<Outcome>), Failed> {
    let calm = without_faults(scenario);
    let bar = Bar::new(nanos(scenario.duration), "virtual time", &scenario.name);
    let (outcome, control) = thread::scope(|scope| {
        let control = scope.spawn(|| {
            let calm = calm.as_ref()?;
            Some(world::run(calm, seed, None, &mut |_| {}))
        });
        let outcome = world::run(scenario, seed, trace, &mut |now| bar.show(now.as_nanos()));
        let control = control
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (outcome, control)
    });
    let outcome = outcome.map_err(|error| Failed::of("", error))?;
    let control = control.transpose();
    Ok((
        outcome,
        control.map_err(|error| Failed::of("without its faults: ", error))?,
    ))
}

/// The files beside the page.
fn write(reports: Reports, Kept { replays, grids }: &Kept<'_>) -> Result<(), Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::Internal(error.to_string());
    if let Some(file) = reports.html {
        let page = match grids.first() {
            Some(grid) => html::grid::page(grid),
            None => html::page(replays),
        };
        file.write(page.as_bytes())?;
    }
    if reports.svg.is_some() || reports.png.is_some() {
        let picture = match (grids.first(), replays.first()) {
            (Some(grid), _) => report::grid::picture(grid),
            (None, replay) => replay.map_or(String::new(), timeline::picture),
        };
        if let Some(file) = reports.svg {
            file.write(picture.as_bytes())?;
        }
        if let Some(file) = reports.png {
            let png = report::png::png(&picture);
            file.write(&png.map_err(|error| internal(&error))?)?;
        }
    }
    if let Some(file) = reports.junit {
        let xml = junit::xml(replays, grids);
        file.write(xml.map_err(|error| internal(&error))?.as_bytes())?;
    }
    Ok(())
}

/// What repeats a run. `seed` where it is not the scenario's.
pub(super) fn command(path: &Path, settings: &str, seed: Option<u64>, config: Option<&Path>) -> String {
    let mut command = format!("crossbridge replay {}{settings}", path.display());
    if let Some(seed) = seed {
        let _ = write!(command, " --seed {seed}");
    }
    if let Some(config) = config {
        let _ = write!(command, " --config {}", config.display());
    }
    command
}

/// A run that could not be finished.
#[derive(Debug)]
pub(super) struct Failed {
    /// Which of the runs, with a colon; nothing for the run itself.
    which: String,
    error: RunError,
}

impl Failed {
    pub(super) fn of(which: impl Into<String>, error: RunError) -> Self {
        let which = which.into();
        Self { which, error }
    }
}

pub(super) fn failed(path: &Path, failed: &Failed) -> Failure {
    let Failed { which, error } = failed;
    let cause = std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let text = format!("{}: {which}{error}{cause}", path.display());
    match error {
        RunError::Policy(..) | RunError::Stuck(_) | RunError::TooMany(_) | RunError::TooLong(_) => {
            Failure::input(text)
        }
        RunError::Trace(_) => {
            Failure::dependency(text, "the run itself was not at fault; the trace is not complete")
        }
    }
}
