//! Delay curves and jitter, as pure functions.
//!
//! ```text
//!   v(k) = min(cap, base * factor^(k-1))             k = 1 for the first retry
//!
//!   none          v ──────────────●
//!   full          0 ├─────────────┤ v                 U[0, v]
//!   equal             v/2 ├───────┤ v                 v/2 + U[0, v/2]
//!   proportional     v-pv ├────┼────┤ v+pv            capped before the draw
//!   decorrelated  base ├───────────────┤ 3 * previous the result capped (AWS)
//! ```
//!
//! # Rules
//! - `floor <= delay <= cap` for every jitter, and at the cap the spread survives: the range is
//!   cut before the draw, so that a fleet at the cap does not retry in step. (Decorrelated jitter
//!   is cut after it, as AWS has it: about a third of its delays then stay below the cap.)
//! - Delays are kept at or below the cap, so that growing one cannot overflow, however many there are.
//! - Each delay costs one draw (none without jitter) and a constant amount of work.
//!
//! Sources: Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog 2015 (full, equal,
//! decorrelated).

use core::time::Duration;

use rand_core::Rng;

use super::RetryRules;
use crate::PerMille;
use crate::draw;

/// How a delay is spread, so that callers that failed together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Jitter {
    /// Every caller waits the same.
    None,
    /// Anything from nothing to the whole delay: the least work and the shortest completion under
    /// contention.
    Full,
    /// Half of the delay for sure, the other half by chance.
    Equal,
    /// Between the base and three times the delay before, independent of the attempt number.
    Decorrelated,
    /// The delay, give or take this share of it.
    Proportional(PerMille),
}

/// The delays of one call: how far each curve has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Backoff {
    // Two sizes in nanoseconds, of 48 bits each, for a day is less than 2^47. A counter beside them
    // leaves room for an instant in the 24 bytes of a `Retry`.
    low: [u32; 2],
    high: [u16; 2],
}

/// How far both curves have grown, in nanoseconds.
struct Sizes {
    /// `factor^(k-1)` applied to the transient base so far, at most the cap. For decorrelated
    /// jitter, which does not grow by a factor, the delay given last.
    transient: u64,
    /// The same for the throttled base: both grow with every retry, whatever its kind was.
    throttled: u64,
}

impl Backoff {
    /// Before the first retry.
    #[must_use]
    pub const fn new(rules: &RetryRules) -> Self {
        Self::pack(Sizes {
            transient: rules.base_delay,
            throttled: rules.throttled_base_delay,
        })
    }

    /// The next delay, and one step of growth. `throttled` starts from the slower base.
    ///
    /// ```
    /// use crossbridge_core::draw::SplitMix64;
    /// use crossbridge_core::retry::{Backoff, RetryRules};
    /// use crossbridge_core::{Jitter, RetryPolicy};
    ///
    /// let rules = RetryRules::new(RetryPolicy::DEFAULT.jitter(Jitter::None))?;
    /// let mut backoff = Backoff::new(&rules);
    /// let mut rng = SplitMix64::new(1);
    /// let delays = [(); 6].map(|()| backoff.next_delay(&rules, false, &mut rng).as_millis());
    /// assert_eq!(delays, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    pub fn next_delay<R: Rng + ?Sized>(
        &mut self,
        rules: &RetryRules,
        throttled: bool,
        rng: &mut R,
    ) -> Duration {
        Duration::from_nanos(self.next_nanos(rules, throttled, rng))
    }

    /// [`next_delay`](Self::next_delay) in nanoseconds, at most a day.
    #[inline]
    pub(super) fn next_nanos<R: Rng + ?Sized>(&mut self, rules: &RetryRules, slow: bool, rng: &mut R) -> u64 {
        let cap = rules.max_delay;
        let Sizes { transient, throttled } = self.sizes();
        if rules.jitter == Jitter::Decorrelated {
            // AWS: `min(cap, U[base, 3 * previous])`, a third of the mass stays below the cap.
            let base = rules.base(slow);
            let previous = transient.max(base);
            let delay = draw::inclusive(base, previous.saturating_mul(3), rng).min(cap);
            *self = Self::pack(Sizes {
                transient: delay,
                throttled,
            });
            return delay;
        }
        *self = Self::pack(Sizes {
            transient: grow(transient, rules),
            throttled: grow(throttled, rules),
        });
        let size = if slow { throttled } else { transient };
        match rules.jitter {
            Jitter::None | Jitter::Decorrelated => size,
            Jitter::Full => draw::inclusive(0, size, rng),
            Jitter::Equal => draw::inclusive(size - size / 2, size, rng),
            Jitter::Proportional(share) => {
                let spread = share.of(size);
                draw::inclusive(size - spread, size.saturating_add(spread).min(cap), rng)
            }
        }
    }

    // A policy ends delays at a day: no bit is cut off.
    #[expect(clippy::cast_possible_truncation)]
    #[inline]
    const fn pack(sizes: Sizes) -> Self {
        let Sizes { transient, throttled } = sizes;
        Self {
            low: [transient as u32, throttled as u32],
            high: [(transient >> 32) as u16, (throttled >> 32) as u16],
        }
    }

    #[inline]
    const fn sizes(self) -> Sizes {
        let Self {
            low: [transient, throttled],
            high: [transient_high, throttled_high],
        } = self;
        Sizes {
            transient: transient as u64 | (transient_high as u64) << 32,
            throttled: throttled as u64 | (throttled_high as u64) << 32,
        }
    }
}

/// `size * factor`, at most the cap. The cap is at most a day (8.64e13 ns) and the factor at most
/// 100 000 thousandths, so the product stays below 2^63.
#[inline]
const fn grow(size: u64, rules: &RetryRules) -> u64 {
    let grown = size.wrapping_mul(rules.factor_permille as u64) / 1_000;
    if grown > rules.max_delay {
        rules.max_delay
    } else {
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_bytes_hold_every_delay() {
        let longest = 86_400_000_000_000;
        for nanos in [0, 1, 0xFFFF_FFFF, 0x1_0000_0000, 0x1234_5678_9ABC, longest] {
            let sizes = Backoff::pack(Sizes {
                transient: nanos,
                throttled: longest - nanos,
            })
            .sizes();
            assert_eq!((sizes.transient, sizes.throttled), (nanos, longest - nanos));
        }
        assert_eq!(size_of::<Backoff>(), 12);
    }
}
