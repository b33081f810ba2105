//! The part of the page about other seeds.

use std::fmt::Write as _;

use super::{Paint, observed};
use crate::result::{SeedsResult, Spread, Verdict};

/// How the outcomes are spread over the seeds.
pub(super) fn print(page: &mut String, seeds: &SeedsResult, paint: Paint) {
    let verdict = match seeds.verdict {
        Verdict::Pass => paint.good("PASS"),
        Verdict::Fail => paint.fault("FAIL"),
    };
    let (runs, failed) = (seeds.runs, seeds.failed);
    let _ = writeln!(
        page,
        "\n{}  {verdict}, {failed} of {runs} broke a promise",
        paint.strong("Seeds")
    );
    if let Some(outcomes) = &seeds.outcomes {
        let (recovered, slow, never) = (outcomes.recovered, outcomes.slow, outcomes.never);
        let _ = writeln!(
            page,
            "  {:<14} {recovered} recovered, {slow} slow (longer than the faults lasted), {never} never",
            "outcome"
        );
        let line = spread(&seeds.recovery_seconds, "never", |seconds| {
            format!("{seconds:.1} s")
        });
        let _ = writeln!(page, "  {:<14} {line}", "recovery");
    }
    let line = spread(&seeds.goodput, "none", |goodput| {
        format!("{:.2}%", goodput * 100.0)
    });
    let _ = writeln!(page, "  {:<14} {line}", "goodput");
    let line = spread(&seeds.amplification, "none", |ratio| format!("{ratio:.3}"));
    let _ = writeln!(page, "  {:<14} {line}", "amplification");
    let promises = seeds.expectations.iter();
    let width = promises
        .map(|promise| &promise.text)
        .chain(seeds.promises.iter().map(|promise| &promise.text))
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0);
    for promise in &seeds.expectations {
        let mark = if promise.broken == 0 {
            paint.good("✔")
        } else {
            paint.fault("✘")
        };
        let (min, max) = (observed(promise.observed.min), observed(promise.observed.max));
        let _ = writeln!(
            page,
            "  {mark} {:<width$}   held by {} of {runs}, observed {min} to {max}",
            promise.text, promise.held
        );
    }
    for promise in &seeds.promises {
        let mark = if promise.held {
            paint.good("✔")
        } else {
            paint.fault("✘")
        };
        let observed = observed(promise.observed);
        let _ = writeln!(page, "  {mark} {:<width$}   observed {observed}", promise.text);
    }
    let _ = writeln!(page, "  {:<14} {}", "worst", seeds.worst_command);
}

/// Every quantile by name; one that is not there is `none`.
fn spread(spread: &Spread, none: &str, word: impl Fn(f64) -> String) -> String {
    let quantiles = spread
        .named()
        .map(|(name, value)| format!("{name} {}", value.map_or(none.to_owned(), &word)));
    quantiles.join(", ")
}
