//! A bulkhead for many threads whose limit follows what the calls show.
//!
//! For callers on many threads that share one dependency, do not know how much of them it bears,
//! and rather fail at once than wait.
//!
//! ```text
//!   try_acquire(now) ───▶ in flight < limit ? ──yes, compare-and-swap──▶ AdaptiveSlot
//!                            ▲        ▲  └──no───▶ None                       │
//!                            │        └── limit' ◀── step(limit, sample) ◀──┐ │
//!                            └── in flight - 1 ◀──────── release(now) ──────┴─┘
//! ```
//!
//! # Rules
//! - Exact: never more slots out than the limit that was there at the moment of the swap.
//! - The limit is that of [`limit`](super::limit): the same pure steps, one call after the other.
//!   No sample is lost. The limit is moved before the slot is free.
//! - A lower limit takes nothing away from calls in flight; new ones are refused until enough have
//!   come back.
//! - [`LimitConfig::Fixed`] learns without a write. So does [`LimitConfig::Aimd`] from a call that
//!   moves nothing: at `max`, or with too few in flight. Everything else takes a sequence lock for
//!   some ten nanoseconds, so it is not for interrupt handlers.
//! - A dropped call took as long as its slot was held. A clock that steps back meanwhile makes that
//!   zero.
//!
//! The defaults are those of the [`limit`](super::limit). Exists where the target has 64-bit atomic
//! words.
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::Instant;
//! use crossbridge_core::bulkhead::adaptive::SharedAdaptiveBulkhead;
//! use crossbridge_core::bulkhead::limit::{AimdConfig, LimitConfig};
//! use crossbridge_core::bulkhead::waiters::Released;
//!
//! const CONFIG: AimdConfig = AimdConfig { initial: 2, min: 1, ..AimdConfig::DEFAULT };
//! static SEARCH: SharedAdaptiveBulkhead = match SharedAdaptiveBulkhead::new(LimitConfig::Aimd(CONFIG)) {
//!     Ok(bulkhead) => bulkhead,
//!     Err(_) => panic!("within its ranges"),
//! };
//! let now = Instant::ZERO;
//! let first = SEARCH.try_acquire(now).expect("two are free");
//! let second = SEARCH.try_acquire(now).expect("one is free");
//! assert!(SEARCH.try_acquire(now).is_none());
//!
//! let later = now.saturating_add(Duration::from_millis(20));
//! SEARCH.release(later, first, Released::Success { took: Duration::from_millis(20) });
//! assert_eq!(SEARCH.limit(), 3); // half of the limit was in use
//! SEARCH.release(later, second, Released::Dropped);
//! assert_eq!((SEARCH.limit(), SEARCH.in_flight()), (2, 0)); // nine tenths, rounded down
//! ```
//!
//! Source: Netflix/concurrency-limits, `limiter/SimpleLimiter.java` and its limits.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::limit::{LIMIT_WORDS, Limit, LimitConfig, LimitSnapshot, Sample};
use super::waiters::Released;
use crate::ConfigError;
use crate::snapshot::{RestoreError, VERSION};
use crate::sync::{Sequenced, atomic::AtomicU32};
use crate::time::Instant;

/// The right to be in flight. Not `Copy`: it is given back once, to the bulkhead it came from.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdaptiveSlot {
    since: Instant,
    /// Calls in flight when it was taken, this one included.
    in_flight: u32,
}

/// A bulkhead shared by reference, with a limit that moves. See the [module](self) for the rules.
#[derive(Debug)]
pub struct SharedAdaptiveBulkhead {
    config: LimitConfig,
    limit: Sequenced<LIMIT_WORDS>,
    in_flight: AtomicU32,
}

impl SharedAdaptiveBulkhead {
    /// An empty bulkhead.
    ///
    /// # Errors
    /// See [`LimitConfig::check`].
    pub const fn new(config: LimitConfig) -> Result<Self, ConfigError> {
        match Limit::new(config) {
            Ok(limit) => Ok(Self::with(config, &limit)),
            Err(refused) => Err(refused),
        }
    }

    const fn with(config: LimitConfig, limit: &Limit) -> Self {
        Self {
            config,
            limit: Sequenced::new(limit.to_words()),
            in_flight: AtomicU32::new(0),
        }
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Calls that may be in flight just now, at least 1.
    #[must_use]
    #[inline]
    pub fn limit(&self) -> u32 {
        Limit::in_word(self.limit.word::<0>())
    }

    /// Takes a slot at `now`, where one is free.
    #[inline]
    pub fn try_acquire(&self, now: Instant) -> Option<AdaptiveSlot> {
        let mut seen = self.in_flight.load(Relaxed);
        while seen < self.limit() {
            // Below a limit that is a `u32`: one more fits.
            let in_flight = seen + 1;
            match self
                .in_flight
                .compare_exchange_weak(seen, in_flight, Acquire, Relaxed)
            {
                Ok(_) => {
                    return Some(AdaptiveSlot {
                        since: now,
                        in_flight,
                    });
                }
                Err(current) => seen = current,
            }
        }
        None
    }

    /// Gives a slot back at `now`, and lets the limit learn from the call.
    pub fn release(&self, now: Instant, slot: AdaptiveSlot, released: Released) {
        let AdaptiveSlot { since, in_flight } = slot;
        if let Some(sample) = released.sample(in_flight, now.saturating_duration_since(since)) {
            self.learn(sample);
        }
        let mut seen = self.in_flight.load(Relaxed);
        // A slot of another bulkhead must not make the count wrap.
        while let Some(less) = seen.checked_sub(1) {
            match self.in_flight.compare_exchange_weak(seen, less, Release, Relaxed) {
                Ok(_) => return,
                Err(current) => seen = current,
            }
        }
    }

    fn learn(&self, sample: Sample) {
        let step = |words: &mut [u64; LIMIT_WORDS]| {
            let mut limit = Limit::from_words(self.config, words);
            limit.on_sample(sample);
            *words = limit.to_words();
        };
        let before = self.limit.read();
        let mut after = before;
        step(&mut after);
        // What moves nothing writes nothing.
        if after != before {
            self.limit.update(step);
        }
    }

    /// What has been learnt.
    #[must_use]
    pub fn snapshot(&self) -> AdaptiveBulkheadSnapshot {
        AdaptiveBulkheadSnapshot {
            version: VERSION,
            limit: Limit::from_words(self.config, &self.limit.read()).snapshot(),
        }
    }

    /// An empty bulkhead that knows what the one before it had learnt: nobody is left to give back
    /// the slots that were out.
    ///
    /// ```
    /// use crossbridge_core::bulkhead::adaptive::{AdaptiveBulkheadSnapshot, SharedAdaptiveBulkhead};
    /// use crossbridge_core::bulkhead::limit::{AimdConfig, LimitConfig, LimitSnapshot};
    ///
    /// let config = LimitConfig::Aimd(AimdConfig::DEFAULT);
    /// let taken = SharedAdaptiveBulkhead::new(config)?.snapshot();
    /// let restored = SharedAdaptiveBulkhead::restore(config, &taken)?;
    /// assert_eq!(restored.limit(), 20);
    ///
    /// let broken = AdaptiveBulkheadSnapshot { limit: LimitSnapshot::Aimd { limit: 201 }, ..taken };
    /// let refused = SharedAdaptiveBulkhead::restore(config, &broken).unwrap_err();
    /// assert_eq!(refused.to_string(), "snapshot: limit is 201, expected min to max");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The snapshot has another version, is of another algorithm, or holds what this configuration
    /// cannot; or the configuration itself is refused (field `config`).
    pub fn restore(config: LimitConfig, from: &AdaptiveBulkheadSnapshot) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let limit = Limit::restore(config, &from.limit)?;
        Ok(Self::with(config, &limit))
    }
}

/// What a [`SharedAdaptiveBulkhead`] has learnt. Slots are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaptiveBulkheadSnapshot {
    /// Version of this form.
    pub version: u32,
    /// Of the limit.
    pub limit: LimitSnapshot,
}
