use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::scenario::load;

/// The script of a scenario that is shipped, or of one that is written here.
fn script(scenario: &str, on: Option<&str>) -> Result<Script, Unplayable> {
    let folder = tempfile::tempdir().unwrap();
    let path = if scenario.contains('\n') {
        let path = folder.path().join("scenario.yml");
        std::fs::write(&path, scenario).unwrap();
        path
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/scenarios")
            .join(scenario)
    };
    let scenario = load(&path, None, &|_| None).unwrap_or_else(|error| panic!("{}", error.render()));
    Script::of(&scenario, on)
}

/// Its acts: from, until, toxic, in seconds and JSON.
fn told(script: &Script) -> Vec<(u64, u64, Value)> {
    let seconds = |at: Instant| at.as_nanos() / 1_000_000_000;
    let acts = script.acts.iter();
    acts.map(|act| {
        let toxic = serde_json::to_value(&act.toxic).unwrap();
        (seconds(act.from), seconds(act.until), toxic)
    })
    .collect()
}

fn scenario(faults: &[&str]) -> String {
    let mut text = "\
scenario: two
duration: 60s
policies: { paths: { database: {} } }
dependencies:
  one: { servers: 1, service_time: { constant: 1ms } }
  two: { servers: 1, service_time: { constant: 1ms } }
clients:
  all: { count: 1, path: database, calls: one, arrivals: { every: 1s } }
faults:
"
    .to_owned();
    for fault in faults {
        text += &format!("  - {fault}\n");
    }
    text
}

#[test]
fn the_shipped_scenarios_are_scripts() {
    let refuse = |name: &str, kind: &str, stream: &str, attributes: Value| {
        json!({
            "type": kind, "attributes": attributes, "name": name, "stream": stream, "toxicity": 1.0
        })
    };
    assert_eq!(
        told(&script("postgres-blip.yml", None).unwrap()),
        [
            (
                30,
                50,
                refuse("script_0_refuse", "refuse", "downstream", json!({}))
            ),
            (
                30,
                50,
                refuse(
                    "script_0_refuse_standing",
                    "reset_peer",
                    "upstream",
                    json!({ "timeout": 0 })
                )
            ),
        ]
    );
    let error = json!({ "status": 503, "retry_after": 3 });
    assert_eq!(
        told(&script("influxdb-retry-after.yml", None).unwrap()),
        [(
            20,
            45,
            refuse("script_0_error", "http_error", "downstream", error)
        )]
    );
    let throttle = json!({ "rate": 1, "per": 2_000_000, "burst": 10, "retry_after": 2 });
    assert_eq!(
        told(&script("ai-throttle.yml", None).unwrap()),
        [(
            0,
            300,
            refuse("script_0_throttle", "throttle", "downstream", throttle)
        )]
    );
}

#[test]
fn only_the_faults_on_one_dependency_are_played() {
    let text = scenario(&[
        "{ at: 1s, for: 1s, on: one, kind: hang, probability: 0.5 }",
        "{ at: 2s, for: 3s, on: two, kind: slow, factor: 2, add: 1500us, every: 3 }",
        "{ at: 4s, for: 5s, on: two, kind: error, code: '40001', first: 2 }",
    ]);
    let both = vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(script(&text, None), Err(Unplayable::Ambiguous(both.clone())));
    assert_eq!(script(&text, Some("three")), Err(Unplayable::Unknown(both)));
    // With a choice of connections, those that stand are left alone: one toxic.
    let one = script(&text, Some("one")).unwrap();
    assert_eq!(told(&one).len(), 1);
    assert_eq!(told(&one)[0].2["toxicity"], json!(0.5));
    assert!(!one.has_sql_errors());
    let two = script(&text, Some("two")).unwrap();
    assert!(two.has_sql_errors());
    let [slow, error] = &told(&two)[..] else {
        panic!("two acts")
    };
    assert_eq!((slow.0, slow.1), (2, 5));
    assert_eq!(slow.2["attributes"], json!({ "factor": 2.0, "add": 2 }));
    assert_eq!(slow.2["every"], json!(3));
    assert_eq!(
        (&error.2["attributes"]["sqlstate"], &error.2["first"]),
        (&json!("40001"), &json!(2))
    );
}

#[test]
fn what_cannot_be_played_says_so() {
    let faster = scenario(&["{ at: 1s, on: one, kind: slow, factor: 0.5 }"]);
    let refused = script(&faster, None).unwrap_err();
    assert_eq!(
        refused,
        Unplayable::Fault(0, "factor must be 1 to 1000000".to_owned())
    );
    let success = scenario(&["{ at: 1s, on: one, kind: error, code: '00000' }"]);
    assert!(matches!(script(&success, None), Err(Unplayable::Fault(0, _))));
    let nothing = script(&scenario(&[]), None).unwrap();
    assert_eq!(nothing.next_change(Instant::ZERO), None);
}

/// What is about a request leaves the greeting before it alone, each way.
#[test]
fn faults_of_requests_come_after_the_greeting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scenario.yml");
    let faults = [
        "{ at: 1s, for: 1s, on: one, kind: reset }",
        "{ at: 2s, for: 1s, on: one, kind: partial }",
        "{ at: 3s, for: 1s, on: one, kind: refuse }",
    ];
    std::fs::write(&path, scenario(&faults)).unwrap();
    let scenario = load(&path, None, &|_| None).unwrap();
    let acts = |greeting| {
        let script = Script::after(greeting, &scenario, Some("one")).unwrap();
        let acts = told(&script).into_iter();
        acts.map(|(_, _, toxic)| {
            (
                toxic["type"].clone(),
                toxic["stream"].clone(),
                toxic["attributes"].clone(),
            )
        })
        .collect::<Vec<_>>()
    };
    let row = |kind: &str, stream: &str, attributes: Value| (json!(kind), json!(stream), attributes);
    let refused = [
        row("refuse", "downstream", json!({})),
        row("reset_peer", "upstream", json!({ "timeout": 0 })),
    ];
    let greeting = Greeting {
        sent: 41,
        received: 300,
    };
    let [refuse, standing] = refused.clone();
    assert_eq!(
        acts(greeting),
        [
            row("cut", "upstream", json!({ "bytes": 42 })),
            row("cut", "downstream", json!({ "bytes": 301 })),
            refuse,
            standing,
        ]
    );
    let [refuse, standing] = refused;
    assert_eq!(
        acts(Greeting::default()),
        [
            row("reset_peer", "upstream", json!({ "timeout": 0 })),
            row("cut", "downstream", json!({ "bytes": 1 })),
            refuse,
            standing,
        ]
    );
}
