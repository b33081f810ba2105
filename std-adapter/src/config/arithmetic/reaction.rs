//! How soon a path notices that its dependency is dead, and that it is back.
//!
//! Nothing is estimated: the breaker itself is led through the outage in virtual time.
//!
//! ```text
//!   calls    | | | | | | | |          evenly spaced, first attempts alone
//!   answers  + + + + - - - -          at once with an error, or none until the attempt times out
//!            window full ^       ^ opens
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crossbridge_core::breaker::{Breaker, BreakerMode, BreakerState, Permit, Settled, WindowKind};
use crossbridge_core::{BreakerConfig, Instant};

use super::super::call_path::CallPath;

/// How soon a path notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// `None` without a breaker that decides.
    pub breaker: Option<BreakerReaction>,
    /// `None` where nothing is watched.
    pub health: Option<HealthReaction>,
}

/// How soon a circuit opens, from the first call that fails, and closes, from the end of the outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerReaction {
    /// When every call fails at once; `None` is never.
    pub opens_on_errors: Option<Duration>,
    /// When no call is answered; `None` is never.
    pub opens_without_answers: Option<Duration>,
    /// At most: the longest wait begins as the outage ends, and each probe waits for the next call. Probes
    /// are answered at once.
    pub closes_within: Duration,
    /// From then on until every call is admitted.
    pub slow_start: Option<Duration>,
}

/// How soon the health of a target is known, by the calls alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthReaction {
    /// When every call fails at once.
    pub down_on_errors: Duration,
    /// When no call is answered; `None` is never, for want of a timeout.
    pub down_without_answers: Option<Duration>,
}

/// So many calls fill any window that is worth filling, and open any circuit that will.
const MOST_CALLS: u32 = 200_000;

impl CallPath {
    /// How soon it notices that its dependency is dead, or back, with a call every `between`, or as often
    /// as its rate limit allows.
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossbridge_std::config::{Config, Document};
    ///
    /// let text = "runtime: { circuit_breakers: { db: { failure_rate: off, consecutive_failures: 5 } }, \
    ///             paths: { database: { breaker: db } } }";
    /// let config = Config::from_document(&Document::parse("demo.yml", text)?, &|_| None)?;
    /// let reaction = config.path("database")?.reaction(Duration::from_millis(100));
    /// // The first failure, and four more, each 100 ms after the one before.
    /// assert_eq!(reaction.breaker.and_then(|b| b.opens_on_errors), Some(Duration::from_millis(400)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reaction(&self, between: Duration) -> Reaction {
        let guard = &self.guard;
        let between = if guard.quota.is_unlimited() {
            between
        } else {
            between.max(guard.quota.emission_interval())
        };
        let between = between.max(Duration::from_nanos(1));
        let timeout = match (guard.attempt_timeout, guard.deadline) {
            (Some(timeout), Some(deadline)) => Some(timeout.min(deadline)),
            (one, other) => one.or(other),
        };
        let breaker = &guard.breaker;
        let decides = self.uses.breaker.is_some() && breaker.mode == BreakerMode::Auto;
        Reaction {
            breaker: decides.then(|| BreakerReaction {
                opens_on_errors: opens_after(breaker, between, Some(Duration::ZERO)),
                opens_without_answers: opens_after(breaker, between, timeout),
                closes_within: closes_within(breaker, between),
                slow_start: breaker.slow_start,
            }),
            health: guard.health.map(|monitor| {
                let further = between.saturating_mul(u32::from(monitor.fall.saturating_sub(1)));
                HealthReaction {
                    down_on_errors: further,
                    down_without_answers: timeout.map(|timeout| timeout.saturating_add(further)),
                }
            }),
        }
    }
}

/// From the first call that fails to the open circuit, after a time in which all went well. Calls fail
/// `fails_after` they were sent, or never end.
fn opens_after(config: &BreakerConfig, between: Duration, fails_after: Option<Duration>) -> Option<Duration> {
    let mut breaker = Breaker::new(*config).ok()?;
    let mut now = Instant::ZERO;
    for _ in 0..calls_before(config, between) {
        let permit = breaker.admit(now).ok()?;
        breaker.settle(now, permit, Settled::Success);
        now = now.saturating_add(between);
    }
    let began = now;
    let mut out: VecDeque<(Instant, Permit)> = VecDeque::new();
    for _ in 0..MOST_CALLS {
        // What happens until this call, in its order.
        while let Some(at) = next_event(&breaker, &out).filter(|&at| at <= now) {
            breaker.handle_timeout(at);
            if out.front().is_some_and(|&(due, _)| due <= at)
                && let Some((_, permit)) = out.pop_front()
            {
                breaker.settle(at, permit, Settled::Failure { retry_after: None });
            }
            if breaker.state() == BreakerState::Open {
                return Some(at.saturating_duration_since(began));
            }
        }
        let permit = breaker.admit(now).ok()?;
        match fails_after {
            // Counted as it is sent: nothing lies between the two.
            Some(Duration::ZERO) => breaker.settle(now, permit, Settled::Failure { retry_after: None }),
            Some(span) => out.push_back((now.saturating_add(span), permit)),
            // Never ends: what becomes of the permit does not matter to a call that hangs.
            None => drop(permit),
        }
        if breaker.state() == BreakerState::Open {
            return Some(now.saturating_duration_since(began));
        }
        now = now.saturating_add(between);
    }
    None
}

/// The longest wait, and a probe with each call after it.
fn closes_within(config: &BreakerConfig, between: Duration) -> Duration {
    let probes = between.saturating_mul(u32::from(config.half_open_successes));
    config.open_wait_max.saturating_add(probes)
}

fn next_event(breaker: &Breaker, out: &VecDeque<(Instant, Permit)>) -> Option<Instant> {
    let settled = out.front().map(|&(due, _)| due);
    match (settled, breaker.poll_at()) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Enough for a full window.
fn calls_before(config: &BreakerConfig, between: Duration) -> u32 {
    match config.window {
        WindowKind::Calls(calls) => u32::from(calls),
        WindowKind::Time(span) => {
            let calls = span.as_nanos().div_ceil(between.as_nanos().max(1));
            u32::try_from(calls).unwrap_or(MOST_CALLS).min(MOST_CALLS)
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbridge_core::PerMille;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn opens(config: BreakerConfig, fails_after: Option<Duration>) -> Option<Duration> {
        opens_after(&config, 100 * MS, fails_after)
    }

    #[test]
    fn failures_in_a_row() {
        let config = BreakerConfig {
            failure_rate: None,
            consecutive_failures: Some(3),
            ..BreakerConfig::DEFAULT
        };
        assert_eq!(opens(config, Some(Duration::ZERO)), Some(200 * MS));
        assert_eq!(opens(config, Some(5_000 * MS)), Some(5_200 * MS));
        assert_eq!(opens(config, None), None); // nothing ever fails
    }

    #[test]
    fn half_of_a_full_window() {
        // The fiftieth failure of a hundred calls.
        let config = BreakerConfig::DEFAULT;
        assert_eq!(opens(config, Some(Duration::ZERO)), Some(4_900 * MS));
        // Of a time: half of it, and at most a tenth more for its buckets.
        let config = BreakerConfig {
            window: WindowKind::Time(10_000 * MS),
            ..config
        };
        let span = opens(config, Some(Duration::ZERO)).expect("it opens");
        assert!((4_800 * MS..=6_000 * MS).contains(&span), "{span:?}");
        // Ten calls a second never make two hundred in ten seconds.
        let config = BreakerConfig {
            min_calls: 200,
            ..config
        };
        assert_eq!(opens(config, Some(Duration::ZERO)), None);
    }

    #[test]
    fn calls_that_hang() {
        let config = BreakerConfig {
            failure_rate: Some(PerMille::ALL),
            hanging_calls: Some(5),
            slow_call: 700 * MS,
            ..BreakerConfig::DEFAULT
        };
        let span = opens(config, None).expect("it opens");
        assert!((1_100 * MS..=1_200 * MS).contains(&span), "{span:?}");
    }

    #[test]
    fn it_closes_in_time_however_often_it_opened() {
        let config = BreakerConfig {
            failure_rate: None,
            consecutive_failures: Some(1),
            open_wait: 1_000 * MS,
            open_wait_max: 8_000 * MS,
            half_open_calls: 4,
            half_open_successes: 3,
            ..BreakerConfig::DEFAULT
        };
        let bound = closes_within(&config, 100 * MS);
        let longest = (0..50).map(|seed| recovery(config, seed)).max().expect("some");
        // Waits are spread over the upper half, and the longest of fifty is near its end.
        assert!(
            (bound * 9 / 10..=bound).contains(&longest),
            "{longest:?} of {bound:?}"
        );
    }

    /// From the end of an outage that began eight trips ago to the closed circuit.
    fn recovery(config: BreakerConfig, jitter_seed: u64) -> Duration {
        let config = BreakerConfig {
            jitter_seed,
            ..config
        };
        let mut breaker = Breaker::new(config).expect("accepted");
        let (mut now, mut trips) = (Instant::ZERO, 0);
        while trips < 8 {
            if let Ok(permit) = breaker.admit(now) {
                breaker.settle(now, permit, Settled::Failure { retry_after: None });
                trips += u32::from(breaker.state() == BreakerState::Open);
            }
            now = now.saturating_add(100 * MS);
        }
        let back = now;
        while breaker.state() != BreakerState::Closed {
            now = now.saturating_add(100 * MS);
            if let Ok(permit) = breaker.admit(now) {
                breaker.settle(now, permit, Settled::Success);
            }
        }
        now.saturating_duration_since(back)
    }
}
