//! `crossbridge tune`: which numbers would have been better, and the YAML that says so.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crossbridge_core::{Clock, Instant};
use crossbridge_harness::result::{flags, vocabulary};
use crossbridge_harness::scenario::{self, Scenario};
use crossbridge_harness::tune::{
    Axis, Found, Key, MAX_SETTINGS, Measured, Objective, Search, Trial, TuneError, fragment, guard_of,
    guard_with, paths,
};
use crossbridge_std::clock::SystemClock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use super::check::table::Table;
use super::replay::seeds::seeds;
use super::{environment, invalid, print, replay};
use crate::cli::TuneArgs;
use crate::exit::Failure;

/// Searches, prints the frontier, and the best setting as YAML.
pub(crate) fn run(
    args: &TuneArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let scenario = scenario::load(&args.scenario, config, &environment).map_err(invalid)?;
    let objective = objective(args, &scenario)?;
    let path = path(args, &scenario)?;
    let axes = axes(args, &scenario, &path)?;
    let first = args.seed.unwrap_or(scenario.seed);
    let bar = Bar::new();
    let search = Search {
        scenario: &scenario,
        path: &path,
        axes,
        objective: &objective,
        seeds: seeds(first, args.seeds as usize),
        threads: args.jobs.map_or_else(
            || thread::available_parallelism().map_or(1, usize::from),
            |jobs| jobs as usize,
        ),
    };
    let found = search.run(&|done| bar.show(done));
    bar.finish();
    let found = found.map_err(|error| failed(args, error))?;
    let yaml = guard_with(&scenario, &path, &found.keys, &found.best.setting)
        .map(|guard| fragment(&path, &guard, &found.keys))
        .unwrap_or_default();
    let repeat = |trial: &Trial| command(&search, args, config, trial);
    let text = if json {
        object(&search, &found, &yaml, &repeat)
    } else {
        page(&search, &found, &yaml, &repeat)
    };
    print(output, &text)?;
    if found.best.measured.meets_the_conditions() {
        Ok(())
    } else {
        Err(Failure::Expectation)
    }
}

fn objective(args: &TuneArgs, scenario: &Scenario) -> Result<Objective, Failure> {
    let clients: Vec<String> = scenario.clients.iter().map(|group| group.name.clone()).collect();
    let nodes: Vec<String> = scenario.nodes.iter().map(|node| node.name.clone()).collect();
    let mut words = vocabulary(&clients, &nodes, scenario.duration);
    // Each run is judged by itself here.
    words.names.retain(|name| !name.starts_with("seeds."));
    Objective::parse(&args.objective, &words).map_err(|error| {
        let text = format!(
            "--objective `{}`, character {}: found {}, expected {}",
            args.objective,
            error.at + 1,
            error.found,
            error.expected
        );
        let hint = match error.nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("such as `{}`", Objective::DEFAULT),
        };
        Failure::usage(text, hint)
    })
}

/// The path that is asked for, or the only one.
fn path(args: &TuneArgs, scenario: &Scenario) -> Result<String, Failure> {
    let all = paths(scenario);
    match (&args.path, all.as_slice()) {
        (Some(path), _) if all.contains(path) => Ok(path.clone()),
        (Some(path), _) => Err(Failure::usage(
            format!("--path {path}: nobody in the scenario goes through it"),
            format!("there is {}", all.join(", ")),
        )),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Failure::usage(
            "the scenario has several call paths, and one is tuned at a time",
            format!("--path with one of {}", all.join(", ")),
        )),
    }
}

fn axes(args: &TuneArgs, scenario: &Scenario, path: &str) -> Result<Vec<Axis>, Failure> {
    let mut axes: Vec<Axis> = Vec::new();
    for text in &args.vary {
        let axis: Axis = text.parse().map_err(|error| {
            Failure::usage(
                format!("--vary {text}: {error}"),
                "such as retry.base_delay=50ms,200ms",
            )
        })?;
        if axes.iter().any(|other| other.key == axis.key) {
            let text = format!("--vary {}: twice", axis.key);
            return Err(Failure::usage(text, "all values of a key go into one --vary"));
        }
        axes.push(axis);
    }
    if axes.is_empty() {
        axes = guard_of(scenario, path)
            .map(Key::varied_by_default)
            .unwrap_or_default();
    }
    Ok(axes)
}

fn failed(args: &TuneArgs, error: TuneError) -> Failure {
    let name = args.scenario.display();
    match error {
        TuneError::UnknownPath(known) => {
            Failure::usage("no such path", format!("there is {}", known.join(", ")))
        }
        TuneError::TooMany(settings) => Failure::usage(
            format!("{settings} combinations of values, at most {MAX_SETTINGS} are tried"),
            "fewer keys, or fewer values for each",
        ),
        TuneError::Run(error) => Failure::input(format!("{name}: {error}")),
    }
}

/// What runs a setting again, under the same seeds; `None` where no settings of `replay` make it.
fn command(search: &Search<'_>, args: &TuneArgs, config: Option<&Path>, trial: &Trial) -> Option<String> {
    let settings = search.settings(&args.scenario, config, &trial.setting, &environment)?;
    let command = replay::command(&args.scenario, &flags(&settings), args.seed, config);
    Some(format!("{command} --seeds {}", args.seeds))
}

fn page(search: &Search<'_>, found: &Found, yaml: &str, repeat: &dyn Fn(&Trial) -> Option<String>) -> String {
    let mut out = String::new();
    // Writing to a `String` does not fail.
    let _ = writeln!(out, "{}: {}", search.scenario.name, search.objective.text());
    let _ = writeln!(
        out,
        "path: {}; settings: {}; refused by the core: {}; runs of each: {}",
        search.path,
        found.settings,
        found.refused,
        search.seeds.len()
    );
    let mut titles: Vec<String> = vec![String::new()];
    titles.extend(found.keys.iter().map(ToString::to_string));
    titles.extend(["amplification", "goodput", "recovery", "p99", "promises"].map(String::from));
    let mut table = Table::new();
    table.cells(titles);
    let rows = [("now", &found.now), ("best", &found.best)];
    let frontier = found.frontier.iter().take(MAX_ROWS).map(|trial| ("", trial));
    let rows: Vec<(&str, &Trial)> = rows.into_iter().chain(frontier).collect();
    for &(mark, trial) in &rows {
        let mut cells = vec![mark.to_owned()];
        cells.extend(values(&found.keys, trial));
        cells.extend(numbers(&trial.measured));
        table.cells(cells);
    }
    let _ = writeln!(out, "\nnow, the best, and the frontier");
    out.push_str(&table.indented(2));
    if found.frontier.len() > MAX_ROWS {
        let _ = writeln!(out, "  and {} more", found.frontier.len() - MAX_ROWS);
    }
    let measured = &found.best.measured;
    if measured.meets_the_conditions() {
        out.push_str("\nthe best as YAML, for crossbridge.yml\n");
    } else {
        let _ = writeln!(
            out,
            "\nno setting meets the conditions; of {}, {} hold here, with the most goodput of those that hold as many. As YAML",
            measured.conditions, measured.held
        );
    }
    for line in yaml.lines() {
        let _ = writeln!(out, "  {line}");
    }
    out.push_str("\nthe same rows again\n");
    for (mark, trial) in rows {
        let again = repeat(trial);
        let again = again
            .as_deref()
            .unwrap_or("no setting does that: put its values into the policies");
        let _ = writeln!(out, "  {mark:<4}  {again}");
    }
    out
}

fn values<'t>(keys: &'t [Key], trial: &'t Trial) -> impl Iterator<Item = String> + 't {
    keys.iter()
        .zip(&trial.setting)
        .map(|(key, &value)| key.show(value))
}

fn numbers(measured: &Measured) -> [String; 5] {
    let show = |number: Option<f64>, digits: usize, unit: &str| {
        number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}{unit}"))
    };
    [
        show(measured.amplification, 3, ""),
        show(measured.goodput.map(|share| share * 100.0), 2, "%"),
        show(measured.recovery_seconds, 0, "s"),
        show(measured.p99_ms, 1, "ms"),
        format!("{}/{}", measured.promises_kept, measured.promises),
    ]
}

fn object(
    search: &Search<'_>,
    found: &Found,
    yaml: &str,
    repeat: &dyn Fn(&Trial) -> Option<String>,
) -> String {
    let trial = |trial: &Trial| {
        let values: Map<String, Value> = found
            .keys
            .iter()
            .zip(values(&found.keys, trial))
            .map(|(key, value)| (key.to_string(), json!(value)))
            .collect();
        let measured = &trial.measured;
        json!({
            "setting": values,
            "objective": measured.objective,
            "conditions": { "held": measured.held, "of": measured.conditions },
            "amplification": measured.amplification,
            "goodput": measured.goodput,
            "recovery_seconds": measured.recovery_seconds,
            "p99_ms": measured.p99_ms,
            "promises": { "kept": measured.promises_kept, "of": measured.promises },
            "repeat": repeat(trial),
        })
    };
    let object = json!({
        "schema": 1,
        "scenario": search.scenario.name,
        "path": search.path,
        "objective": search.objective.text(),
        "seeds": search.seeds,
        "settings": found.settings,
        "refused": found.refused,
        "met": found.best.measured.meets_the_conditions(),
        "now": trial(&found.now),
        "best": trial(&found.best),
        "frontier": found.frontier.iter().map(trial).collect::<Vec<_>>(),
        "yaml": yaml,
    });
    format!("{object}\n")
}

/// What a person sees of a search that lasts, where stderr is a terminal.
struct Bar {
    bar: ProgressBar,
    clock: SystemClock,
    began: Instant,
    hidden: Mutex<bool>,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} settings") {
            bar.set_style(style);
        }
        let clock = SystemClock::new();
        Self {
            bar,
            began: clock.now(),
            clock,
            hidden: Mutex::new(true),
        }
    }

    fn show(&self, done: usize) {
        if let Ok(mut hidden) = self.hidden.lock()
            && *hidden
            && self.clock.now().saturating_duration_since(self.began) >= PATIENCE
        {
            *hidden = false;
            if std::io::stderr().is_terminal() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
        self.bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Work that is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// Rows of the frontier that a page shows.
const MAX_ROWS: usize = 20;
