//! Several runs of one scenario in one picture: a line for each of them in every lane.

use std::fmt::Write as _;

use super::lane::{Lane, lanes};
use super::plot::{AXIS, GAP, LEFT, PLOT, open_svg};
use super::{LANE, ROW, count, description, fault_rows, frame};
use crate::report::Replay;
use crate::report::markup::escape;

/// Colours and strokes of the lines; the sixth run looks like the first.
pub(in crate::report) const LINES: &str = include_str!("beside.css");
const LOOKS: usize = 5;
/// Figures that fit beside a lane.
const FIGURES: usize = 4;

/// The picture for a page. `runs` are what each is called, and its replay; the faults are those of the
/// first.
pub(in crate::report) fn svg(runs: &[(String, &Replay<'_>)], id: &str) -> String {
    let Some((_, first)) = runs.first() else {
        return String::new();
    };
    let mut all: Vec<Vec<Lane>> = runs.iter().map(|(_, replay)| lanes(replay)).collect();
    // Who has no budget has no lane of tokens, the last one.
    let quantities = all.iter().map(Vec::len).max().unwrap_or(0);
    for quantity in 0..quantities {
        let mut same: Vec<&mut Lane> = all
            .iter_mut()
            .filter_map(|lanes| lanes.get_mut(quantity))
            .collect();
        Lane::share_scale(&mut same);
    }
    let rows = fault_rows(first);
    let from = GAP + ROW * count(rows.len());
    let bottom = from + (LANE + GAP) * count(quantities);
    let told = runs
        .iter()
        .zip(&all)
        .map(|((name, replay), lanes)| format!("{name}: {}", description(replay, lanes)));
    let told: Vec<String> = told.collect();
    let title = format!("{}: timelines", first.scenario.name);
    let mut svg = open_svg(id, bottom + AXIS, &title, &told.join(" "), None);
    svg += &frame(first, id, &rows, bottom);
    for quantity in 0..quantities {
        let y = from + (LANE + GAP) * count(quantity);
        let same = || {
            let runs = all.iter().zip(runs).enumerate();
            runs.filter_map(|(run, (lanes, (called, _)))| Some((run, lanes.get(quantity)?, called)))
        };
        let name = same().next().map_or("", |(_, lane, _)| lane.name);
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{}\">{name}</text>\
             <path class=\"base\" d=\"M{LEFT},{}H{}\"/>",
            LEFT - 10,
            y + LANE / 2 + 4,
            y + LANE,
            LEFT + PLOT
        );
        for (run, lane, _) in same() {
            svg += &lane.line(y, LANE, &format!("line run{}", run % LOOKS));
        }
        for (run, lane, called) in same().take(FIGURES) {
            let _ = writeln!(
                svg,
                "<text class=\"figure\" x=\"{}\" y=\"{}\">{}: {}</text>",
                LEFT + PLOT + 10,
                y + 14 + 15 * count(run),
                escape(called),
                lane.figure
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The look of a run's line, for a list of them.
pub(in crate::report) fn sample(run: usize) -> String {
    format!(
        "<svg class=\"picture sample\" viewBox=\"0 0 40 10\" aria-hidden=\"true\">\
         <path class=\"line run{}\" d=\"M0,5H40\"/></svg>",
        run % LOOKS
    )
}
