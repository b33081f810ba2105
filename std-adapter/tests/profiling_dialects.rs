//! The forms that other producers and other releases give the same kinds of reports.
//!
//! The files are short, and written after what the tools write; what a tool that was at hand wrote
//! is in `profiling_reports.rs` and `profiling_sources.rs`.

mod profiling_support;

use std::fmt::Write as _;

use profiling_support::{Items, bytes, try_read};

/// Every event of a report in a line, and what was odd.
fn told(items: &Items) -> String {
    let mut out = String::new();
    for event in &items.events {
        write!(out, "\n  {} {}", event.event_type, event.test_id.escape_debug()).unwrap();
        if let Some(step) = &event.step_name {
            write!(out, " / {step}").unwrap();
        }
        if let Some(duration) = event.duration_ms {
            write!(out, ", {duration} ms").unwrap();
        }
        if let Some(at) = event.created_at {
            write!(out, ", {at}").unwrap();
        }
        for name in [
            "status",
            "attempts",
            "flaky",
            "occurrence",
            "error_type",
            "message",
            "line",
            "tags",
            "status_code",
            "bytes",
        ] {
            if let Some(value) = event.metadata.get(name) {
                write!(out, ", {name} {value}").unwrap();
            }
        }
    }
    for warning in &items.warnings {
        write!(out, "\n  {warning}").unwrap();
    }
    out
}

#[test]
fn files_of_other_producers_and_releases() {
    let mut out = String::new();
    for name in [
        "surefire.xml",
        "googletest.xml",
        "catch2.xml",
        "phpunit.xml",
        "go-junit-report.xml",
        "ctest.xml",
        "nunit.xml",
        "attributes-only.xml",
        "robot-3.xml",
        "robot-4.xml",
        "robot-7.xml",
    ] {
        let content = bytes(&format!("dialects/{name}"));
        let (items, _) = try_read(name, &content).unwrap();
        writeln!(out, "{name}{}", told(&items)).unwrap();
        for (form, same) in [
            (
                "CR LF",
                String::from_utf8(content.clone()).unwrap().replace('\n', "\r\n"),
            ),
            (
                "a byte order mark",
                format!("\u{feff}{}", String::from_utf8(content).unwrap()),
            ),
        ] {
            let (other, _) = try_read(name, same.as_bytes()).unwrap();
            let rows = |items: &Items| -> Vec<_> {
                let row = |event: &crossbridge_std::profiling::Event| {
                    (
                        event.test_id.clone(),
                        event.duration_ms,
                        event.created_at,
                        event.status(),
                    )
                };
                items.events.iter().map(row).collect()
            };
            assert_eq!(rows(&items), rows(&other), "{name} with {form}");
        }
    }
    insta::assert_snapshot!(out);
}

/// Values that a producer other than the usual one writes, or the usual one seldom.
#[test]
fn odd_values_do_not_cost_the_report() {
    let mut out = String::new();
    for (what, report) in [
        (
            "pytest-json-report: a function without a line, one without the member",
            r#"{"created": 1795278485.5, "duration": 0.5, "exitcode": 0, "tests": [
{"nodeid": "t.py::a", "lineno": -1, "outcome": "passed", "call": {"duration": 1e-9, "outcome": "passed"}},
{"nodeid": "t.py::b", "lineno": 4.0, "outcome": "passed", "call": {"duration": 86400.000001, "outcome": "passed"}},
{"nodeid": "t.py::c", "outcome": "passed", "call": {"duration": 0, "outcome": "passed"}}]}"#,
        ),
        (
            "mocha: two of one name, one of them skipped; a failure that says nothing; no error at all",
            r#"{"stats": {"tests": 4}, "tests": [
{"title": "a", "fullTitle": "S a", "duration": 3, "err": {}},
{"title": "a", "fullTitle": "S a", "err": {}},
{"title": "b", "fullTitle": "S b", "duration": 1, "currentRetry": 1, "err": {}},
{"title": "c", "fullTitle": "S c", "duration": 2, "err": null}],
"pending": [{"title": "a", "fullTitle": "S a", "err": {}}],
"failures": [{"title": "b", "fullTitle": "S b", "err": {"expected": 1}}],
"passes": []}"#,
        ),
        (
            "mochawesome: no error at all",
            r#"{"stats": {"tests": 1}, "results": [{"file": "a.cy.js", "tests": [
{"title": "a", "fullTitle": "S a", "state": "passed", "duration": 5, "err": null}]}]}"#,
        ),
        (
            "Playwright: merged, `config` not first",
            r#"{"suites": [{"title": "a.spec.ts", "specs": [{"title": "a", "line": 3.0, "tests": [
{"status": "expected", "projectName": "", "results": [{"status": "passed", "duration": 1.25}]}]}]}], "config": {}}"#,
        ),
        (
            "Cypress 12 and 6: attempts with times",
            r#"{"cypressVersion": "12.17.4", "runs": [{"stats": {"startedAt": "2026-11-21T16:00:00.000Z"}, "tests": [
{"title": ["S", "a"], "state": "passed", "attempts": [
{"state": "failed", "duration": 12.5, "startedAt": "2026-11-21T16:00:01.000Z", "error": {"message": "no"}},
{"state": "passed", "duration": 7, "startedAt": "2026-11-21T16:00:02.000Z"}]},
{"title": ["S", "b"], "state": "passed", "attempts": [
{"state": "passed", "wallClockDuration": 9, "wallClockStartedAt": "2026-11-21T16:00:03.000Z"}]}]}]}"#,
        ),
        (
            "Playwright: no value for what is empty",
            r#"{"config": {}, "stats": null, "errors": null, "suites": [{"title": "a.spec.ts", "suites": null, "specs": [
{"title": "a", "tags": null, "tests": [{"status": "skipped", "projectName": null, "results": null}]}]}]}"#,
        ),
        (
            "jest: the same",
            r#"{"numTotalTests": 1, "testResults": [{"name": "a.test.js", "message": null, "assertionResults": [
{"ancestorTitles": null, "title": "a", "status": "passed", "failureMessages": null, "retryReasons": null}]}]}"#,
        ),
        (
            "vitest 0.34: the file as an ancestor; a test without a title",
            r#"{"numTotalTests": 2, "testResults": [{"name": "/w/a.test.ts", "assertionResults": [
{"ancestorTitles": ["", "A"], "title": "a", "status": "passed", "duration": 1.2345678}]},
{"assertionResults": [{"status": "failed", "failureMessages": ["no"]}]}]}"#,
        ),
        (
            "mocha: the same",
            r#"{"stats": null, "tests": [
{"title": "a", "fullTitle": "S a", "duration": 2, "err": {"message": null, "stack": null}}], "pending": null, "failures": null}"#,
        ),
        (
            "Cypress: the same",
            r#"{"cypressVersion": "13.0.0", "runs": [{"spec": null, "stats": null, "tests": [
{"title": ["a"], "state": "passed", "duration": 2, "attempts": null}]}]}"#,
        ),
        (
            "HAR: the same",
            r#"{"log": {"pages": null, "entries": [{"time": null, "request": {"method": "GET", "url": "http://h/a"},
"response": {"status": null, "content": null, "bodySize": null}, "timings": null}]}}"#,
        ),
        (
            "mochawesome: a file without a test",
            r#"{"stats": {"tests": 0}, "results": [false]}"#,
        ),
        (
            "HAR: numbers with a fraction",
            r#"{"log": {"entries": [{"time": 1.5, "request": {"method": "GET", "url": "http://h/a"},
"response": {"status": 404.0, "bodySize": 12.0}}]}}"#,
        ),
        (
            "JSON lines: times without a zone, as of Python's isoformat",
            r#"{"run_id":"r","test_id":"a","event_type":"test_end","created_at":"2026-11-21T16:53:04.123456"}
{"run_id":"r","test_id":"b","event_type":"test_end","created_at":"2026-11-21T16:53:04+01:00"}
{"test_id":"c","event_type":"test_end","created_at":"2026-11-21 16:53:05"}"#,
        ),
    ] {
        let (items, _) = try_read("x", report.as_bytes()).unwrap();
        assert!(items.rejected.is_empty(), "{what}: {:?}", items.rejected);
        writeln!(out, "{what}{}", told(&items)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn json_of_another_kind_over_several_lines_is_no_file_of_lines() {
    let whole = |content: &str| try_read("x.json", content.as_bytes()).map(|(items, _)| items);
    let error = whole("{\n  \"generator\": \"Robot 7.5\",\n  \"suite\": {}\n}\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "x.json: found a JSON object of another kind, over several lines, expected a test report or JSON lines"
    );
    // A line that is cut off does not cost those after it.
    let items = whole("{\n{\"run_id\":\"r\",\"test_id\":\"t\",\"event_type\":\"test_end\"}\n").unwrap();
    assert_eq!((items.events.len(), items.rejected.len()), (1, 1));
}
