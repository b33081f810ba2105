//! `crossbridge profile ingest` into a directory of JSON lines.

#[path = "support/profile.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use support::{Place, fixture, lines};

/// Every id in the directory; each of its lines is an event of its own.
fn ids(folder: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(
                    ids.insert(event["event_id"].as_str().unwrap().to_owned()),
                    "{line}"
                );
            }
        }
    }
    ids
}

#[test]
fn a_report_is_stored_whole_and_once() {
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    let (ran, object) = place.ingest_json(&[&report, "--store", "jsonl:profiles"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let stored = object["totals"]["new"].as_u64().unwrap();
    assert_eq!(ids(&place.path("profiles")).len() as u64, stored);
    let ran = place.ingest(&[&report, "--store", "jsonl:profiles"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("already there"), "{}", ran.stdout);
    assert!(ran.stdout.contains("jq -r"), "{}", ran.stdout);
    assert_eq!(ids(&place.path("profiles")).len() as u64, stored);
    // What it wrote is what it reads.
    let (ran, object) = place.ingest_json(&["profiles/events-000001.jsonl", "--store", "jsonl:again"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(object["totals"]["new"].as_u64(), Some(stored));
    assert_eq!(ids(&place.path("again")), ids(&place.path("profiles")));
}

/// The writer is killed at some moment; the same command again adds what is missing and nothing else.
#[test]
fn a_writer_that_is_killed_leaves_nothing_twice_and_nothing_out() {
    let place = Place::new();
    place.write("big.jsonl", &lines(20_000));
    let arguments = ["big.jsonl", "--store", "jsonl:profiles"];
    let file = place.path("profiles/events-000001.jsonl");
    for enough in [1, 500_000, 1_500_000] {
        let mut child = place.command(&arguments).spawn().unwrap();
        while child.try_wait().unwrap().is_none()
            && std::fs::metadata(&file).map_or(0, |metadata| metadata.len()) < enough
        {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (ran, object) = place.ingest_json(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(object["totals"]["unwritten"], 0);
    assert_eq!(ids(&place.path("profiles")).len(), 20_000);
}
