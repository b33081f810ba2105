//! What every store does.

use std::time::Duration;

use crossbridge_core::{Fault as _, FaultKind};
use crossbridge_std::profiling::{Event, EventType, Millis, Seconds, Written};
use serde_json::json;

use super::backends::Place;

/// What a check is given, and what it is called.
type Check = (&'static str, fn(&(dyn Place + Sync)));

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        /// Every check with its name.
        pub(crate) const ALL: &[Check] = &[$((stringify!($name), $name)),*];
    };
}

checks![
    an_empty_batch_is_nothing,
    everything_of_an_event_comes_back,
    unusual_texts_come_back,
    unusual_numbers_come_back,
    every_type_of_event_is_kept,
    writing_again_stores_once,
    the_first_of_two_events_with_one_id_stays,
    ids_differ_in_every_byte,
    a_timeout_of_any_size_is_borne,
    a_large_batch_is_one_batch,
    a_hundred_thousand_events,
    a_store_that_is_opened_again_has_what_it_had,
    a_poisoned_event_leaves_nothing_and_keeps_nothing_out,
    two_writers_of_the_same_events_store_each_once,
    many_may_open_a_new_place_at_once,
];

fn event(id: &str) -> Event {
    Event::new(id, "run", "test", EventType::TestEnd)
}

fn numbered(count: usize) -> Vec<Event> {
    (0..count)
        .map(|number| event(&format!("event {number}")))
        .collect()
}

const fn written(new: u64, already_there: u64) -> Written {
    Written { new, already_there }
}

fn an_empty_batch_is_nothing(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    assert_eq!(store.write(&[], None).unwrap(), written(0, 0));
    store.check(None).unwrap();
    assert_eq!(store.count().unwrap(), 0);
    assert_eq!(store.get("a").unwrap(), None);
    assert!(!store.name().is_empty());
}

fn everything_of_an_event_comes_back(place: &(dyn Place + Sync)) {
    let mut full = event("full");
    full.framework = "pytest".to_owned();
    full.step_name = Some("log in".to_owned());
    full.start_time = Some(Seconds::new(12.345).unwrap());
    full.end_time = Some(Seconds::new(1_763_745_600.123_456).unwrap());
    full.duration_ms = Some(Millis::new(250.125).unwrap());
    full.created_at = Some("2026-11-21T16:53:04.026751123Z".parse().unwrap());
    let metadata = json!({"status": "passed", "n": [1, 2.5, null, {"a": true}], "big": u64::MAX});
    full.metadata = serde_json::from_value(metadata).unwrap();
    let mut zero = event("zero");
    zero.start_time = Some(Seconds::ZERO);
    zero.duration_ms = Some(Millis::ZERO);
    come_back(place, &[full, zero, event("bare")]);
}

/// The same counts, or as many events where the store does not know what it has.
fn assert_written(place: &dyn Place, found: Written, expected: Written) {
    if place.knows_what_it_has() {
        assert_eq!(found, expected);
    } else {
        assert_eq!(
            found.new + found.already_there,
            expected.new + expected.already_there
        );
        assert!(found.new >= expected.new, "{found:?}");
    }
}

/// Writes the events and reads each again.
fn come_back(place: &(dyn Place + Sync), batch: &[Event]) {
    let mut store = place.open();
    let count = u64::try_from(batch.len()).unwrap();
    assert_eq!(store.write(batch, None).unwrap(), written(count, 0));
    for event in batch {
        assert_eq!(store.get(&event.event_id).unwrap().as_ref(), Some(event));
    }
    assert_written(place, store.write(batch, None).unwrap(), written(0, count));
    for event in batch {
        assert_eq!(store.get(&event.event_id).unwrap().as_ref(), Some(event));
    }
    assert_eq!(store.count().unwrap(), count);
}

fn unusual_texts_come_back(place: &(dyn Place + Sync)) {
    let long = "x\u{1f980}y".repeat(3_000);
    // Texts that do not compress: an index that cuts them short has to keep the rest elsewhere.
    let random: String = (0..4_000_u32)
        .map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 20_000).unwrap())
        .collect();
    let texts = [
        "",
        " ",
        "\0",
        "a\0b",
        "\\N",
        "\\u0000",
        "\\\\u0000",
        "\u{2400}",
        "\n\r\t\u{1}\u{7f}",
        "'); DROP TABLE events; --",
        "\"quoted\", {curly}, $1, %s",
        "ü\u{301}\u{202e}\u{feff}\u{fffd}\u{10ffff}",
        "30e76e67-0000-8007-a7e7-196d319f9dec",
        "30E76E67-0000-8007-A7E7-196D319F9DEC",
        "30e76e6700008007a7e7196d319f9dec",
        &long,
        &random,
    ];
    let batch: Vec<_> = texts
        .into_iter()
        .map(|text| {
            let mut event = Event::new(text, text, text, EventType::TestEnd);
            event.framework = text.to_owned();
            event.step_name = Some(text.to_owned());
            let metadata = json!({ text: [text, { text: text }], "status": "passed" });
            event.metadata = serde_json::from_value(metadata).unwrap();
            event
        })
        .collect();
    come_back(place, &batch);
}

fn unusual_numbers_come_back(place: &(dyn Place + Sync)) {
    let mut batch = Vec::new();
    let mut add = |change: &dyn Fn(&mut Event)| {
        let mut event = event(&format!("number {}", batch.len()));
        change(&mut event);
        batch.push(event);
    };
    for number in [0.0, 1e-300, 0.1 + 0.2, 250.125, 1e-7, 999_999_999_999.999_9, 1e12] {
        add(&|event| {
            event.duration_ms = Some(Millis::new(number).unwrap());
            event.start_time = Some(Seconds::new(number).unwrap());
            event.end_time = Some(Seconds::new(number).unwrap());
        });
    }
    for number in [
        1e15,
        1e16,
        -1e16,
        1.5e17,
        1e22,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1.0,
        -2.0,
    ] {
        add(&|event| {
            event.metadata.insert("n", number.into());
        });
    }
    for number in [
        json!(u64::MAX),
        json!(i64::MIN),
        json!(10_000_000_000_000_000_u64),
        json!(0),
    ] {
        add(&|event| {
            event.metadata.insert("n", number.clone());
        });
    }
    for at in [
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
        "2000-01-01T00:00:00.000000001Z",
        "9999-12-30T22:00:00.999999999Z",
        "-009999-01-02T02:00:00Z",
    ] {
        add(&|event| event.created_at = Some(at.parse().unwrap()));
    }
    come_back(place, &batch);
}

fn every_type_of_event_is_kept(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    let batch = EventType::ALL.map(|kind| Event::new(kind.as_str(), "run", "test", kind));
    assert_eq!(store.write(&batch, None).unwrap().new, 17);
    for kind in EventType::ALL {
        let found = store.get(kind.as_str()).unwrap().map(|event| event.event_type);
        assert_eq!(found, Some(kind));
    }
}

fn writing_again_stores_once(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    let batch = [event("a"), event("b")];
    assert_eq!(store.write(&batch, None).unwrap(), written(2, 0));
    assert_written(place, store.write(&batch, None).unwrap(), written(0, 2));
    let more = [event("b"), event("c"), event("c")];
    assert_written(place, store.write(&more, None).unwrap(), written(1, 2));
    assert_eq!(store.write(&[event("d")], None).unwrap(), written(1, 0));
    assert_eq!(store.write(&[event("e")], None).unwrap(), written(1, 0));
    assert_eq!(store.count().unwrap(), 5);
}

fn the_first_of_two_events_with_one_id_stays(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    let mut other = event("a");
    other.test_id = "another test".to_owned();
    let mut third = event("a");
    third.test_id = "a third test".to_owned();
    store.write(&[event("a"), other.clone(), third], None).unwrap();
    if place.knows_what_it_has() {
        store.write(&[other], None).unwrap();
    }
    assert_eq!(store.get("a").unwrap(), Some(event("a")));
}

fn ids_differ_in_every_byte(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    let ids = ["a", "A", "a ", " a", "á", "a\u{301}", "a\0", "\0a", "aa", "а"];
    let batch = ids.map(event);
    assert_eq!(store.write(&batch, None).unwrap(), written(10, 0));
    for id in ids {
        assert_eq!(store.get(id).unwrap(), Some(event(id)));
    }
}

/// A store that has to ask somebody far away may have no time left; then it says so and has stored
/// nothing.
fn a_timeout_of_any_size_is_borne(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    let mut stored = 0;
    for (number, timeout) in [Duration::ZERO, Duration::from_nanos(1)].into_iter().enumerate() {
        match store.write(&[event(&number.to_string())], Some(timeout)) {
            Ok(done) => stored += done.new,
            Err(error) => assert!(
                matches!(error.kind(), FaultKind::NotSent | FaultKind::Transient),
                "{error}"
            ),
        }
    }
    let batch = [event("whatever it takes")];
    assert_eq!(store.write(&batch, Some(Duration::MAX)).unwrap(), written(1, 0));
    store.check(Some(Duration::MAX)).unwrap();
    assert_eq!(store.count().unwrap(), stored + 1);
}

fn a_large_batch_is_one_batch(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    assert_eq!(store.write(&numbered(3_000), None).unwrap(), written(3_000, 0));
    assert_written(
        place,
        store.write(&numbered(3_001), None).unwrap(),
        written(1, 3_000),
    );
    assert_eq!(store.count().unwrap(), 3_001);
}

fn a_hundred_thousand_events(place: &(dyn Place + Sync)) {
    let mut store = place.open();
    let events = numbered(100_000);
    let mut total = Written::default();
    for batch in events.chunks(10_000) {
        total += store.write(batch, None).unwrap();
    }
    assert_eq!(total, written(100_000, 0));
    assert_eq!(store.count().unwrap(), 100_000);
}

fn a_store_that_is_opened_again_has_what_it_had(place: &(dyn Place + Sync)) {
    if !place.lasts() {
        return;
    }
    place.open().write(&[event("a"), event("b")], None).unwrap();
    let mut again = place.open();
    assert_eq!(again.count().unwrap(), 2);
    assert_eq!(again.get("a").unwrap(), Some(event("a")));
    let done = again.write(&[event("a"), event("c")], None).unwrap();
    assert_written(place, done, written(1, 1));
    assert_eq!(again.count().unwrap(), 3);
}

fn a_poisoned_event_leaves_nothing_and_keeps_nothing_out(place: &(dyn Place + Sync)) {
    if !place.poison("bad") {
        return;
    }
    let mut store = place.open();
    store.write(&[event("first")], None).unwrap();
    // On the straight way, and on the one with ids that are there.
    for batch in [
        [event("a"), event("bad"), event("b")],
        [event("first"), event("bad"), event("b")],
    ] {
        let error = store.write(&batch, None).unwrap_err();
        assert_eq!(error.kind(), FaultKind::Permanent, "{error}");
        assert_eq!(store.count().unwrap(), 1, "all of a batch or nothing");
    }
    assert_eq!(
        store.write(&[event("a"), event("b")], None).unwrap(),
        written(2, 0)
    );
    assert_eq!(store.get("bad").unwrap(), None);
}

/// Both orders, so that whoever locks by rows meets the other one in the middle.
fn two_writers_of_the_same_events_store_each_once(place: &(dyn Place + Sync)) {
    if !place.lasts() {
        return;
    }
    let forward = numbered(2_000);
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    let stores = [place.open(), place.open()];
    let news: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = stores
            .into_iter()
            .zip([&forward, &backward])
            .map(|(mut store, events)| {
                scope.spawn(move || {
                    let mut new = 0;
                    for batch in events.chunks(100) {
                        let mut tries = 0;
                        new += loop {
                            match store.write(batch, None) {
                                Ok(done) => break done.new,
                                // As a guard would, but without its patience.
                                Err(error) if error.kind() == FaultKind::Transient && tries < 100 => {
                                    tries += 1;
                                }
                                Err(error) => panic!("{error}: {error:?}"),
                            }
                        };
                    }
                    new
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    if place.knows_what_it_has() {
        assert_eq!(news, 2_000);
    }
    assert_eq!(place.open().count().unwrap(), 2_000);
}

fn many_may_open_a_new_place_at_once(place: &(dyn Place + Sync)) {
    if !place.lasts() {
        return;
    }
    std::thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || {
                let done = place.open().write(&[event(&number.to_string())], None);
                assert_eq!(done.unwrap(), written(1, 0));
            });
        }
    });
    assert_eq!(place.open().count().unwrap(), 4);
}
