//! Events of all sorts: what is counted wrongly for one of them shows.

use crossbridge_std::profiling::{Event, EventType, Millis};
use serde_json::{Value, json};

/// How many sorts there are.
pub(crate) const SHAPES: u64 = 5;

/// Its id is a UUID with thread and number in it.
pub(crate) fn event(shape: u64, thread: u64, number: u64) -> Event {
    let id = format!("00000000-0000-{thread:04}-0000-{number:012}");
    let mut event = Event::new(
        id,
        "1f0c2f9e-0000-4000-8000-000000000000",
        "test",
        EventType::HttpRequest,
    );
    match shape {
        // Nothing but what every event has.
        0 => {}
        // As a reporter of a browser test makes them.
        1 => {
            event.test_id = format!("tests/test_{thread}.py::case[{}]", number % 13);
            event.duration_ms = Millis::new(250.125).ok();
            event.metadata.insert("status", "passed".into());
            event.metadata.insert("status_code", 200.into());
        }
        // Texts with more room than they use.
        2 => {
            event.test_id = String::with_capacity(300);
            event.test_id.push_str("test");
            event.step_name = Some(String::with_capacity(1));
        }
        // Maps in lists in maps.
        3 => {
            let step = json!({"name": "click", "at": {"x": 1, "y": [2, 3, null]}});
            event.metadata.insert("steps", vec![step; 8].into());
        }
        // Many entries.
        _ => {
            let entries = (0..60).map(|entry| (format!("header {entry}"), Value::from(entry)));
            event.metadata.extend(entries);
        }
    }
    event
}
