//! A toxic at work: which connections and requests it meets.
//!
//! The choice depends on the seed, the names of proxy and toxic, and the number of the connection, and
//! on nothing else: the same run of connections meets the same toxics, whatever their timing, and a
//! toxic more or less changes nothing for the others.
//!
//! - Connections count from 0 within their proxy. With `first` or `every` a toxic counts
//!   from the first connection that is accepted after it was added, and leaves older ones alone.
//! - Requests count in the order in which they come, over all connections of the proxy.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::rate_limit::Answer;
use crossbridge_core::{Instant, RateLimiter};

use super::toxic::{Effect, Toxic};
use crate::stream::stream;

/// A toxic at work.
#[derive(Debug)]
pub struct Live {
    /// Its number, new with every change.
    pub id: u64,
    /// What it is.
    pub toxic: Toxic,
    /// The number of the first connection after it was added.
    since: u64,
    /// Requests that came by.
    seen: AtomicU64,
    /// What a throttling server bears.
    limiter: Option<Mutex<RateLimiter>>,
}

impl Live {
    /// A toxic that is added when `since` connections have been accepted.
    #[must_use]
    pub fn new(id: u64, toxic: Toxic, since: u64) -> Self {
        let quota = if let Effect::Throttle(throttle) = &toxic.effect {
            throttle.quota().ok()
        } else {
            None
        };
        Self {
            id,
            toxic,
            since,
            seen: AtomicU64::new(0),
            limiter: quota.map(|quota| Mutex::new(RateLimiter::new(quota))),
        }
    }

    /// Whether it meets connection number `index` of the proxy.
    #[must_use]
    pub fn meets_connection(&self, seed: u64, proxy: &str, index: u64) -> bool {
        if self.toxic.first.is_some() || self.toxic.every.is_some() {
            let Some(before) = index.checked_sub(self.since) else {
                return false;
            };
            if !self.toxic.counts(before.saturating_add(1)) {
                return false;
            }
        }
        chance(
            &mut self.generator(seed, proxy, index, "meets"),
            self.toxic.toxicity,
        )
    }

    /// Whether it meets the request that comes by at `now`; `rng` is this connection's for this toxic.
    pub fn meets_request(&self, now: Instant, rng: &mut SplitMix64) -> bool {
        let ordinal = self.seen.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.toxic.counts(ordinal) && chance(rng, self.toxic.toxicity) && self.is_above_quota(now)
    }

    /// Where draws of this toxic on this connection come from.
    #[must_use]
    pub fn generator(&self, seed: u64, proxy: &str, index: u64, purpose: &str) -> SplitMix64 {
        // Two halves, so that four thousand million connections and more stay apart.
        let low = u32::try_from(index & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        let purpose = format!("{} {purpose} {}", self.toxic.name, index >> 32);
        stream(seed, proxy, low, &purpose)
    }

    /// True where there is no quota.
    fn is_above_quota(&self, now: Instant) -> bool {
        let Some(limiter) = &self.limiter else {
            return true;
        };
        // A panic elsewhere leaves a limiter as good as before.
        let mut limiter = limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        limiter.check(now, 1) != Answer::Granted
    }
}

/// True with this probability, by one draw; exact to 2^-53.
#[expect(clippy::cast_precision_loss)]
fn chance(rng: &mut SplitMix64, probability: f64) -> bool {
    ((rng.next() >> 11) as f64) < probability * 9_007_199_254_740_992.0
}
