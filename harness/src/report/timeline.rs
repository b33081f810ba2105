//! The run as a picture: lanes over one axis of virtual time, as SVG.
//!
//! ```text
//!   postgres      ──────────▨▨▨▨▨▨▨──────────────────   faults, a row for each that has any
//!   offered       ▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂   239/s at most
//!   succeeded     ▂▃▂▃▂▃▂▃▂▃       ▁▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂   dotted: the control
//!   attempts      ▂▃▂▃▂▃▂▃▂▃█▁▁▁▁▁▁▁▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂▃▂
//!   breaker open            ▃██████▅▄                   40 of 40 circuits
//!   health down             ███████▅▄▁                  40 of 40 see it down
//!                0s        30s        60s       90s
//! ```
//!
//! The first three share their scale. Rates are means over a column and gauges peaks, as on the page of
//! text; something is never drawn as nothing. All coordinates are whole numbers, worked out in whole
//! numbers.

pub(super) mod beside;
pub(super) mod lane;
pub(super) mod plot;

use std::fmt::Write as _;

use crossbridge_core::Instant;

use super::Replay;
use super::markup::escape;
use super::trouble::{Trouble, troubles};
use super::verdict::seconds;
use lane::{Lane, lanes};
use plot::{AXIS, Axis, GAP, LEFT, PLOT, RIGHT, STYLE, WIDTH, open_svg};

/// The height of a lane.
const LANE: u64 = 64;
/// The height of a node's row of faults.
const ROW: u64 = 20;

/// More faults than this, of those that repeat, are only counted in the description.
const TOLD_FAULTS: usize = 10;

/// The picture as a file of its own.
#[must_use]
pub fn picture(replay: &Replay<'_>) -> String {
    svg(replay, "timeline", Some(STYLE))
}

/// The picture for a page; `id` tells its parts from those of other pictures.
pub(super) fn svg(replay: &Replay<'_>, id: &str, style: Option<&str>) -> String {
    let lanes = lanes(replay);
    let rows = fault_rows(replay);
    let from = GAP + ROW * count(rows.len());
    let bottom = from + (LANE + GAP) * count(lanes.len());
    let title = format!("{}: timeline", replay.scenario.name);
    let mut svg = open_svg(id, bottom + AXIS, &title, &description(replay, &lanes), style);
    svg += &frame(replay, id, &rows, bottom);
    for (index, lane) in lanes.iter().enumerate() {
        svg += &lane.svg(from + (LANE + GAP) * count(index), LANE);
    }
    svg.push_str("</svg>\n");
    svg
}

/// What is behind the lanes: the axis, and the faults with a row for each that has any.
fn frame(replay: &Replay<'_>, id: &str, rows: &[(&str, Vec<Trouble<'_>>)], bottom: u64) -> String {
    let from = GAP + ROW * count(rows.len());
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<defs><pattern id=\"{id}-hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <path class=\"hatch\" d=\"M0,6L6,0\"/></pattern></defs>"
    );
    let axis = Axis::new(count(replay.ledger.total.series.offered.len()));
    svg += &axis.svg(GAP, bottom);
    for (row, (name, faults)) in rows.iter().enumerate() {
        let y = GAP + ROW * count(row);
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT - 10,
            y + 13,
            escape(name)
        );
        for fault in faults {
            let (x, width) = axis.span(fault.from, fault.until);
            let _ = writeln!(
                svg,
                "<g><title>{}</title>\
                 <rect class=\"shade\" x=\"{x}\" y=\"{from}\" width=\"{width}\" height=\"{}\"/>\
                 <rect class=\"fault\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\"/>\
                 <rect fill=\"url(#{id}-hatch)\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\"/></g>",
                escape(&told(fault)),
                bottom - from - GAP,
                ROW - 4,
                ROW - 4,
            );
        }
    }
    svg
}

/// Everybody who has faults, with these.
fn fault_rows<'r>(replay: &Replay<'r>) -> Vec<(&'r str, Vec<Trouble<'r>>)> {
    let mut rows: Vec<(&str, Vec<Trouble<'_>>)> = Vec::new();
    for fault in troubles(replay.scenario) {
        match rows.iter_mut().find(|(on, _)| *on == fault.on) {
            Some((_, faults)) => faults.push(fault),
            None => rows.push((fault.on, vec![fault])),
        }
    }
    rows
}

/// A fault in a sentence without its stop.
fn told(fault: &Trouble<'_>) -> String {
    let (from, until) = (seconds(fault.from), seconds(fault.until));
    format!("{}: {}, {from} to {until}", fault.on, fault.effect)
}

/// The picture in sentences, for those who do not see it.
fn description(replay: &Replay<'_>, lanes: &[Lane]) -> String {
    let end = Instant::ZERO.saturating_add(replay.scenario.duration);
    let mut text = format!("Virtual time from 0s to {}.", seconds(end));
    for lane in lanes {
        let _ = write!(text, " {}: {}.", lane.name, lane.figure);
    }
    let rows = fault_rows(replay);
    let faults = || rows.iter().flat_map(|(_, faults)| faults);
    for fault in faults().take(TOLD_FAULTS) {
        let _ = write!(text, " {}.", told(fault));
    }
    let more = faults().count().saturating_sub(TOLD_FAULTS);
    if more > 0 {
        let _ = write!(text, " {more} more faults.");
    }
    if replay.control.is_some() {
        text.push_str(" Dotted: the same seed without the faults.");
    }
    text
}

/// A small number of things.
pub(super) fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

const _: () = assert!(LEFT + PLOT + RIGHT == WIDTH, "the columns fill the picture");
