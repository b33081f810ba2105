//! The JSON Schema of our files (draft 2020-12), so that an editor completes and checks them.
//!
//! ```text
//!   types of the file ──derive──▶ schema ──▶ what the reader does with every value ──▶ crossbridge schema
//!   visitors of their own: an impl beside each       `${VAR}`, an empty section
//! ```
//!
//! The schema follows the shape of a file: keys, types, names, ranges of single values. What two
//! values say together (a delay above its cap, a path to a breaker that is not there) is for
//! `crossbridge check`. It refuses nothing that the reader accepts.
//!
//! Documentation comments of the file types are what an editor shows; a `default` beside them is the
//! constant of the core that is in force.
//!
//! ```
//! use crossbridge_std::config::schema;
//!
//! let schema = schema::config();
//! assert_eq!(schema.as_value()["$schema"], "https://json-schema.org/draft/2020-12/schema");
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use crossbridge_core::PerMille;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::breaker::BreakerFile;
use super::bulkhead::BulkheadFile;
use super::call_path::PathFile;
use super::health::HealthFile;
use super::logging::LoggingFile;
use super::profiling::{CollectorFile, SpoolFile};
use super::rate_limiting::RateLimitingFile;
use super::retry::RetryFile;
use super::runtime::OURS;

/// The schema of `crossbridge.yml`.
#[must_use]
pub fn config() -> Schema {
    let mut schema = document::<ConfigFile>("crossbridge.yml");
    // Our sections at the top of the file are refused, and nothing else is.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for name in OURS {
            let refused =
                json_schema!({ "not": {}, "description": format!("`{name}` stands under `runtime`.") });
            properties.insert(name.to_owned(), refused.to_value());
        }
    }
    schema
}

/// The schema of a file that is read as a `T` by [`Document::section`](super::Document::section):
/// that of its type, and on top what the reader does with every value.
#[must_use]
pub fn document<T: JsonSchema>(title: &str) -> Schema {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    as_read(&mut schema);
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let may_be_empty: Vec<Value> = definitions
        .into_iter()
        .flatten()
        .filter(|(_, definition)| definition["type"] == json!(["object", "null"]))
        .map(|(name, _)| json!({ "$ref": format!("#/$defs/{name}") }))
        .collect();
    transform_subschemas(
        &mut |part: &mut Schema| without_null(part, &may_be_empty),
        &mut schema,
    );
    schema.insert("title".to_owned(), title.into());
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.insert("Reference".to_owned(), reference().to_value());
    }
    schema
}

/// What stands under `runtime:`, and under `policies:` in a scenario; nothing else may stand there.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a description: the reader takes the sections one by one")]
pub struct Policies {
    /// How often each operation may run, and for whom more.
    rate_limiting: Option<RateLimitingFile>,
    /// How often and how patiently to try again.
    retry: Option<RetryFile>,
    /// What is watched, and how much evidence it takes.
    health_checks: Option<HealthFile>,
    /// By name: when to stop asking, and how to come back.
    circuit_breakers: Option<BTreeMap<String, BreakerFile>>,
    /// By name: how many calls at once.
    bulkheads: Option<BTreeMap<String, BulkheadFile>>,
    /// By name: which policies each kind of call goes through.
    paths: Option<BTreeMap<String, PathFile>>,
    /// How much of what is on its way to the event store is kept, and where.
    profiling: Option<Profiling>,
}

/// Ours of the section; its other keys are the platform's.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "a description, as above")]
struct Profiling {
    /// On disk, one file for each store.
    spool: Option<SpoolFile>,
    /// In programs.
    collector: Option<CollectorFile>,
}

/// The policies that production reads, and the replay too. Sections of other programs may stand
/// beside ours.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a description, as above")]
struct ConfigFile {
    /// The policies.
    runtime: Option<Runtime>,
    /// What is logged, how, and where to.
    crossbridge: Option<Platform>,
}

/// [`Policies`] among sections of the platform that are not ours.
struct Runtime;

impl JsonSchema for Runtime {
    fn schema_name() -> Cow<'static, str> {
        "Runtime".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Policies::json_schema(generator);
        schema.remove("additionalProperties");
        schema
    }
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a description, as above")]
struct Platform {
    /// What is logged, how, and where to.
    logging: Option<LoggingFile>,
}

/// Text that is expanded before it means anything.
fn reference() -> Schema {
    json_schema!({
        "type": "string",
        "pattern": r"\$\{",
        "description": "A variable of the environment: `${NAME}`, or `${NAME:-default}`. Inside `{ }` \
            and `[ ]` it needs quotes.",
    })
}

/// A share as a file says it, or `off`.
pub(super) fn share(share: Option<PerMille>) -> Value {
    match share {
        None => "off".into(),
        Some(share) => (f64::from(share.get()) / 1_000.0).into(),
    }
}

/// What holds for every value, whatever its type: a scalar may be a reference, a list may be left
/// empty, and so may a mapping without keys that must be there. Descriptions name their default.
fn as_read(schema: &mut Schema) {
    describe_default(schema);
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    // One of many is any of them: none of ours overlap, but for references.
    if let Some(either) = schema.remove("oneOf") {
        schema.insert("anyOf".to_owned(), either);
    }
    if let Some(Value::Array(choices)) = schema.remove("anyOf") {
        schema.insert("anyOf".to_owned(), choices_as_read(choices).into());
    } else if is_scalar(schema) {
        wrap(schema);
    } else {
        let may_be_empty = match schema.get("type").and_then(Value::as_str) {
            Some("array") => true,
            Some("object") => schema.get("required").is_none(),
            _ => false,
        };
        if may_be_empty && let Some(kind) = schema.remove("type") {
            schema.insert("type".to_owned(), vec![kind, "null".into()].into());
        }
        transform_subschemas(&mut as_read, schema);
    }
}

/// Each of several forms; one reference stands for all scalars among them.
fn choices_as_read(choices: Vec<Value>) -> Vec<Value> {
    let mut read = Vec::new();
    let mut any_scalar = false;
    for mut choice in choices {
        let Ok(schema) = <&mut Schema>::try_from(&mut choice) else {
            continue;
        };
        if is_scalar(schema) {
            any_scalar = true;
            read.push(choice);
            continue;
        }
        as_read(schema);
        // Forms of a form are forms of the whole.
        match schema.as_object_mut() {
            Some(only) if only.len() == 1 && only.contains_key("anyOf") => {
                if let Some(Value::Array(inner)) = only.remove("anyOf") {
                    any_scalar |= inner.contains(&refer());
                    read.extend(inner.into_iter().filter(|form| *form != refer()));
                }
            }
            _ => read.push(choice),
        }
    }
    if any_scalar {
        read.push(refer());
    }
    read
}

/// A section that may be empty, or nothing, is that section: an editor then says what is wrong inside.
fn without_null(schema: &mut Schema, may_be_empty: &[Value]) {
    if let Some([section, nothing]) = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice)
        && *nothing == json!({ "type": "null" })
        && may_be_empty.contains(section)
    {
        let section = section["$ref"].clone();
        schema.remove("anyOf");
        schema.insert("$ref".to_owned(), section);
    }
    transform_subschemas(&mut |part: &mut Schema| without_null(part, may_be_empty), schema);
}

/// The description in one line, with the default at its end.
fn describe_default(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    let default = match schema.get("default") {
        None | Some(Value::Null) => return,
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if let Some(Value::String(text)) = schema.get_mut("description") {
        text.push_str(&format!(" Default: `{default}`."));
    }
}

/// Whether it describes one number, truth value, or text of a certain form. Any text takes a
/// reference as it is.
fn is_scalar(schema: &Schema) -> bool {
    let is = |name: &Value| matches!(name.as_str(), Some("integer" | "number" | "boolean"));
    let typed = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(is),
        Some(name) => is(name),
        None => false,
    };
    typed
        || ["enum", "const", "pattern"]
            .into_iter()
            .any(|key| schema.get(key).is_some())
}

/// A scalar or a reference; what says something about both stays outside.
fn wrap(schema: &mut Schema) {
    let mut outside = Schema::default();
    for key in ["description", "default", "examples"] {
        if let Some(value) = schema.remove(key) {
            outside.insert(key.to_owned(), value);
        }
    }
    let scalar = std::mem::take(schema).to_value();
    outside.insert("anyOf".to_owned(), vec![scalar, refer()].into());
    *schema = outside;
}

fn refer() -> Value {
    json_schema!({ "$ref": "#/$defs/Reference" }).to_value()
}
