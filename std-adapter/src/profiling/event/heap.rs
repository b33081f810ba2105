//! What an event takes of the heap.
//!
//! | part | bytes |
//! |---|---|
//! | its place in a list | `size_of::<Event>()` |
//! | a text, an array, the metadata | a block of its capacity |
//! | an object in the metadata of 1 to 11 entries | a block of one node |
//! | a larger one | a block per five entries at most, for that is what a node holds at least |
//! | a block | a word more, in steps of 16, 32 at least: what `malloc` of glibc takes |
//!
//! Two entries of an object take as much as eleven: a node of a `BTreeMap` has room for those from the
//! beginning, 632 bytes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Entry, Event, Metadata};

/// What the event takes, its place in a list included.
pub(in crate::profiling) fn bytes(event: &Event) -> u64 {
    let texts = [&event.event_id, &event.run_id, &event.test_id, &event.framework];
    let texts: usize = texts
        .into_iter()
        .chain(&event.step_name)
        .map(|text| block(text.capacity()))
        .sum();
    u64::try_from(size_of::<Event>() + texts + metadata(&event.metadata)).unwrap_or(u64::MAX)
}

/// What metadata take beside themselves.
fn metadata(metadata: &Metadata) -> usize {
    let entries = metadata.0.iter().map(|(name, value)| {
        let name = match name {
            Cow::Borrowed(_) => 0,
            Cow::Owned(name) => block(name.capacity()),
        };
        name + beside(value)
    });
    block(metadata.0.capacity() * size_of::<Entry>()) + entries.sum::<usize>()
}

/// What a map takes beside itself.
fn map(map: &Map<String, Value>) -> usize {
    let nodes = match map.len() {
        0 => 0,
        1..=NODE_ENTRIES => block(LEAF),
        many => block(INNER) * (1 + (many - 1) / LEAST_ENTRIES),
    };
    let entries: usize = map
        .iter()
        .map(|(name, value)| block(name.capacity()) + beside(value))
        .sum();
    nodes + entries
}

/// What a value takes beside itself.
fn beside(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => block(text.capacity()),
        Value::Array(list) => {
            block(list.capacity() * size_of::<Value>()) + list.iter().map(beside).sum::<usize>()
        }
        Value::Object(object) => map(object),
    }
}

/// What the allocator takes for so many bytes.
const fn block(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let rounded = (bytes + size_of::<usize>()).next_multiple_of(16);
    if rounded < 32 { 32 } else { rounded }
}

/// The nodes of the standard library's `BTreeMap`: a B-tree of order 6.
const NODE_ENTRIES: usize = 11;
const LEAST_ENTRIES: usize = 5;
/// Its entries, and whose child it is.
const LEAF: usize = NODE_ENTRIES * (size_of::<String>() + size_of::<Value>()) + 2 * size_of::<usize>();
/// A leaf with children.
const INNER: usize = LEAF + (NODE_ENTRIES + 1) * size_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiling::EventType;

    #[test]
    fn blocks_are_as_malloc_makes_them() {
        let blocks = [0, 1, 24, 25, 40, 41, 632].map(block);
        assert_eq!(blocks, [0, 32, 32, 48, 48, 64, 640]);
    }

    #[test]
    fn capacities_and_nodes_are_counted() {
        let mut event = Event::new("", "", "", EventType::TestEnd);
        event.framework = String::new();
        let empty = bytes(&event);
        assert_eq!(empty, u64::try_from(size_of::<Event>()).unwrap());
        event.run_id = String::with_capacity(100);
        assert_eq!(bytes(&event) - empty, 112);
        event.run_id = String::new();
        // A name that is known needs no room; one entry has a list of four.
        event.metadata.insert("known", Value::Null);
        assert_eq!(bytes(&event) - empty, 240);
        event.metadata.insert("made".to_owned(), Map::new().into());
        assert_eq!(bytes(&event) - empty, 240 + 32);
        let many: Map<_, _> = (0..41_u64)
            .map(|number| (format!("{number:02}"), number.into()))
            .collect();
        event.metadata.insert("many", many.into());
        // 41 entries with a short name, in nine nodes at most.
        assert_eq!(bytes(&event) - empty, 240 + 32 + 9 * 736 + 41 * 32);
    }
}
