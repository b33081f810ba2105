//! A run on real servers on one page: what happened, beside what was predicted, and whether both agree.

use std::fmt::Write as _;

use super::lanes::{figure, lanes};
use super::text::{Paint, observed, thousands};
use crate::live::Live;
use crate::live::compare::Comparison;
use crate::live::result::{LateMs, ServerResult};
use crate::result::Verdict;
use crate::scenario::Scenario;

/// The page of one run. `command` repeats it.
#[must_use]
pub fn page(scenario: &Scenario, live: &Live, command: &str, paint: Paint) -> String {
    let mut page = String::new();
    let result = &live.result;
    let _ = writeln!(page, "{}", paint.strong(&scenario.name));
    if let Some(about) = &scenario.about {
        let _ = writeln!(page, "{about}");
    }
    let seconds = figure(scenario.duration.as_secs_f64());
    let calls = thousands(result.measurement.calls.offered);
    let seed = result.seed;
    let _ = writeln!(page, "{seconds}s of real time, {calls} calls, seed {seed}\n");
    page += &lanes(scenario, &live.ledger, paint);

    let _ = writeln!(page, "\n{}", paint.strong("Measured"));
    for server in &result.servers {
        let _ = writeln!(page, "  {:<17} {}", server.dependency, server_line(server));
    }
    let _ = writeln!(page, "  {:<17} {}\n", "clients", late_line(&result.late_ms));
    let _ = writeln!(
        page,
        "  {:<17} {:>10} {:>10} {:>10} {:>10}",
        "", "predicted", "measured", "difference", "tolerance"
    );
    for one in &result.comparison {
        let mark = mark(one.within, paint);
        let _ = writeln!(page, "{mark}{}", comparison_line(one));
    }

    let within = result.comparison.iter().filter(|one| one.within).count();
    let numbers = result.comparison.len();
    let promises = result.prediction.expectations.iter();
    let promises: Vec<_> = promises.zip(&result.measurement.expectations).collect();
    let kept = promises
        .iter()
        .filter(|(one, other)| one.held && other.held)
        .count();
    let verdict = match result.verdict {
        Verdict::Pass => paint.good("PASS"),
        Verdict::Fail => paint.fault("FAIL"),
    };
    let _ = writeln!(
        page,
        "\n{}  {verdict}, {within} of {numbers} numbers within tolerance, {kept} of {} promises kept in both",
        paint.strong("Verdict"),
        promises.len()
    );
    let width = promises.iter().map(|(one, _)| one.text.chars().count()).max();
    let width = width.unwrap_or(0);
    for (predicted, measured) in promises {
        let mark = mark(predicted.held && measured.held, paint);
        let (first, second) = (observed(predicted.observed), observed(measured.observed));
        let _ = writeln!(
            page,
            "{mark}{:<width$}   predicted {first}, measured {second}",
            predicted.text
        );
    }
    let _ = writeln!(page, "\n  repeat  {command}");
    page
}

fn mark(holds: bool, paint: Paint) -> String {
    let mark = if holds {
        paint.good("✔")
    } else {
        paint.fault("✘")
    };
    format!("  {mark} ")
}

fn server_line(server: &ServerResult) -> String {
    let what = match server.server {
        "postgres" => "PostgreSQL",
        "redis" => "Redis",
        _ => "HTTP",
    };
    let overhead = server.overhead_ms;
    format!(
        "{what} behind the fault proxy; a connection takes {:.1} ms, p90 {:.1}",
        overhead.p50, overhead.p90
    )
}

fn late_line(late: &LateMs) -> String {
    let LateMs { p50, p99, max } = late;
    format!("calls began {p50:.1} ms late, p99 {p99:.1}, max {max:.1}")
}

fn comparison_line(one: &Comparison) -> String {
    let number = |value: Option<f64>| value.map_or("never".to_owned(), figures);
    let difference = one.difference.map_or("-".to_owned(), |difference| {
        let sign = if difference < 0.0 { "-" } else { "+" };
        format!("{sign}{}", figures(difference.abs()))
    });
    format!(
        "{:<17}{:>9} {:>10} {:>10} {:>10}",
        one.metric,
        number(one.predicted),
        number(one.measured),
        difference,
        figures(one.tolerance)
    )
}

/// Four decimals for shares, one for what is large.
fn figures(value: f64) -> String {
    if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}
