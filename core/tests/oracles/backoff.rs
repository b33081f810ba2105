//! Delay curves against the formulas they are named after.

use core::time::Duration;

use crossbridge_core::draw::{SplitMix64, inclusive};
use crossbridge_core::retry::{Backoff, RetryRules};
use crossbridge_core::{Jitter, PerMille, RetryPolicy};
use proptest::prelude::*;

use crate::{A_DAY, check, log_uniform, per_mille};

pub(crate) fn any_jitter() -> impl Strategy<Value = Jitter> + Clone {
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        Just(Jitter::Decorrelated),
        per_mille(0, 1_000).prop_map(Jitter::Proportional),
    ]
}

/// Every policy that is accepted, as far as delays are concerned.
pub(crate) fn any_policy() -> impl Strategy<Value = RetryPolicy> + Clone {
    let delays = (
        log_uniform(0, A_DAY),
        log_uniform(0, A_DAY),
        log_uniform(0, A_DAY),
    );
    (delays, 1_000..=100_000_u32, any_jitter(), 1..=1_000_u32).prop_map(
        |((base, throttled, cap), factor_permille, jitter, attempts)| {
            let policy = RetryPolicy {
                attempts,
                base_delay: Duration::from_nanos(base.min(cap)),
                throttled_base_delay: Duration::from_nanos(throttled.min(cap)),
                factor_permille,
                max_delay: Duration::from_nanos(cap),
                jitter,
                ..RetryPolicy::DEFAULT
            };
            policy.check().expect("in its ranges");
            policy
        },
    )
}

pub(crate) fn rules(policy: RetryPolicy) -> RetryRules {
    RetryRules::new(policy).expect("accepted")
}

fn nanos(span: Duration) -> u128 {
    span.as_nanos()
}

/// `min(cap, base * factor^k)`, each step rounded down, in numbers that cannot overflow.
fn size(base: Duration, k: u32, policy: &RetryPolicy) -> u128 {
    let (mut size, cap) = (nanos(base), nanos(policy.max_delay));
    for _ in 0..k {
        size = (size * u128::from(policy.factor_permille) / 1_000).min(cap);
    }
    size
}

/// The least and the largest delay of a jitter, before AWS's, for a size.
fn range(jitter: Jitter, size: u128, base: u128, previous: u128, cap: u128) -> (u128, u128) {
    match jitter {
        Jitter::None => (size, size),
        Jitter::Full => (0, size),
        Jitter::Equal => (size.div_ceil(2), size),
        Jitter::Decorrelated => (base, (3 * previous.max(base)).min(cap)),
        Jitter::Proportional(share) => {
            let spread = (size * u128::from(share.get())).div_ceil(1_000);
            (size - spread, (size + spread).min(cap))
        }
    }
}

#[test]
fn every_delay_is_between_its_floor_and_the_cap() {
    let kinds = prop::collection::vec(any::<bool>(), 1..200);
    check(
        300,
        (any_policy(), kinds, any::<u64>()),
        |(policy, kinds, seed)| {
            let mut backoff = Backoff::new(&rules(policy));
            let mut rng = SplitMix64::new(seed);
            let cap = nanos(policy.max_delay);
            let mut previous = nanos(policy.base_delay);
            for (k, &throttled) in (0..).zip(&kinds) {
                let base = if throttled {
                    policy.throttled_base_delay
                } else {
                    policy.base_delay
                };
                let size = size(base, k, &policy);
                let mut drawn = rng.clone();
                let delay = nanos(backoff.next_delay(&rules(policy), throttled, &mut rng));
                let (low, high) = range(policy.jitter, size, nanos(base), previous, cap);
                assert!(low <= delay && delay <= high, "{delay} is not in {low}..={high}");
                assert!(delay <= cap, "{delay} is above the cap {cap}");
                previous = delay;
                // One draw for each delay, none without jitter.
                if policy.jitter != Jitter::None {
                    drawn.next();
                }
                assert_eq!(drawn, rng);
            }
        },
    );
}

#[test]
fn decorrelated_is_the_formula_of_aws() {
    check(200, (any_policy(), any::<u64>()), |(policy, seed)| {
        let policy = policy.jitter(Jitter::Decorrelated);
        let mut backoff = Backoff::new(&rules(policy));
        let (mut rng, mut twin) = (SplitMix64::new(seed), SplitMix64::new(seed));
        let base = u64::try_from(nanos(policy.base_delay)).unwrap();
        let cap = u64::try_from(nanos(policy.max_delay)).unwrap();
        // sleep = min(cap, random_between(base, sleep * 3))
        let mut sleep = base;
        for _ in 0..50 {
            sleep = cap.min(inclusive(base, sleep * 3, &mut twin));
            let delay = backoff.next_delay(&rules(policy), false, &mut rng);
            assert_eq!(delay, Duration::from_nanos(sleep));
        }
    });
}

#[test]
fn sizes_grow_to_the_cap_and_stay_there() {
    check(200, any_policy(), |policy| {
        let policy = policy.jitter(Jitter::None);
        let mut backoff = Backoff::new(&rules(policy));
        let mut rng = SplitMix64::new(0);
        let delays: Vec<_> = (0..1_500)
            .map(|_| backoff.next_delay(&rules(policy), false, &mut rng))
            .collect();
        assert!(delays.is_sorted());
        assert!(delays.iter().all(|&delay| delay <= policy.max_delay));
        // A microsecond grows by a thousandth at least, so it gets anywhere.
        if nanos(policy.base_delay) >= 1_000 && policy.factor_permille >= 1_100 {
            assert_eq!(delays.last(), Some(&policy.max_delay));
        }
    });
}

/// A fleet that has reached the cap must not retry in step.
#[test]
fn the_spread_survives_at_the_cap() {
    let inputs = (any_jitter(), log_uniform(100_000, A_DAY), any::<u64>());
    check(200, inputs, |(jitter, cap, seed)| {
        let policy = RetryPolicy {
            base_delay: Duration::from_nanos(cap / 2),
            throttled_base_delay: Duration::from_nanos(cap / 2),
            max_delay: Duration::from_nanos(cap),
            jitter,
            ..RetryPolicy::DEFAULT
        };
        let mut backoff = Backoff::new(&rules(policy));
        let mut rng = SplitMix64::new(seed);
        for _ in 0..20 {
            let _ = backoff.next_delay(&rules(policy), false, &mut rng);
        }
        let delays: Vec<_> = (0..100)
            .map(|_| backoff.next_delay(&rules(policy), false, &mut rng))
            .collect();
        let alike = delays.iter().all(|delay| *delay == delays[0]);
        let at_cap = delays.iter().filter(|&&delay| delay == policy.max_delay).count();
        match jitter {
            Jitter::None | Jitter::Proportional(PerMille::ZERO) => assert!(alike && at_cap == 100),
            // The formula of AWS caps the result: most draws are the cap itself.
            Jitter::Decorrelated => assert!(!alike),
            Jitter::Full | Jitter::Equal | Jitter::Proportional(_) => {
                assert!(!alike && at_cap < 20, "{jitter:?}: {at_cap} of 100 are the cap");
            }
        }
    });
}
