//! Broken and malicious files: the right data, or an error that names the place and the reason.

mod profiling_support;

use std::fmt::Write as _;

use profiling_support::{bytes, read, try_read};

/// What becomes of a file, in a few lines.
fn outcome(name: &str, content: &[u8]) -> String {
    match try_read(name, content) {
        Ok((items, summary)) => {
            let mut out = format!(
                "{name}: {} events, {} tests, {} rejected, {} warnings, {:.3} s",
                summary.events,
                summary.tests.total(),
                summary.rejected,
                summary.warnings,
                summary.duration_ms / 1e3
            );
            for rejected in items.rejected.iter().take(5) {
                write!(out, "\n    rejected {rejected}").unwrap();
            }
            for warning in items.warnings.iter().take(6) {
                write!(out, "\n    {warning}").unwrap();
            }
            out
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_hostile_file_has_an_answer() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/profiling/hostile");
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut told = String::new();
    for name in names {
        let name = format!("hostile/{name}");
        writeln!(told, "{}", outcome(&name, &bytes(&name))).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_mark_at_the_start_and_raw_control_characters_change_no_total() {
    let (_, plain) = read("pytest/pytest-xunit2.xml");
    for name in [
        "hostile/utf8-bom-junit.xml",
        "hostile/control-chars-raw-junit.xml",
        "hostile/namespaced-junit.xml",
    ] {
        let (_, summary) = read(name);
        assert_eq!(summary.tests, plain.tests, "{name}");
        assert_eq!(summary.duration_ms, plain.duration_ms, "{name}");
    }
    let (items, _) = read("hostile/control-chars-raw-junit.xml");
    let message = items
        .events
        .iter()
        .find_map(|event| event.metadata.get("message"))
        .unwrap();
    assert_eq!(message, r"Assert\x00\x08\x1bionError: assert None == {'n': 1}");
}

#[test]
fn a_report_cut_anywhere_is_never_a_shorter_report() {
    let whole = bytes("pytest/pytest-xunit2.xml");
    let end = whole.len();
    for cut in (0..end).step_by(97).chain(end - 30..end) {
        let part = &whole[..cut];
        let read = try_read("cut.xml", part);
        assert!(read.is_err(), "cut at {cut}: {read:?}");
    }
}

#[test]
fn no_single_byte_makes_it_panic_or_double_the_tests() {
    let whole = bytes("pytest/pytest-maxfail.xml");
    for place in 0..whole.len() {
        for byte in [0, b'<', b'>', b'&', b'"', b'/', b'!', 0xff] {
            let mut broken = whole.clone();
            broken[place] = byte;
            if let Ok((_, summary)) = try_read("broken.xml", &broken) {
                assert!(summary.tests.total() <= 2, "byte {byte} at {place}");
            }
        }
    }
}

#[test]
fn nested_and_odd_documents_end_in_words() {
    let deep = "<testsuites>".to_owned() + &"<testsuite>".repeat(200);
    let case = |inner: &str| format!("<testsuite><testcase name=\"t\">{inner}</testcase></testsuite>");
    let table = [
        deep,
        "<report/>".to_owned(),
        "<testsuite/> tail".to_owned(),
        "<testsuite>".to_owned(),
        "<testsuite></testsuites>".to_owned(),
        "<testsuite/><testsuite/>".to_owned(),
        "<!DOCTYPE testsuite SYSTEM \"x.dtd\"><testsuite/>".to_owned(),
        "<!DOCTYPE testsuite [<!ENTITY % p SYSTEM \"file:///etc/hostname\"> %p;]><testsuite/>".to_owned(),
        "<testsuite a='1' a='2'/>".to_owned(),
        "<testsuite a/>".to_owned(),
        case("&nosuch;"),
        case("<failure message='&#0;'/>"),
        case("<system-out>a < b</system-out>"),
        "<!-- only a comment -->".to_owned(),
        "<?xml version='1.0' encoding='ISO-8859-1'?>".to_owned() + &case("<failure message='x'/>"),
        "<testsuite timestamp='then' tests='many'><testcase name='a' time=''/><testcase name='b' time='inf'/>\
         <testcase name='c' time='1e400'/><testcase name='d' time='-0'/></testsuite>".to_owned(),
        "<testsuite><error message='import failed'/></testsuite>".to_owned(),
        "<testsuite name='s'><testcase name='row'><failure/></testcase><testcase name='row'/></testsuite>".to_owned(),
        "<testsuite name='pytest'><testcase name='t' time='1'><failure message='a'/></testcase>\
         <testcase name='t' time='2'><error message='failed on teardown with b'/></testcase></testsuite>".to_owned(),
        "<testsuites><group><testcase name='t'/></group><testsuite><testcase name='u'><testcase name='v'/></testcase></testsuite></testsuites>"
            .to_owned(),
        "<testsuite name='g'><testcase name='t' status='notrun'/></testsuite>".to_owned(),
    ];
    let mut told = String::new();
    for document in &table {
        let start: String = document.chars().take(60).collect();
        writeln!(told, "{start}\n  {}", outcome("x.xml", document.as_bytes())).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn bytes_may_come_one_by_one() {
    use crossbridge_std::profiling::{Options, source};
    for name in [
        "hostile/utf8-bom-junit.xml",
        "hostile/gzip-named-xml.xml",
        "pytest/pytest-xunit2.xml",
    ] {
        let content = bytes(name);
        let slow = std::io::BufReader::with_capacity(1, &content[..]);
        let slowly = source::open(slow, Options::named(name)).map(|mut source| {
            source.by_ref().for_each(drop);
            source.summary().clone()
        });
        match (slowly, try_read(name, &content)) {
            (Ok(slowly), Ok((_, at_once))) => assert_eq!(slowly, at_once),
            (slowly, at_once) => {
                assert_eq!(slowly.unwrap_err().to_string(), at_once.unwrap_err().to_string());
            }
        }
    }
}
