//! How the outcomes are spread over the seeds: a curve of recovery times, and tables.

use std::fmt::Write as _;

use crossbridge_core::Instant;

use crate::report::Replay;
use crate::report::markup::{Table, escape, number, words};
use crate::report::text::observed;
use crate::report::timeline::count;
use crate::report::timeline::plot::{AXIS, Axis, GAP, LEFT, PLOT, open_svg};
use crate::result::{SeedsResult, Spread};

/// The height of the curve.
const HEIGHT: u64 = 120;
/// More failing seeds than this are left to the JSON.
const MOST_SEEDS: usize = 50;

pub(super) fn section(replay: &Replay<'_>, id: &str) -> String {
    let Some(seeds) = &replay.result.seeds else {
        return String::new();
    };
    let mut html = String::new();
    if let Some(outcomes) = &seeds.outcomes {
        let mut table = Table::new(
            "How many runs ended how",
            [words("Outcome"), number("Runs"), words("Meaning")],
        );
        for (name, runs, meaning) in [
            (
                "Recovered",
                outcomes.recovered,
                "within the time the faults lasted",
            ),
            ("Slow", outcomes.slow, "later than that"),
            ("Never", outcomes.never, "not before the run ended"),
        ] {
            table.row([name.to_owned(), runs.to_string(), meaning.to_owned()]);
        }
        html += &table.html();
        html += &figure(seeds, id);
    }
    html += &quantiles(seeds);
    html += &promises(seeds);
    html += &together(seeds);
    html += &failing(seeds);
    let _ = writeln!(
        html,
        "<p>The worst seed: <code>{}</code></p>",
        escape(&seeds.worst_command)
    );
    html
}

fn figure(seeds: &SeedsResult, id: &str) -> String {
    let mut times: Vec<f64> = seeds
        .samples
        .iter()
        .filter_map(|sample| sample.recovery_seconds)
        .collect();
    if times.is_empty() {
        return String::new();
    }
    times.sort_by(f64::total_cmp);
    format!(
        "<figure>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Recovery times\">\n{}</div>\n\
         <figcaption>The share of the runs that had recovered so long after the last fault.</figcaption>\n</figure>\n",
        curve(&times, seeds.runs, &format!("{id}-recovery"))
    )
}

/// The empirical distribution of recovery times; runs that never recovered keep it from the top.
fn curve(times: &[f64], runs: usize, id: &str) -> String {
    let instants: Vec<Instant> = times.iter().map(|seconds| instant(*seconds)).collect();
    let last = instants.last().copied().unwrap_or(Instant::ZERO);
    let axis = Axis::new(last.as_nanos() / 1_000_000_000 + 1);
    let base = GAP + HEIGHT;
    let mut path = format!("M{LEFT},{base}");
    for (index, at) in instants.iter().enumerate() {
        // Equal times are one step.
        if instants.get(index + 1) != Some(at) {
            let height = HEIGHT * count(index + 1) / count(runs).max(1);
            let _ = write!(path, "H{}V{}", axis.x(*at), base - height);
        }
    }
    let text = format!(
        "{} of {runs} runs recovered, the last of them {} after the last fault.",
        times.len(),
        last
    );
    let mut svg = open_svg(
        id,
        base + GAP + AXIS,
        "Recovery times over the seeds",
        &text,
        None,
    );
    svg += &axis.svg(GAP, base + 4);
    for (share, name) in [(0, "0 %"), (50, "50 %"), (100, "100 %")] {
        let y = base - HEIGHT * share / 100;
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT},{y}H{}\"/><text class=\"label\" x=\"{}\" y=\"{}\">{name}</text>",
            LEFT + PLOT,
            LEFT - 10,
            y + 4
        );
    }
    let _ = writeln!(
        svg,
        "<path class=\"curve\" d=\"{path}H{}\"/>\n</svg>",
        LEFT + PLOT
    );
    svg
}

/// From seconds of the result; whole nanoseconds again.
fn instant(seconds: f64) -> Instant {
    let span = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Instant::ZERO.saturating_add(span)
}

fn quantiles(seeds: &SeedsResult) -> String {
    let names = Spread::default().named().map(|(name, _)| number(name));
    let caption = format!(
        "Quantiles over {} seeds; each is the value of one run",
        seeds.runs
    );
    let mut table = Table::new(&caption, std::iter::once(words("Number")).chain(names));
    let mut row = |name: &str, spread: &Spread, none: &str, word: fn(f64) -> String| {
        let cells = spread
            .named()
            .map(|(_, value)| value.map_or(none.to_owned(), word));
        table.row(std::iter::once(name.to_owned()).chain(cells));
    };
    if seeds.outcomes.is_some() {
        row("Recovery", &seeds.recovery_seconds, "never", |seconds| {
            format!("{seconds:.1} s")
        });
    }
    row("Goodput", &seeds.goodput, "none", |share| {
        format!("{:.2}%", share * 100.0)
    });
    row("Amplification", &seeds.amplification, "none", |ratio| {
        format!("{ratio:.3}")
    });
    table.html()
}

fn promises(seeds: &SeedsResult) -> String {
    if seeds.expectations.is_empty() {
        return String::new();
    }
    let columns = [
        words("Promise"),
        number("Kept"),
        number("Broken"),
        number("Least observed"),
        number("Most observed"),
    ];
    let mut table = Table::new("Each promise over the seeds", columns);
    for promise in &seeds.expectations {
        table.row([
            promise.text.clone(),
            promise.held.to_string(),
            promise.broken.to_string(),
            observed(promise.observed.min),
            observed(promise.observed.max),
        ]);
    }
    table.html()
}

/// Promises about all seeds.
fn together(seeds: &SeedsResult) -> String {
    if seeds.promises.is_empty() {
        return String::new();
    }
    let columns = [words("Promise"), number("Observed"), words("Kept")];
    let mut table = Table::new("Promises about all seeds together", columns);
    for promise in &seeds.promises {
        let kept = if promise.held { "✔ kept" } else { "✘ broken" };
        table.row([promise.text.clone(), observed(promise.observed), kept.to_owned()]);
    }
    table.html()
}

fn failing(seeds: &SeedsResult) -> String {
    if seeds.failing.is_empty() {
        return String::new();
    }
    let mut table = Table::new(
        "Seeds that broke a promise",
        [words("Seed"), words("Broken"), words("Repeat")],
    );
    for failing in seeds.failing.iter().take(MOST_SEEDS) {
        let broken = failing.broken.iter();
        let broken: Vec<String> = broken
            .map(|promise| format!("{} (observed {})", promise.text, observed(promise.observed)))
            .collect();
        table.row([
            failing.seed.to_string(),
            broken.join("; "),
            failing.command.clone(),
        ]);
    }
    let mut html = table.html();
    if seeds.failing.len() > MOST_SEEDS {
        let _ = writeln!(
            html,
            "<p>{} more are left out; the JSON has them all.</p>",
            seeds.failing.len() - MOST_SEEDS
        );
    }
    html
}
