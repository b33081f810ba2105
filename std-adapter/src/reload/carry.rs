//! What a guard knows, fitted to other policies.
//!
//! The core restores a snapshot under any policies that could have made it. Those of a new file may
//! not: its longest wait is shorter than what is left, its window is of another kind. Each machine's
//! part is then brought into the new bounds, and begins anew only where that makes no sense.

use std::time::Duration;

use crossbridge_core::breaker::{BreakerSnapshot, StateSnapshot};
use crossbridge_core::guard::{GuardSnapshot, Policies, SharedGuard};
use crossbridge_core::health::{Monitor, MonitorConfig, MonitorSnapshot, ProbeSnapshot};
use crossbridge_core::retry::budget::{BudgetSnapshot, RetryBudget};
use crossbridge_core::{Breaker, BreakerConfig, BudgetConfig, ConfigError, Guard, GuardConfig, Instant};

/// A guard under the new policies that knows what the old one knew, and which of its parts begin anew.
/// `None` for policies that no guard accepts, and a [`Config`](crate::config::Config) has none of those.
pub(super) fn over<O>(
    taken: &GuardSnapshot,
    old: &GuardConfig,
    new: GuardConfig,
    observer: O,
    now: Instant,
) -> Option<(SharedGuard<O>, Vec<&'static str>)> {
    let (kept, anew) = fit(taken, old, &new, now).ok()?;
    let guard = SharedGuard::restore(Policies::new(new).ok()?, observer, &kept, now).ok()?;
    Some((guard, anew))
}

/// The snapshot as the new policies take it, and which of its parts begin anew.
fn fit(
    taken: &GuardSnapshot,
    old: &GuardConfig,
    new: &GuardConfig,
    now: Instant,
) -> Result<(GuardSnapshot, Vec<&'static str>), ConfigError> {
    let fresh = Guard::new(*new)?.snapshot(now);
    let mut anew = Vec::new();
    let breaker = breaker(&taken.breaker, &new.breaker, now).unwrap_or_else(|| {
        anew.push("breaker");
        fresh.breaker
    });
    let budget = budget(&taken.budget, &old.budget, &new.budget, now).unwrap_or_else(|| {
        anew.push("budget");
        fresh.budget
    });
    let health = match (taken.health, &old.health, &new.health) {
        (Some(taken), Some(old), Some(new)) => health(taken, old, new, now).or_else(|| {
            anew.push("health");
            fresh.health
        }),
        // Watched from now on, or no longer.
        _ => fresh.health,
    };
    let kept = GuardSnapshot {
        breaker,
        budget,
        health,
        // The core itself converts this one.
        limiter: taken.limiter,
        ..fresh
    };
    Ok((kept, anew))
}

fn breaker(taken: &BreakerSnapshot, new: &BreakerConfig, now: Instant) -> Option<BreakerSnapshot> {
    let fits = |snapshot: &BreakerSnapshot| Breaker::restore(*new, snapshot, now).is_ok();
    if fits(taken) {
        return Some(*taken);
    }
    // The waits of a circuit in trouble shrink to the new bounds; it does not close by the way.
    let left = match taken.state {
        StateSnapshot::Open { left } => left.min(new.open_wait_max),
        StateSnapshot::HalfOpen { .. } => Duration::ZERO,
        StateSnapshot::Closed { .. } | StateSnapshot::SlowStart { .. } => return None,
    };
    let open = BreakerSnapshot {
        state: StateSnapshot::Open { left },
        ..*taken
    };
    fits(&open).then_some(open)
}

/// The fraction that is there, of the new capacity.
fn budget(
    taken: &BudgetSnapshot,
    old: &BudgetConfig,
    new: &BudgetConfig,
    now: Instant,
) -> Option<BudgetSnapshot> {
    if old == new {
        return Some(*taken);
    }
    let part = u64::from(taken.tokens) * u64::from(new.capacity) / u64::from(old.capacity.max(1));
    let fitted = BudgetSnapshot {
        tokens: u32::try_from(part).unwrap_or(u32::MAX).min(new.capacity),
        unbooked: Duration::ZERO,
        ..*taken
    };
    RetryBudget::restore(*new, &fitted, now).is_ok().then_some(fitted)
}

fn health(
    mut taken: MonitorSnapshot,
    old: &MonitorConfig,
    new: &MonitorConfig,
    now: Instant,
) -> Option<MonitorSnapshot> {
    if let Some(known) = &mut taken.known {
        known.counter = counter(known.counter, old, new);
        known.left = known.left.min(new.ttl);
    }
    taken.probe = match taken.probe {
        ProbeSnapshot::Due { left } => ProbeSnapshot::Due {
            left: left
                .min(new.interval)
                .min(new.transition_interval)
                .min(new.down_interval),
        },
        ProbeSnapshot::Running { left } => ProbeSnapshot::Running {
            left: left.min(new.timeout),
        },
        idle @ ProbeSnapshot::Idle { .. } => idle,
    };
    Monitor::restore(*new, &taken, now).is_ok().then_some(taken)
}

/// HAProxy's counter: below `rise` the target is down, and so many results towards a change are in it.
fn counter(counter: u8, old: &MonitorConfig, new: &MonitorConfig) -> u8 {
    let top = |config: &MonitorConfig| config.rise.saturating_add(config.fall).saturating_sub(1);
    if counter < old.rise {
        return counter.min(new.rise.saturating_sub(1));
    }
    let failures = top(old).saturating_sub(counter);
    top(new).saturating_sub(failures.min(new.fall.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use crossbridge_core::breaker::{BreakerState, WindowKind};
    use crossbridge_core::draw::{SplitMix64, inclusive};
    use crossbridge_core::health::Health;
    use crossbridge_core::{FaultKind, Outcome, PerMille, Quota, RetryPolicy, Step};

    use super::*;

    fn millis(rng: &mut SplitMix64, most: u64) -> Duration {
        Duration::from_millis(inclusive(1, most, rng))
    }

    fn any_config(rng: &mut SplitMix64) -> GuardConfig {
        let small = |rng: &mut SplitMix64, most| u8::try_from(inclusive(1, most, rng)).unwrap();
        let (capacity, open_wait) = (small(rng, 50), millis(rng, 5_000));
        let window = match inclusive(0, 1, rng) {
            0 => WindowKind::Calls(small(rng, 40).max(4)),
            _ => WindowKind::Time(millis(rng, 5_000).max(Duration::from_millis(10))),
        };
        let successes = u16::from(small(rng, 3));
        let monitor = MonitorConfig {
            rise: small(rng, 4),
            fall: small(rng, 4),
            interval: millis(rng, 5_000),
            transition_interval: millis(rng, 5_000),
            down_interval: millis(rng, 5_000),
            timeout: millis(rng, 5_000),
            ttl: millis(rng, 60_000),
            ..MonitorConfig::DEFAULT
        };
        GuardConfig {
            quota: Quota::new(capacity.into(), millis(rng, 60_000)).unwrap(),
            retry: RetryPolicy::QUICK,
            breaker: BreakerConfig {
                window,
                min_calls: 4,
                failure_rate: Some(PerMille::HALF),
                open_wait,
                open_wait_max: open_wait + millis(rng, 5_000),
                half_open_concurrent: small(rng, 8),
                half_open_calls: successes + u16::from(small(rng, 4)),
                half_open_successes: successes,
                probe_timeout: millis(rng, 5_000),
                half_open_timeout: millis(rng, 5_000),
                ..BreakerConfig::DEFAULT
            },
            budget: match inclusive(0, 1, rng) {
                0 => BudgetConfig::AWS,
                _ => BudgetConfig::ratio(PerMille::HALF, 1, small(rng, 20).into()),
            },
            health: (inclusive(0, 3, rng) > 0).then_some(monitor),
            ..GuardConfig::DEFAULT
        }
    }

    /// Calls that go well or badly, over some time.
    fn live(guard: &mut Guard, rng: &mut SplitMix64) -> Instant {
        let mut now = Instant::from_nanos(1_000_000_000);
        let good = inclusive(0, 2, rng);
        for _ in 0..inclusive(0, 60, rng) {
            now = now.saturating_add(millis(rng, 400));
            let mut call = guard.begin(now, None);
            if let Step::Attempt(permit) = call.poll(now, rng) {
                now = now.saturating_add(millis(rng, 50));
                let outcome = match inclusive(0, 2, rng) < good {
                    true => Outcome::Success,
                    false => Outcome::failed(FaultKind::Transient),
                };
                call.on_outcome(now, permit, outcome);
            }
        }
        now
    }

    #[test]
    fn whatever_is_known_goes_over_to_whatever_policies() {
        let mut seen = [0_u32; 3];
        for seed in 0..4_000 {
            let mut rng = SplitMix64::new(seed);
            let (old, new) = (any_config(&mut rng), any_config(&mut rng));
            let mut guard = Guard::new(old).unwrap();
            let now = live(&mut guard, &mut rng);
            let taken = guard.snapshot(now);
            let (next, anew) = over(&taken, &old, new, (), now).unwrap_or_else(|| panic!("seed {seed}"));

            // No permit comes free, and none is lost but by rounding.
            let (before, after) = (guard.remaining(now), next.remaining(now));
            let share = f64::from(before) / f64::from(old.quota.capacity());
            let fitting = share * f64::from(new.quota.capacity());
            assert!(
                f64::from(after)
                    < fitting + f64::from(new.quota.capacity()) / f64::from(old.quota.capacity()) + 1.0,
                "seed {seed}"
            );
            assert!(f64::from(after) > fitting - 2.0, "seed {seed}: {before} {after}");

            // A circuit in trouble is not closed by the way.
            match taken.breaker.state {
                StateSnapshot::Open { .. } | StateSnapshot::HalfOpen { .. } => {
                    assert_ne!(next.breaker_state(), BreakerState::Closed, "seed {seed}");
                    assert!(!anew.contains(&"breaker"), "seed {seed}");
                    seen[0] += 1;
                }
                StateSnapshot::Closed { .. } | StateSnapshot::SlowStart { .. } => {
                    assert_eq!(next.breaker_state(), BreakerState::Closed, "seed {seed}");
                    seen[1] += 1;
                }
            }
            if let (Some(before), Some(after)) = (guard.health(), next.health())
                && taken.health.is_some_and(|health| health.known.is_some())
            {
                assert_eq!(
                    before == Health::Unhealthy,
                    after == Health::Unhealthy,
                    "seed {seed}"
                );
                seen[2] += 1;
            }
            assert!(
                !anew.contains(&"budget") && !anew.contains(&"health"),
                "seed {seed}: {anew:?}"
            );
        }
        assert!(seen.iter().all(|&times| times > 100), "{seen:?}");
    }
}
