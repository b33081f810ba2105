//! Small numbers that must not be swapped.

use core::fmt;

use crate::ConfigError;

/// A share in thousandths: 0 is none, 1 000 is all.
///
/// ```
/// use crossbridge_core::PerMille;
///
/// assert_eq!(PerMille::HALF.of(7), 4); // rounded up
/// assert_eq!(PerMille::new(250).unwrap().to_string(), "25%");
/// assert!(PerMille::new(1_001).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u16", into = "u16"))]
pub struct PerMille(u16);

impl PerMille {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One half.
    pub const HALF: Self = Self(500);
    /// All.
    pub const ALL: Self = Self(1_000);

    /// `thousandths` out of a thousand.
    ///
    /// # Errors
    /// Above 1 000.
    pub const fn new(thousandths: u16) -> Result<Self, ConfigError> {
        if thousandths <= 1_000 {
            Ok(Self(thousandths))
        } else {
            Err(ConfigError::new("per mille", thousandths as u64, "0 to 1000"))
        }
    }

    /// The number of thousandths, 0 to 1 000.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// This share of `whole`, rounded up.
    #[must_use]
    pub const fn of(self, whole: u64) -> u64 {
        // In two parts that fit 64 bits: a 128-bit division takes 700 bytes of a small target's flash.
        let share = self.0 as u64;
        whole / 1_000 * share + (whole % 1_000 * share).div_ceil(1_000)
    }

    /// Whether `part` out of `whole` reaches this share. Nothing out of nothing reaches no share.
    #[must_use]
    pub const fn reached_by(self, part: u32, whole: u32) -> bool {
        whole > 0 && part as u64 * 1_000 >= whole as u64 * self.0 as u64
    }
}

impl TryFrom<u16> for PerMille {
    type Error = ConfigError;

    fn try_from(thousandths: u16) -> Result<Self, ConfigError> {
        Self::new(thousandths)
    }
}

impl From<PerMille> for u16 {
    fn from(share: PerMille) -> Self {
        share.0
    }
}

impl fmt::Display for PerMille {
    /// As a percentage: `25%`, `0.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenths) = (self.0 / 10, self.0 % 10);
        if tenths == 0 {
            write!(f, "{whole}%")
        } else {
            write!(f, "{whole}.{tenths}%")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_of_128_bits() {
        let wholes = [
            0,
            1,
            999,
            1_000,
            1_001,
            123_456_789,
            u64::MAX - 999,
            u64::MAX - 1,
            u64::MAX,
        ];
        for whole in wholes {
            for share in 0..=1_000 {
                let exact = (u128::from(whole) * u128::from(share)).div_ceil(1_000);
                assert_eq!(u128::from(PerMille(share).of(whole)), exact, "{share} of {whole}");
            }
        }
    }
}
