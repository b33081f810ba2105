//! A guard under calls that a fuzzer makes up, beside its oracle.
//!
//! ```text
//!   bytes ──▶ configuration, calls, outcomes, jumps of the clock ──▶ Guard ──▶ what the oracle asserts
//! ```
//!
//! The bytes seed the generator that the oracle's strategies draw from, so that whatever they are a
//! valid configuration and a story come out. The fuzzer keeps those that reach a branch not seen before. `scripts/fuzz.sh [SECONDS]` runs it; a crash is repeated with
//! `cargo +nightly fuzz run guard <file>`.

#![no_main]

#[path = "../../core/tests/oracles/backoff.rs"]
mod backoff;
#[path = "../../core/tests/oracles/breaker.rs"]
mod breaker;
#[path = "../../core/tests/oracles/breaker_model.rs"]
mod breaker_model;
#[path = "../../core/tests/oracles/guard.rs"]
mod guard;
#[path = "../../core/tests/oracles/inputs.rs"]
mod inputs;

use inputs::{A_DAY, any_nanos, any_span, check, log_uniform, per_mille};
use libfuzzer_sys::{Corpus, fuzz_target};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_of(bytes));
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let inputs = (
        guard::any_config(),
        any::<u64>(),
        any_nanos(),
        guard::any_outcome(),
        guard::ops(true),
    );
    let Ok(inputs) = inputs.new_tree(&mut runner) else {
        return Corpus::Reject;
    };
    let (config, seed, start, last, ops) = inputs.current();
    guard::story(config, ops, last, seed, start);
    Corpus::Keep
});

/// The first bytes.
fn seed_of(bytes: &[u8]) -> [u8; 32] {
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(bytes) {
        *to = *from;
    }
    seed
}
