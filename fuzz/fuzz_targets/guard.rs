//! A guard under calls that a fuzzer makes up, beside its oracle.
//!
//! ```text
//!   bytes ──▶ configuration, calls, outcomes, jumps of the clock ─┬▶ Guard ──▶ what the oracle asserts
//!                                                                 └▶ SharedGuard ──▶ the same answers
//! ```
//!
//! The bytes are the story, see [`decode`], so that what the fuzzer does to them it does to the
//! story; it keeps those that reach a branch not seen before. `scripts/fuzz.sh [SECONDS]` runs it; a
//! crash is repeated with `cargo +nightly fuzz run guard <file>`.

#![no_main]

#[path = "../../core/tests/oracles/backoff.rs"]
mod backoff;
mod beside;
#[path = "../../core/tests/oracles/breaker.rs"]
mod breaker;
#[path = "../../core/tests/oracles/breaker_model.rs"]
mod breaker_model;
mod decode;
#[path = "../../core/tests/oracles/guard.rs"]
mod guard;
#[path = "../../core/tests/oracles/inputs.rs"]
mod inputs;

use decode::Story;
use inputs::{A_DAY, any_nanos, any_span, check, log_uniform, per_mille};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let story = Story::decode(bytes);
    beside::story(&story);
    let Story {
        config,
        seed,
        start,
        last,
        ops,
    } = story;
    guard::story(config, ops, last, seed, start);
});
