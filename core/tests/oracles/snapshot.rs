//! A machine that was taken out and put back, beside the one that stayed.

use core::time::Duration;

use crossbridge_core::breaker::{Breaker, BreakerSnapshot, Settled, StateSnapshot, WindowSnapshot};
use crossbridge_core::retry::{BudgetSnapshot, RetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, PerMille};
use proptest::prelude::*;

use crate::breaker::{any_settled, small_config};
use crate::{check, log_uniform};

/// Far enough from the origin for every span of the configurations.
const LATE: u64 = 1 << 50;

fn steps() -> impl Strategy<Value = Vec<(u64, Option<Settled>)>> {
    prop::collection::vec(
        (log_uniform(0, 20_000_000_000), prop::option::of(any_settled())),
        1..60,
    )
}

/// Admits, and settles or loses, one call after each span; the answers, relative to the clock.
fn drive(breaker: &mut Breaker, start: Instant, steps: &[(u64, Option<Settled>)]) -> Vec<String> {
    let mut now = start;
    let told = steps.iter().map(|&(span, settled)| {
        now = now.saturating_add(Duration::from_nanos(span));
        let answer = match breaker.admit(now) {
            Ok(permit) => {
                if let Some(settled) = settled {
                    breaker.settle(now, permit, settled);
                }
                "admitted".to_owned()
            }
            Err(refused) => {
                let wait = refused.retry_at.map(|at| at.saturating_duration_since(now));
                format!("{:?} {wait:?}", refused.state)
            }
        };
        format!("{answer} {:?}", breaker.state())
    });
    told.collect()
}

#[test]
fn a_restored_breaker_goes_on_as_if_nothing_had_happened() {
    let inputs = (small_config(), steps(), steps(), log_uniform(LATE, u64::MAX / 2));
    check(500, inputs, |(config, before, after, origin)| {
        let mut stayed = Breaker::new(config).expect("accepted");
        let start = Instant::from_nanos(LATE);
        drive(&mut stayed, start, &before);
        let span: u64 = before.iter().map(|&(span, _)| span).sum();
        let now = start.saturating_add(Duration::from_nanos(span));
        let taken = stayed.snapshot(now);
        let moved = Instant::from_nanos(origin);
        let mut restored = Breaker::restore(config, &taken, moved).expect("its own snapshot");
        assert_eq!(restored.snapshot(moved), taken);
        assert_eq!(
            drive(&mut restored, moved, &after),
            drive(&mut stayed, now, &after)
        );
    });
}

#[test]
fn no_snapshot_panics_and_what_is_accepted_is_what_comes_out() {
    let window = prop_oneof![
        (any::<[u64; 2]>(), any::<[u64; 2]>(), any::<u8>(), any::<u8>()).prop_map(
            |(failed, slow, calls, next)| WindowSnapshot::Calls {
                failed,
                slow,
                calls,
                next
            }
        ),
        (0..12_u8, any::<u64>()).prop_map(|(current, nanos)| WindowSnapshot::Time {
            buckets: Default::default(),
            current,
            filled_for: Duration::from_nanos(nanos),
        }),
    ];
    let span = || log_uniform(0, u64::MAX).prop_map(Duration::from_nanos);
    let state = prop_oneof![
        (span(), any::<u32>(), window).prop_map(|(closed_for, failures_in_a_row, window)| {
            StateSnapshot::Closed {
                closed_for,
                failures_in_a_row,
                window,
            }
        }),
        span().prop_map(|left| StateSnapshot::Open { left }),
        (span(), prop::option::of(span()), 0..4_u16, 0..4_u16, 0..4_u16).prop_map(
            |(left, probe, admitted, succeeded, failed)| {
                let mut probes = [None; 8];
                probes[usize::from(admitted)] = probe;
                StateSnapshot::HalfOpen {
                    left,
                    probes,
                    admitted,
                    succeeded,
                    failed,
                }
            }
        ),
    ];
    let snapshot =
        (0..3_u32, any::<u32>(), 0..60_u8, state).prop_map(|(version, generation, level, state)| {
            BreakerSnapshot {
                version,
                generation,
                level,
                state,
            }
        });
    check(
        2_000,
        (small_config(), snapshot, steps()),
        |(config, snapshot, steps)| {
            let now = Instant::from_nanos(LATE);
            if let Ok(mut breaker) = Breaker::restore(config, &snapshot, now) {
                drive(&mut breaker, now, &steps);
            }
        },
    );
}

#[test]
fn a_restored_budget_has_the_tokens_and_the_rest_of_a_second() {
    let inputs = (
        0..50_u32,
        log_uniform(0, 5_000_000_000),
        log_uniform(0, 5_000_000_000),
    );
    check(500, inputs, |(rate, before, after)| {
        let config = BudgetConfig::ratio(PerMille::new(150).expect("a share"), rate, 20);
        let mut stayed = RetryBudget::new(config).expect("accepted");
        let at = |nanos: u64| Instant::from_nanos(LATE + nanos);
        while stayed.withdraw(at(0), FaultKind::Transient).is_some() {}
        let taken = stayed.snapshot(at(before));
        let mut restored = RetryBudget::restore(config, &taken, at(7 + before)).expect("its own");
        let later = before + after;
        // Each booking rounds the time of its tokens up by less than a nanosecond: one that is made
        // for the snapshot may put a token off by as much.
        let (one, other) = (restored.tokens(at(7 + later)), stayed.tokens(at(later)));
        assert!(one.abs_diff(other) <= 1, "{one} {other}");
        restored.on_call(at(7 + later));
        stayed.on_call(at(later));
        let (one, other) = (restored.snapshot(at(7 + later)), stayed.snapshot(at(later)));
        assert!(one.tokens.abs_diff(other.tokens) <= 1, "{one:?} {other:?}");
        let foreign = BudgetSnapshot {
            tokens: config.capacity + 1,
            ..taken
        };
        assert!(RetryBudget::restore(config, &foreign, at(0)).is_err());
    });
}
