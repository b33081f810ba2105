//! `crossbridge replay --live`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use crossbridge_core::time::nanos;
use crossbridge_harness::live::{LiveError, Plan, Servers, Stop};
use crossbridge_harness::report::live::page;
use crossbridge_harness::report::text::Paint;
use crossbridge_harness::result::Verdict;
use crossbridge_std::config::{Document, Problem};
use crossbridge_std::servers::ServerError;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::super::{invalid, print};
use super::bar::Bar;
use super::{Day, Failed, failed};
use crate::cli::ReplayArgs;
use crate::exit::Failure;

/// Runs every scenario on real servers, one after the other; all of them are looked at before anything
/// starts.
pub(super) fn run(
    args: &ReplayArgs,
    days: &[Day<'_>],
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut plans = Vec::new();
    let scenarios = || days.iter().filter_map(|day| Some((day, day.cells.first()?)));
    for (day, scenario) in scenarios() {
        let seed = args.seed.unwrap_or(scenario.seed);
        let plan = Plan::new(scenario, seed).map_err(|error| unfinished(day.path, error))?;
        plans.push((day, scenario, seed, plan));
    }
    let stop = Arc::new(Stop::default());
    catch(&stop)?;
    let servers = Servers::start(scenarios().map(|(_, scenario)| scenario)).map_err(|e| server(&e))?;
    let paint = Paint::new(std::io::stdout().is_terminal());
    let mut broken = false;
    for (index, (day, scenario, seed, plan)) in plans.into_iter().enumerate() {
        let bar = Bar::new(nanos(scenario.duration), "real time", &scenario.name);
        let live = plan.run(&servers, &stop, &mut |now| bar.show(now.as_nanos()));
        drop(bar);
        let live = live.map_err(|error| unfinished(day.path, error))?;
        broken |= live.result.verdict == Verdict::Fail;
        let mut text = String::new();
        if json {
            let line =
                serde_json::to_string(&live.result).map_err(|error| Failure::Internal(error.to_string()))?;
            let _ = writeln!(text, "{line}");
        } else {
            if index > 0 {
                let _ = writeln!(text, "\n{}\n", "─".repeat(78));
            }
            let command = day.command(scenario, seed, config) + " --live";
            text += &page(scenario, &live, &command, paint);
        }
        print(output, &text)?;
    }
    if broken { Err(Failure::Expectation) } else { Ok(()) }
}

/// A signal ends the run, and with it the servers.
fn catch(stop: &Arc<Stop>) -> Result<(), Failure> {
    let signals = Signals::new([SIGINT, SIGTERM]);
    let mut signals =
        signals.map_err(|error| Failure::Internal(format!("no signals can be caught: {error}")))?;
    let stop = Arc::clone(stop);
    let wait = move || {
        let _ = signals.forever().next();
        stop.stop();
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(wait);
    thread
        .map(drop)
        .map_err(|error| Failure::dependency(format!("no thread can be started: {error}"), "see ulimit -u"))
}

fn refused(path: &Path, problems: Vec<Problem>) -> Failure {
    match Document::read(path) {
        Ok(document) => invalid(document.error(problems)),
        Err(error) => invalid(error),
    }
}

fn unfinished(path: &Path, error: LiveError) -> Failure {
    let place = path.display();
    let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
    let text = format!("{place}: {error}{cause}");
    match error {
        LiveError::Refused(problems) => refused(path, problems),
        LiveError::Prediction(error) => failed(path, &Failed::of("", error)),
        LiveError::Server(error) => server(&error),
        LiveError::Proxy(..) | LiveError::Thread(_) => Failure::dependency(
            text,
            "the servers are stopped; the process may have no sockets or threads left, see ulimit -a",
        ),
        LiveError::Silent(..) => Failure::dependency(text, "the servers are stopped"),
        LiveError::Stopped => Failure::dependency(text, "the servers are stopped, and nothing was measured"),
    }
}

fn server(error: &ServerError) -> Failure {
    let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
    let hint = match error {
        ServerError::Missing { package, .. } => format!("apt-get install -y {package}"),
        ServerError::Failed { .. } | ServerError::TimedOut { .. } | ServerError::Io { .. } => {
            "every server that was started is stopped".to_owned()
        }
    };
    Failure::dependency(format!("{error}{cause}"), hint)
}
