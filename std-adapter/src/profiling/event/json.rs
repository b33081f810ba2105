//! An event as one JSON object: a JSONL line, the field `event` of a point.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::{Event, Millis, Seconds};

/// The fields of a JSONL line in the order of their names, those that are not set left out. Reading
/// the line back gives the same event, id included.
///
/// ```
/// use crossbridge_std::profiling::{Event, EventType};
///
/// let event = Event::new("id-1", "run-1", "test_add", EventType::TestEnd);
/// assert_eq!(
///     serde_json::to_string(&event)?,
///     r#"{"event_id":"id-1","event_type":"test_end","framework":"unknown","run_id":"run-1","test_id":"test_add"}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        if let Some(at) = self.created_at {
            // As `format_timestamp` has it, without a text of its own.
            out.serialize_entry("created_at", &format_args!("{at:.9}"))?;
        }
        if let Some(duration) = self.duration_ms.map(Millis::get) {
            out.serialize_entry("duration_ms", &duration)?;
        }
        if let Some(end) = self.end_time.map(Seconds::get) {
            out.serialize_entry("end_time", &end)?;
        }
        out.serialize_entry("event_id", &self.event_id)?;
        out.serialize_entry("event_type", self.event_type.as_str())?;
        out.serialize_entry("framework", &self.framework)?;
        if !self.metadata.is_empty() {
            out.serialize_entry("metadata", &self.metadata)?;
        }
        out.serialize_entry("run_id", &self.run_id)?;
        if let Some(start) = self.start_time.map(Seconds::get) {
            out.serialize_entry("start_time", &start)?;
        }
        if let Some(step) = &self.step_name {
            out.serialize_entry("step_name", step)?;
        }
        out.serialize_entry("test_id", &self.test_id)?;
        out.end()
    }
}
