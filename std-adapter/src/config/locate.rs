//! From a dotted path back to line and column.
//!
//! The YAML library keeps no positions in its values, but an error that a visitor raises carries
//! the mark of the node being read. So the text is read once more along the path, by a visitor
//! that fails on purpose when it arrives. This costs a second parse, on the way to an error only.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::build::MERGE;
use super::error::{Position, Target};
use super::key_path::{KeyPath, Segment};

/// Where the key or the value at `path` stands; where it does not stand by itself (it was merged
/// in, or is missing), the nearest thing around it that does.
pub(super) fn locate(text: &str, path: &KeyPath, target: Target) -> Option<Position> {
    let (nearest, arrived) = walk(text, path.segments(), target);
    if arrived {
        return nearest;
    }
    // Merged in with `<<`, perhaps: the path then leads through that key somewhere.
    let detour = (0..path.segments().len()).rev().find_map(|at| {
        let (before, after) = path.segments().split_at(at);
        let through = [before, &[Segment::Key(MERGE.to_owned())], after].concat();
        let (place, arrived) = walk(text, &through, target);
        place.filter(|_| arrived)
    });
    detour.or(nearest)
}

/// Where a document begins.
pub(super) fn start(document: serde_yaml_ng::Deserializer<'_>) -> Option<Position> {
    let step = Step {
        rest: &[],
        target: Target::Value,
        arrived: &Cell::new(false),
    };
    let refused = step.deserialize(document).err()?;
    super::build::position(&refused)
}

fn walk(text: &str, path: &[Segment], target: Target) -> (Option<Position>, bool) {
    let arrived = Cell::new(false);
    let step = Step {
        rest: path,
        target,
        arrived: &arrived,
    };
    let Some(document) = serde_yaml_ng::Deserializer::from_str(text).next() else {
        return (None, false);
    };
    let place = match step.deserialize(document) {
        Ok(()) => None,
        Err(error) => super::build::position(&error),
    };
    (place, arrived.get())
}

#[derive(Clone, Copy)]
struct Step<'p> {
    rest: &'p [Segment],
    target: Target,
    arrived: &'p Cell<bool>,
}

impl Step<'_> {
    fn arrive<E: de::Error>(&self) -> E {
        self.arrived.set(self.rest.is_empty());
        E::custom("here")
    }
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Whatever is visited without a way further down is where the walk ends.
impl<'de> Visitor<'de> for Step<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a way")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Err(self.arrive())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Segment::Index(wanted), rest)) = self.rest.split_first() else {
            return Err(self.arrive());
        };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Err(self.arrive());
            }
        }
        match seq.next_element_seed(Step { rest, ..self })? {
            Some(()) => Ok(()),
            None => Err(self.arrive()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Segment::Key(wanted), rest)) = self.rest.split_first() else {
            return Err(self.arrive());
        };
        let stop_here = rest.is_empty() && self.target == Target::Key;
        while let Some(is_wanted) = map.next_key_seed(KeyOf {
            wanted,
            stop_here,
            arrived: self.arrived,
        })? {
            if is_wanted {
                map.next_value_seed(Step { rest, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(self.arrive())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
        if self.rest.is_empty() {
            return Err(self.arrive());
        }
        let (_, content) = data.variant::<IgnoredAny>()?;
        content.newtype_variant_seed(self)
    }
}

/// Whether a key is the wanted one; stops at it when it is the target.
struct KeyOf<'p> {
    wanted: &'p str,
    stop_here: bool,
    arrived: &'p Cell<bool>,
}

impl KeyOf<'_> {
    fn compare<E: de::Error>(&self, key: &str) -> Result<bool, E> {
        if key != self.wanted {
            return Ok(false);
        }
        if self.stop_here {
            self.arrived.set(true);
            return Err(E::custom("here"));
        }
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyOf<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<bool, E> {
        self.compare(&key.to_string())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }

    fn visit_f64<E: de::Error>(self, key: f64) -> Result<bool, E> {
        self.compare(&serde_yaml_ng::Number::from(key).to_string())
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        self.compare(key)
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        self.compare("null")
    }
}
