//! What became of the files, for a program: one object, `"schema": 1`.

use crossbridge_std::profiling::store::chain;
use crossbridge_std::profiling::{Counts, Summary};
use serde_json::{Map, Value, json};

use super::outcome::{End, FileOutcome, Outcome};

/// The object, with a line feed.
pub(super) fn object(outcome: &Outcome) -> String {
    let path = outcome.store.path().map(|path| path.display().to_string());
    let totals = outcome.totals();
    let files: Vec<_> = outcome.files.iter().map(|one| file(outcome, one)).collect();
    let object = json!({
        "schema": 1,
        "complete": outcome.complete(),
        "store": { "url": outcome.store.shown(), "path": path },
        "spool": outcome.shipping.to_json(),
        "totals": counts(&totals),
        "writes": { "attempts": totals.attempts, "retries": totals.retries },
        "files": files,
    });
    format!("{object}\n")
}

fn file(outcome: &Outcome, file: &FileOutcome) -> Value {
    let mut object = counts(&file.counts);
    object.insert("file".to_owned(), file.name.as_str().into());
    object.insert("outcome".to_owned(), outcome.word(file).into());
    object.insert("error".to_owned(), error(&file.end));
    let lines = file
        .rejected
        .items
        .iter()
        .map(|line| json!({ "line": line.at.line, "column": line.at.column, "reason": line.reason }));
    object.insert("rejected_first".to_owned(), lines.collect());
    let lines = file
        .warnings
        .items
        .iter()
        .map(|line| json!({ "line": line.at.line, "column": line.at.column, "text": line.text }));
    object.insert("warnings_first".to_owned(), lines.collect());
    let events =
        file.refused.items.iter().map(
            |event| json!({ "event_id": event.event_id, "test_id": event.test_id, "reason": event.reason }),
        );
    object.insert("refused_first".to_owned(), events.collect());
    if let Some(summary) = &file.summary {
        object.extend(contents(summary));
    }
    object.into()
}

/// What happened to events and lines; in every object under the same names.
pub(super) fn counts(counts: &Counts) -> Map<String, Value> {
    [
        ("read", counts.read),
        ("new", counts.new),
        ("already_there", counts.already_there),
        ("refused", counts.refused),
        ("spooled", counts.spooled),
        ("lost", counts.lost),
        ("unwritten", counts.unwritten()),
        ("rejected", counts.rejected),
        ("warnings", counts.warnings),
    ]
    .map(|(name, count)| (name.to_owned(), count.into()))
    .into_iter()
    .collect()
}

/// What is in a file, as far as it was read.
fn contents(summary: &Summary) -> Map<String, Value> {
    let by_type: Map<_, _> = summary
        .by_type
        .iter()
        .map(|(kind, count)| (kind.as_str().to_owned(), (*count).into()))
        .collect();
    let mut tests: Map<_, _> = summary
        .tests
        .iter()
        .map(|(status, count)| (status.as_str().to_owned(), Value::from(count)))
        .collect();
    for (name, count) in [
        ("total", summary.tests.total()),
        ("attempts", summary.attempts),
        ("flaky", summary.flaky),
        ("unmeasured", summary.unmeasured),
    ] {
        tests.insert(name.to_owned(), count.into());
    }
    tests.insert("duration_ms".to_owned(), summary.duration_ms.into());
    let mut object = Map::new();
    object.insert("kind".to_owned(), summary.kind.as_str().into());
    object.insert("last_run_id".to_owned(), summary.run_id.clone().into());
    object.insert("by_type".to_owned(), by_type.into());
    object.insert("tests".to_owned(), tests.into());
    object.insert("unknown_fields".to_owned(), json!(summary.unknown_fields));
    object
}

fn error(end: &End) -> Value {
    match end {
        End::Broken(error) => json!({
            "message": chain(error),
            "line": error.at.map(|at| at.line),
            "column": error.at.map(|at| at.column),
            "complete_tests": error.complete_tests,
        }),
        End::NoFile(error) => json!({ "message": error.to_string(), "line": null, "column": null }),
        End::Whole | End::Unfinished { .. } | End::NotRead => Value::Null,
    }
}
