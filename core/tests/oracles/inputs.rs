//! Random inputs: of every size, over the whole range, the same on every run.

use core::fmt::Debug;
use core::time::Duration;

use crossbridge_core::PerMille;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

/// Runs `test` on `cases` inputs. It fails by panicking.
pub(crate) fn check<S>(cases: u32, inputs: S, test: impl Fn(S::Value))
where
    S: Strategy<Value: Debug>,
{
    let mut config = ProptestConfig::default();
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => 0xC0FF_EE15_600D,
    };
    config.rng_seed = RngSeed::Fixed(seed);
    config.failure_persistence = None;
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let run = TestRunner::new(config).run(&inputs, |input| {
        test(input);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

/// Numbers of every size up to `high`: as many below a thousand as above a million.
pub(crate) fn log_uniform(low: u64, high: u64) -> impl Strategy<Value = u64> + Clone {
    (0..=64_u32, any::<u64>()).prop_map(move |(bits, word)| {
        let small = if bits == 0 { 0 } else { word >> (64 - bits) };
        small.clamp(low, high)
    })
}

/// Instants over the whole range, the two ends often.
pub(crate) fn any_nanos() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![
        log_uniform(0, u64::MAX),
        log_uniform(0, 1_000_000_000_000).prop_map(|below| u64::MAX - below),
    ]
}

/// Spans over the whole range, in nanoseconds, up to `high`.
pub(crate) fn any_span(low: u64, high: u64) -> impl Strategy<Value = Duration> + Clone {
    log_uniform(low, high).prop_map(Duration::from_nanos)
}

pub(crate) fn per_mille(low: u16, high: u16) -> impl Strategy<Value = PerMille> + Clone {
    (low..=high).prop_map(|share| PerMille::new(share).expect("at most a thousand"))
}

pub(crate) const A_DAY: u64 = 86_400 * 1_000_000_000;
