//! The cubic curve in integers.

use core::time::Duration;

use super::Rate;
use crate::PerMille;

/// `scale * (since - plateau)^3 + max`, rounded down and never below zero.
pub(super) fn rate(max: Rate, since: Duration, plateau: Duration, scale: PerMille) -> Rate {
    // Microseconds, and a day at most: beyond a few minutes every scale is at the ceiling, and the
    // longest plateau is 2 155 s. The cube is then below 10^33.
    let micros = |span: Duration| i128::try_from(span.as_micros()).map_or(A_DAY, |us| us.min(A_DAY));
    let off = micros(since) - micros(plateau);
    let change = (off * off * off * i128::from(scale.get())).div_euclid(1_000_000_000_000);
    let billionths = (i128::from(max.billionths()) + change).max(0);
    Rate::from_billionths(u64::try_from(billionths).unwrap_or(u64::MAX))
}

/// `cbrt(max * (1 - beta) / scale)` seconds: how long after a throttle the curve is back at `max`.
pub(super) fn plateau(max: Rate, beta: PerMille, scale: PerMille) -> Duration {
    let lost = u128::from(max.billionths()) * u128::from(1_000 - beta.get());
    // In cubic nanoseconds: 10^27 of them in a cubic second, and `max` counts 10^9 for one.
    let cube = lost * 1_000_000_000_000_000_000 / u128::from(scale.get().max(1));
    Duration::from_nanos(root(cube))
}

const A_DAY: i128 = 86_400 * 1_000_000;

/// The cube root, rounded down: three bits of the number give one of the root.
fn root(number: u128) -> u64 {
    let (mut left, mut root) = (number, 0_u128);
    for shift in (0..=126).rev().step_by(3) {
        root *= 2;
        let next = 3 * root * (root + 1) + 1;
        if left >> shift >= next {
            left -= next << shift;
            root += 1;
        }
    }
    // A third of 128 bits.
    u64::try_from(root).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::SplitMix64;

    const BETA: u16 = 700;
    const SCALE: u16 = 400;

    fn share(thousandths: u16) -> PerMille {
        PerMille::new(thousandths).unwrap()
    }

    fn assert_close(found: Rate, expected: f64) {
        // Ten digits of the published value, less what a microsecond changes.
        #[expect(clippy::cast_precision_loss)]
        let found = found.billionths() as f64 / 1e9;
        assert!(
            (found - expected).abs() <= expected * 2e-6,
            "{found} for {expected}"
        );
    }

    fn curve(max: Rate, since: u64) -> Rate {
        let plateau = plateau(max, share(BETA), share(SCALE));
        rate(max, Duration::from_secs(since), plateau, share(SCALE))
    }

    #[test]
    fn roots_are_rounded_down() {
        let mut rng = SplitMix64::new(5);
        for round in 0..2_000_u32 {
            let number = (u128::from(rng.next()) << 64 | u128::from(rng.next())) >> (round % 128);
            let found = u128::from(root(number));
            assert!(found * found * found <= number);
            let above = found + 1;
            assert!(above.checked_pow(3).is_none_or(|cube| cube > number));
        }
        assert_eq!([root(0), root(1), root(7), root(8), root(27)], [0, 1, 1, 2, 3]);
    }

    /// smithy-rs, `test_calculated_rate_with_successes`: throttled at 10/s at 5 s.
    #[test]
    fn rises_as_published() {
        let published = [
            7.0,
            9.64893600966,
            10.000030849917364,
            10.453284520772092,
            13.408697022224185,
            21.26626835427364,
            36.425998516920465,
        ];
        for (since, expected) in (0..).zip(published) {
            assert_close(curve(Rate::per_second(10), since), expected);
        }
    }

    /// smithy-rs, `test_calculated_rate_with_throttles`, where what is left becomes the maximum.
    #[test]
    fn falls_and_rises_as_published() {
        let published = [
            (5, false, 7.0),
            (6, false, 9.64893600966),
            (7, true, 6.754255206761999),
            (8, true, 4.727978644733399),
            (9, false, 4.670125557970046),
            (10, false, 4.770870456867401),
            (11, false, 6.011819748005445),
            (12, false, 10.792973431384178),
        ];
        let (mut max, mut at, mut found) = (Rate::per_second(10), 5, Rate::ZERO);
        for (now, throttled, expected) in published {
            if throttled {
                found = found.share(share(BETA));
                (max, at) = (found, now);
            } else {
                found = curve(max, now - at);
            }
            assert_close(found, expected);
        }
    }

    #[test]
    fn the_ends_of_every_range() {
        for scale in [1, SCALE, 1_000] {
            for max in [Rate::ZERO, Rate::from_billionths(1), Rate::MAX] {
                let plateau = plateau(max, PerMille::ZERO, share(scale));
                assert!(plateau <= Duration::from_secs(2_155));
                for since in [Duration::ZERO, plateau, Duration::MAX] {
                    assert!(rate(max, since, plateau, share(scale)) <= Rate::MAX);
                }
                let long = rate(max, Duration::MAX, plateau, share(scale));
                assert_eq!(long, Rate::MAX);
            }
        }
    }
}
