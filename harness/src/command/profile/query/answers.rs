//! Each question: whom to ask, and which columns its answer has.

use crossbridge_std::logging::redact;
use crossbridge_std::profiling::StoreError;
use crossbridge_std::profiling::query::{self, Answer, Scope, Times};
use crossbridge_std::profiling::store::reader::EventReader;

use super::table::{Cell, Column, Table};
use crate::cli::Question;

pub(super) fn table(
    question: Question,
    reader: &mut dyn EventReader,
    scope: &Scope,
) -> Result<Table, StoreError> {
    Ok(match question {
        Question::SlowTests => {
            let answer = query::slow_tests(reader, scope)?;
            let columns = [("test_id", "TEST"), ("runs", "RUNS"), ("failed", "FAILED")];
            build(
                ["slow-tests", "test", "Slowest tests, by median"],
                &[&columns[..], &TIMES],
                answer,
                |test| {
                    let mut cells = vec![
                        Cell::Text(test.test_id),
                        Cell::Count(test.runs),
                        Cell::Count(test.failed),
                    ];
                    cells.extend(times(test.time));
                    cells
                },
            )
        }
        Question::SlowEndpoints => {
            let answer = query::slow_endpoints(reader, scope)?;
            let columns = [
                ("method", "METHOD"),
                ("endpoint", "ENDPOINT"),
                ("calls", "CALLS"),
                ("errors", "ERRORS"),
            ];
            build(
                ["slow-endpoints", "endpoint", "Slowest endpoints, by median"],
                &[&columns[..], &TIMES],
                answer,
                |endpoint| {
                    let mut cells = vec![
                        Cell::Text(endpoint.method),
                        masked(&endpoint.endpoint),
                        Cell::Count(endpoint.calls),
                        Cell::Count(endpoint.errors),
                    ];
                    cells.extend(times(endpoint.time));
                    cells
                },
            )
        }
        Question::Flaky => {
            let columns = [
                ("test_id", "TEST"),
                ("runs", "RUNS"),
                ("failed", "FAILED"),
                ("flips", "FLIPS"),
                ("retried", "RETRIED"),
                ("variation", "VARIATION"),
                ("outliers", "OUTLIERS"),
                ("median_ms", "MEDIAN"),
                RECENT,
            ];
            build(
                [
                    "flaky",
                    "test",
                    "Flaky tests, by flips and retries, then by variation",
                ],
                &[&columns],
                query::flaky(reader, scope)?,
                |test| {
                    vec![
                        Cell::Text(test.test_id),
                        Cell::Count(test.runs),
                        Cell::Count(test.failed),
                        Cell::Count(test.flips),
                        Cell::Count(test.retried),
                        Cell::Ratio(test.time.variation),
                        Cell::Count(test.time.outliers),
                        Cell::Millis(test.time.median_ms),
                        Cell::Trend(test.time.recent),
                    ]
                },
            )
        }
        Question::Failures => {
            let columns = [
                ("test_id", "TEST"),
                ("runs", "RUNS"),
                ("failed", "FAILED"),
                ("last_status", "LAST"),
                ("last_at", "AT"),
                ("last_run", "RUN"),
                ("message", "MESSAGE"),
            ];
            build(
                ["failures", "test", "Failures, by number"],
                &[&columns],
                query::failures(reader, scope)?,
                |test| {
                    vec![
                        Cell::Text(test.test_id),
                        Cell::Count(test.runs),
                        Cell::Count(test.failed),
                        Cell::Text(test.last_status.to_owned()),
                        Cell::At(test.last_at),
                        Cell::Text(test.last_run),
                        masked(&test.message.unwrap_or_default()),
                    ]
                },
            )
        }
        Question::Runs => {
            let columns = [
                ("run_id", "RUN"),
                ("first_at", "AT"),
                ("framework", "FRAMEWORK"),
                ("tests", "TESTS"),
                ("failed", "FAILED"),
                ("skipped", "SKIPPED"),
                ("retried", "RETRIED"),
                ("total_ms", "TIME"),
            ];
            build(
                ["runs", "run", "Runs, the latest first"],
                &[&columns],
                query::runs(reader, scope)?,
                |run| {
                    vec![
                        Cell::Text(run.run_id),
                        Cell::At(run.first_at),
                        Cell::Text(run.framework),
                        Cell::Count(run.tests),
                        Cell::Count(run.failed),
                        Cell::Count(run.skipped),
                        Cell::Count(run.retried),
                        Cell::Millis(Some(run.total_ms)),
                    ]
                },
            )
        }
    })
}

/// The name of a column for programs and for people.
type Name = (&'static str, &'static str);

const RECENT: Name = ("recent_ms", "RECENT");
const TIMES: [Name; 4] = [
    ("median_ms", "MEDIAN"),
    ("p90_ms", "P90"),
    ("max_ms", "MAX"),
    RECENT,
];

fn times(time: Times) -> [Cell; 4] {
    [
        Cell::Millis(time.median_ms),
        Cell::Millis(time.p90_ms),
        Cell::Millis(time.max_ms),
        Cell::Trend(time.recent),
    ]
}

/// URLs and messages have secrets in them at times.
fn masked(text: &str) -> Cell {
    Cell::Text(redact::text(text).into_owned())
}

fn build<R>(
    [question, of, title]: [&'static str; 3],
    columns: &[&[Name]],
    answer: Answer<R>,
    row: impl FnMut(R) -> Vec<Cell>,
) -> Table {
    Table {
        question,
        of,
        title,
        columns: columns
            .concat()
            .into_iter()
            .map(|(key, head)| Column { key, head })
            .collect(),
        total: answer.of,
        rows: answer.rows.into_iter().map(row).collect(),
    }
}
