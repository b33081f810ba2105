//! Reports in other encodings than UTF-8 say what they say in UTF-8, and what is no text in an
//! encoding is told with its place.

mod profiling_support;

use crossbridge_std::profiling::identity::{Fingerprint, run_id};
use crossbridge_std::profiling::{Options, source};
use profiling_support::{bytes, try_read};

/// The same text in UTF-16.
fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
    let bytes = |unit: u16| {
        if big_endian {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    text.encode_utf16().flat_map(bytes).collect()
}

/// All that a report says but its ids, which are made from its bytes.
fn said(name: &str, content: &[u8]) -> Vec<String> {
    let (items, summary) = try_read(name, content).unwrap_or_else(|error| panic!("{name}: {error}"));
    let events = items.events.into_iter().map(|mut event| {
        event.event_id.clear();
        format!("{event:?}")
    });
    let run = run_id(Fingerprint::of(content));
    events
        .chain(items.rejected.iter().map(ToString::to_string))
        .chain(items.warnings.iter().map(ToString::to_string))
        .chain([format!("{summary:?}")])
        .map(|line| line.replace(&run, "the run of the file"))
        .collect()
}

/// Whole reports side by side would be too much to read.
fn same(name: &str, found: &[String], expected: &[String]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_report_says_in_utf_16_what_it_says_in_utf_8() {
    for name in [
        "pytest/pytest-xunit2.xml",
        "robot/shop-output.xml",
        "pytest/pytest-json-report.json",
        "playwright/shop.json",
        "selenium/chromedriver.log",
    ] {
        let plain = bytes(name);
        let expected = said(name, &plain);
        let text = String::from_utf8(plain).unwrap();
        for big_endian in [false, true] {
            let marked = utf16(&format!("\u{feff}{text}"), big_endian);
            same(name, &said(name, &marked), &expected);
            if name.ends_with("ml") || name.ends_with("json") {
                let unmarked = utf16(&text, big_endian);
                same(name, &said(name, &unmarked), &expected);
            }
        }
    }
}

#[test]
fn a_mark_of_utf_8_changes_nothing() {
    for name in ["playwright/shop.json", "jest/jest.json", "robot/shop-output.xml"] {
        let plain = bytes(name);
        let marked = [b"\xef\xbb\xbf", plain.as_slice()].concat();
        // A warning about the beginning is three bytes further on.
        let (plain, marked) = (said(name, &plain), said(name, &marked));
        let marked: Vec<_> = marked.iter().map(|line| line.replace("1:4: ", "1:1: ")).collect();
        same(name, &marked, &plain);
    }
}

#[test]
fn lines_of_events_have_the_ids_they_have_in_utf_8() {
    let text = "{\"test_id\":\"größe\",\"event_type\":\"test_end\"}\r\n{\"test_id\":\"日本\"}\n";
    let (plain, _) = try_read("x", text.as_bytes()).unwrap();
    let (items, _) = try_read("x", &utf16(&format!("\u{feff}{text}"), false)).unwrap();
    assert_eq!(items.events, plain.events);
    assert_eq!(items.rejected, plain.rejected);
    assert_eq!(items.rejected.len(), 1);
}

#[test]
fn an_xml_declaration_is_believed() {
    for (label, raw, name) in [
        ("ISO-8859-1", &b"gr\xf6\xdfe"[..], "größe"),
        ("windows-1252", b"5 \x80", "5 €"),
        ("Windows-1251", b"\xf2\xe5\xf1\xf2", "тест"),
        ("Shift_JIS", b"\x83\x65\x83\x58\x83\x67", "テスト"),
        ("utf-8", "größe".as_bytes(), "größe"),
        // Written into a text by .NET, which was saved as UTF-8 then.
        ("utf-16", "größe".as_bytes(), "größe"),
    ] {
        for root in ["testsuite", "robot"] {
            let declaration = format!("<?xml version=\"1.0\" encoding=\"{label}\"?>\n");
            let (before, after): (&[u8], &[u8]) = if root == "robot" {
                (
                    b"<robot><suite name='s'><test name='",
                    b"'><status status='PASS'/></test></suite></robot>",
                )
            } else {
                (b"<testsuite><testcase name='", b"'/></testsuite>")
            };
            let content = [declaration.as_bytes(), before, raw, after].concat();
            let (items, _) = try_read(label, &content).unwrap_or_else(|error| panic!("{error}"));
            assert!(
                items.events[0].test_id.ends_with(name),
                "{label}: {:?}",
                items.events
            );
            assert_eq!(
                items.events[0].run_id,
                run_id(Fingerprint::of(&content)),
                "{label}"
            );
        }
    }
}

#[test]
fn what_is_no_text_is_an_error_with_a_place() {
    let told = |content: &[u8]| match try_read("x", content) {
        Ok((items, _)) => format!("{} events", items.events.len()),
        Err(error) => error.to_string(),
    };
    let none = "; 1 complete tests before it, none of them taken over";
    let lone = [0x00, 0xdc, b'c', 0];
    let xml = "\u{feff}<testsuite>\n<testcase name='é'/>\n<testcase name='é";
    assert_eq!(
        told(&[&utf16(xml, false)[..], &lone, &utf16("'/></testsuite>", false)].concat()),
        format!("x:3:19: found 0x00 0xdc at byte 102 of the file, expected UTF-16LE text{none}")
    );
    let json =
        "\u{feff}{\"testResults\":[\n {\"assertionResults\":[{\"status\":\"passed\",\"title\":\"a\"}]},\n\"é";
    assert_eq!(
        told(&[&utf16(json, false)[..], &lone].concat()),
        format!("x:3:4: found 0x00 0xdc at byte 154 of the file, expected UTF-16LE text{none}")
    );
    let robot = [
        b"<?xml version='1.0' encoding='Shift_JIS'?>\n<robot><suite name='".as_slice(),
        b"\x81\xff'/></robot>",
    ]
    .concat();
    assert_eq!(
        told(&robot),
        "x:2:21: found 0x81 0xff at byte 63 of the file, expected Shift_JIS text; \
         0 complete tests before it, none of them taken over"
    );
    // Cut in the middle of a character.
    let whole = utf16("\u{feff}<testsuite><testcase name='a'/></testsuite>", true);
    assert_eq!(
        told(&whole[..whole.len() - 1]),
        "x:1:43: found 0x00 at byte 86 of the file, expected UTF-16BE text; \
         1 complete tests before it, none of them taken over"
    );
    assert_eq!(
        told(b"\xff\xfe\x00\xdc<\0"),
        "x:1:1: found 0x00 0xdc at byte 2 of the file, expected UTF-16LE text"
    );
    assert_eq!(told(b"\xff\xfe"), "x: empty: no bytes");
}

#[test]
fn good_lines_before_what_is_no_text_are_given_out() {
    let line = "{\"run_id\":\"r\",\"test_id\":\"a\",\"event_type\":\"x\"}\n";
    let content = [
        utf16(&format!("\u{feff}{line}"), false),
        vec![0x00, 0xdc, b'\n', 0],
    ]
    .concat();
    let items: Vec<_> = source::open(&content[..], Options::named("x")).unwrap().collect();
    assert_eq!(items.len(), 2);
    assert!(items[0].is_ok());
    let error = items[1].as_ref().unwrap_err().to_string();
    assert_eq!(
        error,
        "x:2:1: found 0x00 0xdc at byte 94 of the file, expected UTF-16LE text"
    );
}

#[test]
fn any_cut_of_a_report_in_utf_16_is_an_error() {
    let text = String::from_utf8(bytes("pytest/pytest-maxfail.xml")).unwrap();
    let whole = utf16(&format!("\u{feff}{text}"), false);
    for cut in (0..whole.len()).step_by(37).chain(whole.len() - 30..whole.len()) {
        let read = try_read("cut.xml", &whole[..cut]);
        assert!(read.is_err(), "cut at {cut}: {read:?}");
    }
}
