//! An answer for people: a table that fits the terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use anstyle::Style;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use super::super::text::{count, thousands};
use super::table::{Cell, Table};

/// The columns of the terminal, `COLUMNS` first; `None` where nobody looks.
pub(super) fn width() -> Option<u16> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let said = crate::command::environment("COLUMNS").and_then(|columns| columns.parse().ok());
    let asked = || {
        rustix::termios::tcgetwinsize(&stdout)
            .ok()
            .map(|size| size.ws_col)
    };
    said.or_else(asked).filter(|columns| *columns > 0)
}

/// The page, at most `width` columns wide, unless numbers and pictures leave too little for the texts.
pub(super) fn page(table: &Table, store: &str, width: Option<u16>) -> String {
    let mut page = String::new();
    let total = u64::try_from(table.total).unwrap_or(u64::MAX);
    // Writing to a `String` does not fail.
    let _ = writeln!(page, "{STRONG}{}{STRONG:#}, {store}", table.title);
    if table.rows.is_empty() {
        let _ = writeln!(
            page,
            "  no {} to show",
            count(0, table.of).trim_start_matches("0 ")
        );
        return page;
    }
    let drawn = draw(table, width);
    let mut lines = drawn.lines().map(str::trim_end);
    if let Some(head) = lines.next() {
        let _ = writeln!(page, "{FAINT}{head}{FAINT:#}");
    }
    for line in lines {
        page.push_str(line);
        page.push('\n');
    }
    if table.rows.len() < table.total {
        let shown = thousands(u64::try_from(table.rows.len()).unwrap_or(u64::MAX));
        let _ = writeln!(page, "{shown} of {}; --limit shows more", count(total, table.of));
    }
    page
}

fn draw(table: &Table, width: Option<u16>) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_preset(presets::NOTHING);
    drawn.set_header(table.columns.iter().map(|column| column.head));
    for row in &table.rows {
        drawn.add_row(row.iter().map(shown));
    }
    match width {
        Some(width) => drawn
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => drawn.set_content_arrangement(ContentArrangement::Disabled),
    };
    let widths = drawn.column_max_content_widths();
    let columns = drawn.column_iter_mut().zip(widths);
    for ((column, widest), cell) in columns.zip(table.rows.iter().flatten()) {
        if cell.is_number() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        // Texts give way, as long as they can be read; numbers and pictures cannot be broken.
        let constraint = if matches!(cell, Cell::Text(_)) {
            ColumnConstraint::LowerBoundary(Width::Fixed(widest.min(READABLE)))
        } else {
            ColumnConstraint::ContentWidth
        };
        column.set_constraint(constraint);
    }
    drawn.to_string()
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => visible(text),
        Cell::Count(count) => thousands(*count),
        Cell::Millis(number) => number.map(span).unwrap_or_default(),
        Cell::Ratio(number) => number.map(|number| format!("{number:.2}")).unwrap_or_default(),
        Cell::At(at) => at
            .map(|at| at.strftime("%Y-%m-%d %H:%M").to_string())
            .unwrap_or_default(),
        Cell::Trend(durations) => sparkline(durations),
    }
}

/// Control characters would do things to the terminal.
fn visible(text: &str) -> String {
    let mut visible = String::new();
    for c in text.chars() {
        if c.is_control() {
            visible.extend(c.escape_default());
        } else {
            visible.push(c);
        }
    }
    visible
}

/// `0.13 ms`, `250 ms`, `12.44 s`, `3 min 5 s`: what a person compares.
fn span(milliseconds: f64) -> String {
    if milliseconds < 9.995 {
        format!("{milliseconds:.2} ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0} ms")
    } else if milliseconds < 59_995.0 {
        format!("{:.2} s", milliseconds / 1000.0)
    } else {
        let seconds = (milliseconds / 1000.0).round();
        format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

/// One block per duration, its height that share of the longest one.
fn sparkline(durations: &[f64]) -> String {
    let longest = durations.iter().copied().fold(0.0, f64::max);
    let block = |duration: &f64| {
        let reached = |level: &u8| *duration * 8.0 > longest * f64::from(*level);
        let above = (1..8_u8).filter(reached).count();
        BLOCKS[above]
    };
    durations.iter().map(block).collect()
}

/// Columns below which nobody reads a text that is broken into them.
const READABLE: u16 = 12;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

#[cfg(test)]
mod tests {
    use super::super::table::Column;
    use super::*;

    fn table(id: &str) -> Table {
        let column = |(key, head)| Column { key, head };
        Table {
            question: "slow-tests",
            of: "test",
            title: "Slowest tests",
            columns: [("test_id", "TEST"), ("runs", "RUNS"), ("recent_ms", "RECENT")]
                .map(column)
                .to_vec(),
            rows: vec![vec![
                Cell::Text(id.to_owned()),
                Cell::Count(1_234),
                Cell::Trend(vec![1.0, 8.0]),
            ]],
            total: 3,
        }
    }

    #[test]
    fn a_page() {
        let page = anstream::adapter::strip_str(&page(&table("a::b"), "/e.db", None)).to_string();
        assert_eq!(
            page,
            "Slowest tests, /e.db\n TEST   RUNS  RECENT\n a::b  1,234  ▁█\n1 of 3 tests; --limit shows more\n"
        );
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        for id in [
            "tests/test_cart.py::test_add[very long parameter]",
            "テスト/カート::追加する商品の数量を変更する",
        ] {
            for width in [30, 40, 60, 200] {
                for line in draw(&table(id), Some(width)).lines() {
                    let columns = console_columns(line);
                    assert!(columns <= usize::from(width), "{columns} > {width}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_text_is_not_stood_on_end() {
        let lines = draw(&table("tests/test_cart.py::test_add"), Some(12))
            .lines()
            .count();
        assert!(lines <= 4, "{lines} lines");
    }

    /// Characters from U+1100 on that are wide count twice: enough for the texts above.
    fn console_columns(line: &str) -> usize {
        line.chars().map(|c| if c >= '\u{3000}' { 2 } else { 1 }).sum()
    }

    #[test]
    fn durations_and_their_picture() {
        assert_eq!(
            [0.125, 9.994, 250.125, 999.6, 12_440.0, 185_000.0].map(span),
            ["0.12 ms", "9.99 ms", "250 ms", "1.00 s", "12.44 s", "3 min 5 s"]
        );
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 4.0, 7.9, 8.0]), "▁▁▂▄██");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(visible("a\u{1b}[2Jb\nc"), r"a\u{1b}[2Jb\nc");
    }
}
