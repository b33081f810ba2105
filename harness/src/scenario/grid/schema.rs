//! Grids in the JSON Schema of scenarios: what is a single value there may be an axis as well.

use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde_json::{Value, json};

/// Adds to every single value that it may be a list of them, or a range.
///
/// That is more than [`Grid`](super::Grid) takes, since types are shared between what may be an axis and
/// the faults' list, which may not: a schema for an editor refuses nothing that the reader accepts.
pub fn with_axes(schema: &mut Schema) {
    axes(schema);
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.insert("Axis".to_owned(), axis());
    }
}

fn axes(schema: &mut Schema) {
    transform_subschemas(&mut axes, schema);
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        if forms.contains(&json!({ "$ref": "#/$defs/Reference" })) {
            forms.push(refer());
        }
    } else if is_text(schema) {
        let mut outside = Schema::default();
        for key in ["description", "default", "examples"] {
            if let Some(value) = schema.remove(key) {
                outside.insert(key.to_owned(), value);
            }
        }
        let text = std::mem::take(schema).to_value();
        outside.insert("anyOf".to_owned(), vec![text, refer()].into());
        *schema = outside;
    }
}

/// Whether any text may stand there; texts of a certain form come with a reference beside them.
fn is_text(schema: &Schema) -> bool {
    let text = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        Some(name) => name == "string",
        None => false,
    };
    text && ["enum", "const", "pattern"]
        .into_iter()
        .all(|key| schema.get(key).is_none())
}

fn refer() -> Value {
    json!({ "$ref": "#/$defs/Axis" })
}

fn axis() -> Value {
    let single = json!(["boolean", "number", "string"]);
    let list = json!({ "type": "array", "minItems": 1, "items": { "type": single } });
    let range = json!({
        "type": "object",
        "properties": {
            "from": { "type": ["number", "string"] },
            "to": { "type": ["number", "string"] },
            "steps": { "type": "integer", "minimum": 2, "maximum": super::MOST_CELLS },
        },
        "required": ["from", "to", "steps"],
        "additionalProperties": false,
    });
    json!({
        "description": "Several values: every combination is run, each a cell of the grid. A list, or \
            `{ from: 100/s, to: 300/s, steps: 5 }`.",
        "anyOf": [list, range],
    })
}
