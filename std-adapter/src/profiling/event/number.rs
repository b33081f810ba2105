//! Times that are finite and not negative, checked once.

use std::fmt;

/// The largest value of [`Seconds`] and [`Millis`]: 10¹², some 30 years of milliseconds. A larger
/// number is a unit mistaken for another one, and one of them would drown every total.
const MAX: f64 = 1e12;

macro_rules! measure {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// None at all. An explicit 0 is a measurement, not a missing one.
            pub const ZERO: Self = Self(0.0);

            /// Checks that the value is finite and from 0 to 10¹².
            ///
            /// # Errors
            ///
            /// [`BadNumber`] for a NaN, an infinity, a negative or a larger value.
            pub fn new(value: f64) -> Result<Self, BadNumber> {
                if (0.0..=MAX).contains(&value) {
                    // Adding 0 turns a negative zero into the usual one.
                    Ok(Self(value + 0.0))
                } else {
                    Err(BadNumber { value, unit: $unit })
                }
            }

            #[doc = concat!("The value in ", $unit, ".")]
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

measure! {
    /// A point on the producer's clock, in seconds: finite, from 0 to 10¹².
    Seconds, "seconds"
}
measure! {
    /// A span in milliseconds: finite, from 0 to 10¹².
    Millis, "milliseconds"
}

impl Millis {
    /// A span given in seconds, as reports do.
    ///
    /// # Errors
    ///
    /// [`BadNumber`] with the value in seconds.
    pub fn from_seconds(seconds: f64) -> Result<Self, BadNumber> {
        // 1.217 s is 1217 ms: the product is rounded once more at the nanosecond, otherwise the
        // binary fraction of the text shows as 1216.9999999999998.
        let millis = seconds * 1e3;
        let clean = if millis < 1e9 {
            (millis * 1e6).round() / 1e6
        } else {
            millis
        };
        Self::new(clean).map_err(|_| BadNumber {
            value: seconds,
            unit: "seconds",
        })
    }

    /// The sum, `None` when it is out of range.
    #[must_use]
    pub fn checked_add(self, more: Self) -> Option<Self> {
        Self::new(self.0 + more.0).ok()
    }

    /// The span between two points of one clock, `None` when `end` is before `start`.
    #[must_use]
    pub fn between(start: Seconds, end: Seconds) -> Option<Self> {
        Self::from_seconds(end.get() - start.get()).ok()
    }
}

/// A number that is no time: NaN, infinite, negative or out of range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadNumber {
    /// What was found.
    pub value: f64,
    /// The unit it was meant in.
    pub unit: &'static str,
}

impl fmt::Display for BadNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, expected {} from 0 to 1e12", self.value, self.unit)
    }
}

impl std::error::Error for BadNumber {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_as_given() {
        for value in [0.0, 250.125, 0.001, 1e-7, 12.345, 1_763_745_600.123_456, 1e12] {
            assert_eq!(Millis::new(value).map(Millis::get), Ok(value));
            assert_eq!(Seconds::new(value).map(Seconds::get), Ok(value));
        }
        assert!(Millis::new(-0.0).is_ok_and(|zero| zero.get().is_sign_positive()));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-9, 1.1e12] {
            assert!(Millis::new(value).is_err(), "{value}");
            assert!(Seconds::new(value).is_err(), "{value}");
        }
        let error = Millis::new(-5.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found -5, expected milliseconds from 0 to 1e12"
        );
    }

    #[test]
    fn seconds_become_milliseconds_without_noise() {
        for (seconds, millis) in [
            (1.217, 1217.0),
            (0.001, 1.0),
            (2.755, 2755.0),
            (0.000_001, 0.001),
            (0.0, 0.0),
        ] {
            assert_eq!(Millis::from_seconds(seconds).map(Millis::get), Ok(millis));
        }
    }

    #[test]
    fn a_span_is_never_negative() {
        let (early, late) = (Seconds::new(12.345).unwrap(), Seconds::new(12.5).unwrap());
        assert_eq!(Millis::between(early, late).map(Millis::get), Some(155.0));
        assert_eq!(Millis::between(late, early), None);
    }
}
