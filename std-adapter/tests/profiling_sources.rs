//! Reports other than JUnit XML: what a reader says of them against what the tools said.

mod profiling_support;

use std::fmt::Write as _;

use crossbridge_std::profiling::{EventType, Options, SourceKind, source};
use profiling_support::{Items, bytes, read, totals, try_read};

/// The events of the tests whose id contains `part`, one per line.
fn events(items: &Items, part: &str) -> String {
    let mut told = String::new();
    for event in items.events.iter().filter(|event| event.test_id.contains(part)) {
        write!(told, "{} {}", event.event_type, event.test_id).unwrap();
        if let Some(step) = &event.step_name {
            write!(told, " `{step}`").unwrap();
        }
        match event.duration_ms {
            Some(duration) => write!(told, " {duration} ms").unwrap(),
            None => write!(told, " -").unwrap(),
        }
        if let Some(at) = event.created_at {
            write!(told, " {at}").unwrap();
        }
        writeln!(told, " {}", serde_json::to_string(&event.metadata).unwrap()).unwrap();
    }
    told
}

#[test]
fn the_totals_are_those_of_the_tools() {
    let mut table = String::new();
    for name in [
        // passed 42, failed 9, error 2, rerun 1, xfailed 2, skipped 2, subtests passed 1, xpassed 1:
        // the repeated one and the one of subtests passed.
        "pytest/pytest-json-report.json",
        "pytest/pytest-json-report-xdist.json",
        // pass 1, fail 14, skip 2.
        "robot/shop-output.xml",
        // pass 1, fail 2; pass 2, fail 1; merged pass 1, fail 2.
        "robot/flaky-run1-output.xml",
        "robot/flaky-run2-rerunfailed-output.xml",
        "robot/flaky-merged-output.xml",
        // 8 failed (of which 2 at their time limit), 2 flaky, 3 skipped, 1 did not run, 7 passed (of
        // which 1 failed as expected).
        "playwright/shop.json",
        // Exit code 1, and all totals 0.
        "playwright/syntax-error.json",
        // failed 5, passed 7, pending 1, todo 1; one file that cannot be parsed.
        "jest/jest.json",
        // passed 5, failed 1, pending 1, todo 1.
        "jest/vitest.json",
        // tests 20, 14 passing, 2 pending, 6 failing: one both passed and failed, one is a hook.
        "mocha/mocha-json.json",
        // testsRegistered 22, pending 2, skipped 2, failures 5, other (a hook) 1.
        "mocha/mochawesome.json",
        "mocha/mochawesome-merged.json",
        "mocha/perspec-mochawesome-async.json",
        "mocha/perspec-mochawesome-cart.json",
        "cypress/cypress-run.json",
        // 25 entries, 2 without an answer.
        "har/full.har",
        // 10 commands, one of which failed.
        "selenium/chromedriver.log",
        "selenium/chromedriver-readable.log",
    ] {
        writeln!(table, "{}", totals(name)).unwrap();
    }
    insta::assert_snapshot!(table);
}

/// jest-junit and behave write control characters as they are.
#[test]
fn x1_xml_that_is_not_well_formed_is_read_where_tools_write_it() {
    let mut table = String::new();
    for name in [
        "jest/jest-junit.xml",
        "junit/behave-junit.xml",
        "junit/testng-junitreport-CheckoutTest.xml",
        "junit/testng-junitreport-BrokenSetupTest.xml",
        "jest/vitest-junit.xml",
        "mocha/mocha-junit.xml",
        "playwright/shop-junit.xml",
    ] {
        writeln!(table, "{}", totals(name)).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn x3_pytest_tells_a_rerun_only_where_it_passed() {
    let (items, _) = read("pytest/pytest-json-report.json");
    insta::assert_snapshot!(events(&items, "test_flaky"));
}

#[test]
fn stages_of_a_pytest_test_are_events_of_their_own() {
    let (items, _) = read("pytest/pytest-json-report.json");
    insta::assert_snapshot!(events(&items, "_error"));
}

/// mocha's xunit counts differ from its elements: the elements count.
#[test]
fn x4_the_elements_of_mochas_xunit_count() {
    insta::assert_snapshot!(totals("mocha/mocha-xunit.xml"));
}

#[test]
fn x5_a_suite_teardown_that_failed_fails_every_test_of_the_suite() {
    let (items, summary) = read("robot/shop-output.xml");
    assert_eq!(summary.tests.total(), 17);
    let ends = items
        .events
        .iter()
        .filter(|event| event.event_type == EventType::TestEnd);
    let by_teardown = ends.filter(|event| event.metadata.contains_key("teardown"));
    assert_eq!(by_teardown.count(), 12, "of 14, two were skipped");
    insta::assert_snapshot!(events(&items, "Add Items"));
}

#[test]
fn x5_a_merge_shows_the_attempts_and_keeps_tests_of_one_name_apart() {
    let (items, _) = read("robot/flaky-merged-output.xml");
    insta::assert_snapshot!(events(&items, "Flaky::"));
}

#[test]
fn x6_a_playwright_report_of_zeros_says_what_broke() {
    let (items, summary) = read("playwright/syntax-error.json");
    assert_eq!((summary.events, summary.warnings), (0, 2));
    let told: Vec<_> = items
        .warnings
        .iter()
        .map(|warning| warning.text.as_str())
        .collect();
    assert!(told[0].contains("broken.main.spec.js:1: SyntaxError"), "{told:?}");
    assert_eq!(told[1], "the report has no test in it");
}

#[test]
fn playwright_gives_every_attempt_and_every_step() {
    let (items, _) = read("playwright/shop.json");
    let told =
        ["flaky passes", "search", "serial > one", "passes [", "times out"].map(|part| events(&items, part));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn x8_output_before_the_json_is_passed_over() {
    let plain = bytes("mocha/mocha-json.json");
    let mut noisy = b"connected to db\n{ port: 5432 }\n".to_vec();
    noisy.extend_from_slice(&plain);
    let (items, summary) = try_read("noisy.json", &noisy).unwrap();
    let (_, quiet) = read("mocha/mocha-json.json");
    assert_eq!((summary.kind, summary.tests), (SourceKind::Mocha, quiet.tests));
    assert_eq!(
        items.warnings[0].to_string(),
        "1:1: 31 bytes of other output before the report; passed over"
    );
}

#[test]
fn x10_attempts_of_jest_and_vitest() {
    let (jest, _) = read("jest/jest.json");
    let (vitest, _) = read("jest/vitest.json");
    insta::assert_snapshot!(events(&jest, "third time") + &events(&vitest, "retried"));
}

#[test]
fn hooks_of_mocha_that_fail_are_events_and_no_tests() {
    let (json, _) = read("mocha/mocha-json.json");
    let (awesome, _) = read("mocha/mochawesome.json");
    insta::assert_snapshot!(events(&json, "hook") + &events(&awesome, "hook"));
}

#[test]
fn a_cypress_test_has_its_attempts() {
    let (items, _) = read("cypress/cypress-run.json");
    insta::assert_snapshot!(events(&items, "cart.cy.js"));
}

#[test]
fn calls_of_an_archive_carry_no_secret() {
    let (items, _) = read("har/full.har");
    let told = events(&items, "");
    assert!(!told.contains("q=") && !told.contains("cake"), "{told}");
    let of_interest = ["page_load", "abort", "/missing", "/500", "/redir", "POST"];
    let lines: Vec<_> = told
        .lines()
        .filter(|line| of_interest.iter().any(|word| line.contains(word)))
        .take(8)
        .collect();
    insta::assert_snapshot!(lines.join("\n"));

    let archive = r#"{"log":{"entries":[{"request":{"method":"GET","url":"https://ann:hunter2@h.example/login;sid=hunter2?token=hunter2#hunter2"},"response":{"status":200}}],"pages":[{"id":"p","title":"https://h.example/?key=hunter2"}]}}"#;
    let (items, _) = try_read("x.har", archive.as_bytes()).unwrap();
    let told = format!("{items:?}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(items.events[0].metadata["endpoint"], "/login");
}

#[test]
fn commands_of_a_session_are_as_long_as_their_response_took() {
    let (items, _) = read("selenium/chromedriver.log");
    let told = events(&items, "");
    assert!(!told.contains("hunter2"), "what was typed is not kept: {told}");
    insta::assert_snapshot!(told);
}

#[test]
fn the_same_report_twice_is_the_same_events() {
    for name in [
        "pytest/pytest-json-report.json",
        "robot/shop-output.xml",
        "playwright/shop.json",
        "jest/jest.json",
        "mocha/mochawesome.json",
        "har/full.har",
        "selenium/chromedriver.log",
    ] {
        let (once, _) = read(name);
        let (again, _) = try_read("elsewhere", &bytes(name)).unwrap();
        assert_eq!(once.events, again.events, "{name}");
        let distinct: std::collections::HashSet<_> =
            once.events.iter().map(|event| &event.event_id).collect();
        assert_eq!(distinct.len(), once.events.len(), "{name}");
    }
}

#[test]
fn a_kind_that_is_asked_for_is_not_guessed() {
    let asked = |kind, content: &[u8]| {
        let options = Options {
            kind,
            ..Options::named("x")
        };
        source::open(content, options)
            .and_then(|mut source| source.find_map(Result::err).map_or(Ok(()), Err))
            .map_or_else(|error| error.to_string(), |()| "read".to_owned())
    };
    let shop = bytes("playwright/shop.json");
    assert_eq!(asked(SourceKind::Playwright, &shop), "read");
    assert_eq!(
        asked(SourceKind::Jest, &shop),
        "x:1:1: found JSON without `testResults`, expected a test report or JSON lines"
    );
    assert_eq!(
        asked(SourceKind::Har, b"\n <robot/>"),
        "x:2:2: expected value; 0 complete tests before it, none of them taken over"
    );
    assert_eq!(
        asked(SourceKind::Selenium, br#"{"event_type":"test_end"}"#),
        "x:1:1: found no line that begins with a time and a level, expected a log of chromedriver"
    );
    assert_eq!(
        asked(SourceKind::Selenium, b"Starting ChromeDriver 131.0\nOnly local\n"),
        "read"
    );
    for kind in SourceKind::ALL {
        assert_eq!(asked(kind, b" "), "x: empty: nothing but white space");
    }
}
