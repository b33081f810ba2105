//! The limiter with a rate that nobody published, shared by threads.

use core::time::Duration;

use super::state::{AdaptiveState, Throttled};
use super::{AdaptiveConfig, AdaptiveSnapshot, Rate};
use crate::ConfigError;
use crate::rate_limit::gcra::Tat;
use crate::rate_limit::{Answer, Quota, RateLimiter, RateLimiterSnapshot};
use crate::snapshot::RestoreError;
use crate::sync::Sequenced;
use crate::time::{Instant, LastSeen, nanos};

/// A rate limiter that follows a server's unknown limit, for many threads.
///
/// ```text
///   check(now, n) ──▶ never throttled? ──yes──▶ Granted: one load
///                            │ no
///                            ├──▶ refused: loads
///                            └──▶ granted: sequence lock ─▶ the step of RateLimiter
///   on_success, on_throttled ─▶ sequence lock ─▶ the step of Adaptive ─▶ the quota that follows
/// ```
///
/// # Rules
/// - Those of the [module](super): alone it answers like an [`Adaptive`](super::Adaptive) that is
///   applied to a [`RateLimiter`] after every result.
/// - Rate, quota and what is owed change as one: no permit is granted at a rate that is over.
/// - No result is lost: each is counted in what is measured.
/// - Threads read the clock before they ask, so `now` may be older than another's: up to
///   [`LATE`](Self::LATE) older it counts as the other's.
/// - The lock is held for one step: for a result that is a cube, about a hundred nanoseconds. Not
///   for interrupt handlers.
///
/// The presets are those of [`AdaptiveConfig`].
///
/// ```
/// use core::time::Duration;
/// use crossbridge_core::Instant;
/// use crossbridge_core::rate_limit::Answer;
/// use crossbridge_core::rate_limit::adaptive::{AdaptiveConfig, Rate, SharedAdaptiveLimiter};
///
/// let limiter = SharedAdaptiveLimiter::new(Instant::ZERO, AdaptiveConfig::AWS)?;
/// let mut now = Instant::ZERO;
/// for _ in 0..100 {
///     now = now.saturating_add(Duration::from_millis(50)); // 20 a second
///     assert_eq!(limiter.check(now, 1), Answer::Granted);
///     limiter.on_success(now);
/// }
/// limiter.on_throttled(now);
/// assert_eq!(limiter.rate().map(Rate::whole), Some(13)); // seven tenths of them
/// assert_eq!(limiter.check(now, 14), Answer::Never);
/// # Ok::<(), crossbridge_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct SharedAdaptiveLimiter {
    config: AdaptiveConfig,
    words: Sequenced<WORDS>,
}

/// What changes as one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whole {
    adaptive: AdaptiveState,
    limiter: RateLimiter,
    /// The latest instant that somebody changed something at.
    seen: Instant,
}

impl SharedAdaptiveLimiter {
    /// How much older than another thread's a `now` may be before it counts as a clock that
    /// stepped back.
    pub const LATE: Duration = Duration::from_nanos(LATE);

    /// No limit yet.
    ///
    /// # Errors
    /// See [`Adaptive::new`](super::Adaptive::new).
    pub const fn new(now: Instant, config: AdaptiveConfig) -> Result<Self, ConfigError> {
        match config.validate() {
            Ok(()) => Ok(Self {
                config,
                words: Sequenced::new(encode(&Whole {
                    adaptive: AdaptiveState::new(now, &config),
                    limiter: RateLimiter::new(Quota::UNLIMITED),
                    seen: now,
                })),
            }),
            Err(refused) => Err(refused),
        }
    }

    /// Asks for `n` permits at `now` and takes them when they are there.
    #[inline]
    pub fn check(&self, now: Instant, n: u32) -> Answer {
        if self.words.word::<MAX>() & THROTTLED == 0 {
            return Answer::Granted;
        }
        self.check_limit(now, n)
    }

    fn check_limit(&self, now: Instant, n: u32) -> Answer {
        let Whole {
            mut limiter, seen, ..
        } = decode(&self.words.read());
        let before = limiter.clone();
        let answer = limiter.check(on_time(now, seen), n);
        // A refusal, or a question: nothing to store.
        if limiter == before {
            return answer;
        }
        self.update(now, |whole, now| whole.limiter.check(now, n))
    }

    /// A request ended and was not throttled.
    pub fn on_success(&self, now: Instant) {
        self.update(now, |whole, now| {
            whole.adaptive.on_success(&self.config, now);
            whole.adaptive.apply(now, &mut whole.limiter);
        });
    }

    /// A request was throttled: 429, "slow down", "too many connections".
    pub fn on_throttled(&self, now: Instant) {
        self.update(now, |whole, now| {
            whole.adaptive.on_throttled(&self.config, now);
            whole.adaptive.apply(now, &mut whole.limiter);
        });
    }

    /// How fast requests may go; `None` is as fast as they like.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        decode(&self.words.read()).adaptive.rate()
    }

    /// How fast they went.
    #[must_use]
    pub fn measured(&self) -> Rate {
        decode(&self.words.read()).adaptive.measured
    }

    /// The rate as a quota, with a second's worth at once and one permit at least.
    #[must_use]
    pub fn quota(&self) -> Quota {
        decode(&self.words.read()).limiter.quota()
    }

    /// How many permits are there at `now`, unless somebody takes them.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        decode(&self.words.read()).limiter.remaining(now)
    }

    /// The state at `now`.
    pub fn snapshot(&self, now: Instant) -> AdaptiveLimiterSnapshot {
        let whole = decode(&self.words.read());
        let now = on_time(now, whole.seen);
        AdaptiveLimiterSnapshot {
            adaptive: whole.adaptive.snapshot(now),
            limiter: whole.limiter.snapshot(now),
        }
    }

    /// The limiter that the snapshot was taken of, at `now` of a clock that may be another one.
    ///
    /// # Errors
    /// See [`Adaptive::restore`](super::Adaptive::restore) and [`RateLimiter::restore`].
    pub fn restore(
        config: AdaptiveConfig,
        from: &AdaptiveLimiterSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let adaptive = AdaptiveState::restore(&config, &from.adaptive, now)?;
        let limiter = RateLimiter::restore(adaptive.quota(), &from.limiter, now)?;
        // Only reservations reach ahead, and nobody makes any here.
        RestoreError::unless(from.limiter.ahead == 0, "ahead", from.limiter.ahead, "0")?;
        let whole = Whole {
            adaptive,
            limiter,
            seen: now,
        };
        Ok(Self {
            config,
            words: Sequenced::new(encode(&whole)),
        })
    }

    fn update<T>(&self, now: Instant, step: impl FnOnce(&mut Whole, Instant) -> T) -> T {
        self.words.update(|words| {
            let mut whole = decode(words);
            let now = on_time(now, whole.seen);
            whole.seen = now;
            let answer = step(&mut whole, now);
            *words = encode(&whole);
            answer
        })
    }
}

/// The state of a [`SharedAdaptiveLimiter`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct AdaptiveLimiterSnapshot {
    /// What has been learnt.
    pub adaptive: AdaptiveSnapshot,
    /// What is owed.
    pub limiter: RateLimiterSnapshot,
}

/// A thread that is a little late asks at the last instant that somebody else has asked at.
fn on_time(now: Instant, seen: Instant) -> Instant {
    if seen.as_nanos().saturating_sub(now.as_nanos()) <= LATE {
        now.max(seen)
    } else {
        now
    }
}

const LATE: u64 = 1_000_000_000;
const WORDS: usize = 13;
/// The word of the last maximum, and the bit in it: whether there was a throttle. A rate is below
/// 2^54 billionths.
const MAX: usize = 0;
const THROTTLED: u64 = 1 << 63;

const fn encode(whole: &Whole) -> [u64; WORDS] {
    let AdaptiveState { throttled, .. } = whole.adaptive;
    let (throttled_at, max, plateau) = match throttled {
        Some(Throttled { at, max, plateau }) => (at.as_nanos(), max.billionths() | THROTTLED, nanos(plateau)),
        None => (0, 0, 0),
    };
    let quota = whole.limiter.quota();
    [
        max,
        throttled_at,
        plateau,
        whole.adaptive.rate.billionths(),
        whole.adaptive.started_at.as_nanos(),
        whole.adaptive.measured.billionths(),
        whole.adaptive.half_second,
        whole.adaptive.requests,
        whole.adaptive.last.last().as_nanos(),
        quota.interval(),
        quota.capacity() as u64 | (quota.shift() as u64) << 32,
        whole.limiter.tat.0,
        whole.seen.as_nanos(),
    ]
}

fn decode(words: &[u64; WORDS]) -> Whole {
    let &[
        max,
        throttled_at,
        plateau,
        rate,
        started_at,
        measured,
        half_second,
        requests,
        last,
        interval,
        quota,
        tat,
        seen,
    ] = words;
    let throttled = (max & THROTTLED != 0).then(|| Throttled {
        at: Instant::from_nanos(throttled_at),
        max: Rate::from_billionths(max & !THROTTLED),
        plateau: Duration::from_nanos(plateau),
    });
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the capacity")]
    let (capacity, shift) = (quota as u32, (quota >> 32) as u32);
    Whole {
        adaptive: AdaptiveState {
            rate: Rate::from_billionths(rate),
            throttled,
            started_at: Instant::from_nanos(started_at),
            measured: Rate::from_billionths(measured),
            half_second,
            requests,
            last: LastSeen::at(Instant::from_nanos(last)),
        },
        limiter: RateLimiter {
            // A quota's own numbers make it again.
            quota: Quota::from_ticks(capacity, interval, shift).unwrap_or(Quota::UNLIMITED),
            tat: Tat(tat),
            ahead: 0,
        },
        seen: Instant::from_nanos(seen),
    }
}
