//! `bulkheads:` how many calls at once.
//!
//! ```yaml
//! bulkheads:
//!   runner: { limit: 4 }
//! ```

use crossbridge_core::BulkheadConfig;
use serde::Deserialize;

use super::scalar::Whole;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkheadFile {
    limit: Whole<1, { u32::MAX }>,
}

/// The core accepts every limit that the type does.
pub(super) fn convert(file: &BulkheadFile) -> BulkheadConfig {
    BulkheadConfig {
        limit: file.limit.get(),
    }
}
