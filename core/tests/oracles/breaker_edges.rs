//! The breaker in its forced modes, at the ends of the clock and with every accepted configuration.

use core::time::Duration;

use crossbridge_core::breaker::{
    Breaker, BreakerConfig, BreakerMode, BreakerState, Counts, Settled, WindowKind,
};
use crossbridge_core::{Instant, PerMille};
use proptest::prelude::*;

use crate::breaker::{any_settled, small_config};
use crate::{A_DAY, any_nanos, any_span, check, log_uniform, per_mille};

/// Every configuration that is accepted, out to the ends of its ranges.
fn accepted_config() -> impl Strategy<Value = BreakerConfig> {
    let window = prop_oneof![
        (1..=128_u8).prop_map(WindowKind::Calls),
        any_span(10_000_000, A_DAY).prop_map(WindowKind::Time),
    ];
    let mode = prop::sample::select(vec![
        BreakerMode::Auto,
        BreakerMode::Auto,
        BreakerMode::MetricsOnly,
        BreakerMode::ForcedOpen,
        BreakerMode::Disabled,
    ]);
    let rates = (
        prop::option::of(per_mille(1, 1_000)),
        prop::option::of(per_mille(1, 1_000)),
    );
    let waits = (any_span(1, A_DAY), any_span(1, A_DAY));
    let spans = (
        any_span(1, u64::MAX),
        any_span(1, u64::MAX),
        any_span(1, u64::MAX),
    );
    let half_open = (1..=8_u8, 1..=u16::MAX, 1..=u16::MAX);
    let extra = (
        any::<u64>(),
        prop::option::of(1..=u32::MAX),
        prop::option::of(any_span(1, A_DAY)),
    );
    let counts = (
        log_uniform(1, u64::from(u32::MAX)),
        prop::option::of(1..=u32::MAX),
    );
    (window, mode, counts, rates, waits, spans, half_open, extra).prop_map(
        |(window, mode, (min_calls, consecutive_failures), rates, waits, spans, half_open, extra)| {
            let min_calls = u32::try_from(min_calls).unwrap();
            let config = BreakerConfig {
                mode,
                window,
                min_calls: match window {
                    WindowKind::Calls(size) => min_calls.min(u32::from(size)),
                    WindowKind::Time(_) => min_calls,
                },
                failure_rate: rates.0,
                slow_rate: rates.1,
                slow_call: spans.0,
                consecutive_failures: consecutive_failures.map(|n| n.min(3)),
                open_wait: waits.0.min(waits.1),
                open_wait_max: waits.0.max(waits.1),
                half_open_concurrent: half_open.0,
                half_open_calls: half_open.1.max(half_open.2),
                half_open_successes: half_open.1.min(half_open.2),
                probe_timeout: spans.1,
                half_open_timeout: spans.2,
                hanging_calls: extra
                    .1
                    .map(|limit| limit.min(3))
                    .filter(|_| spans.0 >= Duration::from_millis(1)),
                slow_start: extra.2,
                jitter_seed: extra.0,
            };
            config.check().expect("in its ranges");
            config
        },
    )
}

#[test]
fn any_now_and_any_order_get_an_answer() {
    let steps = prop::collection::vec((any_nanos(), 0..6_u8, any::<usize>(), any_settled()), 1..120);
    check(500, (accepted_config(), steps), |(config, steps)| {
        let mut breaker = Breaker::new(config).unwrap();
        let mut permits = Vec::new();
        for (now, what, index, settled) in steps {
            let now = Instant::from_nanos(now);
            match what {
                0..3 => match breaker.admit(now) {
                    Ok(permit) => permits.push(permit),
                    Err(refused) => {
                        let starting = refused.state == BreakerState::Closed;
                        let slow_start = config.slow_start.unwrap_or_default();
                        let longest = now.saturating_add(config.open_wait_max.max(slow_start));
                        let due = |at| (now < at || starting && now == at) && at <= longest;
                        assert!(refused.retry_at.is_none_or(due), "{refused:?} at {now:?}");
                    }
                },
                3..5 if !permits.is_empty() => {
                    breaker.settle(now, permits.swap_remove(index % permits.len()), settled);
                }
                _ => breaker.handle_timeout(now),
            }
            let counts = breaker.counts();
            assert!(counts.failed <= counts.calls && counts.slow <= counts.calls);
            let _ = breaker.poll_at();
        }
    });
}

#[test]
fn forced_open_admits_nothing_and_disabled_everything() {
    let steps = prop::collection::vec((any_nanos(), any_settled()), 1..60);
    check(100, (small_config(), steps), |(config, steps)| {
        let mut open = Breaker::new(BreakerConfig {
            mode: BreakerMode::ForcedOpen,
            ..config
        })
        .unwrap();
        let mut disabled = Breaker::new(BreakerConfig {
            mode: BreakerMode::Disabled,
            ..config
        })
        .unwrap();
        for (now, settled) in steps {
            let now = Instant::from_nanos(now);
            let refused = open.admit(now).expect_err("forced open");
            assert_eq!((refused.state, refused.retry_at), (BreakerState::Open, None));
            let permit = disabled.admit(now).expect("disabled");
            disabled.settle(now, permit, settled);
            assert_eq!(
                (disabled.state(), disabled.counts()),
                (BreakerState::Closed, Counts::default())
            );
        }
    });
}

/// Metrics only: the states a deciding breaker would have, and nobody is refused. What is let
/// through against its advice decides nothing.
#[test]
fn metrics_only_refuses_nobody_and_counts_like_auto() {
    let steps = prop::collection::vec((0..30_000_000_u64, any_settled()), 1..120);
    check(200, (small_config(), steps), |(config, steps)| {
        let mut auto = Breaker::new(config).unwrap();
        let mut metrics = Breaker::new(BreakerConfig {
            mode: BreakerMode::MetricsOnly,
            ..config
        })
        .unwrap();
        let mut now = Instant::from_nanos(1 << 40);
        for (gap, settled) in steps {
            now = now.saturating_add(Duration::from_nanos(gap));
            let decided = auto.admit(now);
            let permit = metrics.admit(now).expect("it only watches");
            assert_eq!(auto.state(), metrics.state());
            let later = now.saturating_add(Duration::from_nanos(gap / 2));
            if let Ok(decided) = decided {
                auto.settle(later, decided, settled);
            } else {
                auto.handle_timeout(later);
            }
            metrics.settle(later, permit, settled);
            assert_eq!((auto.state(), auto.counts()), (metrics.state(), metrics.counts()));
            now = later;
        }
    });
}

/// `min(max, base * 2^k)` with half of it by chance, for `k` trips in a row.
#[test]
fn the_wait_doubles_to_its_maximum() {
    // From 6 ms on, 24 doublings reach a day.
    let inputs = (any_span(6_000_000, A_DAY), any_span(1, A_DAY), any::<u64>());
    check(200, inputs, |(open_wait, longest, jitter_seed)| {
        let config = BreakerConfig {
            consecutive_failures: Some(1),
            open_wait,
            open_wait_max: open_wait.max(longest),
            half_open_calls: 1,
            half_open_successes: 1,
            jitter_seed,
            ..BreakerConfig::DEFAULT
        };
        let mut breaker = Breaker::new(config).unwrap();
        let mut now = Instant::ZERO;
        let mut whole = open_wait.as_nanos();
        for _ in 0..40 {
            let permit = breaker.admit(now).expect("closed, or time for a probe");
            breaker.settle(now, permit, Settled::Failure { retry_after: None });
            let until = breaker.admit(now).unwrap_err().retry_at.unwrap();
            let wait = until.saturating_duration_since(now).as_nanos();
            assert!(
                whole.div_ceil(2) <= wait && wait <= whole,
                "{wait} is not in half of {whole}"
            );
            whole = (whole * 2).min(config.open_wait_max.as_nanos());
            now = until;
        }
    });
}

/// Each `open_wait` that the circuit stays closed takes one doubling back.
#[test]
fn healthy_time_shrinks_the_wait_by_one_step_each() {
    check(
        200,
        (1..10_u32, 0..12_u64, any::<u64>()),
        |(trips, healthy, jitter_seed)| {
            let config = BreakerConfig {
                consecutive_failures: Some(1),
                open_wait: Duration::from_secs(1),
                open_wait_max: Duration::from_secs(86_400),
                half_open_calls: 1,
                half_open_successes: 1,
                failure_rate: Some(PerMille::ALL),
                jitter_seed,
                ..BreakerConfig::DEFAULT
            };
            let mut breaker = Breaker::new(config).unwrap();
            let mut now = Instant::ZERO;
            let trip = |breaker: &mut Breaker, now: Instant| {
                let permit = breaker.admit(now).expect("closed, or time for a probe");
                breaker.settle(now, permit, Settled::Failure { retry_after: None });
                breaker.admit(now).unwrap_err().retry_at.unwrap()
            };
            for _ in 0..trips {
                now = trip(&mut breaker, now);
            }
            let probe = breaker.admit(now).expect("time for a probe");
            breaker.settle(now, probe, Settled::Success);
            now = now.saturating_add(Duration::from_millis(healthy * 1_000 + 999));
            let wait = trip(&mut breaker, now).saturating_duration_since(now).as_nanos();
            let whole = 1_000_000_000_u128 << u64::from(trips).saturating_sub(healthy);
            assert!(
                whole / 2 <= wait && wait <= whole,
                "{wait} is not in half of {whole}"
            );
        },
    );
}
