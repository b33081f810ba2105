//! The adaptive rate against the published table and the same formulas in floating point.

use core::time::Duration;

use crossbridge_core::rate_limit::adaptive::{Adaptive, AdaptiveConfig, Rate, Rise};
use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{Instant, PerMille, Quota};
use proptest::prelude::*;

use crate::{any_nanos, check, log_uniform, per_mille};

fn float(rate: Rate) -> f64 {
    rate.billionths() as f64 / 1e9
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let off = (found - expected).abs();
    assert!(off <= 1e-6 + expected * 1e-5, "{what}: {found} for {expected}");
}

/// smithy-rs, `test_client_sending_rates`: time, throttled, measured, allowed.
const PUBLISHED: [(u64, bool, f64, f64); 17] = [
    (200, false, 0.0, 0.5),
    (400, false, 0.0, 0.5),
    (600, false, 4.8, 0.5),
    (800, false, 4.8, 0.5),
    (1_000, false, 4.16, 0.5),
    (1_200, false, 4.16, 0.6912),
    (1_400, false, 4.16, 1.0976),
    (1_600, false, 5.632, 1.6384),
    (1_800, false, 5.632, 2.3328),
    (2_000, true, 4.3264, 3.02848),
    (2_200, false, 4.3264, 3.48663917347026),
    (2_400, false, 4.3264, 3.821874416040255),
    (2_600, false, 5.66528, 4.053385727709987),
    (2_800, false, 5.66528, 4.200373108479454),
    (3_000, false, 4.333056, 4.282036558348658),
    (3_200, true, 4.333056, 2.99742559084406),
    (3_400, false, 4.333056, 3.4522263943863463),
];

#[test]
fn sends_as_the_published_table_of_aws() {
    let mut adaptive = Adaptive::new(Instant::ZERO, AdaptiveConfig::AWS).unwrap();
    let mut twin = Reference::default();
    for (millis, throttled, measured, allowed) in PUBLISHED {
        let now = Instant::from_nanos(millis * 1_000_000);
        if throttled {
            adaptive.on_throttled(now);
        } else {
            adaptive.on_success(now);
        }
        twin.on(millis as f64 / 1e3, throttled);
        assert_close(float(adaptive.measured()), measured, "measured");
        assert_close(twin.fill_rate, allowed, "reference");
        // Before the first throttle the rate is followed and not used.
        if millis >= 2_000 {
            assert_close(float(adaptive.rate().unwrap()), allowed, "allowed");
        } else {
            assert_eq!(adaptive.rate(), None);
            assert!(adaptive.quota().is_unlimited());
        }
    }
}

/// The formulas as they stand in the paper, in floating point.
#[derive(Default)]
struct Reference {
    enabled: bool,
    fill_rate: f64,
    measured: f64,
    last_bucket: f64,
    count: f64,
    last_max: f64,
    last_throttle: f64,
}

impl Reference {
    fn on(&mut self, now: f64, throttled: bool) {
        let bucket = (now * 2.0).floor() / 2.0;
        self.count += 1.0;
        if bucket > self.last_bucket {
            let current = self.count / (bucket - self.last_bucket);
            self.measured = current * 0.8 + self.measured * 0.2;
            self.count = 0.0;
            self.last_bucket = bucket;
        }
        let wanted = if throttled {
            let used = if self.enabled {
                self.measured.min(self.fill_rate)
            } else {
                self.measured
            };
            self.last_max = used;
            self.last_throttle = now;
            self.enabled = true;
            used * 0.7
        } else {
            let plateau = (self.last_max * 0.3 / 0.4).cbrt();
            0.4 * (now - self.last_throttle - plateau).powi(3) + self.last_max
        };
        self.fill_rate = wanted.min(2.0 * self.measured).max(0.5);
    }
}

#[test]
fn integers_follow_the_formulas() {
    let answers = prop::collection::vec((1..900_u64, prop::bool::weighted(0.1)), 1..200);
    check(200, answers, |answers| {
        let mut adaptive = Adaptive::new(Instant::ZERO, AdaptiveConfig::AWS).unwrap();
        let mut reference = Reference::default();
        let mut millis = 0;
        for (gap, throttled) in answers {
            millis += gap;
            let now = Instant::from_nanos(millis * 1_000_000);
            if throttled {
                adaptive.on_throttled(now);
            } else {
                adaptive.on_success(now);
            }
            reference.on(millis as f64 / 1e3, throttled);
            assert_close(float(adaptive.measured()), reference.measured, "measured");
            if let Some(rate) = adaptive.rate() {
                assert_close(float(rate), reference.fill_rate, "rate");
            }
        }
    });
}

fn any_config() -> impl Strategy<Value = AdaptiveConfig> {
    let rate = || log_uniform(0, u64::MAX).prop_map(Rate::from_billionths);
    let rise = prop_oneof![
        per_mille(0, 1_000).prop_map(|scale| Rise::Cubic { scale }),
        rate().prop_map(|increase| Rise::Additive { increase }),
    ];
    (rise, per_mille(0, 1_000), per_mille(0, 1_000), rate(), rate()).prop_map(
        |(rise, beta, smoothing, floor, ceiling)| AdaptiveConfig {
            rise,
            beta,
            smoothing,
            floor,
            ceiling,
        },
    )
}

#[test]
fn any_configuration_stays_between_floor_and_ceiling() {
    let answers = prop::collection::vec((any_nanos(), any::<bool>()), 1..60);
    check(
        500,
        (any_config(), answers, any_nanos()),
        |(config, answers, start)| {
            let Ok(mut adaptive) = Adaptive::new(Instant::from_nanos(start), config) else {
                return;
            };
            let mut limiter = RateLimiter::new(Quota::UNLIMITED);
            for (now, throttled) in answers {
                let now = Instant::from_nanos(now);
                if throttled {
                    adaptive.on_throttled(now);
                } else {
                    adaptive.on_success(now);
                }
                adaptive.apply(now, &mut limiter);
                assert_eq!(limiter.quota(), adaptive.quota());
                let Some(rate) = adaptive.rate() else { continue };
                assert!((config.floor..=config.ceiling).contains(&rate));
                // The quota is the rate: never faster, and slower by a thousandth at most.
                let quota = adaptive.quota();
                assert_eq!(quota.capacity(), rate.whole().max(1));
                let interval = quota.emission_interval().as_nanos();
                let exact = 1_000_000_000_000_000_000 / u128::from(rate.billionths());
                assert!(interval >= exact && interval * 1_000 <= exact * 1_001 + 2_000);
            }
        },
    );
}

/// A server with a bucket of its own: what is sent settles below what it allows, and near it.
#[test]
fn a_hidden_limit_is_found() {
    for config in [AdaptiveConfig::AWS, AdaptiveConfig::AIMD] {
        let mut server = RateLimiter::new(Quota::per_second(40).unwrap().burst(20).unwrap());
        let mut adaptive = Adaptive::new(Instant::ZERO, config).unwrap();
        let mut limiter = RateLimiter::new(Quota::UNLIMITED);
        let (mut sent, mut refused) = (0_u32, 0_u32);
        // A client that would like 200 a second, for two minutes.
        for tick in 0..24_000_u64 {
            let now = Instant::from_nanos(tick * 5_000_000);
            if limiter.check(now, 1) != Answer::Granted {
                continue;
            }
            if server.check(now, 1) == Answer::Granted {
                sent += 1;
                adaptive.on_success(now);
            } else {
                refused += 1;
                adaptive.on_throttled(now);
            }
            adaptive.apply(now, &mut limiter);
        }
        assert!(sent >= 40 * 120 * 6 / 10, "{config:?} sent only {sent}");
        assert!(refused * 10 <= sent, "{config:?} was refused {refused} of {sent}");
    }
}

#[test]
fn a_step_back_changes_no_rate() {
    let inputs = (log_uniform(10_000_000_000, 1 << 60), log_uniform(1, 1 << 60));
    check(200, inputs, |(now, step)| {
        let start = Instant::from_nanos(now);
        let mut adaptive = Adaptive::new(start, AdaptiveConfig::AWS).unwrap();
        for tick in 1..=100 {
            adaptive.on_success(start.saturating_add(Duration::from_millis(20 * tick)));
        }
        let now = start.saturating_add(Duration::from_secs(2));
        adaptive.on_throttled(now);
        let before = float(adaptive.rate().unwrap());
        let back = now.saturating_sub(Duration::from_nanos(step));
        adaptive.on_success(back);
        let after = float(adaptive.rate().unwrap());
        if back > Instant::ZERO {
            assert_close(after, before, "after the step");
        }
    });
}

#[test]
fn rates_are_read_and_written() {
    assert_eq!(Rate::from_billionths(500_000_000).to_string(), "0.500/s");
    assert_eq!(Rate::per_second(u32::MAX), Rate::MAX);
    assert_eq!(
        Rate::ZERO.quota().emission_interval(),
        Duration::from_nanos(1_000_000_000_000_000_000)
    );
    let all = PerMille::ALL;
    let config = AdaptiveConfig {
        beta: all,
        ..AdaptiveConfig::AWS
    };
    let refused = Adaptive::new(Instant::ZERO, config).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "beta is 1000, expected less than 1000 per mille"
    );
}
