//! Made-up files as those of Cypress: see `source.rs` for what must hold.

#![no_main]

mod source;

use crossbridge_std::profiling::SourceKind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| source::read(SourceKind::Cypress, bytes));
