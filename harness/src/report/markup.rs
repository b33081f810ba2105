//! Text inside markup, and tables.

use std::fmt::Write as _;

/// Text as it may stand in HTML and SVG, attributes included. Control characters, which neither can
/// hold, become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in printable(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text without what XML 1.0 cannot hold; white space of any kind is a space.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\r' | '\t' => ' ',
            '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
            letter if letter.is_control() => '\u{FFFD}',
            letter => letter,
        })
        .collect()
}

/// A table whose first column names the row.
pub(super) struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A column's title and how it is set.
#[derive(Clone)]
pub(super) struct Column {
    title: String,
    number: bool,
}

/// A column of text.
pub(super) fn words(title: &str) -> Column {
    Column {
        title: title.to_owned(),
        number: false,
    }
}

/// A column of numbers, set to the right.
pub(super) fn number(title: &str) -> Column {
    Column {
        title: title.to_owned(),
        number: true,
    }
}

impl Table {
    pub(super) fn new(caption: &str, columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            caption: caption.to_owned(),
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// One cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn html(&self) -> String {
        let mut html = format!(
            "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><table>\n<caption>{0}</caption>\n<thead><tr>",
            escape(&self.caption)
        );
        for column in &self.columns {
            let _ = write!(
                html,
                "<th scope=\"col\"{}>{}</th>",
                class(column),
                escape(&column.title)
            );
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (index, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                let cell = escape(cell);
                let _ = if index == 0 {
                    write!(html, "<th scope=\"row\"{}>{cell}</th>", class(column))
                } else {
                    write!(html, "<td{}>{cell}</td>", class(column))
                };
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table></div>\n");
        html
    }
}

const fn class(column: &Column) -> &'static str {
    if column.number { " class=\"number\"" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_read_becomes_markup() {
        assert_eq!(
            escape("<b a=\"1\" b='2'>&\u{0}\u{1B}\n\u{FFFF}é"),
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;\u{FFFD}\u{FFFD} \u{FFFD}é"
        );
        let mut table = Table::new("<c>", [words("<h>"), number("n")]);
        table.row(["<r>".to_owned(), "<1>".to_owned()]);
        let html = table.html();
        for raw in ["<c>", "<h>", "<r>", "<1>"] {
            assert!(!html.contains(raw), "{raw} in {html}");
        }
    }
}
