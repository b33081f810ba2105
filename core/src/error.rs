//! A configuration that no machine accepts.

use core::fmt;

/// Why a configuration was refused: the field, what it holds, and what it may hold.
///
/// ```
/// use crossbridge_core::Quota;
///
/// let refused = Quota::per_minute(0).unwrap_err();
/// assert_eq!(refused.to_string(), "capacity is 0, expected at least 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ConfigError {
    /// The field at fault, as it is named in the configuration struct.
    pub field: &'static str,
    /// What it holds. Spans are in nanoseconds.
    pub found: u64,
    /// The bound it breaks, in words with units: `at least 1`.
    pub expected: &'static str,
}

impl ConfigError {
    pub(crate) const fn new(field: &'static str, found: u64, expected: &'static str) -> Self {
        Self {
            field,
            found,
            expected,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, expected {}", self.field, self.found, self.expected)
    }
}

impl core::error::Error for ConfigError {}
