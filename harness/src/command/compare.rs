//! `crossbridge compare`.

use std::io::{IsTerminal, Write};
use std::path::Path;

use crossbridge_core::time::nanos;
use crossbridge_harness::compare::{Column, Comparison, page};
use crossbridge_harness::report::text::Paint;
use crossbridge_harness::result::ReplayResult;
use crossbridge_harness::scenario::{self, Scenario};
use crossbridge_harness::world;

use super::replay::bar::Bar;
use super::replay::{Failed, failed};
use super::{environment, invalid, print};
use crate::cli::CompareArgs;
use crate::exit::Failure;

/// Runs one scenario under each policy; all of them are read before the first one runs.
pub(crate) fn run(
    args: &CompareArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    if config.is_some() {
        return Err(Failure::usage(
            "`--config` says nothing here: `--policy` does",
            "give each configuration with a `--policy` of its own",
        ));
    }
    let mut scenarios = Vec::new();
    if args.policies.len() < 2 {
        // Against the policies it names itself.
        let own = scenario::load(&args.scenario, None, &environment).map_err(invalid)?;
        scenarios.push(("as it is".to_owned(), own));
    }
    for policy in &args.policies {
        let under = scenario::load(&args.scenario, Some(policy), &environment).map_err(invalid)?;
        scenarios.push((policy.display().to_string(), under));
    }
    let mut columns = Vec::new();
    for (policy, scenario) in scenarios {
        let seed = args.seed.unwrap_or(scenario.seed);
        let result = replayed(&args.scenario, &scenario, seed)?;
        columns.push(Column { policy, result });
    }
    let comparison = Comparison::new(columns);
    let text = if json {
        let line =
            serde_json::to_string(&comparison).map_err(|error| Failure::Internal(error.to_string()))?;
        line + "\n"
    } else {
        page(&comparison, Paint::new(std::io::stdout().is_terminal()))
    };
    print(output, &text)?;
    if comparison.holds() {
        Ok(())
    } else {
        Err(Failure::Expectation)
    }
}

fn replayed(path: &Path, scenario: &Scenario, seed: u64) -> Result<ReplayResult, Failure> {
    let bar = Bar::new(nanos(scenario.duration), "virtual time", &scenario.name);
    let outcome = world::run(scenario, seed, None, &mut |now| bar.show(now.as_nanos()))
        .map_err(|error| failed(path, &Failed::of("", error)))?;
    Ok(ReplayResult::new(scenario, seed, &outcome))
}
