//! What the fuzz targets of all kinds of reports ask of a reader.

use crossbridge_std::profiling::source::{self, Item};
use crossbridge_std::profiling::{Options, SourceKind};

/// Reads `bytes` as `kind` to the end or to the error, twice.
///
/// No panic and no hang; ids are distinct, texts are bounded, the summary counts what was given
/// out; the same bytes give the same; and a report that breaks off has given nothing.
pub(crate) fn read(kind: SourceKind, bytes: &[u8]) {
    let first = once(kind, bytes);
    assert_eq!(first, once(kind, bytes));
}

fn once(kind: SourceKind, bytes: &[u8]) -> Result<(Vec<String>, u64), String> {
    let options = Options {
        kind,
        ..Options::named("fuzz")
    };
    let mut source = source::open(bytes, options).map_err(|error| error.to_string())?;
    let mut ids = Vec::new();
    let mut warnings = 0;
    for item in source.by_ref() {
        match item {
            Ok(Item::Event(event)) => {
                if let Some(duration) = event.duration_ms {
                    assert!(duration.get().is_finite() && duration.get() >= 0.0);
                }
                if let Some(message) = event.metadata.get("message").and_then(|text| text.as_str()) {
                    assert!(message.chars().count() <= 600, "{message}");
                }
                ids.push(event.event_id);
            }
            Ok(Item::Warning(_)) => warnings += 1,
            Ok(Item::Rejected(rejected)) => panic!("a report has no lines: {rejected}"),
            Err(error) => {
                assert!(ids.is_empty(), "half a report: {error}");
                return Err(error.to_string());
            }
        }
    }
    assert_eq!(source.summary().events, ids.len() as u64);
    let count = ids.len();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), count);
    Ok((ids, warnings))
}
