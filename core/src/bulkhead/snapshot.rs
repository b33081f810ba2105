//! A bulkhead's state as a value: see [`crate::snapshot`].

use super::{Bulkhead, BulkheadConfig};
use crate::snapshot::{RestoreError, VERSION};

/// The state of a [`Bulkhead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BulkheadSnapshot {
    /// Version of this form.
    pub version: u32,
    /// Calls in flight; they and their slots are lost with whoever held them.
    pub in_flight: u32,
}

impl Bulkhead {
    /// The state.
    #[must_use]
    pub const fn snapshot(&self) -> BulkheadSnapshot {
        BulkheadSnapshot {
            version: VERSION,
            in_flight: self.in_flight,
        }
    }

    /// The bulkhead that was taken a snapshot of, with every slot free: nobody is left to give
    /// back those that were out.
    ///
    /// ```
    /// use crossbridge_core::bulkhead::BulkheadSnapshot;
    /// use crossbridge_core::{Bulkhead, BulkheadConfig};
    ///
    /// let config = BulkheadConfig { limit: 2 };
    /// let mut bulkhead = Bulkhead::new(config)?;
    /// let _lost = bulkhead.try_acquire();
    /// let taken = bulkhead.snapshot();
    /// assert_eq!(taken.in_flight, 1);
    /// assert_eq!(Bulkhead::restore(config, &taken)?.in_flight(), 0);
    ///
    /// let broken = BulkheadSnapshot { in_flight: 3, ..taken };
    /// let refused = Bulkhead::restore(config, &broken).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: in_flight is 3, expected at most the limit");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The snapshot has another version or holds more than the limit; or the configuration itself
    /// is refused (field `config`).
    pub fn restore(config: BulkheadConfig, from: &BulkheadSnapshot) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let Ok(bulkhead) = Self::new(config) else {
            return Err(RestoreError {
                field: "config",
                found: 0,
                expected: "a configuration that a new bulkhead accepts",
            });
        };
        let in_flight = from.in_flight;
        RestoreError::unless(
            in_flight <= config.limit,
            "in_flight",
            in_flight.into(),
            "at most the limit",
        )?;
        Ok(bulkhead)
    }
}
