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

use crate::sync::atomic::AtomicU64;
use core::num::NonZeroU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::time::Duration;

use super::annex::Annex;
use super::circuit::{Circuit, GOOD_MAX, Head, Phase};
use super::hanging::InFlight;
use super::snapshot::rules_of;
use super::window::{BUCKETS, Counts};
use super::{
    BreakerConfig, BreakerMode, BreakerRules, BreakerSnapshot, BreakerState, Permit, Refused, Settled,
};
use crate::ConfigError;
use crate::snapshot::RestoreError;
use crate::sync::Sequenced;
use crate::time::{Instant, LastSeen, nanos};

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

/// A [`Circuit`] in atomic words.
///
/// Whoever changes the state is told from what and to what, outside of the lock: one thread for each
/// change.
#[derive(Debug)]
pub(crate) struct SharedCircuit<const ANNEX: usize = 1> {
    head: AtomicU64,
    /// When it was last seen, and its body.
    words: Sequenced<WORDS>,
    /// Read and written only by who has locked the words.
    annex: [AnnexWords; ANNEX],
}

const WORDS: usize = 7;

impl<const ANNEX: usize> SharedCircuit<ANNEX> {
    pub(crate) const fn new(rules: &BreakerRules) -> Self {
        Self::of(&Circuit::new(rules))
    }

    pub(crate) fn restore(
        rules: &BreakerRules,
        from: &BreakerSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let circuit = Circuit::restore(rules, from, now)?;
        let restored = Self::of(&circuit);
        for (words, annex) in restored.annex.iter().zip(&circuit.annex) {
            words.store(annex);
        }
        Ok(restored)
    }

    /// Without its annex, which is a new one.
    const fn of(circuit: &Circuit<ANNEX>) -> Self {
        Self {
            head: AtomicU64::new(circuit.head.pack()),
            words: Sequenced::new(pack(circuit)),
            annex: [const { AnnexWords::new() }; ANNEX],
        }
    }

    #[inline]
    pub(crate) fn state(&self, rules: &BreakerRules) -> BreakerState {
        self.head().state(rules)
    }

    pub(crate) fn counts(&self, rules: &BreakerRules) -> Counts {
        self.ask(rules, |circuit| circuit.counts(rules))
    }

    pub(crate) fn would_admit(&self, rules: &BreakerRules, now: Instant) -> Result<(), Refused> {
        if Head::is_quick(self.head.load(Acquire), rules) {
            return Ok(());
        }
        self.ask(rules, |circuit| circuit.would_admit(rules, circuit.catch_up(now)))
    }

    /// As [`Circuit::has_room`].
    #[inline]
    pub(crate) fn has_room(&self, rules: &BreakerRules, now: Instant) -> Result<(), Refused> {
        if Head::is_quick(self.head.load(Acquire), rules) {
            return Ok(());
        }
        self.has_room_unless_closed(rules, now)
    }

    #[cold]
    fn has_room_unless_closed(&self, rules: &BreakerRules, now: Instant) -> Result<(), Refused> {
        if let Some(answer) = rules.overrule() {
            return answer;
        }
        match self.still_open(rules, now) {
            Some(refused) => Err(refused),
            None => self.ask(rules, |circuit| circuit.has_room(rules, circuit.catch_up(now))),
        }
    }

    #[inline]
    pub(crate) fn admit(
        &self,
        rules: &BreakerRules,
        now: Instant,
        tell: impl FnOnce(BreakerState, BreakerState),
    ) -> Result<Permit, Refused> {
        match self.quick_generation(rules) {
            Some(generation) => Ok(Permit::new(now, generation, 0)),
            None => self.admit_unless_closed(rules, now, tell),
        }
    }

    /// The generation of a circuit that admits without a further look.
    #[inline]
    pub(super) fn quick_generation(&self, rules: &BreakerRules) -> Option<u32> {
        let head = self.head.load(Acquire);
        Head::is_quick(head, rules).then_some(Head::generation(head))
    }

    #[cold]
    fn admit_unless_closed(
        &self,
        rules: &BreakerRules,
        now: Instant,
        tell: impl FnOnce(BreakerState, BreakerState),
    ) -> Result<Permit, Refused> {
        if let Some(answer) = rules.overrule() {
            return answer.map(|()| self.head().permit(now, 0));
        }
        if let Some(refused) = self.still_open(rules, now) {
            return Err(refused);
        }
        let permit = self.update(rules, tell, |circuit| circuit.admit(rules, circuit.catch_up(now)))?;
        // How long a call takes is between two readings of its own thread.
        Ok(Permit {
            admitted_at: now,
            ..permit
        })
    }

    /// The refusal of an open circuit, where that is all there is to do.
    fn still_open(&self, rules: &BreakerRules, now: Instant) -> Option<Refused> {
        let head = self.head();
        if head.phase != Phase::Open || rules.mode != BreakerMode::Auto {
            return None;
        }
        let [last_seen, until, ..] = self.words.read();
        // The head changes while the words are locked, and with every change of state: these are the
        // words of this head, or of one after it.
        let the_same = self.head().generation == head.generation;
        // Now and then the time is written down, so that a clock that steps back is told by how much.
        let is_recent = last_seen.abs_diff(now.as_nanos()) <= LATE;
        (the_same && is_recent && now.as_nanos() < until).then_some(Refused {
            state: BreakerState::Open,
            retry_at: Some(Instant::from_nanos(until)),
        })
    }

    #[inline]
    pub(crate) fn settle(
        &self,
        rules: &BreakerRules,
        now: Instant,
        permit: Permit,
        settled: Settled,
        tell: impl FnOnce(BreakerState, BreakerState),
    ) {
        if settled == Settled::Success
            && permit.took(now) < rules.slow_call
            && self.count_good(rules, now, permit.generation())
        {
            return;
        }
        self.settle_otherwise(rules, now, permit, settled, tell);
    }

    /// A quick success of a closed circuit, where counting it is all there is to do.
    #[inline]
    fn count_good(&self, rules: &BreakerRules, now: Instant, generation: u32) -> bool {
        let mut head = self.head.load(Acquire);
        loop {
            if !Head::is_quick(head, rules) || Head::generation(head) != generation {
                return false;
            }
            let good = Head::good(head);
            if rules.bucket.is_none() {
                if good >= rules.size.into() {
                    return true;
                }
            } else if good >= GOOD_MAX || !self.is_in_bucket(rules, now) {
                return false;
            }
            let counted = head + Head::ONE_GOOD;
            match self.head.compare_exchange_weak(head, counted, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(found) => head = found,
            }
        }
    }

    fn is_in_bucket(&self, rules: &BreakerRules, now: Instant) -> bool {
        let started = self.words.word::<2>();
        let now = now.as_nanos();
        let width = rules.bucket.map_or(0, NonZeroU64::get);
        now.saturating_sub(started) < width && started.saturating_sub(now) <= LATE
    }

    #[cold]
    fn settle_otherwise(
        &self,
        rules: &BreakerRules,
        now: Instant,
        permit: Permit,
        settled: Settled,
        tell: impl FnOnce(BreakerState, BreakerState),
    ) {
        if rules.mode == BreakerMode::Disabled {
            return;
        }
        self.update(rules, tell, |circuit| {
            let caught_up = circuit.catch_up(now);
            let late = caught_up.saturating_duration_since(now);
            let permit = Permit {
                admitted_at: permit.admitted_at.saturating_add(late),
                ..permit
            };
            circuit.settle(rules, caught_up, permit, settled);
        });
    }

    pub(crate) fn poll_at(&self, rules: &BreakerRules) -> Option<Instant> {
        self.ask(rules, |circuit| circuit.poll_at(rules))
    }

    #[inline]
    pub(crate) fn handle_timeout(
        &self,
        rules: &BreakerRules,
        now: Instant,
        tell: impl FnOnce(BreakerState, BreakerState),
    ) {
        // An open circuit waits to be asked.
        if !Head::is_quick(self.head.load(Acquire), rules) && self.head().phase != Phase::Open {
            self.update(rules, tell, |circuit| {
                circuit.handle_timeout(rules, circuit.catch_up(now));
            });
        }
    }

    pub(crate) fn snapshot(&self, rules: &BreakerRules, now: Instant) -> BreakerSnapshot {
        self.ask(rules, |circuit| circuit.snapshot(rules, circuit.catch_up(now)))
    }

    #[inline]
    fn head(&self) -> Head {
        Head::unpack(self.head.load(Acquire))
    }

    /// A question about the whole circuit.
    fn ask<T>(&self, rules: &BreakerRules, question: impl FnOnce(&Circuit<ANNEX>) -> T) -> T {
        self.update(rules, |_, _| {}, |circuit| question(circuit))
    }

    /// One step of the exclusive form, with everybody else locked out of all but counting.
    fn update<T>(
        &self,
        rules: &BreakerRules,
        tell: impl FnOnce(BreakerState, BreakerState),
        step: impl FnOnce(&mut Circuit<ANNEX>) -> T,
    ) -> T {
        let (answer, from, to) = self.words.update(|words| {
            // The good results so far are this step's; others may count more meanwhile.
            let head = Head::unpack(self.head.fetch_and(!Head::ALL_GOOD, AcqRel));
            let [last_seen, body @ ..] = *words;
            let mut circuit = Circuit {
                last_seen: LastSeen::at(Instant::from_nanos(last_seen)),
                head,
                body,
                annex: [const { Annex::new(Instant::ZERO) }; ANNEX],
            };
            if rules.need_annex() {
                for (annex, words) in circuit.annex.iter_mut().zip(&self.annex) {
                    *annex = words.load();
                }
            }
            let answer = step(&mut circuit);
            if rules.need_annex() {
                for (annex, words) in circuit.annex.iter().zip(&self.annex) {
                    words.store(annex);
                }
            }
            *words = pack(&circuit);
            self.publish(head.generation, circuit.head);
            (answer, head.state(rules), circuit.head.state(rules))
        });
        if from != to {
            tell(from, to);
        }
        answer
    }

    /// The head after a step, with what was counted meanwhile unless it belongs to another generation.
    fn publish(&self, generation: u32, head: Head) {
        let mut seen = self.head.load(Relaxed);
        loop {
            let counted = if head.generation == generation {
                Head::good(seen)
            } else {
                0
            };
            let good = head.good.saturating_add(counted);
            let next = Head { good, ..head }.pack();
            match self.head.compare_exchange_weak(seen, next, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(found) => seen = found,
            }
        }
    }
}

/// [`SharedBreaker::LATE`].
const LATE: u64 = nanos(SharedBreaker::LATE);

const fn pack<const ANNEX: usize>(circuit: &Circuit<ANNEX>) -> [u64; WORDS] {
    let [a, b, c, d, e, f] = circuit.body;
    [circuit.last_seen.last().as_nanos(), a, b, c, d, e, f]
}

impl<const ANNEX: usize> Circuit<ANNEX> {
    /// The time a step goes by: another thread may have brought a later one.
    fn catch_up(&self, now: Instant) -> Instant {
        let last = self.last_seen.last();
        if last.as_nanos().saturating_sub(now.as_nanos()) <= LATE {
            now.max(last)
        } else {
            now
        }
    }
}

impl Head {
    const ONE_GOOD: u64 = 1 << 16;
    const ALL_GOOD: u64 = 0xFFFF << 16;

    /// Whether the phase of this word is the quick one.
    #[inline]
    fn is_quick(word: u64, rules: &BreakerRules) -> bool {
        rules.quick.is_some_and(|quick| word >> 8 & 0xFF == quick as u64)
    }

    #[inline]
    const fn generation(word: u64) -> u32 {
        (word >> 32) as u32
    }

    #[inline]
    const fn good(word: u64) -> u16 {
        (word >> 16 & 0xFFFF) as u16
    }

    #[inline]
    const fn pack(self) -> u64 {
        (self.generation as u64) << 32
            | (self.good as u64) << 16
            | (self.phase as u64) << 8
            | self.level as u64
    }

    #[inline]
    const fn unpack(word: u64) -> Self {
        Self {
            generation: Self::generation(word),
            good: Self::good(word),
            phase: match word >> 8 & 0xFF {
                0 => Phase::Closed,
                1 => Phase::SlowStart,
                2 => Phase::Open,
                _ => Phase::HalfOpen,
            },
            level: (word & 0xFF) as u8,
        }
    }
}

/// An [`Annex`] in words.
#[derive(Debug)]
struct AnnexWords {
    buckets: [[AtomicU64; 2]; BUCKETS],
    in_flight: [AtomicU64; InFlight::WORDS],
}

impl AnnexWords {
    const fn new() -> Self {
        Self {
            buckets: [const { [const { AtomicU64::new(0) }; 2] }; BUCKETS],
            in_flight: [const { AtomicU64::new(0) }; InFlight::WORDS],
        }
    }

    fn load(&self) -> Annex {
        let mut annex = Annex::new(Instant::ZERO);
        for (bucket, [one, two]) in annex.buckets.iter_mut().zip(&self.buckets) {
            let word = one.load(Relaxed);
            *bucket = Counts {
                calls: (word & 0xFFFF_FFFF) as u32,
                failed: (word >> 32) as u32,
                slow: (two.load(Relaxed) & 0xFFFF_FFFF) as u32,
            };
        }
        let mut words = [0; InFlight::WORDS];
        for (copy, word) in words.iter_mut().zip(&self.in_flight) {
            *copy = word.load(Relaxed);
        }
        annex.in_flight = InFlight::from_words(words);
        annex
    }

    fn store(&self, annex: &Annex) {
        for (bucket, [one, two]) in annex.buckets.iter().zip(&self.buckets) {
            one.store(u64::from(bucket.calls) | u64::from(bucket.failed) << 32, Relaxed);
            two.store(bucket.slow.into(), Relaxed);
        }
        for (word, new) in self.in_flight.iter().zip(annex.in_flight.to_words()) {
            word.store(new, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
