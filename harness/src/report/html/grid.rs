//! A grid as a page: the verdict, the heat map, the cells as a table, and the command of each.

use std::fmt::Write as _;

use super::document;
use crate::report::grid::heat_map::{CELLS, svg};
use crate::report::grid::{facts, kept, size};
use crate::report::markup::{Table, escape, number, words};
use crate::report::timeline::plot::STYLE;
use crate::result::{GridResult, Verdict};

/// The page of a grid.
#[must_use]
pub fn page(grid: &GridResult) -> String {
    let word = match grid.verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
    };
    let mut html = format!(
        "<article>\n<h1><span class=\"verdict {}\">{word}</span> {}</h1>\n",
        word.to_lowercase(),
        escape(&grid.scenario)
    );
    let _ = writeln!(
        html,
        "<p class=\"lead\">Every promise was kept in {} of {} cells.</p>",
        kept(grid),
        grid.cells.len()
    );
    if let Some(about) = &grid.about {
        let _ = writeln!(html, "<p>{}</p>", escape(about));
    }
    let _ = writeln!(html, "<p class=\"faint\">{}</p>", escape(&size(grid)));
    let _ = write!(
        html,
        "<section>\n<h2>Outcomes</h2>\n<figure>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" \
         aria-label=\"Outcomes\">\n{}</div>\n</figure>\n</section>\n",
        svg(grid, "grid", None)
    );
    let _ = write!(
        html,
        "<section>\n<h2>Cells</h2>\n{}</section>\n<section>\n<h2>Repeat</h2>\n{}\
         <p class=\"faint\">crossbridge {}</p>\n</section>\n</article>\n",
        cells(grid),
        commands(grid),
        env!("CARGO_PKG_VERSION")
    );
    document(
        &format!("{word}: {}", grid.scenario),
        &format!("{STYLE}{CELLS}"),
        &html,
    )
}

fn cells(grid: &GridResult) -> String {
    let axes = grid.axes.iter().map(|axis| words(&axis.title));
    let names = facts(None).map(|(name, _)| number(name));
    let caption = if grid.runs > 1 {
        "Numbers of each cell: medians over the seeds"
    } else {
        "Numbers of each cell"
    };
    let mut table = Table::new(caption, [number("#")].into_iter().chain(axes).chain(names));
    for (index, cell) in grid.cells.iter().enumerate() {
        let facts = facts(Some(cell)).map(|(_, fact)| fact);
        let labels = cell.labels.iter().cloned();
        table.row([(index + 1).to_string()].into_iter().chain(labels).chain(facts));
    }
    let mut html = table.html();
    for promise in &grid.not_judged {
        let _ = writeln!(html, "<p>{}: not judged, this is one seed.</p>", escape(promise));
    }
    html
}

fn commands(grid: &GridResult) -> String {
    let mut table = Table::new("What repeats each cell", [number("#"), words("Command")]);
    table.row(["all".to_owned(), grid.command.clone()]);
    for (index, cell) in grid.cells.iter().enumerate() {
        table.row([(index + 1).to_string(), cell.command.clone()]);
    }
    table.html()
}
