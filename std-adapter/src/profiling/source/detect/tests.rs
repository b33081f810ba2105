use super::*;

fn look(bytes: &[u8], asked: SourceKind) -> String {
    match detect(bytes, asked, Extent::Whole) {
        Ok(Some(found)) if found.leading => format!("{} after {} bytes", found.kind.as_str(), found.skip),
        Ok(Some(found)) => found.kind.as_str().to_owned(),
        Ok(None) => "more, please".to_owned(),
        Err(problem) => problem.to_string(),
    }
}

fn auto(bytes: &[u8]) -> String {
    look(bytes, SourceKind::Auto)
}

#[test]
fn content_decides() {
    let expected = "expected a test report or JSON lines";
    assert_eq!(auto(b"<testsuites/>"), "junit");
    assert_eq!(auto(b"\xef\xbb\xbf \r\n\t<a/>"), "junit");
    assert_eq!(
        auto(b"<?xml version='1.0'?><!-- <x> -->\n<robot generator='x'>"),
        "robot"
    );
    assert_eq!(auto(b"\n{\"a\":1}"), "jsonl");
    assert_eq!(auto(b""), "empty: no bytes");
    assert_eq!(auto(b"\xef\xbb\xbf"), "empty: nothing but white space");
    assert_eq!(auto(b" \n\t "), "empty: nothing but white space");
    assert_eq!(auto(b"null\n"), "empty: only `null`");
    assert_eq!(auto(b"[ ]"), "empty: an empty JSON array");
    assert_eq!(auto(b"{}"), "empty: an empty JSON object");
    assert_eq!(auto(b"[{}]"), format!("found a JSON array, {expected}"));
    assert_eq!(auto(b"[1795309557.423][INFO]: Starting ChromeDriver"), "selenium");
    assert_eq!(auto(b"[11-22-2026 01:05:14.638543][INFO]: Starting"), "selenium");
    assert_eq!(
        auto(b"\x1f\x8b\x08"),
        format!("found gzip data (unpack it first), {expected}")
    );
    assert_eq!(
        auto(b"PK\x03\x04"),
        format!("found a zip archive (unpack it first), {expected}")
    );
    assert_eq!(
        auto(b"hello"),
        format!("found text that begins with `h`, {expected}")
    );
    assert_eq!(
        auto(b"\x00\x01"),
        format!("found data that begins with byte 0x00, {expected}")
    );
}

#[test]
fn members_decide_what_json_it_is() {
    for (json, kind) in [
        (r#"{"created": 1.5, "duration": 2, "exitcode": 0}"#, "pytest-json"),
        (r#"{"config": {"rootDir"#, "playwright"),
        (r#"{"numFailedTestSuites":2"#, "jest"),
        (r#"{"openHandles":[],"testResults":[]}"#, "jest"),
        (r#"{"stats":{"tests":1,"x":["}",{"\"":2}]},"tests":[]"#, "mocha"),
        (r#"{"failures":[],"passes":[]"#, "mocha"),
        (r#"{"stats":{"tests":1},"results":[]"#, "mochawesome"),
        (r#"{"status":"finished","startedTestsAt":""#, "cypress"),
        (r#"{"log":{"version":"1.2"#, "har"),
        (r#"{"log":"a text","test_id":"t"}"#, "har"),
        (r#"{"test_id":"t","log":"a text"}"#, "jsonl"),
        (r#"{"stats":{},"test_id":"t","tests":1}"#, "jsonl"),
        (r#"{"suite":"x"}"#, "jsonl"),
        ("{not json", "jsonl"),
    ] {
        assert_eq!(auto(json.as_bytes()), kind, "{json}");
    }
}

#[test]
fn output_before_the_document_is_passed_over() {
    let text = "connecting...\n[info] {a: 1}\n{ a: 1 }\n{\n  \"stats\": {},\n  \"tests\": []\n}\n";
    assert_eq!(auto(text.as_bytes()), "mocha after 37 bytes");
    assert_eq!(look(text.as_bytes(), SourceKind::Mocha), "mocha after 37 bytes");
    assert_eq!(look(b"hello", SourceKind::Mocha), "mocha");
}

#[test]
fn more_is_read_only_where_it_helps() {
    let part = |bytes: &[u8]| detect(bytes, SourceKind::Auto, Extent::Part).unwrap().is_none();
    for undecided in [
        "",
        "{",
        "  \n",
        "{\"stats\":{\"tes",
        "<?xml vers",
        "connecting",
        "<robo",
    ] {
        assert!(part(undecided.as_bytes()), "{undecided}");
    }
    for decided in ["{\"run_id\":", "{\"log\":", "<robot ", "<a/>"] {
        assert!(!part(decided.as_bytes()), "{decided}");
    }
}
