//! Permits a second, in billionths.

use core::fmt;
use core::time::Duration;

use crate::PerMille;
use crate::rate_limit::Quota;

/// Permits a second, kept in billionths of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "u64", into = "u64"))]
pub struct Rate(u64);

impl Rate {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);
    /// The fastest: [`Quota::MAX_PER_SECOND`].
    pub const MAX: Self = Self::per_second(Quota::MAX_PER_SECOND);

    /// So many permits a second, [`Rate::MAX`] at most.
    #[must_use]
    pub const fn per_second(permits: u32) -> Self {
        Self::from_billionths(permits as u64 * ONE)
    }

    /// So many billionths of a permit a second, [`Rate::MAX`] at most.
    #[must_use]
    pub const fn from_billionths(billionths: u64) -> Self {
        if billionths > FASTEST {
            Self(FASTEST)
        } else {
            Self(billionths)
        }
    }

    /// In billionths of a permit a second.
    #[must_use]
    pub const fn billionths(self) -> u64 {
        self.0
    }

    /// Whole permits a second, rounded down.
    #[must_use]
    pub const fn whole(self) -> u32 {
        // At most ten million.
        #[expect(clippy::cast_possible_truncation)]
        {
            (self.0 / ONE) as u32
        }
    }

    /// A quota of this rate and a second's worth of permits at once, one at least.
    #[must_use]
    pub const fn quota(self) -> Quota {
        let slowest = if self.0 == 0 { 1 } else { self.0 };
        let capacity = if self.whole() == 0 { 1 } else { self.whole() };
        let window = (capacity as u128 * ONE as u128 * ONE as u128).div_ceil(slowest as u128);
        // Two seconds at most above one permit a second; below, 32 years at most.
        #[expect(clippy::cast_possible_truncation)]
        let window = Duration::from_nanos(window as u64);
        match Quota::new(capacity, window) {
            Ok(quota) => quota,
            // No rate is too fast, too slow or zero here.
            Err(_) => Quota::UNLIMITED,
        }
    }

    pub(super) const fn plus(self, more: Self) -> Self {
        Self::from_billionths(self.0.saturating_add(more.0))
    }

    pub(super) const fn share(self, share: PerMille) -> Self {
        // At most 10^16 times a thousand.
        Self(self.0 * share.get() as u64 / 1_000)
    }

    /// `newest` with this weight, and the rest of this one.
    pub(super) const fn blend(self, newest: Self, weight: PerMille) -> Self {
        let weight = weight.get() as u64;
        Self((newest.0 * weight + self.0 * (1_000 - weight)) / 1_000)
    }

    pub(super) fn over_half_seconds(requests: u64, half_seconds: u64) -> Self {
        let billionths = u128::from(requests) * u128::from(2 * ONE) / u128::from(half_seconds.max(1));
        Self::from_billionths(u64::try_from(billionths).unwrap_or(u64::MAX))
    }
}

const ONE: u64 = 1_000_000_000;
const FASTEST: u64 = Quota::MAX_PER_SECOND as u64 * ONE;

impl From<u64> for Rate {
    fn from(billionths: u64) -> Self {
        Self::from_billionths(billionths)
    }
}

impl From<Rate> for u64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl fmt::Display for Rate {
    /// With three decimals: `0.500/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}/s", self.0 / ONE, self.0 % ONE / 1_000_000)
    }
}
