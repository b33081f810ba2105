//! Public postmortems, each told twice: as it was, and with policies of ours.
//!
//! The stories are in `fixtures/scenarios/incidents`; these tests see to it that the two of a pair
//! differ in their policies alone, and that the policies make the difference that is stated.

#[path = "support/scenario.rs"]
mod scenario;

use std::fmt::Write as _;
use std::fs;

use crossbridge_harness::result::{DependencyCounts, ReplayResult, Verdict};
use crossbridge_harness::scenario::Scenario;

use scenario::{fixture, load, run, text, with};

/// Seeds every promise is kept for, besides the one of its file.
const SEEDS: u64 = 20;

/// One incident, told twice.
struct Incident {
    name: String,
    as_it_was: String,
    with_our_policy: String,
}

fn incidents() -> Vec<Incident> {
    let folder = fs::read_dir(fixture("incidents")).expect("the incidents are there");
    let mut names: Vec<String> = folder
        .map(|entry| entry.expect("readable"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let read = |name: String| Incident {
        as_it_was: text(&format!("incidents/{name}/as-it-was.yml")),
        with_our_policy: text(&format!("incidents/{name}/with-our-policy.yml")),
        name,
    };
    names.into_iter().map(read).collect()
}

/// The part of a text that begins with the line `from` and ends before the line `to`.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let begin = text.find(&format!("\n{from}:\n")).expect("the begin is there");
    let end = text.find(&format!("\n{to}:\n")).expect("the end is there");
    &text[begin..end]
}

/// One story with the promises of the other.
fn with_promises_of(story: &str, other: &str) -> Scenario {
    let (story, _) = story.split_once("\nexpect:\n").expect("it promises something");
    let (_, promises) = other.split_once("\nexpect:\n").expect("it promises something");
    load(&format!("{story}\nexpect:\n{promises}"))
}

fn broken(result: &ReplayResult) -> Vec<String> {
    let expectations = result.expectations.iter().filter(|promise| !promise.held);
    expectations
        .map(|promise| format!("{} is {:?}", promise.text, promise.observed))
        .collect()
}

/// A line of numbers, for people to compare.
fn line(name: &str, told: &str, result: &ReplayResult) -> String {
    let total = |count: fn(&DependencyCounts) -> u64| result.dependencies.values().map(count).sum::<u64>();
    format!(
        "{name:<34} {told:<15} goodput {:.3}, {} attempts for {} calls, {} in vain of {} served, recovered: {}",
        result.goodput.expect("calls were made"),
        result.attempts.total,
        result.calls.offered,
        total(|counts| counts.wasted),
        total(|counts| counts.served),
        result
            .recovery_seconds
            .map_or_else(|| "-".into(), |seconds| format!("after {seconds} s")),
    )
}

/// Every file keeps its promises for its own seed, and its numbers do not change unnoticed.
#[test]
fn every_incident_is_told_twice() {
    let incidents = incidents();
    assert!(incidents.len() >= 10, "{}", incidents.len());
    let mut told = String::new();
    for incident in &incidents {
        for (how, text) in [
            ("as it was", &incident.as_it_was),
            ("with our policy", &incident.with_our_policy),
        ] {
            let scenario = load(text);
            let result = run(&scenario, scenario.seed);
            assert_eq!(broken(&result), Vec::<String>::new(), "{}, {how}", incident.name);
            let _ = writeln!(told, "{}", line(&incident.name, how, &result));
        }
    }
    insta::assert_snapshot!(told);
}

/// No promise hangs on a lucky draw.
#[test]
fn the_promises_hold_for_other_seeds() {
    for incident in incidents() {
        for text in [&incident.as_it_was, &incident.with_our_policy] {
            let scenario = load(text);
            for seed in 1..=SEEDS {
                let result = run(&scenario, seed);
                assert_eq!(
                    broken(&result),
                    Vec::<String>::new(),
                    "{}, seed {seed}",
                    scenario.name
                );
            }
        }
    }
}

/// What one of a pair promises the other does not keep: the promises are not true of any run.
#[test]
fn the_policy_makes_the_difference() {
    for incident in incidents() {
        let crossed = [
            with_promises_of(&incident.as_it_was, &incident.with_our_policy),
            with_promises_of(&incident.with_our_policy, &incident.as_it_was),
        ];
        for scenario in &crossed {
            for seed in 1..=3 {
                let result = run(scenario, seed);
                assert_eq!(result.verdict, Verdict::Fail, "{}, seed {seed}", scenario.name);
            }
        }
    }
}

/// Days that `crossbridge explore` found and made small: earlier policies came through their own day, and
/// not through these.
#[test]
fn the_policies_come_back_from_other_days() {
    for (incident, now, earlier, day, promise) in [
        (
            "2015-aws-dynamodb-membership",
            "bulkhead: questions, attempt_timeout: 45s",
            "attempt_timeout: 15s",
            "{ at: 64871ms, for: 78ms, on: storage, kind: burst, calls: 2 }",
            "goodput(250s..280s) >= 0.9",
        ),
        (
            "2018-duo-request-queue",
            "attempt_timeout: 5s",
            "attempt_timeout: none",
            "{ at: 47729ms, for: 2218ms, on: db, kind: drop_answer }",
            "goodput(250s..280s) >= 0.9",
        ),
    ] {
        let text = text(&format!("incidents/{incident}/with-our-policy.yml"));
        let verdict = |text: &str| {
            let (world, _) = text.split_once("\nfaults:\n").expect("it has faults");
            let (head, duration) = world.split_once("\nduration: ").expect("it has an end");
            let (_, rest) = duration.split_once('\n').expect("more lines");
            let day = format!("{head}\nduration: 300s\n{rest}\nfaults:\n  - {day}\nexpect:\n  - {promise}\n");
            let scenario = load(&day);
            run(&scenario, scenario.seed).verdict
        };
        assert_eq!(verdict(&text), Verdict::Pass, "{incident}");
        assert_eq!(verdict(&with(&text, now, earlier)), Verdict::Fail, "{incident}");
    }
}

/// The same world and the same faults, to the letter.
#[test]
fn nothing_but_the_policy_differs() {
    for Incident {
        name,
        as_it_was,
        with_our_policy,
    } in incidents()
    {
        let world = |text| part(text, "dependencies", "expect");
        assert_eq!(world(&as_it_was), world(&with_our_policy), "{name}");
        assert_ne!(
            part(&as_it_was, "policies", "dependencies"),
            part(&with_our_policy, "policies", "dependencies"),
            "{name}"
        );
        let (seed, duration) = (load(&as_it_was).seed, load(&as_it_was).duration);
        let other = load(&with_our_policy);
        assert_eq!((other.seed, other.duration), (seed, duration), "{name}");
    }
}

/// Each says where its numbers come from and when that was published, and what the replay leaves out.
#[test]
fn every_incident_names_its_source() {
    for Incident { name, .. } in incidents() {
        let readme = text(&format!("incidents/{name}/README.md"));
        for needed in [
            "Source: <https://",
            "## The numbers",
            "## The replay",
            "## Left out",
        ] {
            assert!(readme.contains(needed), "{name}: no `{needed}`");
        }
        let (year, _) = name.split_once('-').expect("a year and a name");
        assert!(readme.contains(year), "{name}: no {year}");
    }
}
