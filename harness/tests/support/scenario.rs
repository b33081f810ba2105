//! Scenarios from a text, run without the binary.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

use crossbridge_harness::result::ReplayResult;
use crossbridge_harness::scenario::{self, Scenario};
use crossbridge_harness::world;

/// A scenario of the fixtures.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/scenarios")
        .join(path)
}

/// Its text.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(fixture(path)).expect("the fixture is there")
}

/// The scenario a text describes. What it refers to by a relative path is not there.
pub(crate) fn load(text: &str) -> Scenario {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("scenario.yml");
    fs::write(&path, text).expect("written");
    load_file(&path)
}

/// The scenario of a file.
pub(crate) fn load_file(path: &Path) -> Scenario {
    match scenario::load(path, None, &|_| None) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{}", error.render()),
    }
}

/// Its result for a seed.
pub(crate) fn run(scenario: &Scenario, seed: u64) -> ReplayResult {
    let outcome = world::run(scenario, seed, None, &mut |_| {}).expect("the scenario runs");
    ReplayResult::new(scenario, seed, &outcome)
}

/// The result of a text for its own seed.
pub(crate) fn replay(text: &str) -> ReplayResult {
    let scenario = load(text);
    run(&scenario, scenario.seed)
}

/// `text` with one thing changed, which has to be there.
pub(crate) fn with(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` is not in\n{text}");
    text.replacen(old, new, 1)
}

/// Exact: counts of a test are small.
pub(crate) fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}
