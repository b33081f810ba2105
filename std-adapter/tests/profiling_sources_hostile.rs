//! Broken and malicious reports other than JUnit XML: an error with a place, and never a part that
//! looks whole.

mod profiling_support;

use std::fmt::Write as _;

use profiling_support::{bytes, totals_of, try_read};

const WHOLE: [&str; 10] = [
    "pytest/pytest-json-report.json",
    "robot/shop-output.xml",
    "playwright/shop.json",
    "playwright/syntax-error.json",
    "jest/jest.json",
    "jest/vitest.json",
    "mocha/mocha-json.json",
    "mocha/mochawesome.json",
    "cypress/cypress-run.json",
    "har/full.har",
];

#[test]
fn a_report_cut_anywhere_is_never_a_shorter_report() {
    for name in WHOLE {
        let whole = bytes(name);
        let end = whole.trim_ascii_end().len();
        for cut in (0..end).step_by(end / 11 + 1).chain([end - 2]) {
            let read = try_read("cut", &whole[..cut]);
            // Too short to show what it is: a line that is no event.
            let lines = |read: &profiling_support::Items| read.events.is_empty() && !read.rejected.is_empty();
            assert!(
                read.as_ref().is_err() || read.as_ref().is_ok_and(|(items, _)| lines(items)),
                "{name} cut at {cut}"
            );
        }
        let error = try_read("cut", &whole[..end - 1]).unwrap_err();
        assert!(error.complete_tests.is_some() && error.at.is_some(), "{error}");
    }
}

#[test]
fn no_single_byte_makes_one_panic_or_grow() {
    for name in WHOLE {
        let whole = bytes(name);
        let (items, _) = try_read(name, &whole).unwrap();
        for place in (0..whole.len()).step_by(whole.len() / 8 + 1) {
            for byte in [0, b'"', b']', b'<', 0xff] {
                let mut broken = whole.clone();
                broken[place] = byte;
                // One more where a name is no longer that of a test: mocha lists failures apart.
                if let Ok((read, _)) = try_read("broken", &broken) {
                    assert!(
                        read.events.len() <= items.events.len() + 1,
                        "{name}: byte {byte} at {place}"
                    );
                }
            }
        }
    }
}

#[test]
fn odd_documents_end_in_words() {
    let jest = |test: &str| format!("{{\"testResults\":[{{\"name\":\"a\",\"assertionResults\":[{test}]}}]}}");
    let table = [
        // Nested: what is passed over may be as deep as it likes, what is read may not.
        format!("{{\"config\":{}1{},\"suites\":[]}}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("{{\"config\":{{}},\"suites\":{}", "[{\"suites\":".repeat(20_000)),
        format!("{{\"stats\":{{}},\"results\":{}", "[{\"suites\":".repeat(20_000)),
        format!("<robot><suite name='a'>{}", "<suite name='b'>".repeat(2_000)),
        format!("<robot><suite name='a'><test name='t'>{}", "<kw>".repeat(2_000)),
        // Numbers.
        jest(r#"{"title":"t","status":"passed","duration":NaN}"#),
        jest(r#"{"title":"t","status":"passed","duration":1e400}"#),
        jest(r#"{"title":"t","status":"passed","duration":1e13}"#),
        jest(r#"{"title":"t","status":"passed","duration":-5}"#),
        jest(r#"{"title":"t","status":"passed","duration":"5"}"#),
        jest(r#"{"title":"t","status":"passed","invocations":18446744073709551616}"#),
        jest(r#"{"title":"t","status":"passed","invocations":18446744073709551615}"#),
        jest(r#"{"title":"t","status":"passed","startAt":1e300}"#),
        r#"{"exitcode":0,"created":1e300,"tests":[{"nodeid":"t","outcome":"passed","call":{"duration":-1e-3}}]}"#.to_owned(),
        // Words nobody knows.
        jest(r#"{"title":"t","status":"exploded"}"#),
        r#"{"config":{},"suites":[{"title":"f","specs":[{"title":"t","tests":[{"status":"odd"}]}]}]}"#.to_owned(),
        "<robot><suite name='s'><test name='t'><status status='ODD' elapsed='x'/></test></suite></robot>".to_owned(),
        // Twice.
        r#"{"testResults":[],"testResults":[]}"#.to_owned(),
        r#"{"testResults":[{"name":"a","name":"b"}]}"#.to_owned(),
        r#"{"testResults":[]}{"testResults":[]}"#.to_owned(),
        "<robot></robot><robot></robot>".to_owned(),
        // Something else.
        r#"{"testResults":{}}"#.to_owned(),
        r#"{"log":[]}"#.to_owned(),
        r#"{"log":{"version":"1.2"}}"#.to_owned(),
        r#"{"exitcode":5,"summary":{"total":0}}"#.to_owned(),
        r#"{"exitcode":2,"collectors":[{"nodeid":"a.py","outcome":"failed","longrepr":"SyntaxError: x"}],"tests":[]}"#.to_owned(),
        "<!DOCTYPE robot [<!ENTITY a 'b'>]><robot>&a;</robot>".to_owned(),
        "<robot><suite name='s'><test name='&a;'/></suite></robot>".to_owned(),
        "<robot>text &#0; <suite name='s&#27;'><test name='t\u{1}'><status status='PASS'/></test></suite></robot>".to_owned(),
        "[1795309557.1][INFO]: [s] COMMAND Navigate {\n[1795309557.2][INFO]: [s] RESPONSE Click\n[1795309557.3][INFO]: [t] RESPONSE Quit".to_owned(),
        "[1795309557.1][INFO]: nothing of interest".to_owned(),
        "[9e99][INFO]: [s] COMMAND Quit {\n".to_owned(),
    ];
    let mut told = String::new();
    for document in &table {
        let start: String = document.chars().take(70).collect();
        let start = start.replace('\n', "\u{2424}");
        let outcome = match try_read("x", document.as_bytes()) {
            Ok((items, summary)) => totals_of("x", &items, &summary),
            Err(error) => error.to_string(),
        };
        writeln!(told, "{start}\n  {outcome}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn texts_that_are_no_unicode() {
    let with = |title: &[u8]| {
        let mut json = br#"{"testResults":[{"assertionResults":[{"status":"passed","title":""#.to_vec();
        json.extend_from_slice(title);
        json.extend_from_slice(br#""}]}]}"#);
        try_read("x", &json).map_or_else(
            |error| error.to_string(),
            |(items, _)| items.events[0].test_id.clone(),
        )
    };
    assert_eq!(with(br"half \ud83d"), "half \u{fffd}");
    assert_eq!(with(br"nul \u0000"), r"nul \x00");
    assert_eq!(with("größe 日本".as_bytes()), "größe 日本");
    assert_eq!(
        with(b"caf\xe9"),
        "x:1:70: found a text that is not UTF-8; 0 complete tests before it, none of them taken over"
    );
}

/// The title of a suite is put in front of every test in it, once per depth.
#[test]
fn many_suites_in_each_other_are_no_trouble() {
    let depth = 50;
    let mut json = String::from(r#"{"config":{},"suites":"#);
    for _ in 0..depth {
        json.push_str(r#"[{"title":"s","suites":"#);
    }
    json.push_str(r#"[{"title":"last","specs":["#);
    for test in 0..2_000 {
        write!(
            json,
            r#"{{"title":"t{test}","tests":[{{"status":"expected","results":[]}}]}},"#
        )
        .unwrap();
    }
    json.pop();
    json.push_str("]}]");
    json.push_str(&"}]".repeat(depth));
    json.push('}');
    let (items, _) = try_read("x", json.as_bytes()).unwrap();
    assert_eq!(items.events.len(), 2_000);
    assert!(items.events[0].test_id.ends_with("s > s > last > t0"));
}
