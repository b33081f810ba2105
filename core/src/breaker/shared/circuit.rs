//! One circuit in atomic words, without its rules.

use core::num::NonZeroU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::LATE;
use super::words::{AnnexWords, WORDS, pack};
use crate::breaker::annex::Annex;
use crate::breaker::circuit::{Circuit, GOOD_MAX, Head, Phase};
use crate::breaker::window::Counts;
use crate::breaker::{BreakerMode, BreakerRules, BreakerSnapshot, BreakerState, Permit, Refused, Settled};
use crate::snapshot::RestoreError;
use crate::sync::Sequenced;
use crate::sync::atomic::AtomicU64;
use crate::time::{Instant, LastSeen};

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
    pub(in crate::breaker) fn quick_generation(&self, rules: &BreakerRules) -> Option<u32> {
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
