//! What the machines' tables of states and events are written with.

use std::string::String;
use std::vec::Vec;

/// Rows of cells as aligned columns, the first row underlined. An empty row separates.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &std::format!("{cell:width$}   ");
        }
        text += line.trim_end();
        text.push('\n');
        if number == 0 {
            let ruler: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            text += &ruler.join("   ");
            text.push('\n');
        }
    }
    text
}

/// A row of cells.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|&cell| String::from(cell)).collect()
}

#[test]
fn columns_are_aligned() {
    let rows = [row(["state", "x"]), row(["a", "longer"]), Vec::new(), row(["b"])];
    assert_eq!(table(&rows), "state   x\n-----   ------\na       longer\n\nb\n");
}
