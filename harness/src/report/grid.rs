//! A grid on one page of text: a heat map of outcomes, then the numbers of each cell.
//!
//! ```text
//!               500ms  2s   5s   10s
//!   100/s         R     R    R    S      R recovered, S slow, N never
//!   280/s         R     N    N    N
//! ```
//!
//! With several seeds a cell shows the share of the runs that recovered.

mod cell;
pub(super) mod heat_map;

use std::fmt::Write as _;

use super::text::Paint;
use crate::compare::table;
use crate::result::{AxisResult, Cell, GridResult, Verdict};
pub(super) use cell::facts;
use cell::{Colour, colour, mark};
pub use heat_map::picture;

/// The page.
#[must_use]
pub fn page(grid: &GridResult, paint: Paint) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "{}", paint.strong(&grid.scenario));
    if let Some(about) = &grid.about {
        let _ = writeln!(page, "{about}");
    }
    let _ = writeln!(page, "{}", size(grid));
    for map in maps(grid) {
        page.push('\n');
        page += &map.text(paint);
    }
    let _ = writeln!(page, "\n  {}", legend(grid));

    let _ = writeln!(page, "\n{}", paint.strong("Cells"));
    let names = facts(None).map(|(name, _)| name.to_owned()).to_vec();
    let mut rows = vec![(titles(grid), names)];
    for (index, cell) in grid.cells.iter().enumerate() {
        let facts = facts(Some(cell)).map(|(_, fact)| fact);
        let labels = grid.axes.iter().zip(&cell.labels);
        let labels: Vec<String> = labels
            .map(|(axis, label)| format!("{label:<width$}", width = width(axis)))
            .collect();
        let name = format!("{:<4} {}", index + 1, labels.join("  "));
        rows.push((name, facts.to_vec()));
    }
    table(&mut page, &rows);
    for promise in &grid.not_judged {
        let _ = writeln!(page, "  - {promise}   not judged: this is one seed, see --seeds");
    }

    let kept = kept(grid);
    let verdict = match grid.verdict {
        Verdict::Pass => paint.good("PASS"),
        Verdict::Fail => paint.fault("FAIL"),
    };
    let cells = grid.cells.len();
    let _ = writeln!(
        page,
        "\n{}  {verdict}, every promise kept in {kept} of {cells} cells",
        paint.strong("Verdict")
    );
    let _ = writeln!(page, "\n{}", paint.strong("Repeat"));
    let _ = writeln!(page, "  all  {}", grid.command);
    for (index, cell) in grid.cells.iter().enumerate() {
        let _ = writeln!(page, "  {:<4} {}", index + 1, cell.command);
    }
    page
}

/// `12 cells over faults[0].for and seed, 5 seeds each`.
pub(super) fn size(grid: &GridResult) -> String {
    let paths: Vec<&str> = grid.axes.iter().map(|axis| axis.path.as_str()).collect();
    let cells = format!("{} cells over {}", grid.cells.len(), paths.join(" and "));
    match grid.runs {
        1 => cells,
        runs => format!("{cells}, {runs} seeds each"),
    }
}

/// Cells that kept every promise.
pub(super) fn kept(grid: &GridResult) -> usize {
    let kept = grid.cells.iter().filter(|cell| cell.verdict == Verdict::Pass);
    kept.count()
}

/// What the marks mean.
pub(super) fn legend(grid: &GridResult) -> &'static str {
    if grid.runs > 1 {
        "%: runs that recovered within the time the faults lasted, -: no fault, !: a promise was broken"
    } else {
        "R: recovered within the time the faults lasted, S: slow, N: never, -: no fault, !: a promise was broken"
    }
}

/// The titles of all axes, over the labels of the cells.
fn titles(grid: &GridResult) -> String {
    let titles = grid.axes.iter();
    let titles: Vec<String> = titles
        .map(|axis| format!("{:<width$}", axis.title, width = width(axis)))
        .collect();
    format!("{:<4} {}", "", titles.join("  "))
}

/// Room for an axis in the table.
fn width(axis: &AxisResult) -> usize {
    let labels = axis.labels.iter().map(|label| label.chars().count());
    labels.chain([axis.title.chars().count()]).max().unwrap_or(0)
}

/// One picture: two axes, or one, with the values of all others given.
pub(super) struct Map<'g> {
    /// The values of the axes that are not in it; empty where all are.
    pub(super) given: String,
    /// What goes down; none where there is only one axis.
    pub(super) down: Option<&'g str>,
    /// What goes to the right.
    pub(super) right: &'g str,
    /// The values to the right.
    pub(super) columns: &'g [String],
    /// A label and a cell for each column.
    pub(super) rows: Vec<(&'g str, &'g [Cell])>,
}

/// The last axis goes to the right, the one before it down, and each combination of the others has a
/// map of its own.
pub(super) fn maps(grid: &GridResult) -> Vec<Map<'_>> {
    let Some((right, others)) = grid.axes.split_last() else {
        return Vec::new();
    };
    let (down, given) = match others.split_last() {
        Some((down, given)) => (Some(down), given),
        None => (None, others),
    };
    let width = right.labels.len().max(1);
    let height = down.map_or(1, |down| down.labels.len().max(1));
    let cells = grid.cells.chunks(width * height);
    cells
        .map(|cells| {
            let first = cells.first();
            let labels = given.iter().zip(first.iter().flat_map(|cell| &cell.labels));
            let given: Vec<String> = labels
                .map(|(axis, label)| format!("{}={label}", axis.title))
                .collect();
            let rows = cells.chunks(width).enumerate();
            Map {
                given: given.join(", "),
                down: down.map(|down| down.title.as_str()),
                right: &right.title,
                columns: &right.labels,
                rows: rows
                    .map(|(row, cells)| {
                        let label = down.and_then(|down| down.labels.get(row));
                        (label.map_or("", String::as_str), cells)
                    })
                    .collect(),
            }
        })
        .collect()
}

impl Map<'_> {
    fn text(&self, paint: Paint) -> String {
        let length = |text: &str| text.chars().count();
        let corner = match self.down {
            Some(down) => format!("{down} \\ {}", self.right),
            None => self.right.to_owned(),
        };
        let labels = self.rows.iter().map(|(label, _)| length(label));
        let left = labels.chain([length(&corner)]).max().unwrap_or(0);
        let marks = self
            .rows
            .iter()
            .flat_map(|(_, cells)| *cells)
            .map(|cell| length(&mark(cell)));
        let columns = self.columns.iter().map(|label| length(label));
        let width = columns.chain(marks).max().unwrap_or(0) + 2;
        let mut text = String::new();
        if !self.given.is_empty() {
            let _ = writeln!(text, "  {}", paint.strong(&self.given));
        }
        let header: String = self
            .columns
            .iter()
            .map(|label| format!("{label:^width$}"))
            .collect();
        let _ = writeln!(text, "  {corner:<left$}  {}", header.trim_end());
        for (label, cells) in &self.rows {
            let blocks: String = cells
                .iter()
                .map(|cell| block(paint, colour(cell), &format!("{:^width$}", mark(cell))))
                .collect();
            let _ = writeln!(text, "  {label:<left$}  {}", blocks.trim_end());
        }
        text
    }
}

fn block(paint: Paint, colour: Colour, text: &str) -> String {
    use anstyle::AnsiColor::{Green, Red, Yellow};
    match colour {
        Colour::Good => paint.block(text, Green),
        Colour::Mixed => paint.block(text, Yellow),
        Colour::Bad => paint.block(text, Red),
        Colour::None => text.to_owned(),
    }
}
