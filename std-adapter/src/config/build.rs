//! Text into values, with the limits a hostile file runs into.
//!
//! Values come from `serde_yaml_ng`; built here, because its own builder reports a duplicate key
//! at the mapping, follows aliases into gigabytes, and merges `<<` only one level deep.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_yaml_ng::value::{Tag, TaggedValue};
use serde_yaml_ng::{Mapping, Value};

use super::error::{Position, Problem};
use super::key_path::{KeyPath, Segment};

/// The one document in `text`.
pub(super) fn build(text: &str) -> Result<Value, Box<Problem>> {
    let state = State::default();
    let mut documents = serde_yaml_ng::Deserializer::from_str(text);
    let value = match documents.next() {
        None => Value::Null,
        Some(first) => Node(&state)
            .deserialize(first)
            .map_err(|error| unquoted(text, state.explain(&error)))?,
    };
    match documents.next() {
        None => Ok(value),
        Some(second) => {
            let mut problem = Problem::new(KeyPath::root(), "more than one document")
                .found("a second document after `---`")
                .expected("one document per file");
            problem.at = super::locate::start(second);
            Err(Box::new(problem))
        }
    }
}

/// The name of a key: that of a scalar that is no text is what it looks like.
pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => "?".to_owned(),
    }
}

/// Where an error of the YAML library happened.
pub(super) fn position(error: &serde_yaml_ng::Error) -> Option<Position> {
    error.location().map(|location| Position {
        line: location.line(),
        column: location.column(),
    })
}

/// Values in one document, aliases expanded. The platform's own file has 600.
const MAX_NODES: usize = 500_000;

/// The key that merges mappings into the one it stands in.
pub(super) const MERGE: &str = "<<";

#[derive(Default)]
struct State {
    nodes: Cell<usize>,
    path: RefCell<Vec<Segment>>,
    /// What this builder itself refused, since the library's error type holds text only.
    problem: RefCell<Option<Problem>>,
}

impl State {
    fn refuse<E: de::Error>(&self, problem: Problem) -> E {
        *self.problem.borrow_mut() = Some(problem);
        E::custom("refused")
    }

    fn here(&self) -> KeyPath {
        KeyPath::from(self.path.borrow().clone())
    }

    fn inside<T, E>(&self, segment: Segment, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.path.borrow_mut().push(segment);
        let result = work();
        self.path.borrow_mut().pop();
        result
    }

    fn count<E: de::Error>(&self) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > MAX_NODES {
            let problem = Problem::new(KeyPath::root(), "the document is too large")
                .found(format!("more than {MAX_NODES} values, aliases expanded"))
                .expected(format!("at most {MAX_NODES}"));
            return Err(self.refuse(problem));
        }
        Ok(())
    }

    fn explain(&self, error: &serde_yaml_ng::Error) -> Box<Problem> {
        let own = self.problem.borrow_mut().take();
        let mut problem = own.unwrap_or_else(|| syntax(error));
        problem.at = problem.at.or_else(|| position(error));
        Box::new(problem)
    }
}

/// A problem that the library found, in our words where it has none to offer.
fn syntax(error: &serde_yaml_ng::Error) -> Problem {
    let text = error.to_string();
    let root = KeyPath::root();
    if text.contains("repetition limit exceeded") {
        return Problem::new(root, "too many aliases")
            .found("aliases that repeat each other over and over")
            .expected("at most 100 repetitions per value written");
    }
    if text.contains("recursion limit exceeded") {
        return Problem::new(root, "nested too deep").expected("at most 128 levels");
    }
    // "what at line 4 column 16, while parsing what at line 3 column 22": the first place is the
    // position of the problem anyway.
    let (what, place) = text.split_once(" at line ").unwrap_or((&text, ""));
    let context = place.split_once(", ").map(|(_, context)| context.to_owned());
    Problem::new(root, format!("{SYNTAX}: {what}")).hint(context)
}

/// `{ interval: ${X} }` looks right and is not: to YAML the `{` begins another mapping.
fn unquoted(text: &str, mut problem: Box<Problem>) -> Box<Problem> {
    let line = problem.at.and_then(|at| text.lines().nth(at.line - 1));
    if problem.message.starts_with(SYNTAX) && line.is_some_and(|line| line.contains("${")) {
        let hint = "a reference inside `{ }` or `[ ]` needs quotes: `\"${NAME}\"`";
        problem.hint = Some(hint.to_owned());
    }
    problem
}

const SYNTAX: &str = "not valid YAML";

/// One value.
struct Node<'s>(&'s State);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.count().map(|()| Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.count().map(|()| Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.count().map(|()| Value::Number(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        // Beyond every range of ours: it is refused for its size, by its reader.
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.count().map(|()| Value::Number(value.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.count().map(|()| Value::String(value.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.0.count().map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.0.count()?;
        let mut list = Vec::new();
        loop {
            let segment = Segment::Index(list.len());
            match self.0.inside(segment, || seq.next_element_seed(Node(self.0)))? {
                Some(element) => list.push(element),
                None => return Ok(Value::Sequence(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.0.count()?;
        let mut mapping = Mapping::new();
        let mut merges = Vec::new();
        loop {
            let key = Key {
                state: self.0,
                before: &mapping,
            };
            let Some(key) = map.next_key_seed(key)? else { break };
            let segment = Segment::Key(key_text(&key));
            let value = self.0.inside(segment, || map.next_value_seed(Node(self.0)))?;
            if key.as_str() == Some(MERGE) {
                merges.push(value);
            } else {
                mapping.insert(key, value);
            }
        }
        for merge in merges {
            merge_into(&mut mapping, merge).map_err(|other| {
                let path = self.0.here().key(MERGE);
                let problem = Problem::new(path, "nothing that can be merged")
                    .found(other)
                    .expected("an alias of a mapping, or a list of them");
                self.0.refuse(problem)
            })?;
        }
        Ok(Value::Mapping(mapping))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (tag, content) = data.variant::<String>()?;
        if tag.is_empty() {
            return Err(de::Error::custom("an empty tag"));
        }
        let value = content.newtype_variant_seed(Node(self.0))?;
        Ok(Value::Tagged(Box::new(TaggedValue {
            tag: Tag::new(tag),
            value,
        })))
    }
}

/// The keys of `merge` that `mapping` does not have: what is written out wins, then the first.
fn merge_into(mapping: &mut Mapping, merge: Value) -> Result<(), &'static str> {
    match merge {
        Value::Null => Ok(()),
        Value::Mapping(other) => {
            for (key, value) in other {
                mapping.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Sequence(list) => list.into_iter().try_for_each(|one| match one {
            Value::Mapping(_) => merge_into(mapping, one),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Tagged(_) => Err("a list with something else in it"),
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Err("a single value"),
        Value::Tagged(_) => Err("a tagged value"),
    }
}

/// A key, refused where it stands when the mapping has it already.
struct Key<'s, 'm> {
    state: &'s State,
    before: &'m Mapping,
}

impl Key<'_, '_> {
    fn admit<E: de::Error>(self, key: Value) -> Result<Value, E> {
        if self.before.contains_key(&key) {
            let name = key_text(&key);
            let problem = Problem::new(self.state.here().key(&name), format!("duplicate key `{name}`"))
                .at_key()
                .found(format!("`{name}` a second time"))
                .expected("each key once");
            return Err(self.state.refuse(problem));
        }
        Ok(key)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: text or a number")
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<Value, E> {
        self.admit(Value::Bool(key))
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<Value, E> {
        self.admit(Value::Number(key.into()))
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<Value, E> {
        self.admit(Value::Number(key.into()))
    }

    fn visit_f64<E: de::Error>(self, key: f64) -> Result<Value, E> {
        self.admit(Value::Number(key.into()))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Value, E> {
        self.admit(Value::String(key.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.admit(Value::Null)
    }
}
