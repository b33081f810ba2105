//! Bytes as a test report: its events come out, or a reason and a place.

#![no_main]

use crossbridge_std::profiling::source::{self, Options, SourceKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for kind in [SourceKind::Auto, SourceKind::Jsonl, SourceKind::Junit] {
        let options = Options {
            kind,
            ..Options::named("fuzz.xml")
        };
        let source = match source::open(bytes, options) {
            Ok(source) => source,
            Err(refused) => {
                assert!(!refused.to_string().is_empty());
                continue;
            }
        };
        let mut items = 0_usize;
        for item in source {
            items += 1;
            // An element or a line makes a handful of events at most.
            assert!(
                items <= 16 + 4 * bytes.len(),
                "{kind:?}: more items than bytes allow"
            );
            if let Err(refused) = item {
                assert!(!refused.to_string().is_empty());
            }
        }
    }
});
