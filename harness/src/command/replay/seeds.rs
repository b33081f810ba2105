//! One scenario under many seeds, on every core.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbridge_harness::result::{Sample, replayed};
use crossbridge_harness::scenario::Scenario;
use crossbridge_harness::stream::stream;

use super::Failed;
use super::parallel::in_order;

/// So many seeds: `first`, then others that follow from it. They have 32 bits, because people pass them
/// on, and none comes twice.
pub(in crate::command) fn seeds(first: u64, count: usize) -> Vec<u64> {
    let mut draws = stream(first, "replay", 0, "seeds");
    let mut used = BTreeSet::from([first]);
    let mut seeds = vec![first];
    while seeds.len() < count {
        let seed = draws.next() >> 32;
        if used.insert(seed) {
            seeds.push(seed);
        }
    }
    seeds
}

/// Runs every seed and keeps the samples in their order, whichever thread ran them: the result does not
/// depend on `threads`. `done` is told how many are finished.
///
/// # Errors
/// The failure of the first seed in the order that has one.
pub(super) fn samples(
    scenario: &Scenario,
    seeds: &[u64],
    threads: usize,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Sample>, Failed> {
    let finished = AtomicUsize::new(0);
    in_order(seeds.len(), threads, &|index| {
        let seed = seeds[index];
        let result = replayed(scenario, seed).map_err(|error| Failed::of(format!("seed {seed}: "), error));
        done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(Sample::new(&result?))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crossbridge_harness::scenario;

    use super::*;

    #[test]
    fn the_given_seed_comes_first_and_more_seeds_keep_the_fewer() {
        // Enough for the 32 bits to meet again.
        for first in 0..4 {
            let many = seeds(first, 100_000);
            assert_eq!(many[0], first);
            assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), 100_000);
        }
        let many = seeds(7, 1_000);
        assert_eq!(seeds(7, 10), many[..10]);
        assert_ne!(seeds(8, 10)[1..], many[1..10]);
        assert_eq!(seeds(u64::MAX, 1), [u64::MAX]);
    }

    /// Pinned: a change here changes what `--seeds` of yesterday's report meant.
    #[test]
    fn the_seeds_are_the_same_everywhere() {
        assert_eq!(seeds(7, 4), [7, 3_493_846_818, 4_096_456_369, 748_881_057]);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios/coverage-deadlocks.yml");
        let scenario = scenario::load(&path, None, &|_| None).expect("a good scenario");
        let seeds = seeds(scenario.seed, 6);
        let told = AtomicUsize::new(0);
        let alone = samples(&scenario, &seeds, 1, &|done| told.store(done, Ordering::Relaxed));
        let alone = alone.expect("they run");
        assert_eq!(told.into_inner(), 6);
        assert_eq!(alone.iter().map(|sample| sample.seed).collect::<Vec<_>>(), seeds);
        for threads in [2, 5, 64] {
            assert_eq!(
                samples(&scenario, &seeds, threads, &|_| {}).expect("they run"),
                alone
            );
        }
    }
}
