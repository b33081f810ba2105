//! Bounded integers from any generator, with exactly one draw each.
//!
//! A decision that needs chance takes one `u64` from the generator and no more, whatever comes
//! out: a rejection loop would make the number of draws depend on their values, and a trace could
//! no longer be replayed from a recorded generator. Scaling by multiplication (Lemire, *Fast
//! Random Integer Generation in an Interval*, 2019, without its rejection step) is biased by at
//! most `range / 2^64`: less than one nanosecond in ten years of jitter.

use core::convert::Infallible;

use rand_core::{Rng, TryRng};

/// A uniform integer in `low..=high`. `high < low` yields `low`.
///
/// ```
/// use crossbridge_core::draw::{SplitMix64, inclusive};
///
/// let mut rng = SplitMix64::new(7);
/// let delay = inclusive(100, 200, &mut rng);
/// assert!((100..=200).contains(&delay));
/// ```
pub fn inclusive<R: Rng + ?Sized>(low: u64, high: u64, rng: &mut R) -> u64 {
    let drawn = rng.next_u64();
    let range = u128::from(high.saturating_sub(low)) + 1;
    // Less than `range`, which is at most 2^64: the product's upper half fits.
    let offset = u64::try_from((u128::from(drawn) * range) >> 64).unwrap_or(u64::MAX);
    low.saturating_add(offset)
}

/// `SplitMix64` (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, 2014):
/// eight bytes of state, one addition and three multiplications a draw.
///
/// Good enough to spread delays and to drive a simulation; not for secrets. It is here so that
/// firmware, replay and tests draw the same numbers without another dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator that starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number; the same as `next_u64`, usable in constants.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl TryRng for SplitMix64 {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The upper half is the better mixed one.
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567, as published with the reference implementation
    /// (Vigna, <https://prng.di.unimi.it/splitmix64.c>).
    #[test]
    fn splitmix_matches_the_reference() {
        let mut rng = SplitMix64::new(1_234_567);
        let drawn: [u64; 3] = core::array::from_fn(|_| rng.next());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn every_value_of_a_small_range_is_drawn() {
        let mut rng = SplitMix64::new(1);
        let mut seen = [0_u32; 4];
        for _ in 0..4_000 {
            seen[usize::try_from(inclusive(10, 13, &mut rng) - 10).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| (900..1_100).contains(&n)), "{seen:?}");
    }

    #[test]
    fn the_full_range_and_an_empty_one() {
        let mut rng = SplitMix64::new(2);
        assert_eq!(inclusive(5, 5, &mut rng), 5);
        assert_eq!(inclusive(5, 3, &mut rng), 5);
        assert_eq!(inclusive(0, u64::MAX, &mut rng), SplitMix64::new(2).nth(2));
    }

    impl SplitMix64 {
        /// The draw after `skipped` others.
        fn nth(mut self, skipped: u32) -> u64 {
            for _ in 0..skipped {
                self.next();
            }
            self.next()
        }
    }
}
