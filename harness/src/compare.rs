//! One incident under several policies, side by side.
//!
//! Everything but the policies is the same: the scenario, the seed, and with them who calls when, what
//! goes wrong and how long each request takes. What differs in the results is the policies' doing.

use std::fmt::Write as _;

use serde::Serialize;

use crate::report::text::{Paint, thousands};
use crate::result::{ReplayResult, Verdict};

/// Results of one scenario, in the order of the command line.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Version of this form.
    pub schema: u32,
    /// A result for each policy.
    pub policies: Vec<Column>,
}

/// The result under one policy.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// The file of the policy.
    pub policy: String,
    /// What a replay prints.
    pub result: ReplayResult,
}

impl Comparison {
    /// Of these results.
    #[must_use]
    pub const fn new(policies: Vec<Column>) -> Self {
        Self { schema: 1, policies }
    }

    /// Whether every promise was kept under every policy.
    #[must_use]
    pub fn holds(&self) -> bool {
        let mut verdicts = self.policies.iter().map(|column| column.result.verdict);
        verdicts.all(|verdict| verdict == Verdict::Pass)
    }
}

/// How one number is shown.
type Show = fn(&ReplayResult) -> String;

/// The numbers, from what users see to what it costs.
const ROWS: [(&str, Show); 18] = [
    ("goodput", |r| percent(r.goodput)),
    ("calls", |r| thousands(r.calls.offered)),
    ("  succeeded", |r| thousands(r.calls.succeeded)),
    ("  failed", |r| thousands(r.calls.failed)),
    ("  refused: circuit", |r| thousands(r.calls.refused.breaker)),
    ("  refused: rate limit", |r| thousands(r.calls.refused.rate_limit)),
    ("  refused: bulkhead", |r| thousands(r.calls.refused.bulkhead)),
    ("  refused: budget", |r| thousands(r.calls.refused.budget)),
    ("  refused: deadline", |r| thousands(r.calls.refused.deadline)),
    ("  in flight", |r| thousands(r.calls.in_flight)),
    ("latency p50", |r| millis(r.latency_ms.map(|latency| latency.p50))),
    ("latency p99", |r| millis(r.latency_ms.map(|latency| latency.p99))),
    ("latency max", |r| millis(r.latency_ms.map(|latency| latency.max))),
    ("recovery", |r| {
        r.recovery_seconds
            .map_or("never".to_owned(), |seconds| format!("{seconds:.1} s"))
    }),
    ("attempts", |r| thousands(r.attempts.total)),
    ("  retries", |r| thousands(r.attempts.retries)),
    ("  per call", |r| {
        r.amplification
            .map_or("-".to_owned(), |amplification| format!("{amplification:.3}"))
    }),
    ("circuits opened", |r| thousands(r.breaker.opened)),
];

/// The page: a row for each number, a column for each policy, then the promises.
#[must_use]
pub fn page(comparison: &Comparison, paint: Paint) -> String {
    let mut page = String::new();
    let columns = &comparison.policies;
    let Some(first) = columns.first().map(|column| &column.result) else {
        return page;
    };
    let _ = writeln!(page, "{}", paint.strong(&first.scenario));
    let _ = writeln!(
        page,
        "{}s of virtual time, seed {}\n",
        first.virtual_seconds, first.seed
    );
    let letters: Vec<char> = letters(columns.len());
    for (letter, column) in letters.iter().zip(columns) {
        let _ = writeln!(page, "  {letter}  {}", column.policy);
    }
    let mut lines = vec![(String::new(), letters.iter().map(char::to_string).collect())];
    lines.extend(rows(columns));
    page.push('\n');
    table(&mut page, &lines);
    if !first.expectations.is_empty() {
        let _ = writeln!(page, "\n{}", paint.strong("Promises"));
    }
    for (index, promise) in first.expectations.iter().enumerate() {
        let mark = |column: &Column| match column.result.expectations.get(index) {
            Some(promise) if promise.held => paint.good("✔"),
            Some(_) | None => paint.fault("✘"),
        };
        let marks: Vec<String> = columns.iter().map(mark).collect();
        let _ = writeln!(page, "  {}  {}", marks.join(" "), promise.text);
    }
    for promise in &first.not_judged {
        let _ = writeln!(
            page,
            "  {}  {promise}: not judged, this is one seed",
            vec!["-"; columns.len()].join(" ")
        );
    }
    page
}

/// What policies are called, in their order.
pub(crate) fn letters(count: usize) -> Vec<char> {
    ('A'..='Z').cycle().take(count).collect()
}

/// The numbers by name, with a value for each policy.
pub(crate) fn rows(columns: &[Column]) -> Vec<(String, Vec<String>)> {
    let numbers = ROWS.iter().map(|(name, show)| {
        let cells: Vec<String> = columns.iter().map(|column| show(&column.result)).collect();
        ((*name).to_owned(), cells)
    });
    // What happened under none of them is no news.
    let numbers = numbers.filter(|(_, cells)| !cells.iter().all(|cell| cell == "0"));
    let names = columns.first().map(|column| column.result.dependencies.keys());
    let received = names.into_iter().flatten().map(|name| {
        let received = |column: &Column| {
            let counts = column.result.dependencies.get(name);
            thousands(counts.map_or(0, |counts| counts.received))
        };
        (format!("{name} received"), columns.iter().map(received).collect())
    });
    numbers.chain(received).collect()
}

/// Names to the left, numbers to the right of their column.
pub(crate) fn table(page: &mut String, rows: &[(String, Vec<String>)]) {
    let width =
        |cells: &mut dyn Iterator<Item = &String>| cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
    let names = width(&mut rows.iter().map(|(name, _)| name));
    let count = rows.first().map_or(0, |(_, cells)| cells.len());
    let widths: Vec<usize> = (0..count)
        .map(|column| width(&mut rows.iter().filter_map(|(_, cells)| cells.get(column))))
        .collect();
    for (name, cells) in rows {
        let _ = write!(page, "  {name:<names$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(page, "   {cell:>width$}");
        }
        page.push('\n');
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

fn millis(span: Option<f64>) -> String {
    span.map_or("-".to_owned(), |millis| format!("{millis:.1} ms"))
}
