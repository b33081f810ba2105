//! What a bulkhead with a line has learnt, as a value: see [`crate::snapshot`].

use core::time::Duration;

use super::WaitingBulkhead;
use crate::bulkhead::limit::{Limit, LimitConfig, LimitSnapshot};
use crate::snapshot::{RestoreError, VERSION};
use crate::time::nanos;

/// What a [`WaitingBulkhead`] has learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WaitingSnapshot {
    /// Version of this form.
    pub version: u32,
    /// Of the limit.
    pub limit: LimitSnapshot,
    /// The moving average of how long slots are held.
    pub hold: Option<Duration>,
}

impl<const N: usize> WaitingBulkhead<N> {
    /// What has been learnt. Slots and tickets are not part of it.
    #[must_use]
    pub fn snapshot(&self) -> WaitingSnapshot {
        WaitingSnapshot {
            version: VERSION,
            limit: self.limit.snapshot(),
            hold: self.hold.map(Duration::from_nanos),
        }
    }

    /// An empty bulkhead that knows what the one before it had learnt.
    ///
    /// # Errors
    /// The snapshot has another version, is of another algorithm, or holds what this configuration
    /// cannot; or the configuration itself is refused (field `config`).
    pub fn restore(config: LimitConfig, from: &WaitingSnapshot) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let limit = Limit::restore(config, &from.limit)?;
        Ok(Self {
            hold: from.hold.map(nanos),
            ..Self::empty(limit)
        })
    }
}
