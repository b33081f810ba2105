//! The run at a glance: one lane per quantity over one time axis.

use std::fmt::Write as _;

use super::text::Paint;
use crate::recorder::Ledger;
use crate::scenario::Scenario;

/// Columns of a lane; with its label and its figure a line stays within 80.
const COLUMNS: usize = 56;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lanes, ready to print.
pub(super) fn lanes(scenario: &Scenario, ledger: &Ledger, paint: Paint) -> String {
    let series = &ledger.total.series;
    let seconds = series.offered.len();
    // A short run has several columns for each second.
    let columns = match COLUMNS / seconds.max(1) {
        0 | 1 => COLUMNS.min(seconds.max(1)),
        wide => seconds.max(1) * wide,
    };
    let spread =
        |counts: &[u64]| -> Vec<f64> { columns_of(seconds, columns).map(|r| mean(&counts[r])).collect() };
    let peaks =
        |counts: &[u64]| -> Vec<f64> { columns_of(seconds, columns).map(|r| peak(&counts[r])).collect() };
    let (offered, succeeded) = (spread(&series.offered), spread(&series.succeeded));
    let attempts = spread(&series.attempts);
    let top = offered.iter().chain(&attempts).copied().fold(0.0, f64::max);

    let mut page = String::new();
    let mut lane = |label: &str, bars: String, figure: String| {
        let line = format!("  {label:<10} {bars}  {figure}");
        let _ = writeln!(page, "{}", line.trim_end());
    };
    lane("", axis(scenario.duration.as_secs_f64(), columns), String::new());
    for (node, spec) in scenario.nodes.iter().enumerate() {
        let shaded = shade(scenario, node, columns);
        if shaded.contains('▒') {
            lane("fault", paint.fault(&shaded), spec.name.clone());
        }
    }
    let rate = |values: &[f64]| format!("{}/s at most", figure(values.iter().copied().fold(0.0, f64::max)));
    lane("offered", bars(&offered, top), rate(&offered));
    lane("attempts", bars(&attempts, top), rate(&attempts));
    lane("succeeded", paint.good(&bars(&succeeded, top)), rate(&succeeded));
    let guards: u32 = scenario.clients.iter().map(|group| group.count).sum();
    let services = scenario
        .nodes
        .iter()
        .filter(|node| node.downstream.is_some())
        .count();
    let guards = u64::from(guards) + u64::try_from(services).unwrap_or(0);
    for (label, gauge) in [("open", &ledger.open), ("down", &ledger.down)] {
        let most = gauge.peaks.iter().copied().max().unwrap_or(0);
        if most > 0 {
            let level = peaks(&gauge.peaks);
            let what = if label == "open" {
                "circuits"
            } else {
                "see it down"
            };
            #[expect(clippy::cast_precision_loss, reason = "a bar has nine heights")]
            let top = guards as f64;
            lane(
                label,
                paint.fault(&bars(&level, top)),
                format!("{most} of {guards} {what}"),
            );
        }
    }
    if let Some(reserve) = ledger.reserve.as_ref().filter(|reserve| reserve.was_used()) {
        #[expect(clippy::cast_precision_loss, reason = "a bar has nine heights")]
        let (top, per_cent) = (reserve.full as f64, reserve.least_per_mille() as f64 / 10.0);
        let left = columns_of(seconds, columns).map(|r| lowest(reserve.left.get(r).unwrap_or_default()));
        lane(
            "tokens",
            bars(&left.collect::<Vec<_>>(), top),
            format!("{}% left at least", figure(per_cent)),
        );
    }
    page
}

/// The seconds each column stands for.
fn columns_of(seconds: usize, columns: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..columns).map(move |column| {
        let from = column * seconds / columns;
        from..((column + 1) * seconds / columns).max((from + 1).min(seconds))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a bar has nine heights")]
fn mean(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64 / counts.len().max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a bar has nine heights")]
fn lowest(counts: &[u64]) -> f64 {
    counts.iter().copied().min().unwrap_or(0) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a bar has nine heights")]
fn peak(counts: &[u64]) -> f64 {
    counts.iter().copied().max().unwrap_or(0) as f64
}

/// Something is never shown as nothing, and nothing never as something.
fn bars(values: &[f64], top: f64) -> String {
    let bar = |&value: &f64| {
        if value <= 0.0 || top <= 0.0 {
            return BLOCKS[0];
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
        let height = (value / top * 8.0).round().clamp(1.0, 8.0) as usize;
        BLOCKS[height]
    };
    values.iter().map(bar).collect()
}

/// Where a node has a fault.
fn shade(scenario: &Scenario, node: usize, columns: usize) -> String {
    let total = scenario.duration.as_nanos().max(1);
    let columns_wide = u128::try_from(columns).unwrap_or(1);
    (0..columns_wide)
        .map(|column| {
            let (from, to) = (column * total / columns_wide, (column + 1) * total / columns_wide);
            let hit = scenario
                .faults
                .iter()
                .filter(|fault| fault.node == node)
                .any(|fault| {
                    u128::from(fault.from.as_nanos()) < to && u128::from(fault.until.as_nanos()) > from
                });
            if hit { '▒' } else { '·' }
        })
        .collect()
}

/// Four labels over the columns.
fn axis(seconds: f64, columns: usize) -> String {
    let mut axis = vec![' '; columns + 8];
    for quarter in 0_u8..=4 {
        let label = format!("{}s", figure(seconds * f64::from(quarter) / 4.0));
        let at = columns * usize::from(quarter) / 4;
        let at = if quarter == 4 {
            at.saturating_sub(label.chars().count())
        } else {
            at
        };
        if quarter < 4 || columns >= 24 {
            for (offset, letter) in label.chars().enumerate() {
                if let Some(place) = axis.get_mut(at + offset) {
                    *place = letter;
                }
            }
        }
    }
    axis.into_iter().collect::<String>().trim_end().to_owned()
}

/// At most one decimal, and none where it says nothing.
pub(super) fn figure(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 {
        format!("{rounded:.0}")
    } else {
        format!("{rounded:.1}")
    }
}
