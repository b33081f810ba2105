//! Which tests are recorded: whole tests, decided once.
//!
//! Half of a test's events are worse than none, so the decision is a pure function of the run, the
//! test and a seed. Every process, thread and retry comes to the same one, without a word between
//! them; two runs of a test are decided apart.
//!
//! The hash is FNV-1a over the length-prefixed ids, finished by the mixer of `SplitMix64` (Steele et
//! al., OOPSLA 2014), since FNV alone spreads short texts badly.

use crossbridge_core::PerMille;

/// Which tests are recorded.
///
/// ```
/// use crossbridge_core::PerMille;
/// use crossbridge_std::profiling::Sampling;
///
/// let tenth = Sampling::new(PerMille::new(100)?, 7);
/// let kept = (0..10_000).filter(|test| tenth.takes("run-1", &format!("test-{test}"))).count();
/// assert!((900..1_100).contains(&kept), "{kept}");
/// assert_eq!(tenth.takes("run-1", "test-3"), tenth.takes("run-1", "test-3"));
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    rate: PerMille,
    seed: u64,
}

impl Sampling {
    /// Every test.
    pub const ALL: Self = Self {
        rate: PerMille::ALL,
        seed: 0,
    };

    /// About `rate` of the tests of a run; which of them, `seed` decides.
    #[must_use]
    pub const fn new(rate: PerMille, seed: u64) -> Self {
        Self { rate, seed }
    }

    /// Whether the events of this test of this run are recorded.
    #[must_use]
    pub fn takes(&self, run_id: &str, test_id: &str) -> bool {
        let share = u64::from(self.rate.get());
        if share >= 1_000 {
            return true;
        }
        let mut hash = OFFSET ^ self.seed;
        for text in [run_id, test_id] {
            // The length in front keeps ("ab", "c") and ("a", "bc") apart.
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes();
            for byte in length.iter().chain(text.as_bytes()) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
            }
        }
        mix(hash) % 1_000 < share
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::ALL
    }
}

/// The finisher of `SplitMix64`.
const fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

/// FNV-1a's offset basis and prime for 64 bits.
const OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(share: u16, seed: u64) -> Sampling {
        Sampling::new(PerMille::new(share).unwrap(), seed)
    }

    #[test]
    fn decisions_are_the_same_for_ever() {
        // Processes of two releases must agree about a test.
        let half = sampling(500, 7);
        let taken: String = (0..32)
            .map(|test| {
                if half.takes("run", &format!("t{test}")) {
                    'x'
                } else {
                    '.'
                }
            })
            .collect();
        assert_eq!(taken, "xxxx.x.xx..x.x.xx.xxxxx..xx.xxx.");
    }

    #[test]
    fn the_share_is_right_for_any_run_and_seed() {
        for (share, seed) in [(1, 1), (100, 2), (500, 3), (990, 4)] {
            for run in ["r", "1f0c2f9e-run"] {
                let taken = (0..20_000)
                    .filter(|test| sampling(share, seed).takes(run, &format!("tests/a.py::t[{test}]")))
                    .count();
                let expected = usize::from(share) * 20;
                assert!(
                    taken.abs_diff(expected) <= 200 + expected / 20,
                    "{share}: {taken}"
                );
            }
        }
        assert!(!(0..1_000).any(|test| sampling(0, 1).takes("r", &test.to_string())));
        assert!((0..1_000).all(|test| Sampling::ALL.takes("r", &test.to_string())));
    }

    #[test]
    fn a_higher_rate_takes_what_a_lower_one_did_and_a_seed_others() {
        let tests = || (0..2_000).map(|test| test.to_string());
        assert!(
            tests().all(|test| !sampling(100, 7).takes("r", &test) || sampling(300, 7).takes("r", &test))
        );
        let differ =
            tests().filter(|test| sampling(500, 7).takes("r", test) != sampling(500, 8).takes("r", test));
        assert!((800..1_200).contains(&differ.count()));
    }
}
