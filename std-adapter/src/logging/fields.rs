//! The key-values of a record, as data.

use std::fmt::Display;

use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use serde::ser::{Serialize, Serializer};

use super::redact;

/// One key-value, secrets already left out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) value: FieldValue,
}

/// What a key-value holds: numbers stay numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldValue {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

impl FieldValue {
    /// For a format made of text.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => {
                let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"=".contains(c);
                if !text.is_empty() && text.chars().all(plain) {
                    text.clone()
                } else {
                    format!("{text:?}")
                }
            }
        }
    }
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            // JSON has no word for these.
            Self::Float(value) => serializer.collect_str(value),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// The key-values of a record in their order; of several with the same key the last.
pub(super) fn of(record: &Record<'_>) -> Vec<Field> {
    struct Collect(Vec<Field>);

    impl<'kvs> VisitSource<'kvs> for Collect {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let value = if redact::is_secret(key.as_str()) {
                FieldValue::Text(redact::MASK.to_owned())
            } else {
                let mut read = Read(FieldValue::Null);
                value.visit(&mut read)?;
                read.0
            };
            match self.0.iter_mut().find(|field| field.key == key.as_str()) {
                Some(field) => field.value = value,
                None => self.0.push(Field {
                    key: key.as_str().to_owned(),
                    value,
                }),
            }
            Ok(())
        }
    }

    let mut collect = Collect(Vec::new());
    // What came before a value that cannot be read is still worth a line.
    let _ = record.key_values().visit(&mut collect);
    collect.0
}

struct Read(FieldValue);

impl Read {
    fn text(&mut self, text: impl Display) -> Result<(), Error> {
        self.0 = FieldValue::Text(redact::text(&text.to_string()).into_owned());
        Ok(())
    }
}

impl<'v> VisitValue<'v> for Read {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.text(value)
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.0 = FieldValue::Null;
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.0 = FieldValue::Bool(value);
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.0 = FieldValue::Unsigned(value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.0 = FieldValue::Signed(value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        self.0 = FieldValue::Float(value);
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.text(value)
    }
}
