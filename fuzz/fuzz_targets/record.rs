//! Bytes as a production log: each line is read or named, and what is recorded can be replayed.

#![no_main]

use std::sync::LazyLock;

use crossbridge_harness::record::log::Log;
use crossbridge_harness::record::{Options, Recording, Service};
use crossbridge_harness::scenario;
use crossbridge_std::config::Config;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a temporary folder"));

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let mut log = Log::default();
    if log.read("fuzz.jsonl", bytes).is_err() {
        return;
    }
    assert!(log.bad + log.other <= log.lines);
    let Ok(recording) = Recording::new(&log, &CONFIG) else {
        return;
    };
    let options = Options {
        clients: 1 + u32::from(first % 3),
        service: if first < 128 {
            Service::Replayed
        } else {
            Service::Fitted
        },
    };
    let target = FOLDER.path().join("recorded.yml");
    recording.write(&target, None, &options).expect("written");
    if let Err(refused) = scenario::load(&target, None, &|_| None) {
        panic!("{}", refused.render());
    }
});
