//! `crossbridge compare`.

use std::io::{IsTerminal, Write};
use std::path::Path;

use crossbridge_core::time::nanos;
use crossbridge_harness::compare::{self, Column, Comparison};
use crossbridge_harness::report::text::Paint;
use crossbridge_harness::report::{Replay, html};
use crossbridge_harness::result::watched;
use crossbridge_harness::scenario::{self, Scenario};

use super::replay::bar::Bar;
use super::replay::files::Report;
use super::replay::{Failed, command, failed};
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
        let name = "as it is".to_owned();
        scenarios.push((Policy { name, file: None }, own));
    }
    for policy in &args.policies {
        let under = scenario::load(&args.scenario, Some(policy), &environment).map_err(invalid)?;
        let name = policy.display().to_string();
        let file = Some(policy.as_path());
        scenarios.push((Policy { name, file }, under));
    }
    let page = args.html.as_deref().map(Report::create).transpose()?;
    let (mut columns, mut replays) = (Vec::new(), Vec::new());
    for (policy, scenario) in &scenarios {
        let seed = args.seed.unwrap_or(scenario.seed);
        let replay = replayed(args, scenario, seed, policy)?;
        let (policy, result) = (policy.name.clone(), replay.result.clone());
        columns.push(Column { policy, result });
        replays.push(replay);
    }
    let comparison = Comparison::new(columns);
    let text = if json {
        let line =
            serde_json::to_string(&comparison).map_err(|error| Failure::Internal(error.to_string()))?;
        line + "\n"
    } else {
        compare::page(&comparison, Paint::new(std::io::stdout().is_terminal()))
    };
    print(output, &text)?;
    if let Some(file) = page {
        file.write(html::compare::page(&comparison, &replays).as_bytes())?;
    }
    if comparison.holds() {
        Ok(())
    } else {
        Err(Failure::Expectation)
    }
}

/// Where the policies are from.
struct Policy<'a> {
    name: String,
    /// `None` for those the scenario names.
    file: Option<&'a Path>,
}

fn replayed<'s>(
    args: &CompareArgs,
    scenario: &'s Scenario,
    seed: u64,
    policy: &Policy<'_>,
) -> Result<Replay<'s>, Failure> {
    let path = &args.scenario;
    let bar = Bar::new(nanos(scenario.duration), "virtual time", &scenario.name);
    let run = watched(scenario, seed, &mut |now| bar.show(now.as_nanos()));
    let (result, ledger) = run.map_err(|error| failed(path, &Failed::of("", error)))?;
    Ok(Replay {
        scenario,
        ledger,
        control: None,
        result,
        command: command(path, "", (seed != scenario.seed).then_some(seed), policy.file),
    })
}
