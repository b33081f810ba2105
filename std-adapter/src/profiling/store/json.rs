//! An event from the JSON that it serializes to.

use serde::Deserialize;

use super::row::Raw;
use crate::profiling::event::{Event, Metadata};

/// The fields of the JSON, not checked yet.
#[derive(Deserialize)]
struct Stored {
    event_id: String,
    run_id: String,
    test_id: String,
    event_type: String,
    framework: String,
    step_name: Option<String>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    duration_ms: Option<f64>,
    created_at: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// The event of one object; the error says what is wrong with it.
pub(super) fn event(text: &[u8]) -> Result<Event, String> {
    let stored: Stored = serde_json::from_slice(text).map_err(|bad| bad.to_string())?;
    let raw = Raw {
        event: [
            stored.event_id,
            stored.run_id,
            stored.test_id,
            stored.event_type,
            stored.framework,
        ],
        step_name: stored.step_name,
        numbers: [stored.start_time, stored.end_time, stored.duration_ms],
        created_at: stored.created_at,
        metadata: "{}".to_owned(),
    };
    let mut event = raw.into_event()?;
    event.metadata = stored.metadata;
    Ok(event)
}
