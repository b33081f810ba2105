//! What else was said about an event.

use std::borrow::Cow;
use std::fmt;
use std::ops::Index;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Names and JSON values, in the order of their names, each name once.
///
/// One block of memory, and none for a name that is known when the program is compiled: an event has
/// a handful of entries, and there are many events. To put one in takes time in proportion to how
/// many there are, so many are collected at once.
///
/// ```
/// use crossbridge_std::profiling::Metadata;
///
/// let mut metadata = Metadata::from_iter([("status", "passed".into()), ("attempts", 1.into())]);
/// metadata.insert("status", "failed".into());
/// assert_eq!(serde_json::to_string(&metadata)?, r#"{"attempts":1,"status":"failed"}"#);
/// assert_eq!(metadata["attempts"], 1);
/// metadata.remove("status");
/// for (name, value) in &metadata {
///     assert_eq!((name, value.as_u64()), ("attempts", Some(1)));
/// }
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Metadata(pub(super) Vec<Entry>);

/// A name and its value.
pub(in crate::profiling) type Entry = (Cow<'static, str>, Value);

impl Metadata {
    /// No entries, and no memory for any.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Of these entries, which need not be in order. Of a name that comes more than once, the last
    /// value stays.
    pub(in crate::profiling) fn of(mut entries: Vec<Entry>) -> Self {
        if entries.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Self(entries);
        }
        // Equal names stay in the order in which they came.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(&mut later.1, &mut earlier.1);
            }
            same
        });
        Self(entries)
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        if self.0.len() <= FEW {
            return self
                .0
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value);
        }
        let place = self.place(name).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let place = self.place(name).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Takes a name and its value out, and returns the value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.place(name).ok()?;
        Some(self.0.remove(place).1)
    }

    /// Whether there is such a name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Puts a value in. The one that the name had before.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, value: Value) -> Option<Value> {
        let name = name.into();
        match self.place(&name) {
            Ok(place) => {
                let (_, old) = self.0.get_mut(place)?;
                Some(std::mem::replace(old, value))
            }
            Err(place) => {
                self.0.insert(place, (name, value));
                None
            }
        }
    }

    /// The entries, in the order of their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }
}

/// The entries of [`Metadata`], in the order of their names.
#[derive(Clone, Debug)]
pub struct Iter<'m>(std::slice::Iter<'m, Entry>);

impl<'m> Iterator for Iter<'m> {
    type Item = (&'m str, &'m Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_ref(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'m> IntoIterator for &'m Metadata {
    type Item = (&'m str, &'m Value);
    type IntoIter = Iter<'m>;

    fn into_iter(self) -> Iter<'m> {
        self.iter()
    }
}

impl<N: Into<Cow<'static, str>>> FromIterator<(N, Value)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(entries: I) -> Self {
        Self::of(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }
}

impl<N: Into<Cow<'static, str>>> Extend<(N, Value)> for Metadata {
    /// Of a name that comes more than once, the last value stays.
    fn extend<I: IntoIterator<Item = (N, Value)>>(&mut self, entries: I) {
        let entries = entries.into_iter().map(|(name, value)| (name.into(), value));
        let mut all = std::mem::take(&mut self.0);
        all.extend(entries);
        *self = Self::of(all);
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(map: Map<String, Value>) -> Self {
        map.into_iter().collect()
    }
}

impl From<Metadata> for Map<String, Value> {
    fn from(metadata: Metadata) -> Self {
        let entries = metadata.0.into_iter();
        entries.map(|(name, value)| (name.into_owned(), value)).collect()
    }
}

impl Index<&str> for Metadata {
    type Output = Value;

    /// The value of a name, `null` where there is no such name.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            entries.push((name.into(), value));
        }
        Ok(Metadata::of(entries))
    }
}

/// As many are looked through faster than halved: most names differ in their lengths.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        /// It does what the map of `serde_json` does.
        #[test]
        fn it_is_a_map(
            entries in prop::collection::vec(("[abc]{0,2}", 0..9_u64), 0..20),
            more in prop::collection::vec(("[abc]{0,2}", 0..9_u64), 0..5),
        ) {
            let mut map: Map<String, Value> = Map::new();
            let mut inserted = Metadata::new();
            for (name, value) in &entries {
                let before = map.insert(name.clone(), json!(value));
                prop_assert_eq!(inserted.insert(name.clone(), json!(value)), before);
            }
            let pairs = |list: &[(String, u64)]| list.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Vec<_>>();
            let mut collected: Metadata = pairs(&entries).into_iter().collect();
            prop_assert_eq!(&collected, &inserted);
            collected.extend(pairs(&more));
            map.extend(pairs(&more));
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(serde_json::to_string(&collected).unwrap(), text.clone());
            prop_assert_eq!(serde_json::from_str::<Metadata>(&text).unwrap(), collected.clone());
            for name in ["", "a", "bc", "z"] {
                prop_assert_eq!(collected.get(name), map.get(name));
                prop_assert_eq!(collected.contains_key(name), map.contains_key(name));
                prop_assert_eq!(collected.get_mut(name).map(Value::take), map.get_mut(name).map(Value::take));
            }
            for name in ["", "a", "bc", "z"] {
                prop_assert_eq!(collected.remove(name), map.remove(name));
            }
            let left: Vec<_> = (&collected).into_iter().collect();
            prop_assert_eq!(left, map.iter().map(|(name, value)| (name.as_str(), value)).collect::<Vec<_>>());
            prop_assert_eq!(Map::from(collected), map);
        }
    }

    #[test]
    fn a_name_given_twice_has_its_last_value() {
        let read: Metadata = serde_json::from_str(r#"{"b":1,"a":2,"b":3}"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"a":2,"b":3}"#);
    }
}
