//! How much in how long.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::ConfigError;
use crate::time::nanos;

/// A capacity of `B` permits that refills over a window `W`: after an idle window the whole
/// capacity may go at once, and over time one permit comes free every `W / B`.
///
/// Quotas run from one permit in a century to 10 000 000 permits a second. What is delivered is
/// never above the quota, and below it by less than 0.1 %: see [`Quota::MAX_PER_SECOND`].
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::Quota;
///
/// const SEARCH: Quota = match Quota::per_minute(30) { Ok(q) => q, Err(_) => panic!() };
/// assert_eq!(SEARCH.emission_interval(), Duration::from_secs(2));
///
/// // The same rate, but never more than 5 at once.
/// let smooth = SEARCH.burst(5)?;
/// assert_eq!(smooth.emission_interval(), Duration::from_secs(2));
/// assert_eq!(smooth.capacity(), 5);
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Quota {
    capacity: NonZeroU32,
    /// Emission interval in ticks of `2^-shift` nanoseconds, rounded up: a permit is never early.
    interval: u64,
    /// Ticks that may be owed before one permit more: all intervals of the capacity but one, at most
    /// a century. Kept, for every request compares with it.
    #[cfg_attr(feature = "serde", serde(skip))]
    room: u64,
    /// Fraction bits of a tick, 0 to 4. Zero for every quota up to 976 562 permits a second.
    shift: u8,
}

/// An interval of at least this many ticks loses less than 0.1 % to rounding up.
const MIN_TICKS: u128 = 1_024;

impl Quota {
    /// The fastest quota: 10 000 000 permits a second, one every 100 ns.
    ///
    /// Whole nanoseconds would lose 1 % here (governor admits 1.67 times a quota of 600 million a
    /// second for the same reason), so intervals below 1 024 ns count in sixteenths.
    pub const MAX_PER_SECOND: u32 = 10_000_000;

    /// No limit: every request is granted and nothing is remembered.
    pub const UNLIMITED: Self = Self {
        capacity: NonZeroU32::MAX,
        interval: 0,
        room: 0,
        shift: 0,
    };

    /// `capacity` permits per `window`, all of which may go at once.
    ///
    /// # Errors
    /// A capacity of zero, a window of zero or beyond a century, more than
    /// [`Quota::MAX_PER_SECOND`].
    pub const fn new(capacity: u32, window: Duration) -> Result<Self, ConfigError> {
        let Some(permits) = NonZeroU32::new(capacity) else {
            return Err(ConfigError::new("capacity", 0, "at least 1"));
        };
        let window = nanos(window);
        if window == 0 {
            return Err(ConfigError::new("window", 0, "more than 0"));
        }
        if window > LONGEST_WINDOW {
            return Err(ConfigError::new("window", window, "at most 100 years"));
        }
        if (window as u128 * Self::MAX_PER_SECOND as u128) < capacity as u128 * 1_000_000_000 {
            return Err(ConfigError::new(
                "capacity",
                capacity as u64,
                "at most 10000000 per second",
            ));
        }
        let mut shift = 0_u32;
        while ((window as u128) << shift) < MIN_TICKS * capacity as u128 && shift < MAX_SHIFT {
            shift += 1;
        }
        let interval = ((window as u128) << shift).div_ceil(capacity as u128);
        // At most the window in ticks: a window with a shift is shorter than 2^42 ns.
        #[expect(clippy::cast_possible_truncation)]
        let (interval, shift) = (interval as u64, shift as u8);
        Ok(Self {
            capacity: permits,
            interval,
            room: interval.saturating_mul(permits.get() as u64 - 1),
            shift,
        })
    }

    /// `capacity` permits per second.
    ///
    /// # Errors
    /// Zero, or more than [`Quota::MAX_PER_SECOND`].
    pub const fn per_second(capacity: u32) -> Result<Self, ConfigError> {
        Self::new(capacity, Duration::from_secs(1))
    }

    /// `capacity` permits per minute.
    ///
    /// # Errors
    /// Zero, or more than [`Quota::MAX_PER_SECOND`].
    pub const fn per_minute(capacity: u32) -> Result<Self, ConfigError> {
        Self::new(capacity, Duration::from_secs(60))
    }

    /// `capacity` permits per hour.
    ///
    /// # Errors
    /// Zero.
    pub const fn per_hour(capacity: u32) -> Result<Self, ConfigError> {
        Self::new(capacity, Duration::from_secs(3_600))
    }

    /// The same rate with another capacity: at most `permits` at once.
    ///
    /// # Errors
    /// Zero, or a capacity that would take more than a century to refill.
    pub const fn burst(self, permits: u32) -> Result<Self, ConfigError> {
        let Some(capacity) = NonZeroU32::new(permits) else {
            return Err(ConfigError::new("burst", 0, "at least 1"));
        };
        if permits as u128 * self.interval as u128 > (LONGEST_WINDOW as u128) << self.shift {
            return Err(ConfigError::new(
                "burst",
                permits as u64,
                "at most what refills in 100 years",
            ));
        }
        Ok(Self {
            capacity,
            interval: self.interval,
            room: self.interval.saturating_mul(capacity.get() as u64 - 1),
            shift: self.shift,
        })
    }

    /// The quota of these three numbers, as a snapshot holds them.
    pub(super) const fn from_ticks(capacity: u32, interval: u64, shift: u32) -> Result<Self, ConfigError> {
        let Some(permits) = NonZeroU32::new(capacity) else {
            return Err(ConfigError::new("capacity", 0, "at least 1"));
        };
        if shift > MAX_SHIFT {
            return Err(ConfigError::new("shift", shift as u64, "at most 4"));
        }
        if interval == 0 && (capacity < u32::MAX || shift > 0) {
            return Err(ConfigError::new("interval", 0, "at least 100 ns"));
        }
        if interval > 0 && interval < 100 << shift {
            return Err(ConfigError::new("interval", interval, "at least 100 ns"));
        }
        // Rounding up may have added one tick a permit. With fraction bits no quota comes near it.
        let longest = LONGEST_WINDOW as u128 + capacity as u128;
        if capacity as u128 * interval as u128 > longest {
            return Err(ConfigError::new(
                "interval",
                interval,
                "at most what refills in 100 years",
            ));
        }
        // Just checked to be at most 4.
        #[expect(clippy::cast_possible_truncation)]
        let shift = shift as u8;
        Ok(Self {
            capacity: permits,
            interval,
            room: interval.saturating_mul(permits.get() as u64 - 1),
            shift,
        })
    }

    /// How many permits may go at once after an idle window.
    #[must_use]
    pub const fn capacity(self) -> u32 {
        self.capacity.get()
    }

    /// The time between two permits in the long run, rounded up to a nanosecond.
    #[must_use]
    pub const fn emission_interval(self) -> Duration {
        Duration::from_nanos(self.interval.div_ceil(1 << self.shift))
    }

    /// How long an empty bucket takes to be full again.
    #[must_use]
    pub const fn refill_time(self) -> Duration {
        Duration::from_nanos(self.tolerance().div_ceil(1 << self.shift))
    }

    /// Whether this is [`Quota::UNLIMITED`].
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.interval == 0
    }

    /// Ticks one permit costs.
    pub(crate) const fn interval(self) -> u64 {
        self.interval
    }

    /// Ticks a full bucket is worth.
    pub(crate) const fn tolerance(self) -> u64 {
        self.room + self.interval
    }

    /// Ticks that may be owed before one permit more.
    pub(crate) const fn room(self) -> u64 {
        self.room
    }

    /// Fraction bits of a tick.
    pub(crate) const fn shift(self) -> u32 {
        self.shift as u32
    }
}

/// The most fraction bits a tick may have.
pub(super) const MAX_SHIFT: u32 = 4;

/// 100 years: keeps every sum of an instant's ticks and a full bucket below 2^63.
const LONGEST_WINDOW: u64 = 100 * 365 * 86_400 * 1_000_000_000;

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() {
            return f.write_str("Quota(unlimited)");
        }
        write!(
            f,
            "Quota({} at once, one per {:?})",
            self.capacity,
            self.emission_interval()
        )
    }
}
