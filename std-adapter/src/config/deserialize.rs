//! Values into serde types, with errors that know their path.
//!
//! serde's visitors raise errors without a place; each level of the document adds the one it knows.
//! References to variables are expanded here, when a scalar is asked for.

mod access;
mod failure;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_yaml_ng::{Mapping, Number, Value};

use self::access::{Elements, Entries, Variant};
pub(super) use self::failure::Failure;
use self::failure::NAME;
use super::build::key_text;
use super::error::{Problem, Target, one_of};
use super::expand::{Environment, expand, is_reference, plain_scalar};
use super::key_path::{KeyPath, Segment};

/// What is the same for every value of one pass.
pub(super) struct Context<'c> {
    pub(super) environment: Environment<'c>,
    /// Keys and elements to pass over, because they were found wanting before.
    pub(super) left_out: &'c BTreeSet<KeyPath>,
}

/// Where a value stands, as a list through the stack; made into a [`KeyPath`] when needed.
#[derive(Clone, Copy)]
pub(super) enum Place<'p> {
    Start(&'p KeyPath),
    Key(&'p Place<'p>, &'p str),
    Index(&'p Place<'p>, usize),
}

impl Place<'_> {
    fn path(&self) -> KeyPath {
        match *self {
            Self::Start(path) => path.clone(),
            Self::Key(parent, key) => parent.path().key(key),
            Self::Index(parent, index) => parent.path().with(Segment::Index(index)),
        }
    }
}

/// One value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct ValueDeserializer<'a> {
    value: &'a Value,
    place: Place<'a>,
    context: &'a Context<'a>,
}

impl<'a> ValueDeserializer<'a> {
    pub(super) const fn new(value: &'a Value, place: Place<'a>, context: &'a Context<'a>) -> Self {
        Self {
            value,
            place,
            context,
        }
    }

    fn fail(&self, failure: Failure) -> Failure {
        failure.at(self.place, Target::Value, Some(self.value))
    }

    /// The value with references expanded, and the text it was expanded to.
    fn expanded(&self) -> Result<(Cow<'a, Value>, Option<String>), Failure> {
        match self.value {
            Value::String(text) if is_reference(text) => {
                let text = expand(text, self.context.environment)
                    .map_err(|error| Failure::expand(error).at(self.place, Target::Value, None))?;
                Ok((Cow::Owned(plain_scalar(&text)), Some(text)))
            }
            Value::Tagged(tagged) => {
                let problem = Problem::new(KeyPath::root(), format!("a tag at `{NAME}`"))
                    .found(format!("`{}`", tagged.tag))
                    .expected("a value without a tag");
                Err(self.fail(Failure::new(problem)))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Mapping(_) => Ok((Cow::Borrowed(self.value), None)),
        }
    }

    fn sequence<'de, V: Visitor<'de>>(&self, list: &'a [Value], visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(Elements {
            rest: list.iter().enumerate(),
            place: &self.place,
            context: self.context,
        })
    }

    fn mapping<'de, V: Visitor<'de>>(&self, mapping: &'a Mapping, visitor: V) -> Result<V::Value, Failure> {
        let mut left_out = Vec::new();
        let mut entries = Vec::new();
        for (key, value) in mapping {
            let key = key_text(key);
            if !self.context.left_out.is_empty()
                && self
                    .context
                    .left_out
                    .contains(&Place::Key(&self.place, &key).path())
            {
                left_out.push(key);
            } else {
                entries.push((key, value));
            }
        }
        let read = visitor.visit_map(Entries {
            rest: entries.into_iter(),
            current: None,
            place: &self.place,
            context: self.context,
        });
        read.map_err(|mut failure| {
            // A key that is missing because it was left out was reported when it was left out.
            failure.echo |= failure.culprit.is_none() && !left_out.is_empty();
            failure
        })
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let (value, _) = self.expanded()?;
        match (&*value, self.value) {
            (Value::Null, _) => visitor.visit_unit(),
            (Value::Bool(truth), _) => visitor.visit_bool(*truth),
            (Value::Number(number), _) => visit_number(number, visitor),
            (Value::String(text), _) => visitor.visit_str(text),
            (_, Value::Sequence(list)) => self.sequence(list, visitor),
            (_, Value::Mapping(mapping)) => self.mapping(mapping, visitor),
            (Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_), _) => visitor.visit_unit(),
        }
        .map_err(|failure| self.fail(failure))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let (value, _) = self.expanded()?;
        if value.is_null() {
            return visitor
                .visit_none()
                .map_err(|failure: Failure| self.fail(failure));
        }
        visitor.visit_some(self)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // What a variable holds is text where text is wanted, be it `8086`.
        if let (_, Some(text)) = self.expanded()? {
            return visitor
                .visit_string(text)
                .map_err(|failure: Failure| self.fail(failure));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|failure: Failure| self.fail(failure))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            // A key with nothing after it is an empty list here, and an empty mapping below.
            Value::Null => self.sequence(&[], visitor).map_err(|failure| self.fail(failure)),
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Tagged(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let (value, _) = self.expanded()?;
        if value.is_null() {
            return self
                .mapping(&Mapping::new(), visitor)
                .map_err(|failure| self.fail(failure));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        // serde would take a list for the fields in their order.
        if let Value::Sequence(_) = self.value {
            return Err(self.fail(de::Error::invalid_type(Unexpected::Seq, &visitor)));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let (value, text) = self.expanded()?;
        if let Value::Mapping(mapping) = self.value {
            let (key, content) = self.only_entry(mapping, variants)?;
            let variant = Variant {
                key: &key,
                content: Some(content),
                outer: &self,
            };
            return visitor
                .visit_enum(variant)
                .map_err(|failure: Failure| self.fail(failure));
        }
        let Some(key) = text.as_deref().or(value.as_str()) else {
            let found = match &*value {
                Value::Null => Unexpected::Unit,
                Value::Bool(truth) => Unexpected::Bool(*truth),
                Value::Number(number) => number
                    .as_f64()
                    .map_or(Unexpected::Other("a number"), Unexpected::Float),
                Value::String(_) | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
                    Unexpected::Seq
                }
            };
            return Err(self.fail(de::Error::invalid_type(found, &one_of(variants).as_str())));
        };
        let variant = Variant {
            key,
            content: None,
            outer: &self,
        };
        visitor
            .visit_enum(variant)
            .map_err(|failure: Failure| self.fail(failure))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct
    }
}

impl<'a> ValueDeserializer<'a> {
    /// The one entry of a mapping that stands for an enum.
    fn only_entry(
        &self,
        mapping: &'a Mapping,
        variants: &'static [&'static str],
    ) -> Result<(String, &'a Value), Failure> {
        let mut entries = mapping.iter().map(|(key, value)| (key_text(key), value));
        match (entries.next(), entries.next()) {
            (Some((key, value)), None) => {
                if self
                    .context
                    .left_out
                    .contains(&Place::Key(&self.place, &key).path())
                {
                    let mut failure = Failure::message("left out");
                    failure.echo = true;
                    return Err(self.fail(failure));
                }
                Ok((key, value))
            }
            _ => {
                let problem = Problem::new(KeyPath::root(), format!("`{NAME}` must have exactly one key"))
                    .found(format!("{} keys", mapping.len()))
                    .expected(one_of(variants));
                Err(self.fail(Failure::new(problem)))
            }
        }
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Failure> {
    if let Some(whole) = number.as_u64() {
        visitor.visit_u64(whole)
    } else if let Some(whole) = number.as_i64() {
        visitor.visit_i64(whole)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
    }
}
