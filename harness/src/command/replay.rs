//! `crossbridge replay`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use crossbridge_core::time::nanos;
use crossbridge_core::{Clock, Instant};
use crossbridge_harness::report::text::{Paint, page};
use crossbridge_harness::result::{ReplayResult, Verdict};
use crossbridge_harness::scenario::{self, Scenario};
use crossbridge_harness::world::{self, RunError};
use crossbridge_std::clock::SystemClock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{environment, invalid, print};
use crate::cli::ReplayArgs;
use crate::exit::Failure;

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
    let mut trace = args.trace.as_deref().map(create).transpose()?;
    let paint = Paint::new(std::io::stdout().is_terminal());
    let mut broken = false;
    for (index, (path, scenario)) in scenarios.iter().enumerate() {
        let seed = args.seed.unwrap_or(scenario.seed);
        let file = trace.as_mut().map(|file| file as &mut dyn Write);
        let outcome = {
            let mut bar = Bar::new(scenario);
            world::run(scenario, seed, file, &mut |now| bar.show(now))
        }
        .map_err(|error| failed(path, &error))?;
        let result = ReplayResult::new(scenario, seed, &outcome);
        broken |= result.verdict == Verdict::Fail;
        let mut text = String::new();
        if json {
            let line =
                serde_json::to_string(&result).map_err(|error| Failure::Internal(error.to_string()))?;
            let _ = writeln!(text, "{line}");
        } else {
            if index > 0 {
                let _ = writeln!(text, "\n{}\n", "─".repeat(78));
            }
            let command = command(path, scenario, seed, config);
            text += &page(scenario, &outcome.ledger, &result, &command, paint);
        }
        print(output, &text)?;
    }
    if broken { Err(Failure::Expectation) } else { Ok(()) }
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

/// What a person sees of a run that lasts: a bar, after a second, where stderr is a terminal. It
/// disappears with the value.
struct Bar {
    bar: ProgressBar,
    clock: SystemClock,
    began: Instant,
    hidden: bool,
}

impl Bar {
    fn new(scenario: &Scenario) -> Self {
        let bar = ProgressBar::with_draw_target(Some(nanos(scenario.duration)), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}% of virtual time  {msg}") {
            bar.set_style(style);
        }
        bar.set_message(scenario.name.clone());
        let clock = SystemClock::new();
        Self {
            bar,
            began: clock.now(),
            clock,
            hidden: true,
        }
    }

    fn show(&mut self, now: Instant) {
        let patience = Duration::from_secs(1);
        if self.hidden && self.clock.now().saturating_duration_since(self.began) >= patience {
            self.hidden = false;
            if std::io::stderr().is_terminal() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
        self.bar.set_position(now.as_nanos());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(path).map(BufWriter::new).map_err(|error| {
        let text = format!("cannot write the trace {}: {error}", path.display());
        Failure::dependency(text, "nothing was run")
    })
}

fn failed(path: &Path, error: &RunError) -> Failure {
    let cause = std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let text = format!("{}: {error}{cause}", path.display());
    match error {
        RunError::Policy(..) | RunError::Stuck(_) | RunError::TooMany(_) | RunError::TooLong(_) => {
            Failure::input(text)
        }
        RunError::Trace(_) => {
            Failure::dependency(text, "the run itself was not at fault; the trace is not complete")
        }
    }
}
