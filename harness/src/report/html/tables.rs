//! The tables of the page.

use crate::report::Replay;
use crate::report::markup::{Table, number, words};
use crate::report::story::story as tell;
use crate::report::text::{calls_line, latency_line, observed, others_line, thousands};
use crate::report::trouble::troubles;
use crate::report::verdict::seconds;
use crate::result::{AttemptCounts, CallCounts, LatencyMs};

/// Rows of the timeline as a table.
const INTERVALS: usize = 24;
/// More faults than this, of those that repeat, are left to the scenario.
const MOST_FAULTS: usize = 100;

pub(super) fn promises(replay: &Replay<'_>) -> String {
    let promises = &replay.result.expectations;
    if promises.is_empty() && replay.result.not_judged.is_empty() {
        return String::new();
    }
    let mut table = Table::new(
        "What the scenario promises",
        [words("Promise"), number("Observed"), words("Kept")],
    );
    for promise in promises {
        let kept = if promise.held { "✔ kept" } else { "✘ broken" };
        table.row([promise.text.clone(), observed(promise.observed), kept.to_owned()]);
    }
    for promise in &replay.result.not_judged {
        let why = "not judged: this is one seed";
        table.row([promise.clone(), String::new(), why.to_owned()]);
    }
    table.html()
}

pub(super) fn story(replay: &Replay<'_>) -> String {
    let lines = tell(replay.scenario, &replay.ledger, &replay.result);
    if lines.is_empty() {
        return "<p>Nothing: no fault, and no call that ended badly.</p>\n".to_owned();
    }
    let mut table = Table::new("Changes in virtual time", [number("At"), words("What")]);
    for (at, sentence) in lines {
        table.row([at.to_string(), sentence]);
    }
    table.html()
}

/// The run beside its control, then what everybody saw.
pub(super) fn numbers(replay: &Replay<'_>) -> String {
    let result = &replay.result;
    let mut columns = vec![words("Number"), words("This run")];
    let control = result.control.as_ref().filter(|_| replay.control.is_some());
    if control.is_some() {
        columns.push(words("Control: without the faults"));
    }
    let mut table = Table::new("Counts of the whole run", columns);
    let mut row = |name: &str, own: String, calm: Option<String>| {
        table.row([name.to_owned(), own].into_iter().chain(calm));
    };
    row(
        "Calls",
        calls_line(&result.calls, result.goodput),
        control.map(|c| calls_line(&c.calls, c.goodput)),
    );
    row(
        "The others",
        others(&result.calls),
        control.map(|c| others(&c.calls)),
    );
    row(
        "Attempts",
        attempts(result.attempts, result.amplification),
        control.map(|c| attempts(c.attempts, c.amplification)),
    );
    row(
        "Latency of successes",
        latency(result.latency_ms.as_ref()),
        control.map(|c| latency(c.latency_ms.as_ref())),
    );
    let mut html = table.html();
    let columns = [
        words("Dependency"),
        number("Received"),
        number("Served"),
        number("For nobody"),
        number("Most at once"),
    ];
    let mut table = Table::new("What each dependency and service saw", columns);
    for (name, seen) in &result.dependencies {
        let counts = [seen.received, seen.served, seen.wasted, seen.peak_in_flight].map(thousands);
        table.row([name.clone()].into_iter().chain(counts));
    }
    html += &table.html();
    if result.clients.len() > 1 {
        let columns = [
            words("Clients"),
            words("Calls"),
            words("Attempts"),
            words("Latency of successes"),
        ];
        let mut table = Table::new("Each group of clients", columns);
        for (name, client) in &result.clients {
            table.row([
                name.clone(),
                calls_line(&client.calls, client.goodput),
                attempts(client.attempts, client.amplification),
                latency(client.latency_ms.as_ref()),
            ]);
        }
        html += &table.html();
    }
    html
}

fn others(calls: &CallCounts) -> String {
    others_line(calls).unwrap_or_else(|| "none".to_owned())
}

fn attempts(attempts: AttemptCounts, amplification: Option<f64>) -> String {
    let per_call = amplification.map_or(String::new(), |ratio| format!(", {ratio:.3} per call"));
    format!(
        "{}{per_call} ({} retries)",
        thousands(attempts.total),
        thousands(attempts.retries)
    )
}

fn latency(latency: Option<&LatencyMs>) -> String {
    latency.map_or("none succeeded".to_owned(), latency_line)
}

pub(super) fn faults(replay: &Replay<'_>) -> String {
    let faults = troubles(replay.scenario);
    if faults.is_empty() {
        return String::new();
    }
    let columns = [
        words("On"),
        number("From"),
        number("Until"),
        words("Kind"),
        words("Effect"),
    ];
    let mut table = Table::new("What goes wrong", columns);
    for fault in faults.iter().take(MOST_FAULTS) {
        table.row([
            fault.on.to_owned(),
            seconds(fault.from),
            seconds(fault.until),
            fault.kind.to_owned(),
            fault.effect.clone(),
        ]);
    }
    let mut html = table.html();
    if faults.len() > MOST_FAULTS {
        html += &format!("<p>{} more are left out.</p>\n", faults.len() - MOST_FAULTS);
    }
    html
}

/// What the picture shows, in intervals of whole seconds.
pub(super) fn timeline(replay: &Replay<'_>) -> String {
    let series = &replay.ledger.total.series;
    let every = series.offered.len().div_ceil(INTERVALS).max(1);
    let columns = [
        words("Seconds"),
        number("Offered"),
        number("Succeeded"),
        number("Without the faults"),
        number("Attempts"),
        number("Most open"),
        number("Most down"),
    ];
    let mut table = Table::new("Counts by interval", columns);
    let calm = replay
        .control
        .as_ref()
        .map_or(&series.succeeded, |control| &control.total.series.succeeded);
    for from in (0..series.offered.len()).step_by(every) {
        let to = (from + every).min(series.offered.len());
        let of = |counts: &'_ [u64]| counts.get(from..to).unwrap_or_default().to_vec();
        let sum = |counts: &[u64]| thousands(of(counts).iter().sum());
        let most = |counts: &[u64]| thousands(of(counts).into_iter().max().unwrap_or(0));
        table.row([
            format!("{} to {}", second(from), second(to)),
            sum(&series.offered),
            sum(&series.succeeded),
            sum(calm),
            sum(&series.attempts),
            most(&replay.ledger.open.peaks),
            most(&replay.ledger.down.peaks),
        ]);
    }
    table.html()
}

fn second(at: usize) -> String {
    thousands(u64::try_from(at).unwrap_or(u64::MAX))
}
