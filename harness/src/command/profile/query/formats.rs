//! An answer for programs.

use crossbridge_std::profiling::event::format_timestamp;
use serde_json::{Map, Value, json};

use super::table::{Cell, Table};

/// One object: `schema`, `question`, `store`, `total` (rows without the limit) and `rows`.
pub(super) fn json(table: &Table, store: &str) -> String {
    let rows = table.rows.iter().map(|row| {
        let fields = table.columns.iter().zip(row);
        let fields = fields.map(|(column, cell)| (column.key.to_owned(), value(cell)));
        Value::Object(fields.collect::<Map<_, _>>())
    });
    let object = json!({
        "schema": 1,
        "question": table.question,
        "store": store,
        "total": table.total,
        "rows": rows.collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => text.as_str().into(),
        Cell::Count(count) => (*count).into(),
        Cell::Millis(number) | Cell::Ratio(number) => (*number).into(),
        Cell::At(at) => at.map(format_timestamp).into(),
        Cell::Trend(durations) => durations.as_slice().into(),
    }
}

/// A head, then a line per row, as RFC 4180 has it.
///
/// # Errors
///
/// That of the writer, which memory does not have.
pub(super) fn csv(table: &Table) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(table.columns.iter().map(|column| column.key))?;
    for row in &table.rows {
        writer.write_record(row.iter().map(field))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn field(cell: &Cell) -> String {
    let number = |number: &Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    match cell {
        Cell::Text(text) => harmless(text),
        Cell::Count(count) => count.to_string(),
        Cell::Millis(of) | Cell::Ratio(of) => number(of),
        Cell::At(at) => at.map(format_timestamp).unwrap_or_default(),
        Cell::Trend(durations) => {
            let durations: Vec<_> = durations.iter().map(ToString::to_string).collect();
            durations.join(" ")
        }
    }
}

/// What a spreadsheet would run as a formula gets a `'` in front, which it then shows as text.
///
/// The characters are those of OWASP's page on CSV injection.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Column;
    use super::*;

    fn table() -> Table {
        let column = |key| Column { key, head: key };
        Table {
            question: "flaky",
            of: "test",
            title: "",
            columns: ["test_id", "runs", "median_ms", "recent_ms"].map(column).to_vec(),
            rows: vec![
                vec![
                    Cell::Text("=HYPERLINK(\"x\",1)".to_owned()),
                    Cell::Count(2),
                    Cell::Millis(Some(250.125)),
                    Cell::Trend(vec![0.5, 2.0]),
                ],
                vec![
                    Cell::Text("-a, b\n".to_owned()),
                    Cell::Count(0),
                    Cell::Millis(None),
                    Cell::Trend(vec![]),
                ],
            ],
            total: 7,
        }
    }

    #[test]
    fn csv_is_text_to_a_spreadsheet() {
        assert_eq!(
            csv(&table()).unwrap(),
            "test_id,runs,median_ms,recent_ms\n\
             \"'=HYPERLINK(\"\"x\"\",1)\",2,250.125,0.5 2\n\
             \"'-a, b\n\",0,,\n"
        );
    }

    #[test]
    fn json_keeps_everything_as_it_is() {
        let object: Value = serde_json::from_str(&json(&table(), "sqlite:/e.db")).unwrap();
        assert_eq!(
            (&object["total"], &object["store"]),
            (&7.into(), &"sqlite:/e.db".into())
        );
        assert_eq!(object["rows"][0]["test_id"], "=HYPERLINK(\"x\",1)");
        assert_eq!(object["rows"][0]["recent_ms"], serde_json::json!([0.5, 2.0]));
        assert_eq!(object["rows"][1]["median_ms"], Value::Null);
    }
}
