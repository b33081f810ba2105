//! A retry storm that outlives its trigger, and what ends it: Bronson, Aghayev, Charapko and Zhu,
//! *Metastable Failures in Distributed Systems*, HotOS 2021, section 2; and Huang and others,
//! *Metastable Failures in the Wild*, OSDI 2022.
//!
//! The scenarios in `fixtures/scenarios/metastable` and `metastable-osdi22` are the story; these tests are where it turns.

mod support;

#[path = "support/scenario.rs"]
mod scenario;

use std::fs;

use scenario::{load, replay, run, text, with};
use support::{crossbridge, fixture, json};

/// Requests a second the database can serve.
const CAPACITY: f64 = 300.0;
/// Seconds until an attempt times out, and that service takes.
const TIMEOUT: f64 = 1.0;
/// How long the link is down, in seconds.
const DOWN: f64 = 10.0;

/// The story as it was with this load.
fn storm(rate: u32, seconds: u32) -> String {
    let text = with(&text("metastable/as-it-was.yml"), "280/s", &format!("{rate}/s"));
    without_promises(&with(&text, "duration: 120s", &format!("duration: {seconds}s")))
}

fn without_promises(text: &str) -> String {
    let (story, _) = text.split_once("expect:").expect("it promises something");
    format!("{story}expect: []\n")
}

/// Whether the last ten seconds but two are served.
fn recovers(text: &str) -> bool {
    let result = replay(text);
    let end = result.series.offered.len();
    let sum = |series: &[u64]| series[end - 12..end - 2].iter().sum::<u64>();
    let (offered, succeeded) = (sum(&result.series.offered), sum(&result.series.succeeded));
    succeeded * 10 >= offered * 9
}

/// Every scenario of a folder keeps its promises; a line of numbers for each.
fn told(folder: &str) -> String {
    let files = fs::read_dir(fixture(&format!("scenarios/{folder}"))).expect("the scenarios are there");
    let mut names: Vec<String> = files
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert!(names.len() >= 4, "{names:?}");
    let mut told = String::new();
    for name in &names {
        let path = format!("fixtures/scenarios/{folder}/{name}");
        let run = crossbridge(["replay", &path, "--format", "json"]);
        let result = json(&run.stdout);
        assert!(run.status.success(), "{name}: {}", result["expectations"]);
        let database = &result["dependencies"]["db"];
        told += &format!(
            "{name:<24} goodput {:.4}, recovered after {}, {} attempts, {} served, {} in vain, {}\n",
            result["goodput"].as_f64().expect("calls were made"),
            result["recovery_seconds"],
            result["attempts"]["total"],
            database["served"],
            database["wasted"],
            result["trace_sha256"].as_str().expect("a hash"),
        );
    }
    told
}

/// Its numbers do not change unnoticed.
#[test]
fn the_story_is_told_as_it_was() {
    insta::assert_snapshot!(told("metastable"));
}

/// Five attempts a call, and a database that is slow for a while: Huang and others, *Metastable Failures
/// in the Wild*, OSDI 2022.
#[test]
fn the_experiment_of_2022_is_told_as_it_was() {
    insta::assert_snapshot!(told("metastable-osdi22"));
}

/// Where it turns, of ten seeds: the published points lie close to it.
#[test]
fn the_experiment_of_2022_turns_where_it_was_published() {
    for (name, overloads) in [
        ("as-it-was", 10),
        ("weaker-trigger", 0),
        ("shorter-trigger", 0),
        ("lower-load", 0),
    ] {
        let text = without_promises(&text(&format!("metastable-osdi22/{name}.yml")));
        let scenario = load(&with(&text, "duration: 120s", "duration: 60s"));
        let never = (1..=10).filter(|&seed| run(&scenario, seed).recovery_seconds.is_none());
        assert_eq!(never.count(), overloads, "{name}");
    }
}

/// Two attempts a call: above half of its capacity the database never catches up.
#[test]
fn the_storm_needs_half_of_the_capacity() {
    for (rate, ends) in [(130, true), (170, false), (200, false)] {
        assert_eq!(recovers(&storm(rate, 150)), ends, "{rate}/s");
    }
}

/// Below that, the backlog of the trigger shrinks by what is left of the capacity.
#[test]
fn recovery_takes_as_long_as_the_backlog() {
    for rate in [80, 100, 120] {
        let load = f64::from(rate);
        let wanted = (2.0 * load * DOWN - load * TIMEOUT - CAPACITY * TIMEOUT) / (CAPACITY - 2.0 * load);
        let found = replay(&storm(rate, 120)).recovery_seconds.expect("it recovers");
        // Buckets of a second, and arrivals at random.
        assert!(
            (found - wanted).abs() < 1.5 + 0.15 * wanted,
            "{rate}/s: {found} for {wanted}"
        );
    }
}

/// A budget ends the storm where load and retries together stay below the capacity: 300 / 280 - 1,
/// 7.1 %.
#[test]
fn a_budget_has_to_be_below_the_spare_capacity() {
    for (ratio, ends) in [("0.04", true), ("0.09", false)] {
        let text = without_promises(&text("metastable/budget-10-percent.yml"));
        let text = with(&text, "ratio: 0.1", &format!("ratio: {ratio}"));
        let text = with(&text, "duration: 120s", "duration: 500s");
        assert_eq!(recovers(&text), ends, "{ratio}");
    }
}

/// Whoever is let in has to be served before it gives up: `cap / 300 + 0.1 <= 1`. The workers take
/// thirty at a time, so that a cap between 270 and 300 fails some of each thirty only.
#[test]
fn a_queue_has_to_be_shorter_than_the_patience_of_those_in_it() {
    for (cap, ends) in [(200, true), (260, true), (300, false), (400, false)] {
        let text = without_promises(&text("metastable/queue-cap.yml"));
        assert_eq!(
            recovers(&with(&text, "queue: 250", &format!("queue: {cap}"))),
            ends,
            "{cap}"
        );
    }
}

/// Work that is begun with less time left than it takes is done in vain. The workers take thirty at
/// a time from those that came within 54 ms: a limit within that of 100 ms saves some of them.
#[test]
fn shedding_has_to_know_how_long_work_takes() {
    for (left, ends) in [("20ms", false), ("45ms", false), ("110ms", true), ("300ms", true)] {
        let text = without_promises(&text("metastable/shed-doomed.yml"));
        let text = with(
            &text,
            "cannot_finish_within: 150ms",
            &format!("cannot_finish_within: {left}"),
        );
        assert_eq!(recovers(&text), ends, "{left}");
    }
}

/// A shorter trigger leaves a backlog that is gone before it does harm.
#[test]
fn a_short_trigger_is_forgotten() {
    let text = |seconds: &str| with(&storm(280, 120), "for: 10s", &format!("for: {seconds}"));
    assert!(recovers(&text("500ms")));
    assert!(!recovers(&text("5s")));
}
