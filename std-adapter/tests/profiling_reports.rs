//! Real reports: what a reader says of them against what the tools said of themselves.

mod profiling_support;

use std::fmt::Write as _;

use crossbridge_std::profiling::{Options, Source, source};
use profiling_support::{bytes, read, totals};

#[test]
fn the_totals_are_those_of_the_tools() {
    let mut table = String::new();
    for name in [
        // 11 failed, 45 passed, 2 skipped, 2 xfailed, 1 xpassed, 2 errors, 5 subtests passed, 3 rerun.
        // Two of the failures are subtests: one of a test that failed as well, one of a test that
        // did not, which the file shows as failed. The file shows an error in teardown without the
        // pass before it, and the unexpected pass as a pass: 45 + 1 - 1 - 1 = 44 passed.
        "pytest/pytest-xunit2.xml",
        "pytest/pytest-xunit1-logging.xml",
        "pytest/pytest-xdist.xml",
        "pytest/pytest-all-pass.xml",
        // 2 failed, 8 passed: a crash of a worker is an error in the file.
        "pytest/pytest-worker-crashed.xml",
        "pytest/pytest-keyboard-interrupt.xml",
        "pytest/pytest-no-tests.xml",
        "pytest/pytest-maxfail.xml",
        // 6 failed, 4 passed, 1 rerun.
        "pytest/pytest-selenium-junit.xml",
        // 10 run, 4 failures, 1 ignored; an assumption that did not hold is a skip as well.
        "junit/ant-junit4-AccountTest.xml",
        // 10 successful, 5 failed, 1 aborted, 1 skipped, 1 container failed with its 2 tests.
        "junit/junit5-console-jupiter.xml",
        // 9 passed (1 flaky), 8 failed, 1 timed out.
        "nextest/nextest-ci.xml",
        "nextest/nextest-no-tests.xml",
    ] {
        writeln!(table, "{}", totals(name)).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn attempts_of_one_test_become_one_test_with_retries() {
    let (items, _) = read("pytest/pytest-xunit2.xml");
    let mut told = String::new();
    for event in items
        .events
        .iter()
        .filter(|event| event.test_id.contains("test_flaky"))
    {
        let duration = event.duration_ms.unwrap();
        writeln!(
            told,
            "{} {} {duration} ms {}",
            event.event_type,
            event.test_id,
            serde_json::to_string(&event.metadata).unwrap()
        )
        .unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn repeated_attempts_of_nextest_are_in_the_order_of_time() {
    let (items, _) = read("nextest/nextest-ci.xml");
    let mut told = String::new();
    for event in items.events.iter().filter(|event| {
        ["rapp::tests::flaky", "rapp::tests::fails", "rapp::tests::ok"].contains(&event.test_id.as_str())
    }) {
        let duration = event.duration_ms.unwrap();
        let at = event.created_at.unwrap();
        writeln!(
            told,
            "{} {} {duration} ms {at} {}",
            event.event_type,
            event.test_id,
            serde_json::to_string(&event.metadata).unwrap()
        )
        .unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_test_carries_what_the_file_says_of_it() {
    let (items, summary) = read("pytest/pytest-xunit1-logging.xml");
    let event = items
        .events
        .iter()
        .find(|event| event.test_id == "tests.api.test_api::test_flow")
        .unwrap();
    assert_eq!(event.framework, "pytest");
    assert_eq!(
        event.created_at.unwrap().to_string(),
        "2026-11-21T16:53:49.080951Z"
    );
    assert_eq!(event.duration_ms.unwrap().get(), 16.0);
    assert_eq!(Some(&event.run_id), summary.run_id.as_ref());
    insta::assert_snapshot!(serde_json::to_string_pretty(&event.metadata).unwrap());
}

#[test]
fn the_same_bytes_give_the_same_events_wherever_they_are() {
    let content = bytes("pytest/pytest-xunit2.xml");
    let ids = |source: Source<&[u8]>| -> Vec<String> {
        source
            .filter_map(|item| match item.unwrap() {
                source::Item::Event(event) => Some(event.event_id),
                source::Item::Rejected(_) | source::Item::Warning(_) => None,
            })
            .collect()
    };
    let here = ids(source::open(&content[..], Options::named("a.xml")).unwrap());
    let there = ids(source::open(&content[..], Options::named("b/c.xml")).unwrap());
    assert_eq!(here, there);
    let distinct: std::collections::HashSet<_> = here.iter().collect();
    assert_eq!(distinct.len(), here.len());

    let run = Options {
        run_id: Some("mine".to_owned()),
        ..Options::named("a.xml")
    };
    let other_run = ids(source::open(&content[..], run).unwrap());
    assert!(
        here.iter().zip(&other_run).all(|(one, other)| one != other),
        "the same file in another run is other events"
    );
}

#[test]
fn a_test_is_dated_by_itself_or_by_the_suite_around_it() {
    let report = "<testsuites><testsuite timestamp='Sat, 21 Nov 2026 17:05:31 GMT'><testcase name='a'/>\
                  <testsuite><testcase name='b'/>\
                  <testcase name='c' timestamp='2026-11-21T18:00:00.5+01:00'/></testsuite></testsuite>\
                  <testsuite timestamp='2026-11-21T10:00:00'><testcase name='d'/></testsuite>\
                  <testsuite><testcase name='e'/></testsuite></testsuites>";
    let (items, summary) = profiling_support::try_read("x.xml", report.as_bytes()).unwrap();
    let dates: Vec<_> = items
        .events
        .iter()
        .map(|event| event.created_at.map(|at| at.to_string()))
        .collect();
    let date = |text: &str| Some(text.to_owned());
    assert_eq!(
        dates,
        [
            date("2026-11-21T17:05:31Z"),
            date("2026-11-21T17:05:31Z"),
            date("2026-11-21T17:00:00.5Z"),
            date("2026-11-21T10:00:00Z"),
            None,
        ]
    );
    assert_eq!(
        summary.warnings, 1,
        "the time without a zone: {:?}",
        items.warnings
    );
}

#[test]
fn a_failed_attempt_before_a_pass_is_flaky_and_told_as_failed() {
    let report = "<testsuite name='pytest'><testcase name='t'><failure message='first'/></testcase>\
                  <testcase name='t'/></testsuite>";
    let (items, summary) = profiling_support::try_read("x.xml", report.as_bytes()).unwrap();
    assert_eq!(
        (summary.tests.total(), summary.attempts, summary.flaky),
        (1, 2, 1)
    );
    assert_eq!(items.events[0].metadata["status"], "failed");
    assert_eq!(items.events[0].metadata["message"], "first");
    assert_eq!(items.events[1].metadata["status"], "passed");
}
