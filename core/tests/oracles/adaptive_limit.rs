//! The adaptive limits against Netflix's formulas in floating point.

use core::time::Duration;

use crossbridge_core::PerMille;
use crossbridge_core::bulkhead::limit::gradient2::{Gradient2Config, Gradient2State};
use crossbridge_core::bulkhead::limit::{AimdConfig, Limit, LimitConfig, LimitSnapshot, Sample};
use crossbridge_core::bulkhead::waiters::{WaitingBulkhead, WaitingSnapshot};
use proptest::prelude::*;

use crate::{any_span, check, log_uniform, per_mille};

fn bounds(high: u32) -> impl Strategy<Value = [u32; 3]> + Clone {
    let bound = log_uniform(1, u64::from(high)).prop_map(|bound| u32::try_from(bound).unwrap());
    (bound.clone(), bound.clone(), bound).prop_map(|(a, b, c)| {
        let mut sorted = [a, b, c];
        sorted.sort_unstable();
        sorted
    })
}

fn samples(longest: u64) -> impl Strategy<Value = Vec<Sample>> {
    let in_flight = log_uniform(0, u64::from(u32::MAX)).prop_map(|calls| u32::try_from(calls).unwrap());
    let sample = (in_flight, any_span(0, longest), prop::bool::weighted(0.1)).prop_map(
        |(in_flight, took, dropped)| Sample {
            in_flight,
            took,
            dropped,
        },
    );
    prop::collection::vec(sample, 1..60)
}

/// `AIMDLimit._update`, in doubles, which hold every `u32` exactly.
fn aimd(config: &AimdConfig, limit: f64, sample: &Sample) -> f64 {
    let mut limit = limit;
    if sample.dropped || sample.took > config.timeout {
        limit = (limit * f64::from(config.backoff.get()) / 1_000.0).floor();
    } else if f64::from(sample.in_flight) * 2.0 >= limit {
        limit += 1.0;
    }
    limit.min(f64::from(config.max)).max(f64::from(config.min))
}

#[test]
fn aimd_is_netflix_exactly() {
    let inputs = (
        bounds(u32::MAX),
        per_mille(500, 999),
        any_span(1, u64::MAX),
        samples(u64::MAX),
    );
    check(500, inputs, |([min, initial, max], backoff, timeout, samples)| {
        let config = AimdConfig {
            initial,
            min,
            max,
            backoff,
            timeout,
        };
        let mut limit = Limit::new(LimitConfig::Aimd(config)).unwrap();
        let mut model = f64::from(initial);
        for sample in samples {
            limit.on_sample(sample);
            model = aimd(&config, model, &sample);
            assert!((f64::from(limit.get()) - model).abs() < 0.5);
        }
    });
}

/// `Gradient2Limit._update` with `ExpAvgMeasurement`, in doubles.
#[derive(Clone, Debug)]
struct Netflix {
    limit: f64,
    long: f64,
    sum: f64,
    count: u32,
}

impl Netflix {
    fn update(&mut self, config: &Gradient2Config, sample: &Sample) {
        let short = (sample.took.as_nanos().max(1)) as f64;
        if self.count < 10 {
            self.count += 1;
            self.sum += short;
            self.long = self.sum / f64::from(self.count);
        } else {
            let factor = 2.0 / (f64::from(config.long_window) + 1.0);
            self.long = self.long * (1.0 - factor) + short * factor;
        }
        let long = self.long;
        if long / short > 2.0 {
            self.long *= 0.95;
        }
        if f64::from(sample.in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient = (f64::from(config.tolerance) / 1_000.0 * long / short).clamp(0.5, 1.0);
        let smoothing = f64::from(config.smoothing.get()) / 1_000.0;
        let limit = self.limit * gradient + f64::from(config.queue);
        let limit = self.limit * (1.0 - smoothing) + limit * smoothing;
        self.limit = limit.min(f64::from(config.max)).max(f64::from(config.min));
    }

    /// Takes over what the machine holds, so that one step is compared and not the sum of them.
    fn follow(&mut self, state: &Gradient2State) {
        self.limit = state.limit_fixed() as f64 / 65_536.0;
        self.long = state.long_fixed() as f64 / 4_294_967_296.0;
    }
}

#[test]
fn a_step_of_gradient2_is_netflix_within_rounding() {
    let inputs = (
        bounds(1_000_000),
        (
            1_000..=10_000_u16,
            per_mille(1, 1_000),
            0..=1_000_u32,
            1..=2_000_u16,
        ),
        // Doubles hold no more nanoseconds than this exactly.
        samples(1 << 50),
    );
    check(
        500,
        inputs,
        |([min, initial, max], (tolerance, smoothing, queue, long_window), samples)| {
            let config = Gradient2Config {
                initial,
                min,
                max,
                tolerance,
                smoothing,
                queue,
                long_window,
            };
            config.check().unwrap();
            let mut state = config.start();
            let mut model = Netflix {
                limit: f64::from(initial),
                long: 0.0,
                sum: 0.0,
                count: 0,
            };
            for sample in samples {
                let before = model.clone();
                state = config.step(state, sample);
                model.update(&config, &sample);
                let (limit, long) = (
                    state.limit_fixed() as f64 / 65_536.0,
                    state.long_fixed() as f64 / 4_294_967_296.0,
                );
                // Exactly at the two thresholds a rounding may decide: then either side is right.
                let short = sample.took.as_nanos().max(1) as f64;
                let at_threshold =
                    (long / short - 2.0).abs() < 1e-6 || (long / short / 0.95 - 2.0).abs() < 1e-6;
                if !at_threshold {
                    assert!(
                        (long - model.long).abs() <= 1e-9 * model.long + 1e-6,
                        "long {long}, expected {}",
                        model.long
                    );
                }
                // One 65 536th of the limit from the gradient, and a few from the divisions.
                let rounding = before.limit / 65_536.0 + 1e-3;
                assert!(
                    (limit - model.limit).abs() <= rounding,
                    "limit {limit}, expected {} from {before:?}",
                    model.limit
                );
                assert!(state.limit() >= min && state.limit() <= max);
                model.follow(&state);
            }
        },
    );
}

/// Left to themselves for a whole day of weather, both end within a call of each other.
#[test]
fn gradient2_follows_netflix_through_an_overload_and_out_of_it() {
    let config = Gradient2Config::DEFAULT;
    let mut state = config.start();
    let mut model = Netflix {
        limit: 20.0,
        long: 0.0,
        sum: 0.0,
        count: 0,
    };
    let mut lowest_under_load = u32::MAX;
    for call in 0..6_000_u64 {
        let took = match call {
            2_000..3_000 => 200_000 + call * 37 % 50_000,
            _ => 20_000 + call * 37 % 5_000,
        };
        let sample = Sample {
            in_flight: 250,
            took: Duration::from_micros(took),
            dropped: false,
        };
        state = config.step(state, sample);
        model.update(&config, &sample);
        assert!(
            (f64::from(state.limit()) - model.limit.floor()).abs() <= 1.0,
            "call {call}"
        );
        if (2_000..3_000).contains(&call) {
            lowest_under_load = lowest_under_load.min(state.limit());
        }
    }
    assert_eq!(lowest_under_load, 20, "ten times slower: down to the floor");
    assert_eq!(state.limit(), 200, "and up again");
}

#[test]
fn idle_callers_prove_nothing() {
    let config = Gradient2Config::DEFAULT;
    let mut gradient = Limit::new(LimitConfig::Gradient2(config)).unwrap();
    let mut aimd = Limit::new(LimitConfig::Aimd(AimdConfig::DEFAULT)).unwrap();
    for _ in 0..1_000 {
        let idle = Sample {
            in_flight: 9,
            took: Duration::from_millis(1),
            dropped: false,
        };
        gradient.on_sample(idle);
        aimd.on_sample(idle);
    }
    assert_eq!((gradient.get(), aimd.get()), (20, 20));
}

#[test]
fn any_sample_leaves_a_limit_within_its_bounds() {
    let inputs = (bounds(u32::MAX), any::<u32>(), any::<u16>(), samples(u64::MAX));
    check(300, inputs, |([min, initial, max], queue, window, samples)| {
        let config = Gradient2Config {
            initial,
            min,
            max,
            queue,
            long_window: window.max(1),
            tolerance: 10_000,
            smoothing: PerMille::ALL,
        };
        let mut limit = Limit::new(LimitConfig::Gradient2(config)).unwrap();
        for sample in samples {
            limit.on_sample(sample);
            assert!((min..=max).contains(&limit.get()));
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |config: LimitConfig| Limit::new(config).unwrap_err().to_string();
    assert_eq!(refused(LimitConfig::Fixed(0)), "limit is 0, expected at least 1");
    let aimd = AimdConfig::DEFAULT;
    assert_eq!(
        refused(LimitConfig::Aimd(AimdConfig { max: 10, ..aimd })),
        "max is 10, expected at least min"
    );
    assert_eq!(
        refused(LimitConfig::Aimd(AimdConfig {
            backoff: PerMille::ALL,
            ..aimd
        })),
        "backoff is 1000, expected 500 to 999"
    );
    let gradient = Gradient2Config::DEFAULT;
    assert_eq!(
        refused(LimitConfig::Gradient2(Gradient2Config {
            tolerance: 999,
            ..gradient
        })),
        "tolerance is 999, expected 1000 to 10000"
    );
    assert_eq!(
        refused(LimitConfig::Gradient2(Gradient2Config {
            initial: 201,
            ..gradient
        })),
        "initial is 201, expected min to max"
    );
}

#[test]
fn a_restored_limit_goes_on_as_if_nothing_had_happened() {
    let configs = bounds(10_000).prop_flat_map(|[min, initial, max]| {
        let aimd = AimdConfig {
            initial,
            min,
            max,
            ..AimdConfig::DEFAULT
        };
        let gradient = Gradient2Config {
            initial,
            min,
            max,
            ..Gradient2Config::DEFAULT
        };
        prop::sample::select(vec![
            LimitConfig::Fixed(initial),
            LimitConfig::Aimd(aimd),
            LimitConfig::Gradient2(gradient),
        ])
    });
    check(
        300,
        (configs, samples(u64::MAX), samples(u64::MAX)),
        |(config, before, after)| {
            let mut stayed = Limit::new(config).unwrap();
            before.into_iter().for_each(|sample| stayed.on_sample(sample));
            let mut restored = Limit::restore(config, &stayed.snapshot()).expect("its own snapshot");
            for sample in after {
                stayed.on_sample(sample);
                restored.on_sample(sample);
                assert_eq!(restored, stayed);
            }
        },
    );
}

#[test]
fn a_snapshot_that_no_bulkhead_made_is_refused_with_the_reason() {
    let gradient = LimitConfig::Gradient2(Gradient2Config::DEFAULT);
    let taken = WaitingBulkhead::<4>::new(gradient).unwrap().snapshot();
    assert!(WaitingBulkhead::<4>::restore(gradient, &taken).is_ok());
    let refused = |config, snapshot: WaitingSnapshot| {
        let refused = WaitingBulkhead::<4>::restore(config, &snapshot).unwrap_err();
        refused.to_string()
    };
    assert_eq!(
        refused(gradient, WaitingSnapshot { version: 2, ..taken }),
        "snapshot: version is 2, expected 1"
    );
    assert_eq!(
        refused(LimitConfig::Fixed(1), taken),
        "snapshot: limit is 0, expected a snapshot of the configured algorithm"
    );
    assert_eq!(
        refused(LimitConfig::Fixed(0), taken),
        "snapshot: config is 0, expected a configuration that a new limit accepts"
    );
    let broken = |limit_fixed, long_fixed, sum, samples| WaitingSnapshot {
        limit: LimitSnapshot::Gradient2 {
            limit_fixed,
            long_fixed,
            sum,
            samples,
        },
        ..taken
    };
    let reasons = [
        (broken(0, 0, 0, 0), "limit_fixed is 0, expected min to max"),
        (broken(20 << 16, 0, 0, 11), "samples is 11, expected at most 10"),
        (
            broken(20 << 16, 0, 1, 0),
            "sum is 1, expected at most samples of 2^64 ns",
        ),
        (
            broken(20 << 16, 1 << 96, 0, 0),
            "long_fixed is 18446744073709551615, expected less than 2^96",
        ),
    ];
    for (snapshot, reason) in reasons {
        assert_eq!(refused(gradient, snapshot), format!("snapshot: {reason}"));
    }
}

#[test]
fn half_of_the_limit_in_use_is_enough_to_learn_from() {
    let config = Gradient2Config::DEFAULT;
    for (in_flight, learns) in [(9, false), (10, true)] {
        let sample = Sample {
            in_flight,
            took: Duration::from_millis(1),
            dropped: false,
        };
        let state = config.step(config.start(), sample);
        assert_eq!(state.limit_fixed() > config.start().limit_fixed(), learns);
    }
}
