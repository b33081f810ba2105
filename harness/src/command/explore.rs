//! `crossbridge explore`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;

use crossbridge_harness::explore::{self, Exploration, Options, SaveError, Source};
use crossbridge_harness::report::text::Paint;
use crossbridge_harness::scenario;

use super::replay::bar::Bar;
use super::{environment, invalid, print};
use crate::cli::ExploreArgs;
use crate::exit::Failure;

/// Explores, shrinks and saves.
pub(crate) fn run(
    args: &ExploreArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let scenario = scenario::load(&args.scenario, config, &environment).map_err(invalid)?;
    let options = Options {
        seed: args.seed.unwrap_or(scenario.seed),
        runs: args.runs,
        threads: args
            .threads
            .map_or_else(Options::all_cores, |threads| threads as usize),
    };
    let mut found = {
        let bar = Bar::new(args.runs, "all runs", &scenario.name);
        explore::explore(&scenario, options, &|done| bar.show(done))
    };
    let source = Source {
        path: &args.scenario,
        config,
    };
    if let Some(folder) = &args.save {
        found.save(source, folder, &environment).map_err(unsaved)?;
    }
    let text = if json {
        let line = serde_json::to_string(&found).map_err(|error| Failure::Internal(error.to_string()))?;
        line + "\n"
    } else {
        let repeat = |seed| command(source, seed);
        explore::page(&found, repeat, Paint::new(std::io::stdout().is_terminal()))
    };
    print(output, &text)?;
    verdict(&found)
}

fn verdict(found: &Exploration) -> Result<(), Failure> {
    if !found.failures.is_empty() {
        return Err(Failure::Expectation);
    }
    // Where no run says anything, none has passed.
    match &found.unfinished_because {
        Some(why) if found.passed == 0 => Err(Failure::input(format!("no run could be finished: {why}"))),
        _ => Ok(()),
    }
}

/// What repeats a run.
fn command(source: Source<'_>, seed: u64) -> String {
    let mut command = format!(
        "crossbridge explore {} --seed {seed} --runs 1",
        source.path.display()
    );
    if let Some(config) = source.config {
        let _ = write!(command, " --config {}", config.display());
    }
    command
}

fn unsaved(error: SaveError) -> Failure {
    match error {
        SaveError::File(..) => Failure::dependency(
            format!("cannot save: {error}"),
            "the same command finds the same again",
        ),
        SaveError::Changed(_) => Failure::input(error.to_string()),
        SaveError::Holds(_) => Failure::Internal(error.to_string()),
    }
}
