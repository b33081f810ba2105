//! What became of the files, for a person.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use crossbridge_std::profiling::{Status, StoreUrl, Summary};

use super::outcome::{End, FileOutcome, Outcome};

/// The page. Colours are for the output to take out where nobody looks.
pub(super) fn page(outcome: &Outcome) -> String {
    let mut page = String::new();
    for file in &outcome.files {
        one_file(&mut page, file);
        page.push('\n');
    }
    let totals = outcome.totals();
    // Writing to a `String` does not fail.
    if outcome.files.len() > 1 {
        let (files, events) = (outcome.files.len(), count(totals.read, "event"));
        let _ = writeln!(
            page,
            "{STRONG}{files} files{STRONG:#}, {events}{}",
            written(outcome)
        );
    }
    if totals.retries > 0 {
        let _ = writeln!(page, "The store was busy: {}.", count(totals.retries, "retry"));
    }
    outcome.shipping.render(&mut page);
    let store = outcome.store.place();
    if totals.stored() + outcome.shipping.shipped.stored() > 0 {
        let _ = writeln!(page, "Stored in {store}");
        if let Some(ask) = ask(outcome) {
            let _ = writeln!(page, "\n  {ask}");
        }
    } else {
        let _ = writeln!(page, "Nothing was stored in {store}");
    }
    page
}

fn one_file(page: &mut String, file: &FileOutcome) {
    let _ = write!(page, "{STRONG}{}{STRONG:#}", file.name);
    if let Some(summary) = &file.summary {
        let kind = summary.kind.title();
        let _ = write!(page, "  {kind}");
        match &summary.run_id {
            Some(run) if summary.kind.is_report() => {
                let _ = write!(page, ", run {run}");
            }
            Some(run) => {
                let _ = write!(page, ", last run {run}");
            }
            None => {}
        }
    }
    page.push('\n');
    match &file.end {
        End::Whole => {}
        End::Unfinished { .. } => page.push_str("  not finished, see below\n"),
        End::Broken(error) if error.is_empty() => page.push_str("  empty\n"),
        End::Broken(_) if file.counts.read > 0 => page.push_str("  breaks off, see below\n"),
        End::Broken(_) => page.push_str("  invalid, nothing of it is stored, see below\n"),
        End::NoFile(_) => page.push_str("  cannot be read, see below\n"),
        End::NotRead => page.push_str("  not read\n"),
    }
    let Some(summary) = file
        .summary
        .as_ref()
        .filter(|_| file.counts.read + file.counts.rejected > 0)
    else {
        if matches!(file.end, End::Whole) {
            page.push_str("  no tests and no events in it\n");
        }
        return;
    };
    if summary.tests.total() > 0 {
        tests(page, summary);
    }
    let events = count(file.counts.read, "event");
    let _ = writeln!(page, "  {events}{}", written_of(file));
    if file.counts.rejected > 0 {
        let lines = count(file.counts.rejected, "line");
        let _ = writeln!(page, "  {BAD}{lines} rejected{BAD:#}, see above");
    }
    if !summary.unknown_fields.is_empty() {
        let names: Vec<_> = summary
            .unknown_fields
            .keys()
            .map(String::as_str)
            .take(8)
            .collect();
        let more = if summary.unknown_fields.len() > names.len() {
            ", …"
        } else {
            ""
        };
        let _ = writeln!(
            page,
            "  unknown fields kept as metadata: {}{more}",
            names.join(", ")
        );
    }
}

/// How the tests ended and how long they took.
fn tests(page: &mut String, summary: &Summary) {
    let counts = summary.tests.iter().filter(|(_, count)| *count > 0);
    let words: Vec<_> = counts
        .map(|(status, number)| {
            let number = thousands(number);
            match status {
                Status::Error => format!("{BAD}{number} in error{BAD:#}"),
                Status::Timeout => format!("{BAD}{number} timed out{BAD:#}"),
                Status::Failed => format!("{BAD}{number} failed{BAD:#}"),
                Status::Passed | Status::Skipped | Status::Xfailed | Status::Xpassed | Status::Unknown => {
                    format!("{number} {status}")
                }
            }
        })
        .collect();
    let total = summary.tests.total();
    let _ = write!(page, "  {}: {}", count(total, "test"), words.join(", "));
    if summary.flaky > 0 {
        let _ = write!(page, "; {} flaky", thousands(summary.flaky));
    }
    if summary.attempts > total {
        let _ = write!(page, "; {} attempts", thousands(summary.attempts));
    }
    if summary.unmeasured < total {
        let _ = write!(page, "; {}", span(summary.duration_ms));
    }
    page.push('\n');
}

/// What was done with the events of one file.
fn written_of(file: &FileOutcome) -> String {
    let uncertain = match file.end {
        End::Unfinished { uncertain } => Some(uncertain),
        End::Whole | End::Broken(_) | End::NoFile(_) | End::NotRead => None,
    };
    describe(&file.counts, uncertain == Some(true))
}

fn written(outcome: &Outcome) -> String {
    let uncertain = |file: &FileOutcome| matches!(file.end, End::Unfinished { uncertain: true });
    describe(&outcome.totals(), outcome.files.iter().any(uncertain))
}

fn describe(counts: &crossbridge_std::profiling::Counts, uncertain: bool) -> String {
    let mut parts = Vec::new();
    let lost = if uncertain {
        "not known to be stored"
    } else {
        "not stored"
    };
    let spooled = match counts.lost {
        0 => "kept in the spool".to_owned(),
        lost => format!(
            "put into the spool, which lost {} for want of room, these or older ones",
            thousands(lost)
        ),
    };
    for (number, what) in [
        (counts.new, "new"),
        (counts.already_there, "already there"),
        (counts.refused, "refused by the store"),
        (counts.spooled, spooled.as_str()),
        (counts.unwritten(), lost),
    ] {
        if number > 0 {
            parts.push(format!("{} {what}", thousands(number)));
        }
    }
    if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    }
}

/// A command that asks the store something worth knowing.
fn ask(outcome: &Outcome) -> Option<String> {
    let store = outcome.store.place();
    match outcome.store.url() {
        StoreUrl::Sqlite(_) => Some(format!(
            "sqlite3 {} \"{}\"",
            quoted(&store),
            question(outcome, "tests")
        )),
        // psql knows nothing of our parameters.
        StoreUrl::Postgres(url) => {
            let store = store.split('?').next().unwrap_or_default();
            let table = format!("{}.tests", url.schema());
            Some(format!(
                "psql {} \"{}\"",
                quoted(store),
                question(outcome, &table)
            ))
        }
        StoreUrl::Jsonl(_) => Some(format!(
            "jq -r 'select(.event_type == \"test_end\") | .metadata.status' {}/events-*.jsonl | sort | uniq -c",
            quoted(&store)
        )),
        StoreUrl::Influx(_) => None,
    }
}

/// A question about the tests of these files.
fn question(outcome: &Outcome, table: &str) -> String {
    let mut runs = outcome.files.iter().filter_map(|file| {
        let summary = file.summary.as_ref()?;
        summary
            .kind
            .is_report()
            .then_some(summary.run_id.as_deref())
            .flatten()
    });
    let plain = |text: &&str| {
        text.chars()
            .all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
    };
    let only = match (runs.next().filter(plain), runs.next(), outcome.files.len()) {
        (Some(run), None, 1) => format!("where run_id = '{run}' "),
        _ => String::new(),
    };
    format!("select status, count(*) from {table} {only}group by status")
}

/// Ready to be pasted into a shell.
fn quoted(path: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+=@%:,".contains(char);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// `1 event`, `2,000 events`, `3 retries`.
pub(super) fn count(number: u64, what: &str) -> String {
    let shown = thousands(number);
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("{shown} {what}"),
        (_, Some(stem)) => format!("{shown} {stem}ies"),
        (_, None) => format!("{shown} {what}s"),
    }
}

pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `250 ms`, `12.4 s`, `3 min 5 s`.
fn span(milliseconds: f64) -> String {
    let seconds = milliseconds / 1000.0;
    if seconds < 0.95 {
        format!("{milliseconds:.0} ms")
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!(
            "{:.0} min {:.0} s",
            (seconds / 60.0).floor(),
            (seconds % 60.0).floor()
        )
    }
}

const STRONG: Style = Style::new().bold();
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [count(1, "retry"), count(2, "retry"), count(0, "event")],
            ["1 retry", "2 retries", "0 events"]
        );
        assert_eq!(
            [0.0, 250.125, 12_440.0, 59_900.0, 185_999.0].map(span),
            ["0 ms", "250 ms", "12.4 s", "59.9 s", "3 min 5 s"]
        );
    }

    #[test]
    fn paths_for_the_shell() {
        assert_eq!(quoted("/tmp/a-b.db"), "/tmp/a-b.db");
        assert_eq!(quoted("/tmp/it's $HOME.db"), r"'/tmp/it'\''s $HOME.db'");
    }
}
