//! Bytes as `crossbridge.yml`.
//!
//! Whatever they are, they are read or refused with a place, soon. What is read makes guards, and is
//! accepted by the schema too, which therefore refuses nothing that the reader accepts.

#![no_main]

use std::sync::LazyLock;

use crossbridge_core::Guard;
use crossbridge_std::config::{Config, Document, KeyPath, schema};
use jsonschema::Validator;
use libfuzzer_sys::fuzz_target;

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(schema::config().as_value()).expect("a schema"));

fn environment(name: &str) -> Option<String> {
    match name {
        "N" => Some("3".to_owned()),
        "SPAN" => Some("250ms".to_owned()),
        _ => None,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let document = match Document::from_bytes("fuzz.yml", bytes.to_vec()) {
        Ok(document) => document,
        Err(refused) => return assert!(!refused.render().is_empty()),
    };
    // The same keys as `runtime:`, in another place.
    let policies = Config::from_policies(&document, &KeyPath::root().key("runtime"), &environment);
    let config = match Config::from_document(&document, &environment) {
        Ok(config) => config,
        Err(refused) => return assert!(!refused.render().is_empty()),
    };
    for path in config.paths() {
        Guard::new(path.guard).expect("what was checked is accepted");
        let _ = config.guard_for(path, Some("org:premium"));
    }
    drop(policies);
    // Keys that JSON does not have are in sections that are not ours.
    if let Ok(value) = serde_json::to_value(document.root()) {
        let wrong: Vec<_> = SCHEMA
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
});
