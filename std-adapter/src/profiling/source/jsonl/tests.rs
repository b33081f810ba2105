use std::fmt::Write as _;

use crate::profiling::source::{self, Item, Options};
use crate::profiling::{Event, EventType, Status, Summary};

fn read(bytes: &[u8]) -> (Vec<Item>, Summary) {
    let mut source = source::open(bytes, Options::named("e.jsonl")).unwrap();
    let items = source.by_ref().collect::<Result<_, _>>().unwrap();
    (items, source.summary().clone())
}

fn events(bytes: &[u8]) -> Vec<Event> {
    read(bytes)
        .0
        .into_iter()
        .filter_map(|item| match item {
            Item::Event(event) => Some(event),
            Item::Rejected(_) | Item::Warning(_) => None,
        })
        .collect()
}

fn complaint(line: &str) -> String {
    match read(line.as_bytes()).0.as_slice() {
        [Item::Rejected(rejected)] => rejected.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_full_line_is_read_field_by_field() {
    let line =
        br#"{"event_id":"e1","run_id":"r","test_id":"t","event_type":"http_request","framework":"pytest",
"step_name":"login","start_time":12.345,"end_time":12.5,"duration_ms":250.125,
"created_at":"2026-11-21T16:53:04.026751+01:00","metadata":{"status_code":404}}"#;
    let line: Vec<u8> = line.iter().copied().filter(|&byte| byte != b'\n').collect();
    let event = events(&line).pop().unwrap();
    assert_eq!(event.event_id, "e1");
    assert_eq!(event.event_type, EventType::HttpRequest);
    assert_eq!(event.start_time.unwrap().get(), 12.345);
    assert_eq!(
        event.duration_ms.unwrap().get(),
        250.125,
        "what was given wins over the difference"
    );
    assert_eq!(
        event.created_at.unwrap().to_string(),
        "2026-11-21T15:53:04.026751Z"
    );
    assert_eq!(event.metadata["status_code"], 404);

    let again = serde_json::to_vec(&event).unwrap();
    assert_eq!(events(&again), [event]);
}

#[test]
fn a_zero_stays_zero_and_a_gap_is_filled_from_the_times() {
    let head = r#"{"run_id":"r","test_id":"t","event_type":"step_end","start_time":1,"end_time":6"#;
    let zero = events(format!(r#"{head},"duration_ms":0}}"#).as_bytes());
    assert_eq!(zero[0].duration_ms.unwrap().get(), 0.0);
    let gap = events(format!("{head}}}").as_bytes());
    assert_eq!(gap[0].duration_ms.unwrap().get(), 5000.0);
    let none = events(br#"{"run_id":"r","test_id":"t","event_type":"test_start","duration_ms":null}"#);
    assert_eq!(none[0].duration_ms, None);
}

#[test]
fn bad_lines_are_told_with_their_place() {
    let with = |field: &str| format!(r#"{{"run_id":"r","test_id":"t","event_type":"test_end",{field}}}"#);
    let table = [
        r#"{"run_id":"r","event_type":"test_end"}"#.to_owned(),
        r#"{"run_id":"r","test_id":"t"}"#.to_owned(),
        r#"{"run_id":"r","test_id":"","event_type":"test_end"}"#.to_owned(),
        r#"{"run_id":"r","test_id":"t","event_type":"test_edn"}"#.to_owned(),
        with(r#""duration_ms":-5"#),
        with(r#""duration_ms":"12""#),
        with(r#""duration_ms":1e999"#),
        with(r#""duration_ms":NaN"#),
        with(r#""duration_ms":1,"duration_ms":2"#),
        with(r#""x":1,"x":2"#),
        with(r#""start_time":2,"end_time":1"#),
        with(r#""created_at":"yesterday""#),
        with(r#""metadata":[1]"#),
        with(r#""framework":7"#),
        r#"{"run_id":"r"} {"#.to_owned(),
        r#"{"a":1,}"#.to_owned(),
        r#"{"run_id":"r","test_id":"#.to_owned(),
    ];
    let mut said = String::new();
    for line in &table {
        writeln!(said, "{}", complaint(line)).unwrap();
    }
    insta::assert_snapshot!(said);
}

#[test]
fn reading_goes_on_after_a_bad_line() {
    let good = r#"{"run_id":"r","test_id":"t","event_type":"test_end","status":"passed"}"#;
    let text = format!("\u{feff}{good}\r\n\r\nnot json\n[1]\n{good}\n{}", &good[..30]);
    let (items, summary) = read(text.as_bytes());
    let kinds: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Event(_) => "event".to_owned(),
            Item::Rejected(rejected) => rejected.to_string(),
            Item::Warning(warning) => warning.to_string(),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "event",
            "3:2: expected ident",
            "4:1: invalid type: sequence, expected a JSON object with the fields of an event",
            "event",
            "6:30: EOF while parsing a string; the file ends inside this line",
        ]
    );
    assert_eq!((summary.events, summary.rejected, summary.warnings), (2, 3, 0));
    assert_eq!(summary.tests.get(Status::Passed), 2);
    assert_eq!(summary.unknown_fields["status"], 2);
}

#[test]
fn bytes_that_are_not_utf8_reject_their_line_only() {
    let (items, summary) =
        read(b"{\"test_id\":\"\xff\"}\n{\"run_id\":\"r\",\"test_id\":\"t\",\"event_type\":\"wait_event\"}\n");
    assert_eq!((summary.events, summary.rejected), (1, 1));
    let Item::Rejected(rejected) = &items[0] else {
        panic!("{items:?}")
    };
    assert_eq!(rejected.to_string(), "1:13: found byte 0xff that is not UTF-8");
}

#[test]
fn a_line_without_end_is_not_held() {
    let mut text = vec![b'{'; super::MAX_LINE + 10];
    text.extend_from_slice(b"\n{\"run_id\":\"r\",\"test_id\":\"t\",\"event_type\":\"wait_event\"}");
    let (items, summary) = read(&text);
    assert_eq!((summary.events, summary.rejected), (1, 1));
    let Item::Rejected(rejected) = &items[0] else {
        panic!("{items:?}")
    };
    assert_eq!(
        rejected.to_string(),
        "1:16777217: a line of more than 16777216 bytes"
    );
}

#[test]
fn equal_lines_are_two_events_with_ids_that_stay() {
    let line = r#"{"run_id":"r","test_id":"t","event_type":"wait_event"}"#;
    let two = events(format!("{line}\n{line}\n").as_bytes());
    assert_ne!(two[0].event_id, two[1].event_id);
    let grown = events(format!("{line}\r\n{line}\r\n{line}").as_bytes());
    assert_eq!(
        grown[..2],
        two[..],
        "a file that has grown gives the same ids, whatever its line ends"
    );
}

#[test]
fn a_missing_run_is_made_up_once_and_said() {
    let line = r#"{"test_id":"t","event_type":"wait_event"}"#;
    let (items, summary) = read(format!("{line}\n{line}\n").as_bytes());
    assert_eq!((summary.events, summary.warnings), (2, 1));
    let Item::Warning(warning) = &items[0] else {
        panic!("{items:?}")
    };
    assert!(
        warning
            .to_string()
            .starts_with("1:1: no `run_id`: taken for run "),
        "{warning}"
    );
    assert_eq!(events(line.as_bytes())[0].run_id, summary.run_id.unwrap());

    let options = Options {
        run_id: Some("mine".to_owned()),
        ..Options::named("e")
    };
    let Some(Ok(Item::Event(event))) = source::open(line.as_bytes(), options).unwrap().next() else {
        panic!()
    };
    assert_eq!(event.run_id, "mine");
}

#[test]
fn unknown_fields_are_kept_and_never_overwrite() {
    let line = br#"{"run_id":"r","test_id":"t","event_type":"wait_event","a":1,"b":2,"metadata":{"a":3}}"#;
    let event = events(line).pop().unwrap();
    assert_eq!(
        serde_json::to_string(&event.metadata).unwrap(),
        r#"{"a":3,"b":2,"event.a":1}"#
    );
}
