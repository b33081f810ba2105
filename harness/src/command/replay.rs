//! `crossbridge replay`.

pub(super) mod bar;
mod files;
mod seeds;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::thread;

use crossbridge_core::time::nanos;
use crossbridge_harness::report::text::{Paint, page};
use crossbridge_harness::report::{Replay, html, junit, timeline};
use crossbridge_harness::result::{ControlResult, ReplayResult, Sample, SeedsResult, without_faults};
use crossbridge_harness::scenario::{self, Scenario};
use crossbridge_harness::world::{self, Outcome, RunError};

use super::{environment, invalid, print};
use crate::cli::ReplayArgs;
use crate::exit::Failure;
use bar::Bar;
use files::Reports;

/// Runs every scenario; all of them are read before the first one runs.
pub(crate) fn run(
    args: &ReplayArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut scenarios = Vec::new();
    for path in &args.scenarios {
        scenarios.push((path, scenario::load(path, config, &environment).map_err(invalid)?));
    }
    let mut trace = args.trace.as_deref().map(files::trace).transpose()?;
    let reports = Reports::create(args)?;
    let keep = reports.html.is_some() || reports.svg.is_some() || reports.junit.is_some();
    let paint = Paint::new(std::io::stdout().is_terminal());
    let mut replays = Vec::new();
    let mut broken = false;
    for (index, (path, scenario)) in scenarios.iter().enumerate() {
        let first = args.seed.unwrap_or(scenario.seed);
        let file = trace.as_mut().map(|file| file as &mut dyn Write);
        let command = |seed| command(path, scenario, seed, config);
        let replay =
            replay(scenario, first, args.seeds, file, &command).map_err(|error| failed(path, &error))?;
        broken |= replay.result.is_broken();
        let mut text = String::new();
        if json {
            let line = serde_json::to_string(&replay.result)
                .map_err(|error| Failure::Internal(error.to_string()))?;
            let _ = writeln!(text, "{line}");
        } else {
            if index > 0 {
                let _ = writeln!(text, "\n{}\n", "─".repeat(78));
            }
            text += &page(scenario, &replay.ledger, &replay.result, &replay.command, paint);
        }
        print(output, &text)?;
        if keep {
            replays.push(replay);
        }
    }
    write(reports, &replays)?;
    if broken { Err(Failure::Expectation) } else { Ok(()) }
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
    result.control = Some(ControlResult::new(control.as_ref().unwrap_or(&outcome)));
    if let Some(count) = count {
        let seeds = seeds::seeds(seed, usize::try_from(count).unwrap_or(usize::MAX));
        let bar = Bar::new(u64::from(count), "all seeds", &scenario.name);
        let show = |done: usize| bar.show(u64::try_from(done).unwrap_or(u64::MAX));
        let mut samples = vec![Sample::new(&result)];
        samples.extend(seeds::samples(
            scenario,
            seeds.get(1..).unwrap_or_default(),
            seeds::cores(),
            &show,
        )?);
        let promises: Vec<String> = scenario
            .expect
            .iter()
            .map(|promise| promise.text().to_owned())
            .collect();
        let lasted = scenario
            .trouble()
            .map(|(from, until)| until.saturating_duration_since(from));
        result.seeds = Some(SeedsResult::new(&promises, lasted, samples, command));
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
fn write(reports: Reports, replays: &[Replay<'_>]) -> Result<(), Failure> {
    if let Some(file) = reports.html {
        file.write(&html::page(replays))?;
    }
    if let (Some(file), Some(replay)) = (reports.svg, replays.first()) {
        file.write(&timeline::picture(replay))?;
    }
    if let Some(file) = reports.junit {
        let xml = junit::xml(replays).map_err(|error| Failure::Internal(error.to_string()))?;
        file.write(&xml)?;
    }
    Ok(())
}

/// What repeats a run.
fn command(path: &Path, scenario: &Scenario, seed: u64, config: Option<&Path>) -> String {
    let mut command = format!("crossbridge replay {}", path.display());
    if seed != scenario.seed {
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
