//! A replay on one page: what happened when, how the policies reacted, what was promised.

mod seeds;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::lanes::{figure, lanes};
use super::story::story;
use crate::recorder::Ledger;
use crate::result::{CallCounts, ClientResult, LatencyMs, ReplayResult, Verdict};
use crate::scenario::Scenario;
use crate::uses::never;

/// Colour, where somebody looks.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// With colour or without.
    #[must_use]
    pub const fn new(colour: bool) -> Self {
        Self(colour)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.style(text, Style::new().fg_color(Some(AnsiColor::Green.into())))
    }

    pub(crate) fn fault(self, text: &str) -> String {
        self.style(text, Style::new().fg_color(Some(AnsiColor::Red.into())))
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.style(text, Style::new().bold())
    }

    /// On a coloured ground.
    pub(crate) fn block(self, text: &str, ground: AnsiColor) -> String {
        let ink = Some(AnsiColor::Black.into());
        self.style(text, Style::new().bg_color(Some(ground.into())).fg_color(ink))
    }

    fn style(self, text: &str, style: Style) -> String {
        if self.0 {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// The page of one run. `command` repeats it.
#[must_use]
pub fn page(
    scenario: &Scenario,
    ledger: &Ledger,
    result: &ReplayResult,
    command: &str,
    paint: Paint,
) -> String {
    let mut page = String::new();
    let ReplayResult {
        seed,
        calls,
        virtual_seconds,
        ..
    } = result;
    let _ = writeln!(page, "{}", paint.strong(&scenario.name));
    if let Some(about) = &scenario.about {
        let _ = writeln!(page, "{about}");
    }
    let offered = thousands(calls.offered);
    let _ = writeln!(
        page,
        "{}s of virtual time, {offered} calls, seed {seed}\n",
        figure(*virtual_seconds)
    );
    page += &lanes(scenario, ledger, paint);

    let _ = writeln!(page, "\n{}", paint.strong("What happened"));
    let lines = story(scenario, ledger, result);
    if lines.is_empty() {
        let _ = writeln!(page, "  nothing: no fault, and no call that ended badly");
    }
    for (at, sentence) in lines {
        let _ = writeln!(page, "  {:>10}  {sentence}", at.to_string());
    }

    let _ = writeln!(page, "\n{}", paint.strong("Numbers"));
    numbers(&mut page, result);
    if let Some(control) = &result.control {
        let line = if scenario.trouble().is_some() {
            control_line(control)
        } else {
            "this run is its own: it has no faults".to_owned()
        };
        let _ = writeln!(page, "  {:<12} {line}", "control");
    }
    for line in untried(result) {
        let _ = writeln!(page, "  {:<12} {line}", "not tried");
    }

    let held = result
        .expectations
        .iter()
        .filter(|expectation| expectation.held)
        .count();
    let verdict = match result.verdict {
        Verdict::Pass => paint.good("PASS"),
        Verdict::Fail => paint.fault("FAIL"),
    };
    let promises = result.expectations.len();
    let _ = writeln!(
        page,
        "\n{}  {verdict}, {held} of {promises} promises kept",
        paint.strong("Verdict")
    );
    let width = result
        .expectations
        .iter()
        .map(|e| &e.text)
        .chain(&result.not_judged)
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0);
    for expectation in &result.expectations {
        let mark = if expectation.held {
            paint.good("✔")
        } else {
            paint.fault("✘")
        };
        let observed = observed(expectation.observed);
        let _ = writeln!(
            page,
            "  {mark} {:<width$}   observed {observed}",
            expectation.text
        );
    }
    for promise in &result.not_judged {
        let _ = writeln!(
            page,
            "  - {promise:<width$}   not judged: this is one seed, see --seeds"
        );
    }
    if let Some(seeds) = &result.seeds {
        seeds::print(&mut page, seeds, paint);
    }
    for violation in result.invariants.iter().flat_map(|found| &found.first) {
        let _ = writeln!(page, "  {} {violation}", paint.fault("!"));
    }
    let _ = writeln!(page, "\n  repeat  {command}\n  trace   {}", result.trace_sha256);
    page
}

fn numbers(page: &mut String, result: &ReplayResult) {
    let _ = writeln!(
        page,
        "  {:<12} {}",
        "calls",
        calls_line(&result.calls, result.goodput)
    );
    if let Some(others) = others_line(&result.calls) {
        let _ = writeln!(page, "  {:<12} {others}", "");
    }
    let attempts = result.attempts;
    let per_call = result
        .amplification
        .map_or(String::new(), |a| format!(", {a:.3} per call"));
    let retries = thousands(attempts.retries);
    let _ = writeln!(
        page,
        "  {:<12} {}{per_call} ({retries} retries)",
        "attempts",
        thousands(attempts.total)
    );
    if let Some(latency) = &result.latency_ms {
        let _ = writeln!(page, "  {:<12} {}", "latency", latency_line(latency));
    }
    if result.clients.len() > 1 {
        for (name, client) in &result.clients {
            let _ = writeln!(page, "  {name:<12} {}", calls_line(&client.calls, client.goodput));
        }
    }
    for (name, seen) in &result.dependencies {
        let wasted = if seen.wasted > 0 {
            format!(", {} for nobody", thousands(seen.wasted))
        } else {
            String::new()
        };
        let _ = writeln!(
            page,
            "  {name:<12} {} received, {} served{wasted}, at most {} at once",
            thousands(seen.received),
            thousands(seen.served),
            thousands(seen.peak_in_flight)
        );
    }
}

pub(super) fn calls_line(calls: &CallCounts, goodput: Option<f64>) -> String {
    let share = goodput.map_or(String::new(), |goodput| format!(" ({:.2}%)", goodput * 100.0));
    format!(
        "{} of {} succeeded{share}",
        thousands(calls.succeeded),
        thousands(calls.offered)
    )
}

/// What became of the others; `None` when there are none.
pub(super) fn others_line(calls: &CallCounts) -> Option<String> {
    let refused = calls.refused;
    let parts = [
        (calls.failed, "failed"),
        (refused.rate_limit, "above the rate limit"),
        (refused.breaker, "refused by the breaker"),
        (refused.bulkhead, "refused by the bulkhead"),
        (refused.budget, "without budget to retry"),
        (refused.deadline, "out of time"),
        (calls.in_flight, "in flight at the end"),
    ];
    let there = parts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = there
        .map(|(count, what)| format!("{} {what}", thousands(*count)))
        .collect();
    if told.is_empty() {
        None
    } else {
        Some(told.join(", "))
    }
}

pub(super) fn latency_line(latency: &LatencyMs) -> String {
    let LatencyMs {
        mean,
        p50,
        p90,
        p99,
        max,
    } = latency;
    format!("mean {mean:.1} ms, p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, max {max:.1}")
}

/// The same seed without the faults, in a line.
fn control_line(control: &ClientResult) -> String {
    let mut line = format!(
        "without the faults {}",
        calls_line(&control.calls, control.goodput)
    );
    if let Some(amplification) = control.amplification {
        let _ = write!(line, ", {amplification:.3} attempts per call");
    }
    if let Some(latency) = &control.latency_ms {
        let _ = write!(line, ", p99 {:.1} ms", latency.p99);
    }
    line
}

/// The policies that had nothing to do, a line for each that has them.
pub(super) fn untried(result: &ReplayResult) -> Vec<String> {
    let mut lines = Vec::new();
    for (whose, counts) in &result.exercised {
        let idle = counts.iter().filter(|(_, count)| **count == 0);
        let told: Vec<&str> = idle.map(|(policy, _)| never(policy)).collect();
        if !told.is_empty() {
            lines.push(format!("{whose}: {}", told.join(", ")));
        }
    }
    lines
}

/// Six decimals at most, no trailing zeros.
pub(super) fn observed(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "none".to_owned();
    };
    let text = format!("{value:.6}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `12,345`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
