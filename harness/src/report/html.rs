//! A replay as a page for a browser: one file that needs nothing else.
//!
//! The order is the reader's: the verdict and the promise that was broken, the timeline, the promises,
//! the seeds, then what happened and the numbers behind it, and last the command that repeats it all.
//! There is no script, no font and no address in it; colours follow the reader's scheme. Everything a
//! picture shows also stands in a table, for those who do not see it.

pub mod compare;
pub mod grid;
mod policies;
mod seeds;
mod tables;

use std::fmt::Write as _;

use super::Replay;
use super::lanes::figure;
use super::markup::escape;
use super::text::{thousands, untried};
use super::timeline::{plot::STYLE, svg};
use super::verdict;

/// The page of these replays.
#[must_use]
pub fn page(replays: &[Replay<'_>]) -> String {
    let title = title(replays);
    let mut html = String::new();
    // One scenario is the page; several have a heading and a list above them.
    let level = if replays.len() == 1 { 1 } else { 2 };
    if replays.len() != 1 {
        let _ = writeln!(html, "<h1>{}</h1>", escape(&title));
        html.push_str("<nav aria-label=\"Scenarios\"><ul>\n");
        for (index, replay) in replays.iter().enumerate() {
            let name = escape(&replay.scenario.name);
            let _ = writeln!(
                html,
                "<li>{} <a href=\"#s{index}\">{name}</a></li>",
                badge(replay)
            );
        }
        html.push_str("</ul></nav>\n");
    }
    for (index, replay) in replays.iter().enumerate() {
        html += &article(replay, index, level);
    }
    document(&title, STYLE, &html)
}

/// A page around its content, which is markup.
fn document(title: &str, style: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{}{style}</style>\n</head>\n<body>\n<main>\n{content}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("html/page.css")
    )
}

fn title(replays: &[Replay<'_>]) -> String {
    if let [replay] = replays {
        return format!("{}: {}", verdict::word(replay), replay.scenario.name);
    }
    let broken = replays.iter().filter(|replay| replay.result.is_broken()).count();
    format!("{} scenarios, {broken} with a broken promise", replays.len())
}

fn badge(replay: &Replay<'_>) -> String {
    let word = verdict::word(replay);
    format!("<span class=\"verdict {}\">{word}</span>", word.to_lowercase())
}

fn article(replay: &Replay<'_>, index: usize, level: usize) -> String {
    let (scenario, result) = (replay.scenario, &replay.result);
    let id = format!("s{index}");
    let mut html = format!(
        "<article id=\"{id}\" aria-labelledby=\"{id}-name\">\n<h{level} id=\"{id}-name\">{} {}</h{level}>\n",
        badge(replay),
        escape(&scenario.name)
    );
    let sentences: Vec<String> = verdict::sentences(replay)
        .iter()
        .map(|text| escape(text))
        .collect();
    let _ = writeln!(html, "<p class=\"lead\">{}</p>", sentences.join(" "));
    if let Some(about) = &scenario.about {
        let _ = writeln!(html, "<p>{}</p>", escape(about));
    }
    let _ = writeln!(
        html,
        "<p class=\"faint\">{}s of virtual time, {} calls, seed {}</p>",
        figure(result.virtual_seconds),
        thousands(result.calls.offered),
        result.seed
    );
    let mut section = |title: &str, content: String| {
        if !content.is_empty() {
            let h = level + 1;
            let _ = write!(html, "<section>\n<h{h}>{title}</h{h}>\n{content}</section>\n");
        }
    };
    section("Timeline", timeline(replay, &id));
    section("Promises", tables::promises(replay));
    section("Seeds", seeds::section(replay, &id));
    section("What happened", tables::story(replay));
    section("Numbers", tables::numbers(replay));
    section("Faults", tables::faults(replay));
    section("Policies", policies(replay));
    section("Repeat", repeat(replay));
    html.push_str("</article>\n");
    html
}

fn timeline(replay: &Replay<'_>, id: &str) -> String {
    let caption = match &replay.control {
        Some(_) => "Shaded: faults. Dotted: the same seed without the faults, where it differs.",
        None => "This run has no faults.",
    };
    format!(
        "<figure>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Timeline\">\n{}</div>\n\
         <figcaption>{caption}</figcaption>\n</figure>\n\
         <details>\n<summary>The timeline as a table</summary>\n{}</details>\n",
        svg(replay, &format!("{id}-timeline"), None),
        tables::timeline(replay)
    )
}

fn policies(replay: &Replay<'_>) -> String {
    let mut html = policies::table(replay);
    let untried = untried(&replay.result);
    if !untried.is_empty() {
        html.push_str("<p>What this run does not try:</p>\n<ul>\n");
        for line in untried {
            let _ = writeln!(html, "<li>{}</li>", escape(&line));
        }
        html.push_str("</ul>\n");
    }
    html
}

fn repeat(replay: &Replay<'_>) -> String {
    format!(
        "<dl>\n<dt>Command</dt><dd><code>{}</code></dd>\n<dt>Hash of the trace</dt><dd><code>{}</code></dd>\n\
         <dt>Version</dt><dd>crossbridge {}</dd>\n</dl>\n",
        escape(&replay.command),
        escape(&replay.result.trace_sha256),
        env!("CARGO_PKG_VERSION")
    )
}
