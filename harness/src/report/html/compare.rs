//! One incident under several policies as a page: the verdict, what differs, their lanes over one axis.

use std::fmt::Write as _;

use super::document;
use crate::compare::{Comparison, letters, rows};
use crate::report::Replay;
use crate::report::markup::{Table, escape, number, words};
use crate::report::text::observed;
use crate::report::timeline::beside::{LINES, sample, svg};
use crate::report::timeline::plot::STYLE;
use crate::result::ReplayResult;

/// The page; `replays` are those of the comparison, in its order.
#[must_use]
pub fn page(comparison: &Comparison, replays: &[Replay<'_>]) -> String {
    let columns = &comparison.policies;
    let Some(first) = columns.first().map(|column| &column.result) else {
        return String::new();
    };
    let names: Vec<String> = letters(columns.len()).iter().map(char::to_string).collect();
    let word = if comparison.holds() { "PASS" } else { "FAIL" };
    let mut html = format!(
        "<article>\n<h1><span class=\"verdict {}\">{word}</span> {}</h1>\n<p class=\"lead\">{}</p>\n",
        word.to_lowercase(),
        escape(&first.scenario),
        escape(&sentence(comparison, &names))
    );
    html.push_str("<ul>\n");
    for (run, (name, column)) in names.iter().zip(columns).enumerate() {
        let policy = escape(&column.policy);
        let _ = writeln!(html, "<li>{} {name}: <code>{policy}</code></li>", sample(run));
    }
    let _ = writeln!(
        html,
        "</ul>\n<p class=\"faint\">{}s of virtual time, seed {}</p>",
        first.virtual_seconds, first.seed
    );
    html += &numbers(comparison, &names);
    let runs: Vec<(String, &Replay<'_>)> = names.iter().cloned().zip(replays).collect();
    let _ = write!(
        html,
        "<section>\n<h2>Timeline</h2>\n<figure>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" \
         aria-label=\"Timeline\">\n{}</div>\n<figcaption>Shaded: faults. A line for each policy; lanes have one \
         scale.</figcaption>\n</figure>\n</section>\n",
        svg(&runs, "timeline")
    );
    html += &promises(comparison, &names);
    let mut table = Table::new(
        "What repeats each run",
        [words("Policy"), words("Command"), words("Trace")],
    );
    for (name, replay) in &runs {
        let trace = replay.result.trace_sha256.clone();
        table.row([name.clone(), replay.command.clone(), trace]);
    }
    let _ = write!(
        html,
        "<section>\n<h2>Repeat</h2>\n{}<p class=\"faint\">crossbridge {}</p>\n</section>\n</article>\n",
        table.html(),
        env!("CARGO_PKG_VERSION")
    );
    let title = format!("{word}: {} under {} policies", first.scenario, columns.len());
    document(&title, &format!("{STYLE}{LINES}"), &html)
}

/// The verdict, then what it costs.
fn sentence(comparison: &Comparison, names: &[String]) -> String {
    let columns = &comparison.policies;
    let mut sentence = if columns.iter().all(|column| column.result.expectations.is_empty()) {
        "Nothing was promised.".to_owned()
    } else if comparison.holds() {
        "Every promise was kept under every policy.".to_owned()
    } else {
        let told = names.iter().zip(columns).map(|(name, column)| {
            let promises = &column.result.expectations;
            match promises.iter().filter(|promise| !promise.held).count() {
                0 => format!("{name} kept every promise"),
                broken => format!("{name} broke {broken} of {}", promises.len()),
            }
        });
        format!("{}.", told.collect::<Vec<_>>().join(", "))
    };
    let percent =
        |share: Option<f64>| share.map_or("none".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let ratio = |ratio: Option<f64>| ratio.map_or("none".to_owned(), |ratio| format!("{ratio:.3}"));
    let seconds = |after: Option<f64>| after.map_or("never".to_owned(), |after| format!("{after:.1} s"));
    let each = |say: &dyn Fn(&ReplayResult) -> String| {
        let told = names.iter().zip(columns);
        let told = told.map(|(name, column)| format!("{name} {}", say(&column.result)));
        told.collect::<Vec<_>>().join(", ")
    };
    let _ = write!(
        sentence,
        " Goodput: {}. Attempts per call: {}. Recovery: {}.",
        each(&|result| percent(result.goodput)),
        each(&|result| ratio(result.amplification)),
        each(&|result| seconds(result.recovery_seconds))
    );
    sentence
}

/// What differs, and behind it what does not.
fn numbers(comparison: &Comparison, names: &[String]) -> String {
    let all = rows(&comparison.policies);
    let same = |cells: &[String]| cells.windows(2).all(|pair| pair[0] == pair[1]);
    let (same, differs): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, cells)| same(cells));
    let table = |caption: &str, rows: Vec<(String, Vec<String>)>| {
        let columns = names.iter().map(|name| number(name));
        let mut table = Table::new(caption, [words("Number")].into_iter().chain(columns));
        for (name, cells) in rows {
            table.row([name.trim().to_owned()].into_iter().chain(cells));
        }
        table.html()
    };
    let mut html = "<section>\n<h2>What differs</h2>\n".to_owned();
    if differs.is_empty() {
        html.push_str("<p>Nothing: no policy made a difference.</p>\n");
    } else {
        html += &table("Numbers that differ", differs);
    }
    if !same.is_empty() {
        let _ = write!(
            html,
            "<details>\n<summary>What is the same</summary>\n{}</details>\n",
            table("Numbers that are the same under every policy", same)
        );
    }
    html + "</section>\n"
}

fn promises(comparison: &Comparison, names: &[String]) -> String {
    let columns = &comparison.policies;
    let Some(first) = columns
        .first()
        .filter(|column| !column.result.expectations.is_empty())
    else {
        return String::new();
    };
    let titles = names.iter().map(|name| words(name));
    let mut table = Table::new(
        "Each promise and what was observed",
        [words("Promise")].into_iter().chain(titles),
    );
    for (index, promise) in first.result.expectations.iter().enumerate() {
        let cells = columns.iter().map(|column| {
            column
                .result
                .expectations
                .get(index)
                .map_or(String::new(), |promise| {
                    let mark = if promise.held { "✔" } else { "✘" };
                    format!("{mark} {}", observed(promise.observed))
                })
        });
        table.row([promise.text.clone()].into_iter().chain(cells));
    }
    for promise in &first.result.not_judged {
        let cells = columns.iter().map(|_| "not judged: this is one seed".to_owned());
        table.row([promise.clone()].into_iter().chain(cells));
    }
    format!("<section>\n<h2>Promises</h2>\n{}</section>\n", table.html())
}
