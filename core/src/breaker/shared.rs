//! The breaker for threads: the same circuit in atomic words.
//!
//! ```text
//!   head:   generation │ good │ phase │ level     one word: all that a closed circuit's calls read
//!   words:  last seen, body                       behind a sequence lock, with the annex
//!
//!   admit    closed ─▶ one load
//!            open   ─▶ the words, twice if they change
//!            other  ─▶ lock ─▶ the step of the exclusive form ─▶ words, head
//!   settle   closed, quick success ─▶ one load, and one compare-and-swap while the window
//!                                     still holds something else
//!            other  ─▶ lock ─▶ the step of the exclusive form ─▶ words, head
//! ```
//!
//! A quick success only ever pushes older results out of the window, and cannot trip. So threads
//! count them in the head, and whoever next takes the lock slides the window over them. After as
//! many as the window is long there is nothing else in it, and further ones are not even counted.
//! The head carries the generation: a success of an earlier one finds another word and is lost.

mod circuit;
#[cfg(test)]
mod tests;
mod words;

use core::time::Duration;

pub(crate) use circuit::SharedCircuit;

use super::snapshot::rules_of;
use super::window::Counts;
use super::{BreakerConfig, BreakerRules, BreakerSnapshot, BreakerState, Permit, Refused, Settled};
use crate::ConfigError;
use crate::snapshot::RestoreError;
use crate::time::{Instant, nanos};

/// A circuit breaker that many threads ask at once.
///
/// It answers as [`Breaker`](super::Breaker) does; see the [module](super) for the rules.
///
/// # Rules
/// - While closed nobody waits for anybody: an admission is one atomic load, a quick success another
///   and at most one compare-and-swap, none once the window holds nothing but successes. A refusal
///   while open only reads. Failures, slow calls and probes take turns, for some ten nanoseconds.
/// - What is decided is decided once: never more than `half_open_concurrent` probes at once nor
///   `half_open_calls` in all, and one trip per generation, however many threads report failures.
/// - Threads read the clock before they ask, so `now` may be older than another's: up to
///   [`LATE`](Self::LATE) older counts as the time that the other one brought. Further back the
///   clock stepped.
/// - Not for interrupt handlers, which could spin on what they interrupted: there the exclusive form
///   is used, behind a critical section.
///
/// The targets are those with 64-bit atomics.
///
/// ```
/// use crossbridge_core::Instant;
/// use crossbridge_core::breaker::{BreakerConfig, BreakerState, Settled, SharedBreaker};
///
/// static STORAGE: SharedBreaker = match SharedBreaker::new(BreakerConfig::DEFAULT) {
///     Ok(breaker) => breaker,
///     Err(_) => panic!(),
/// };
///
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let now = Instant::from_nanos(1_000);
///             if let Ok(permit) = STORAGE.admit(now) {
///                 STORAGE.settle(now, permit, Settled::Success);
///             }
///         });
///     }
/// });
/// assert_eq!(STORAGE.counts().calls, 4);
/// assert_eq!(STORAGE.state(), BreakerState::Closed);
/// ```
#[derive(Debug)]
pub struct SharedBreaker<const ANNEX: usize = 1> {
    circuit: SharedCircuit<ANNEX>,
    rules: BreakerRules,
}

impl SharedBreaker {
    /// How much older than another thread's a `now` may be before it counts as a clock that
    /// stepped back: as long as a thread may be off its core between reading the clock and asking.
    pub const LATE: Duration = Duration::from_secs(1);

    /// A closed circuit.
    ///
    /// # Errors
    /// See [`BreakerConfig::check`].
    pub const fn new(config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::closed(config)
    }

    /// The breaker that was taken a snapshot of, at `now`: see
    /// [`Breaker::restore`](super::Breaker::restore).
    ///
    /// # Errors
    /// The same.
    pub fn restore(
        config: BreakerConfig,
        from: &BreakerSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        RestoreError::check_version(from.version)?;
        let rules = rules_of(config)?;
        let circuit = SharedCircuit::restore(&rules, from, now)?;
        Ok(Self { circuit, rules })
    }
}

impl SharedBreaker<0> {
    /// A closed circuit with a window of calls: see [`Breaker::of_calls`](super::Breaker::of_calls).
    ///
    /// # Errors
    /// The same.
    pub const fn of_calls(config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::closed(config)
    }
}

impl<const ANNEX: usize> SharedBreaker<ANNEX> {
    const fn closed(config: BreakerConfig) -> Result<Self, ConfigError> {
        let rules = match BreakerRules::new(config) {
            Ok(rules) => rules.fit(ANNEX),
            Err(refused) => Err(refused),
        };
        match rules {
            Ok(rules) => Ok(Self {
                circuit: SharedCircuit::new(&rules),
                rules,
            }),
            Err(refused) => Err(refused),
        }
    }

    /// The state now, unless somebody changes it.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.circuit.state(&self.rules)
    }

    /// What the window holds; nothing unless closed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.circuit.counts(&self.rules)
    }

    /// What [`admit`](Self::admit) would answer at `now`, without taking a probe's place.
    ///
    /// # Errors
    /// The refusal it would give.
    pub fn would_admit(&self, now: Instant) -> Result<(), Refused> {
        self.circuit.would_admit(&self.rules, now)
    }

    /// Asks to send a call at `now`.
    ///
    /// # Errors
    /// As for [`Breaker::admit`](super::Breaker::admit).
    #[inline]
    pub fn admit(&self, now: Instant) -> Result<Permit, Refused> {
        self.circuit.admit(&self.rules, now, |_, _| {})
    }

    /// Reports what became of an admitted call.
    #[inline]
    pub fn settle(&self, now: Instant, permit: Permit, settled: Settled) {
        self.circuit.settle(&self.rules, now, permit, settled, |_, _| {});
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.circuit.poll_at(&self.rules)
    }

    /// Lets deadlines that have passed take effect.
    #[inline]
    pub fn handle_timeout(&self, now: Instant) {
        self.circuit.handle_timeout(&self.rules, now, |_, _| {});
    }

    /// The state at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BreakerSnapshot {
        self.circuit.snapshot(&self.rules, now)
    }
}

/// [`SharedBreaker::LATE`].
const LATE: u64 = nanos(SharedBreaker::LATE);
