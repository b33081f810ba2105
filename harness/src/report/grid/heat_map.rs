//! The heat maps of a grid as SVG: a coloured square with a label for each cell.

use std::fmt::Write as _;

use super::cell::{Colour, colour, facts, mark};
use super::{Map, legend, maps};
use crate::report::markup::escape;
use crate::report::timeline::count;
use crate::report::timeline::plot::{GAP, LEFT, PLOT, RIGHT, STYLE, open_svg};
use crate::result::GridResult;

/// Colours of the cells, for light and dark.
pub(in crate::report) const CELLS: &str = include_str!("heat_map.css");

/// The height of a row, and of a line of labels.
const ROW: u64 = 36;
const LINE: u64 = 20;
/// The widest cell.
const WIDEST: u64 = 120;
/// Narrower cells have no number in them.
const NARROW: u64 = 64;

/// The picture as a file of its own.
#[must_use]
pub fn picture(grid: &GridResult) -> String {
    svg(grid, "grid", Some(&format!("{STYLE}{CELLS}")))
}

/// The picture for a page; `id` tells its parts from those of other pictures.
pub(in crate::report) fn svg(grid: &GridResult, id: &str, style: Option<&str>) -> String {
    let maps = maps(grid);
    let heights = maps.iter().map(|map| height(map) + GAP);
    let bottom = GAP + heights.sum::<u64>() + LINE;
    let title = format!("{}: outcomes", grid.scenario);
    let text = format!("{} The table below has the same cells.", legend(grid));
    let mut svg = open_svg(id, bottom, &title, &text, style);
    let mut y = GAP;
    for map in &maps {
        svg += &one(map, y);
        y += height(map) + GAP;
    }
    let _ = writeln!(
        svg,
        "<text class=\"figure\" x=\"{GAP}\" y=\"{}\">{}</text>\n</svg>",
        bottom - 8,
        escape(legend(grid))
    );
    svg
}

fn height(map: &Map<'_>) -> u64 {
    let lines = if map.given.is_empty() { 2 } else { 3 };
    LINE * lines + ROW * count(map.rows.len())
}

fn one(map: &Map<'_>, top: u64) -> String {
    let mut svg = String::new();
    let mut y = top;
    let line = |svg: &mut String, x: u64, y: u64, class: &str, text: &str| {
        let _ = writeln!(
            svg,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>",
            escape(text)
        );
    };
    if !map.given.is_empty() {
        line(&mut svg, GAP, y + 14, "given", &map.given);
        y += LINE;
    }
    let width = ((PLOT + RIGHT) / count(map.columns.len()).max(1)).clamp(1, WIDEST);
    line(&mut svg, LEFT, y + 14, "axis", map.right);
    if let Some(down) = map.down {
        line(
            &mut svg,
            LEFT - 10,
            y + LINE + 14,
            "label axis",
            &short(down, LEFT),
        );
    }
    y += LINE;
    for (column, label) in map.columns.iter().enumerate() {
        let x = LEFT + width * count(column) + width / 2;
        line(&mut svg, x, y + 14, "tick", &short(label, width));
    }
    y += LINE;
    for (label, cells) in &map.rows {
        line(&mut svg, LEFT - 10, y + ROW / 2 + 4, "label", &short(label, LEFT));
        for (column, cell) in cells.iter().enumerate() {
            let x = LEFT + width * count(column);
            let facts = facts(Some(cell));
            let told: Vec<String> = facts
                .iter()
                .map(|(name, fact)| format!("{name} {fact}"))
                .collect();
            let _ = write!(
                svg,
                "<g><title>{}: {}</title><rect class=\"{}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\"/>",
                escape(&cell.labels.join(", ")),
                escape(&told.join(", ")),
                class(colour(cell)),
                width.saturating_sub(2).max(1),
                ROW - 2
            );
            let label = match &facts {
                [_, (_, goodput), ..] if width >= NARROW => format!("{} {goodput}", mark(cell)),
                _ => mark(cell),
            };
            let (x, y) = (x + width / 2, y + ROW / 2 + 4);
            let _ = writeln!(
                svg,
                "<text class=\"cell\" x=\"{x}\" y=\"{y}\">{}</text></g>",
                escape(&label)
            );
        }
        y += ROW;
    }
    svg
}

/// As much of a label as fits into so much room, at eight units a letter.
fn short(label: &str, room: u64) -> String {
    let most = usize::try_from(room / 8).unwrap_or(usize::MAX).max(2);
    if label.chars().count() <= most {
        return label.to_owned();
    }
    label.chars().take(most - 1).chain(['…']).collect()
}

const fn class(colour: Colour) -> &'static str {
    match colour {
        Colour::Good => "cell good",
        Colour::Mixed => "cell mixed",
        Colour::Bad => "cell bad",
        Colour::None => "cell calm",
    }
}
