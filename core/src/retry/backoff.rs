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

use super::RetryPolicy;
use crate::PerMille;
use crate::draw;
use crate::time::nanos;

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

/// The delays of one call: the size the next one has, and the last one given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Backoff {
    /// `factor^(k-1)` applied to the transient base so far, at most the cap; in nanoseconds.
    size: u64,
    /// The same for the throttled base: both grow with every retry, whatever its kind was.
    throttled_size: u64,
    /// The delay given last, in nanoseconds: what decorrelated jitter starts from.
    previous: u64,
}

impl Backoff {
    /// Before the first retry.
    #[must_use]
    pub const fn new(policy: &RetryPolicy) -> Self {
        Self {
            size: nanos(policy.base_delay),
            throttled_size: nanos(policy.throttled_base_delay),
            previous: nanos(policy.base_delay),
        }
    }

    /// The next delay, and one step of growth. `throttled` starts from the slower base.
    ///
    /// ```
    /// use core::time::Duration;
    /// use crossbridge_core::{Jitter, RetryPolicy, draw::SplitMix64, retry::Backoff};
    ///
    /// let policy = RetryPolicy::DEFAULT.jitter(Jitter::None);
    /// let mut backoff = Backoff::new(&policy);
    /// let mut rng = SplitMix64::new(1);
    /// let delays = [(); 6].map(|()| backoff.next_delay(&policy, false, &mut rng).as_millis());
    /// assert_eq!(delays, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    /// # let _ = Duration::ZERO;
    /// ```
    pub fn next_delay<R: Rng + ?Sized>(
        &mut self,
        policy: &RetryPolicy,
        throttled: bool,
        rng: &mut R,
    ) -> Duration {
        let cap = nanos(policy.max_delay);
        let base = nanos(if throttled {
            policy.throttled_base_delay
        } else {
            policy.base_delay
        });
        let size = if throttled { self.throttled_size } else { self.size };
        let delay = match policy.jitter {
            Jitter::None => size,
            Jitter::Full => draw::inclusive(0, size, rng),
            Jitter::Equal => draw::inclusive(size - size / 2, size, rng),
            Jitter::Decorrelated => {
                // AWS: `min(cap, U[base, 3 * previous])`, a third of the mass stays below the cap.
                let previous = self.previous.max(base);
                draw::inclusive(base, previous.saturating_mul(3), rng).min(cap)
            }
            Jitter::Proportional(share) => {
                let spread = share.of(size);
                draw::inclusive(size - spread, size.saturating_add(spread).min(cap), rng)
            }
        };
        self.previous = delay;
        self.size = grow(self.size, policy.factor_permille, cap);
        self.throttled_size = grow(self.throttled_size, policy.factor_permille, cap);
        Duration::from_nanos(delay)
    }
}

/// `size * factor`, at most `cap`. The cap is at most a day (8.64e13 ns) and the factor at most
/// 100 000 thousandths, so the product stays below 2^63.
const fn grow(size: u64, factor_permille: u32, cap: u64) -> u64 {
    let grown = size.saturating_mul(factor_permille as u64) / 1_000;
    if grown > cap { cap } else { grown }
}
