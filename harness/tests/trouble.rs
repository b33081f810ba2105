//! Every kind of fault, each in a scenario so small that what it does can be counted.

#[path = "support/scenario.rs"]
mod scenario;

use std::fs;

use crossbridge_harness::result::ReplayResult;
use scenario::{load_file, replay, run, with};

/// A call a second from the first second on, answered after 10 ms; nothing is retried.
const QUIET: &str = "\
scenario: quiet
duration: 20s
policies:
  retry: { policies: { once: { max_attempts: 1 } } }
  paths: { p: { retry: once, attempt_timeout: 500ms } }
dependencies:
  db: { servers: 1, service_time: { constant: 10ms } }
clients:
  c: { count: 1, path: p, calls: db, arrivals: { every: 1s }, idempotent: true }
faults: []
expect: []
";

fn quiet(fault: &str) -> ReplayResult {
    replay(&with(QUIET, "faults: []", &format!("faults:\n  - {fault}")))
}

/// Seconds whose call did not succeed.
fn lost(result: &ReplayResult) -> Vec<usize> {
    let seconds = result.series.offered.iter().zip(&result.series.succeeded);
    seconds
        .enumerate()
        .filter_map(|(second, (offered, succeeded))| (offered != succeeded).then_some(second))
        .collect()
}

/// Which calls are lost, requests served, of these in vain, and the fault the guard saw.
#[test]
fn what_each_kind_does_to_a_request() {
    let served = |result: &ReplayResult| {
        let db = result.dependencies["db"];
        (db.received, db.served, db.wasted)
    };
    for (kind, seen) in [
        ("kind: refuse", (20, 17, 0)),
        ("kind: reset", (20, 17, 0)),
        ("kind: hang", (20, 17, 0)),
        ("kind: error, code: 500", (20, 20, 0)),
        // The caller was told that it does not know; the work was done all the same.
        ("kind: partial", (20, 20, 0)),
        ("kind: corrupt", (20, 20, 0)),
        ("kind: drop_answer", (20, 20, 3)),
        ("kind: capacity, servers: 0", (20, 20, 3)),
        ("kind: crash_restart", (20, 17, 0)),
        ("kind: partition", (17, 17, 0)),
        ("kind: partition, buffer: true", (20, 20, 3)),
    ] {
        // At full seconds a call begins: at 5, 6 and 7 s, and at 7.9 s none.
        let result = quiet(&format!("{{ at: 4500ms, for: 3400ms, on: db, {kind} }}"));
        assert_eq!(lost(&result), [5, 6, 7], "{kind}");
        assert_eq!(served(&result), seen, "{kind}");
    }
}

/// What is under way when the fault begins.
#[test]
fn a_crash_and_a_partition_meet_what_is_under_way() {
    for (kind, wasted) in [("crash_restart", 0), ("partition", 1)] {
        let result = quiet(&format!("{{ at: 5005ms, for: 10ms, on: db, kind: {kind} }}"));
        assert_eq!(lost(&result), [5], "{kind}");
        assert_eq!(result.dependencies["db"].wasted, wasted, "{kind}");
    }
    // Held for 10 ms, the answer still comes in time.
    let result = quiet("{ at: 5005ms, for: 10ms, on: db, kind: partition, buffer: true }");
    assert_eq!((lost(&result), result.calls.succeeded), (vec![], 20));
    assert_eq!(result.latency_ms.map(|latency| latency.max), Some(15.0));
}

#[test]
fn first_every_and_repeat_pick_requests() {
    for (fault, seconds) in [
        ("{ at: 3s, on: db, kind: refuse, first: 2 }", vec![3, 4]),
        ("{ at: 3s, for: 9s, on: db, kind: refuse, every: 4 }", vec![6, 10]),
        (
            "{ at: 3s, for: 2s, on: db, kind: refuse, repeat: { every: 5s } }",
            vec![3, 4, 8, 9, 13, 14, 18, 19],
        ),
        (
            "{ at: 3s, for: 2s, on: db, kind: refuse, repeat: { every: 5s, times: 2 } }",
            vec![3, 4, 8, 9],
        ),
        // Each round counts anew.
        (
            "{ at: 3s, for: 3s, on: db, kind: hang, first: 1, repeat: { every: 6s, times: 2 } }",
            vec![3, 9],
        ),
    ] {
        assert_eq!(lost(&quiet(fault)), seconds, "{fault}");
    }
}

#[test]
fn a_ramp_grows_to_full_strength() {
    // 0, 50, 100, 150 and from then on 200 ms on top.
    let slow = quiet("{ at: 4s, on: db, kind: slow, add: 200ms, ramp: 4s }");
    let latency = slow.latency_ms.expect("they succeeded");
    // 4 calls before it, then one at each step and 12 at the end.
    let wanted = (20.0 * 10.0 + 50.0 + 100.0 + 150.0 + 12.0 * 200.0) / 20.0;
    assert!((latency.mean - wanted).abs() < 0.001, "{latency:?}");

    let busy = with(QUIET, "every: 1s", "poisson: 100/s");
    let busy = with(&busy, "servers: 1", "servers: 100");
    let errors = with(
        &busy,
        "faults: []",
        "faults:\n  - { at: 0s, for: 20s, on: db, kind: error, code: 500, ramp: 20s }",
    );
    // Half of them on the average, ever more.
    let result = replay(&errors);
    let goodput = result.goodput.expect("calls were made");
    assert!((goodput - 0.5).abs() < 0.05, "{goodput}");
    assert!(lost(&result).len() > 15);
    let first = result.series.succeeded[0] as f64 / result.series.offered[0] as f64;
    assert!(first > 0.9, "{first}");
}

/// A fault more does not shift what the others draw, nor does a repetition.
#[test]
fn faults_draw_apart_from_each_other() {
    let busy = with(QUIET, "every: 1s", "poisson: 20/s");
    let errors = "{ at: 5s, for: 5s, on: db, kind: error, code: 500, probability: 0.5 }";
    let alone = replay(&with(&busy, "faults: []", &format!("faults:\n  - {errors}")));
    let more = [
        format!("{errors}\n  - {{ at: 15s, on: db, kind: slow, add: 1ms, probability: 0.5 }}"),
        errors.replace(" }", ", repeat: { every: 10s } }"),
        format!("{errors}\n  - {{ at: 15s, on: c, kind: burst, calls: 3 }}"),
    ];
    for faults in more {
        let result = replay(&with(&busy, "faults: []", &format!("faults:\n  - {faults}")));
        assert_eq!(
            result.series.succeeded[..15],
            alone.series.succeeded[..15],
            "{faults}"
        );
        assert_ne!(result.trace_sha256, alone.trace_sha256, "{faults}");
    }
}

/// A cache that is empty after a restart makes a load too much that was not before: 0.8 times as much
/// as the server can do, and three times as much while it is cold.
#[test]
fn a_cold_cache_warms_by_work() {
    let cold = |cold: &str| {
        let text = with(QUIET, "every: 1s", "every: 100ms");
        let text = with(&text, "duration: 20s", "duration: 60s");
        let text = with(&text, "constant: 10ms }", &format!("constant: 80ms }}{cold}"));
        with(
            &text,
            "faults: []",
            "faults:\n  - { at: 5050ms, for: 10ms, on: db, kind: crash_restart }",
        )
    };
    let warm = replay(&cold(""));
    assert_eq!(lost(&warm), [5], "only the call that was under way");
    let result = replay(&cold(", cold: { factor: 3, requests: 40 }"));
    assert!(lost(&result).len() > 2, "{:?}", lost(&result));
    let longest = result.latency_ms.expect("they succeeded").max;
    assert!(longest > 240.0, "{longest}");
    // After 40 requests it is as before.
    let end = result.series.succeeded.len();
    assert_eq!(result.series.succeeded[end - 3..end - 1], [10, 10]);
}

/// A service that crashes takes its own calls with it, and works again afterwards.
#[test]
fn a_service_restarts_with_empty_hands() {
    let text = with(
        QUIET,
        "clients:",
        "services:\n  api: { servers: 2, service_time: { constant: 1ms }, path: p, calls: db }\nclients:",
    );
    let text = with(
        &text,
        "c: { count: 1, path: p, calls: db",
        "c: { count: 1, path: p, calls: api",
    );
    let text = with(
        &text,
        "faults: []",
        "faults:\n  - { at: 5005ms, for: 1500ms, on: api, kind: crash_restart }",
    );
    let result = replay(&text);
    assert_eq!(lost(&result), [5, 6]);
    let (api, db) = (result.dependencies["api"], result.dependencies["db"]);
    // Of the call at 5 s only the database heard to the end, and nobody waited for that.
    assert_eq!((api.received, api.served), (20, 18));
    assert_eq!((db.received, db.served, db.wasted), (19, 19, 1));
}

#[test]
fn clients_burst_and_restart() {
    let result = quiet("{ at: 5s, on: c, kind: burst, calls: 4 }");
    assert_eq!((result.calls.offered, result.series.offered[5]), (24, 5));
    let result = quiet("{ at: 5s, for: 4s, on: c, kind: burst, calls: 4 }");
    assert_eq!(result.series.offered[4..10], [1, 2, 2, 2, 2, 1]);
    // The call under way is lost, and two that would have been made are not.
    let result = quiet("{ at: 5005ms, for: 2s, on: c, kind: restart }");
    assert_eq!((result.calls.offered, lost(&result)), (18, vec![5]));
    assert_eq!(result.series.offered[5..9], [1, 0, 0, 1]);
    assert_eq!(result.dependencies["db"].wasted, 1);
}

/// A client that calls one at a time goes on after its restart, once and not twice.
#[test]
fn a_closed_loop_survives_a_restart() {
    let closed = with(QUIET, "{ every: 1s }", "{ closed: { think: 990ms } }");
    for fault in [
        "{ at: 5495ms, for: 2s, on: c, kind: restart }",
        "{ at: 6005ms, for: 10ms, on: c, kind: restart }",
        "{ at: 6005ms, on: c, kind: restart }",
    ] {
        let result = replay(&with(&closed, "faults: []", &format!("faults:\n  - {fault}")));
        let second_half = result.series.offered[10..20].iter().sum::<u64>();
        assert!(
            (9..=10).contains(&second_half),
            "{fault}: {:?}",
            result.series.offered
        );
    }
}

/// With its memory a client still knows that the database is down, and asks it less.
#[test]
fn a_snapshot_keeps_the_circuit_open() {
    let text = with(QUIET, "retry: once,", "retry: once, breaker: b,");
    let text = with(
        &text,
        "  paths:",
        "  circuit_breakers: { b: { failure_rate: 0.5, min_calls: 10, open_wait: 30s } }\n  paths:",
    );
    let text = with(&text, "every: 1s", "every: 100ms");
    let restart = |snapshot: &str| {
        let faults = format!(
            "faults:\n  - {{ at: 5s, on: db, kind: refuse }}\n  - {{ at: 10050ms, on: c, kind: restart{snapshot} }}"
        );
        replay(&with(&text, "faults: []", &faults))
    };
    let (with_memory, without) = (restart(", snapshot: true"), restart(""));
    assert_eq!(with_memory.breaker.opened, 1);
    assert_eq!(without.breaker.opened, 2);
    assert_eq!(without.breaker.most_open, 1);
    let tries = |result: &ReplayResult| result.dependencies["db"].received - 50;
    assert!(
        tries(&without) > tries(&with_memory),
        "{} and {}",
        tries(&without),
        tries(&with_memory)
    );
}

/// What a wrong clock may do to a limiter of one call a second.
#[test]
fn clocks_that_are_wrong_bend_a_rate_limit_no_further_than_they_must() {
    let text = with(
        QUIET,
        "retry: once,",
        "retry: once, rate_limit: r, on_limit: refuse,",
    );
    let text = with(
        &text,
        "  paths:",
        "  rate_limiting: { defaults: { r: { capacity: 1, window_seconds: 1 } } }\n  paths:",
    );
    let text = with(&text, "every: 1s", "every: 100ms");
    let admitted = |fault: &str| {
        let result = replay(&with(&text, "faults: []", &format!("faults: [{fault}]")));
        let all: u64 = result.series.offered.iter().sum();
        assert_eq!(all, 200);
        // Nothing is counted in another second than it happened in.
        assert!(
            result
                .series
                .offered
                .iter()
                .zip(&result.series.succeeded)
                .all(|(o, s)| s <= o)
        );
        result.attempts.first
    };
    assert_eq!(admitted(""), 20);
    // A step ahead is a permit early, and back again no permit for the step.
    assert_eq!(
        admitted("{ at: 5550ms, on: c, kind: clock_step, forward: 1h }"),
        21
    );
    let stepped_back = admitted("{ at: 5550ms, on: c, kind: clock_step, back: 5s }");
    assert!((19..=21).contains(&stepped_back), "{stepped_back}");
    // Twice as fast for ten seconds: ten permits more.
    assert_eq!(
        admitted("{ at: 5050ms, for: 10s, on: c, kind: clock_drift, factor: 2 }"),
        30
    );
    assert_eq!(
        admitted("{ at: 5050ms, for: 10s, on: c, kind: clock_drift, factor: 0.5 }"),
        15
    );
    // Standing still, no permit comes; afterwards all the time has passed at once.
    assert_eq!(
        admitted("{ at: 5050ms, for: 10s, on: c, kind: clock_freeze }"),
        11
    );
}

/// Retries wait by timers: a clock that stands still delays them, and they come.
#[test]
fn calls_end_whatever_the_clock_does() {
    let text = with(
        QUIET,
        "max_attempts: 1",
        "max_attempts: 3, base_delay: 100ms, max_delay: 1s, jitter: none",
    );
    for clock in [
        "clock_freeze",
        "clock_step, back: 1h",
        "clock_step, forward: 1h",
        "clock_drift, factor: 0.1",
        "clock_drift, factor: 10",
    ] {
        let faults = format!(
            "faults:\n  - {{ at: 4s, for: 3s, on: db, kind: refuse }}\n  - {{ at: 4050ms, for: 5s, on: c, kind: {clock} }}"
        );
        let result = replay(&with(&text, "faults: []", &faults));
        assert_eq!(result.calls.in_flight, 0, "{clock}");
        assert!(result.attempts.retries >= 3, "{clock}: {:?}", result.attempts);
        assert!(result.calls.succeeded >= 14, "{clock}: {:?}", result.calls);
    }
}

#[test]
fn the_newest_first_and_the_expired_never() {
    // 50 calls at once against one server of 20 ms and a patience of 500 ms.
    let text = with(QUIET, "{ every: 1s }", "{ burst: { size: 50, at: 1s } }");
    let text = with(&text, "constant: 10ms", "constant: 20ms");
    let seen = |keys: &str| {
        let result = replay(&with(&text, "db: {", &format!("db: {{ {keys}")));
        let db = result.dependencies["db"];
        (result.calls.succeeded, db.served, db.wasted)
    };
    // An answer at the very instant of the timeout is too late, for the timeout was set first.
    assert_eq!(seen(""), (24, 50, 26));
    assert_eq!(seen("discipline: lifo,"), (24, 50, 26));
    assert_eq!(seen("abandoned: drop,"), (24, 25, 1));
    assert_eq!(seen("shed: expired,"), (24, 25, 1));
    assert_eq!(seen("shed: { cannot_finish_within: 21ms },"), (24, 24, 0));
    assert_eq!(seen("queue: 9,"), (10, 10, 0));
}

#[test]
fn latency_is_there_and_back() {
    let text = with(QUIET, "servers: 1,", "servers: 1, latency: { constant: 30ms },");
    let latency = replay(&text).latency_ms.expect("they succeeded");
    assert_eq!((latency.mean, latency.max), (70.0, 70.0));
    // An attempt that times out on its way is served all the same, in vain.
    let late = with(&text, "attempt_timeout: 500ms", "attempt_timeout: 20ms");
    let result = replay(&late);
    let db = result.dependencies["db"];
    assert_eq!((result.calls.succeeded, db.received, db.wasted), (0, 20, 20));
}

#[test]
fn trace_files_say_when_and_how_long() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    let text = with(QUIET, "{ every: 1s }", "{ trace: calls.txt }");
    let text = with(&text, "{ constant: 10ms }", "{ trace: spans.txt }");
    write("calls.txt", "# when\n0.5\n700ms\n\n3s # and\n4s\n4s\n1h\n");
    write("spans.txt", "20ms\n20ms\n");
    write("scenario.yml", &with(&text, "count: 1", "count: 2"));
    let scenario = load_file(&folder.path().join("scenario.yml"));
    let result = run(&scenario, 1);
    // The last is after the end of the run.
    assert_eq!(result.series.offered[..6], [2, 0, 0, 1, 2, 0]);
    assert_eq!(
        result.latency_ms.map(|latency| latency.max),
        Some(40.0),
        "two at 4 s, one server"
    );
}

/// Everything at once, twice: to the byte.
#[test]
fn every_kind_together_is_the_same_twice() {
    let mut faults = String::from("faults:\n");
    for (index, kind) in [
        "on: db, kind: refuse, probability: 0.3",
        "on: db, kind: reset, probability: 0.3",
        "on: db, kind: hang, every: 3",
        "on: db, kind: slow, factor: 5, ramp: 1s",
        "on: db, kind: error, code: 503, probability: 0.5",
        "on: db, kind: throttle, rate: 5/s",
        "on: db, kind: drop_answer, first: 3",
        "on: db, kind: partial, probability: 0.5",
        "on: db, kind: corrupt, probability: 0.5",
        "on: db, kind: capacity, servers: 1, ramp: 1s",
        "on: db, kind: crash_restart",
        "on: db, kind: partition, buffer: true",
        "on: c, kind: burst, calls: 5",
        "on: c, kind: restart",
        "on: c, kind: clock_step, back: 1s",
        "on: c, kind: clock_drift, factor: 1.5",
        "on: c, kind: clock_freeze",
    ]
    .iter()
    .enumerate()
    {
        let at = 500 * (index + 1);
        faults += &format!("  - {{ at: {at}ms, for: 1500ms, {kind}, repeat: {{ every: 6s, times: 2 }} }}\n");
    }
    let text = with(QUIET, "faults: []\n", &faults);
    let text = with(
        &text,
        "max_attempts: 1",
        "max_attempts: 3, base_delay: 50ms, max_delay: 1s",
    );
    let text = with(&text, "count: 1", "count: 10");
    let text = with(&text, "{ every: 1s }", "{ poisson: 5/s }");
    let text = with(
        &text,
        "servers: 1,",
        "servers: 3, queue: 20, latency: { exponential: 5ms }, cold: { factor: 4, requests: 50 },",
    );
    let (one, two) = (replay(&text), replay(&text));
    assert_eq!(serde_json::to_string(&one).ok(), serde_json::to_string(&two).ok());
    let (calls, refused) = (one.calls, one.calls.refused);
    let all_refused =
        refused.rate_limit + refused.breaker + refused.bulkhead + refused.budget + refused.deadline;
    assert_eq!(
        calls.offered,
        calls.succeeded + calls.failed + all_refused + calls.in_flight
    );
    assert_eq!(one.series.succeeded.iter().sum::<u64>(), calls.succeeded);
    // Pinned: the same on every machine.
    insta::assert_snapshot!(format!(
        "{} calls, {} attempts, {}",
        calls.offered, one.attempts.total, one.trace_sha256
    ));
}
