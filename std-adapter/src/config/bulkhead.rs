//! `bulkheads:` how many calls at once.
//!
//! ```yaml
//! bulkheads:
//!   runner: { limit: 4 }
//! ```

use crossbridge_core::BulkheadConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::scalar::Whole;

/// How many calls at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bulkhead")]
pub(super) struct BulkheadFile {
    /// Calls under way at once, at least 1.
    limit: Whole<1, { u32::MAX }>,
}

/// The core accepts every limit that the type does.
pub(super) fn convert(file: &BulkheadFile) -> BulkheadConfig {
    BulkheadConfig {
        limit: file.limit.get(),
    }
}
