//! The first sentences of a report: whether the promises were kept, which were not, and when things
//! were well again.

use crossbridge_core::Instant;

use super::Replay;
use super::lanes::figure;
use super::text::observed;
use crate::result::Verdict;

/// `PASS` or `FAIL`, every seed considered.
pub(super) fn word(replay: &Replay<'_>) -> &'static str {
    if replay.result.is_broken() { "FAIL" } else { "PASS" }
}

/// The verdict and the promises that were broken; then the times.
pub(super) fn sentences(replay: &Replay<'_>) -> Vec<String> {
    let mut sentences = vec![promises(replay)];
    sentences.extend(times(replay));
    sentences.extend(seeds(replay));
    sentences
}

fn promises(replay: &Replay<'_>) -> String {
    let promises = &replay.result.expectations;
    let broken: Vec<String> = promises
        .iter()
        .filter(|promise| !promise.held)
        .map(|promise| format!("{} (observed {})", promise.text, observed(promise.observed)))
        .collect();
    match (promises.len(), broken.len()) {
        (0, _) => "Nothing was promised.".to_owned(),
        (1, 0) => "The promise was kept.".to_owned(),
        (all, 0) => format!("All {all} promises were kept."),
        (1, _) => format!("The promise was broken: {}.", broken.join("; ")),
        (all, 1) => format!("1 of {all} promises was broken: {}.", broken.join("; ")),
        (all, many) => format!("{many} of {all} promises were broken: {}.", broken.join("; ")),
    }
}

/// When the faults were there, and when the goodput was back.
fn times(replay: &Replay<'_>) -> Option<String> {
    let (first, last) = replay.scenario.trouble()?;
    let end = Instant::ZERO.saturating_add(replay.scenario.duration);
    let lasted = format!(
        "The faults lasted from {} to {}",
        seconds(first),
        seconds(last.min(end))
    );
    Some(match replay.result.recovery_seconds {
        Some(after) => format!(
            "{lasted}; the goodput was back at its level {} s later.",
            figure(after)
        ),
        None if last >= end => format!("{lasted}, the end of the run."),
        None => format!(
            "{lasted}; the goodput was not back at its level when the run ended at {}.",
            seconds(end)
        ),
    })
}

fn seeds(replay: &Replay<'_>) -> Option<String> {
    let seeds = replay.result.seeds.as_ref()?;
    Some(match seeds.verdict {
        Verdict::Pass => format!("Every promise was kept under all {} seeds.", seeds.runs),
        Verdict::Fail if seeds.failed == 0 => {
            let broken = seeds.promises.iter().filter(|promise| !promise.held);
            let broken: Vec<String> = broken
                .map(|promise| format!("{} (observed {})", promise.text, observed(promise.observed)))
                .collect();
            format!(
                "Over all {} seeds together a promise was broken: {}.",
                seeds.runs,
                broken.join("; ")
            )
        }
        Verdict::Fail => format!(
            "Under {} of {} seeds a promise was broken; the worst seed is {}.",
            seeds.failed, seeds.runs, seeds.worst_seed
        ),
    })
}

/// `30s`, `1.5s`.
pub(super) fn seconds(at: Instant) -> String {
    format!(
        "{}s",
        figure(at.saturating_duration_since(Instant::ZERO).as_secs_f64())
    )
}
