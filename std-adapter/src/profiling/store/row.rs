//! A row back into an event.

use crate::profiling::event::{Event, Millis, Seconds};

/// The columns of a row, not checked yet.
pub(in crate::profiling) struct Raw {
    /// Id, run, test, type, framework.
    pub(super) event: [String; 5],
    pub(super) step_name: Option<String>,
    /// Start, end, duration.
    pub(super) numbers: [Option<f64>; 3],
    /// RFC 3339.
    pub(super) created_at: Option<String>,
    /// A JSON object.
    pub(super) metadata: String,
}

impl Raw {
    /// Checks what somebody else may have written with `sqlite3` or `psql`.
    pub(in crate::profiling) fn into_event(self) -> Result<Event, String> {
        let [event_id, run_id, test_id, event_type, framework] = self.event;
        let [start_time, end_time, duration_ms] = self.numbers;
        let in_event = |what: String| format!("event `{event_id}`: {what}");
        let seconds = |value: Option<f64>| {
            value
                .map(Seconds::new)
                .transpose()
                .map_err(|bad| in_event(bad.to_string()))
        };
        Ok(Event {
            run_id,
            test_id,
            event_type: event_type
                .parse()
                .map_err(|bad: crate::profiling::UnknownEventType| in_event(bad.to_string()))?,
            framework,
            step_name: self.step_name,
            start_time: seconds(start_time)?,
            end_time: seconds(end_time)?,
            duration_ms: duration_ms
                .map(Millis::new)
                .transpose()
                .map_err(|bad| in_event(bad.to_string()))?,
            created_at: self
                .created_at
                .map(|text| {
                    text.parse()
                        .map_err(|_| in_event(format!("`created_at` is `{text}`, expected RFC 3339")))
                })
                .transpose()?,
            metadata: serde_json::from_str(&self.metadata)
                .map_err(|bad| in_event(format!("`metadata`: {bad}")))?,
            event_id,
        })
    }
}
