//! The parts of a value: elements of a list, entries of a mapping, the variant of an enum.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde_yaml_ng::Value;

use super::{Context, Failure, Place, ValueDeserializer};

pub(super) struct Elements<'a> {
    pub(super) rest: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    pub(super) place: &'a Place<'a>,
    pub(super) context: &'a Context<'a>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        for (index, value) in self.rest.by_ref() {
            let place = Place::Index(self.place, index);
            if !self.context.left_out.is_empty() && self.context.left_out.contains(&place.path()) {
                continue;
            }
            let element = ValueDeserializer::new(value, place, self.context);
            return seed.deserialize(element).map(Some);
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

pub(super) struct Entries<'a> {
    pub(super) rest: std::vec::IntoIter<(String, &'a Value)>,
    pub(super) current: Option<(String, &'a Value)>,
    pub(super) place: &'a Place<'a>,
    pub(super) context: &'a Context<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        self.current = self.rest.next();
        let Some((key, _)) = &self.current else {
            return Ok(None);
        };
        let text: StrDeserializer<'_, Failure> = key.as_str().into_deserializer();
        let read = seed.deserialize(text);
        read.map(Some).map_err(|failure| failure.at_key(self.place, key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some((key, value)) = &self.current else {
            return Err(Failure::message("a value was read before its key"));
        };
        let place = Place::Key(self.place, key);
        seed.deserialize(ValueDeserializer::new(value, place, self.context))
    }
}

/// An enum: the name of the variant, and what belongs to it.
pub(super) struct Variant<'a> {
    pub(super) key: &'a str,
    pub(super) content: Option<&'a Value>,
    pub(super) outer: &'a ValueDeserializer<'a>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let text: StrDeserializer<'_, Failure> = self.key.into_deserializer();
        let variant = seed.deserialize(text).map_err(|failure| match self.content {
            // In `{ constnat: 1ms }` the key is what is wrong.
            Some(_) => failure.at_key(&self.outer.place, self.key),
            None => failure,
        })?;
        Ok((variant, self))
    }
}

impl Variant<'_> {
    fn with_content<T>(
        &self,
        read: impl FnOnce(ValueDeserializer<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let nothing = Value::Null;
        let value = self.content.unwrap_or(&nothing);
        let place = match self.content {
            Some(_) => Place::Key(&self.outer.place, self.key),
            None => self.outer.place,
        };
        read(ValueDeserializer::new(value, place, self.outer.context))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        self.with_content(|content| de::Deserialize::deserialize(content))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        self.with_content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.with_content(|content| content.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.with_content(|content| content.deserialize_struct("", fields, visitor))
    }
}
