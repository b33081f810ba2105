//! A limit as the words that a sequence lock keeps.

use super::gradient2::Gradient2State;
use super::{Algorithm, Limit, LimitConfig};

/// ```text
///   0   the limit in 65 536ths
///   1   long, lower 64
///   2   long, upper 32 │ sum, upper 8 │ samples 8
///   3   sum, lower 64
/// ```
pub(in crate::bulkhead) const LIMIT_WORDS: usize = 4;

impl Limit {
    #[expect(clippy::cast_possible_truncation, reason = "halves of longer words")]
    pub(in crate::bulkhead) const fn to_words(self) -> [u64; LIMIT_WORDS] {
        match self.0 {
            Algorithm::Fixed(limit) | Algorithm::Aimd(_, limit) => [(limit as u64) << 16, 0, 0, 0],
            Algorithm::Gradient2(_, state) => [
                state.limit,
                state.long as u64,
                // Below 2^96, and ten times 2^64 at most.
                (state.long >> 64) as u64 | ((state.sum >> 64) as u64) << 32 | (state.samples as u64) << 40,
                state.sum as u64,
            ],
        }
    }

    /// The limit of these words, which are of this configuration.
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
    pub(in crate::bulkhead) const fn from_words(config: LimitConfig, words: &[u64; LIMIT_WORDS]) -> Self {
        let &[limit, long, upper, sum] = words;
        Self(match config {
            LimitConfig::Fixed(limit) => Algorithm::Fixed(limit),
            LimitConfig::Aimd(config) => Algorithm::Aimd(config, Self::in_word(limit)),
            LimitConfig::Gradient2(config) => Algorithm::Gradient2(
                config,
                Gradient2State {
                    limit,
                    long: long as u128 | (upper as u32 as u128) << 64,
                    sum: sum as u128 | ((upper >> 32) as u8 as u128) << 64,
                    samples: (upper >> 40) as u8,
                },
            ),
        })
    }

    /// The limit in the first word, which says it for every algorithm.
    #[inline]
    pub(in crate::bulkhead) const fn in_word(word: u64) -> u32 {
        // At most `max`, which is a `u32`.
        #[expect(clippy::cast_possible_truncation)]
        {
            (word >> 16) as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::bulkhead::limit::Sample;
    use crate::bulkhead::limit::gradient2::Gradient2Config;

    /// The longest durations: the sum and the average are as long as they get.
    #[test]
    fn a_limit_is_the_one_that_its_words_were_made_of() {
        let config = LimitConfig::Gradient2(Gradient2Config {
            max: u32::MAX,
            ..Gradient2Config::DEFAULT
        });
        let mut limit = Limit::new(config).unwrap();
        for turn in 0..40_u32 {
            limit.on_sample(Sample {
                in_flight: u32::MAX,
                took: Duration::MAX / (1 + turn / 20),
                dropped: false,
            });
            assert_eq!(Limit::from_words(config, &limit.to_words()), limit);
        }
    }
}
