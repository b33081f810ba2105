//! Events on their way into a store together.

use serde_json::Value;

use super::BATCH_BYTES;
use crate::profiling::event::Event;

/// Fills up to a number of events or bytes, whichever comes first.
#[derive(Debug)]
pub(super) struct Batch {
    events: Vec<Event>,
    bytes: usize,
    most: usize,
}

impl Batch {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            events: Vec::new(),
            bytes: 0,
            most,
        }
    }

    /// Adds an event; whether the batch is now due.
    #[must_use]
    pub(super) fn push(&mut self, event: Event) -> bool {
        self.bytes = self.bytes.saturating_add(size(&event));
        self.events.push(event);
        self.events.len() >= self.most || self.bytes >= BATCH_BYTES
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }
}

/// About how much memory an event takes.
pub(in crate::profiling) fn size(event: &Event) -> usize {
    let texts = [&event.event_id, &event.run_id, &event.test_id, &event.framework];
    let texts: usize = texts.into_iter().chain(&event.step_name).map(String::len).sum();
    let metadata: usize = event
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum();
    size_of::<Event>() + texts + metadata
}

fn value_size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(value_size).sum(),
            Value::Object(map) => map
                .iter()
                .map(|(name, value)| name.len() + value_size(value))
                .sum(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiling::EventType;

    #[test]
    fn a_batch_is_due_by_number_or_by_size() {
        let event = Event::new("id", "run", "test", EventType::TestEnd);
        let mut batch = Batch::new(3);
        assert_eq!([(); 3].map(|()| batch.push(event.clone())), [false, false, true]);

        let mut large = event.clone();
        let text = "x".repeat(BATCH_BYTES / 2);
        large.metadata.insert("list", vec![Value::from(text)].into());
        batch.clear();
        assert_eq!(
            [large.clone(), large].map(|event| batch.push(event)),
            [false, true]
        );
        batch.clear();
        assert!(batch.events().is_empty());
        assert!(!batch.push(event));
    }
}
