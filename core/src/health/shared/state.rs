//! What a shared monitor has learnt; its rules are kept elsewhere and come with every step.

use core::convert::Infallible;
use core::sync::atomic::Ordering::Relaxed;

use rand_core::{Rng, TryRng};

use super::words::{EVIDENCE, WORDS, decode, encode};
use crate::health::flapping::Flapping;
use crate::health::state::Phase;
use crate::health::{Health, HealthChange, MonitorRules, MonitorSnapshot, MonitorState, Probe, ProbeResult};
use crate::snapshot::RestoreError;
use crate::sync::{Sequenced, atomic::AtomicU64};
use crate::time::{Instant, LastSeen};

/// A [`MonitorState`] that threads share. Its methods are those of
/// [`SharedMonitor`](super::SharedMonitor).
#[derive(Debug)]
pub(crate) struct SharedMonitorState {
    words: Sequenced<WORDS>,
    /// The last steady pass: the epoch in the upper two bits, and the instant.
    //
    // It is Relaxed: it publishes nothing else. An epoch ends when the clock steps back. A thread
    // that has read the clock before and stores after is then known by its epoch, and ignored.
    passed: AtomicU64,
}

impl SharedMonitorState {
    pub(crate) const fn new() -> Self {
        Self::with(&MonitorState::new())
    }

    const fn with(state: &MonitorState) -> Self {
        let nobody_passed = Epoch(0);
        Self {
            words: Sequenced::new(encode(state, nobody_passed.next())),
            passed: AtomicU64::new(nobody_passed.without_a_pass()),
        }
    }

    #[inline]
    pub(crate) fn health(&self, rules: &MonitorRules) -> Health {
        self.evidence().health(rules)
    }

    pub(crate) fn flapping(&self) -> Flapping {
        self.evidence().flapping
    }

    #[inline]
    pub(crate) fn observe(
        &self,
        rules: &MonitorRules,
        now: Instant,
        result: ProbeResult,
    ) -> Option<HealthChange> {
        if result == ProbeResult::Pass && self.pass_steadily(rules, now) {
            return None;
        }
        self.observe_any(rules, now, result)
    }

    /// Whether a pass was steady, and is booked.
    #[inline]
    fn pass_steadily(&self, rules: &MonitorRules, now: Instant) -> bool {
        let (state, epoch) = self.present(rules);
        let now = on_time(now, &state);
        // Half of the ttl: the state cannot go stale while this thread is about to store.
        let left = state.stale_at.as_nanos().saturating_sub(now.as_nanos());
        if !state.passes_steadily(now, ProbeResult::Pass) || left < rules.ttl / 2 {
            return false;
        }
        match epoch.with_a_pass(now) {
            Some(word) => {
                self.passed.store(word, Relaxed);
                true
            }
            None => false,
        }
    }

    #[cold]
    fn observe_any(&self, rules: &MonitorRules, now: Instant, result: ProbeResult) -> Option<HealthChange> {
        self.update(rules, now, |state, now| state.observe(rules, now, result))
    }

    pub(crate) fn start_probe<R: Rng + ?Sized>(
        &self,
        rules: &MonitorRules,
        now: Instant,
        rng: &mut R,
    ) -> Option<Probe> {
        with_a_draw(rng, |drawn| {
            self.update(rules, now, |state, now| {
                let mut present = *state;
                if present.handle_timeout(rules, now).is_some() {
                    return Ok(None);
                }
                *state = present;
                match drawn {
                    None if state.phase == Phase::Idle => Err(DrawFirst),
                    None => Ok(state.start_probe(rules, now, &mut Drawn(0))),
                    Some(mut drawn) => Ok(state.start_probe(rules, now, &mut drawn)),
                }
            })
        })
    }

    pub(crate) fn next_probe_at<R: Rng + ?Sized>(
        &self,
        rules: &MonitorRules,
        rng: &mut R,
    ) -> Option<Instant> {
        with_a_draw(rng, |drawn| {
            self.words.update(|words| {
                let (mut state, epoch) = decode(words);
                let at = match drawn {
                    None if state.phase == Phase::Idle => return Err(DrawFirst),
                    None => state.next_probe_at(rules, &mut Drawn(0)),
                    Some(mut drawn) => state.next_probe_at(rules, &mut drawn),
                };
                *words = encode(&state, epoch);
                Ok(at)
            })
        })
    }

    pub(crate) fn finish_probe(
        &self,
        rules: &MonitorRules,
        now: Instant,
        probe: &Probe,
        result: ProbeResult,
    ) -> Option<HealthChange> {
        self.update(rules, now, |state, now| {
            state.finish_probe(rules, now, probe, result)
        })
    }

    pub(crate) fn poll_at(&self, rules: &MonitorRules) -> Option<Instant> {
        self.present(rules).0.poll_at()
    }

    pub(crate) fn handle_timeout(&self, rules: &MonitorRules, now: Instant) -> Option<HealthChange> {
        self.update(rules, now, |state, now| state.handle_timeout(rules, now))
    }

    pub(crate) fn snapshot(&self, rules: &MonitorRules, now: Instant) -> MonitorSnapshot {
        let (state, _) = self.present(rules);
        state.snapshot(rules, on_time(now, &state))
    }

    /// # Errors
    /// The snapshot has another version or holds what these rules cannot.
    pub(crate) fn restore(
        rules: &MonitorRules,
        from: &MonitorSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        Ok(Self::with(&MonitorState::restore(rules, from, now)?))
    }

    /// What the health follows from; the instants are not there.
    #[inline]
    fn evidence(&self) -> MonitorState {
        decode(&[self.words.word::<EVIDENCE>(), 0, 0, 0, 0]).0
    }

    /// The state with the last steady pass.
    #[inline]
    fn present(&self, rules: &MonitorRules) -> (MonitorState, Epoch) {
        let (state, epoch) = decode(&self.words.read());
        (self.with_last_pass(rules, state, epoch), epoch)
    }

    /// The pass was counted by leaving everything as it was, but for these two.
    #[inline]
    fn with_last_pass(&self, rules: &MonitorRules, mut state: MonitorState, epoch: Epoch) -> MonitorState {
        if let Some(at) = epoch.pass_in(self.passed.load(Relaxed)) {
            state.last_seen = LastSeen::at(state.last_seen.last().max(at));
            state.stale_at = state.stale_at.max(at.saturating_add_nanos(rules.ttl));
        }
        state
    }

    /// One step of the exclusive form; `step` is told the time that counts.
    fn update<T>(
        &self,
        rules: &MonitorRules,
        now: Instant,
        step: impl FnOnce(&mut MonitorState, Instant) -> T,
    ) -> T {
        self.words.update(|words| {
            let (state, mut epoch) = decode(words);
            let mut state = self.with_last_pass(rules, state, epoch);
            let now = on_time(now, &state);
            if now < state.last_seen.last() {
                // No word of an older epoch may be there when its number comes round again.
                self.passed.store(epoch.without_a_pass(), Relaxed);
                epoch = epoch.next();
            }
            let answer = step(&mut state, now);
            *words = encode(&state, epoch);
            answer
        })
    }
}

/// A thread that is a little late reports at the last instant that somebody else has reported at.
#[inline]
fn on_time(now: Instant, state: &MonitorState) -> Instant {
    let last = state.last_seen.last();
    if last.as_nanos().saturating_sub(now.as_nanos()) <= LATE {
        now.max(last)
    } else {
        now
    }
}

/// Counts the steps back of the clock, modulo four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u64);

impl Epoch {
    const fn next(self) -> Self {
        Self((self.0 + 1) % 4)
    }

    /// The word for a pass; `None` beyond 146 years, where its instant does not fit.
    #[inline]
    fn with_a_pass(self, at: Instant) -> Option<u64> {
        (at.as_nanos() >> INSTANT_BITS == 0).then(|| self.without_a_pass() | at.as_nanos())
    }

    const fn without_a_pass(self) -> u64 {
        self.0 << INSTANT_BITS
    }

    #[inline]
    fn pass_in(self, word: u64) -> Option<Instant> {
        let at = word & ((1 << INSTANT_BITS) - 1);
        (word >> INSTANT_BITS == self.0).then_some(Instant::from_nanos(at))
    }
}

/// Tries without a draw, and again with one where that is needed.
fn with_a_draw<T, R: Rng + ?Sized>(
    rng: &mut R,
    attempt: impl Fn(Option<Drawn>) -> Result<T, DrawFirst>,
) -> T {
    let mut drawn = None;
    loop {
        match attempt(drawn) {
            Ok(answer) => return answer,
            Err(DrawFirst) => drawn = Some(Drawn(rng.next_u64())),
        }
    }
}

/// A probe is to be scheduled: it takes a draw.
#[derive(Debug)]
struct DrawFirst;

/// A draw that was made before the lock was taken: a generator of one number.
#[derive(Clone, Copy, Debug)]
struct Drawn(u64);

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0 >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for (byte, drawn) in dst.iter_mut().zip(self.0.to_le_bytes().into_iter().cycle()) {
            *byte = drawn;
        }
        Ok(())
    }
}

/// See [`SharedMonitor::LATE`](super::SharedMonitor::LATE).
pub(super) const LATE: u64 = 1_000_000_000;
const INSTANT_BITS: u32 = 62;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::MonitorConfig;

    const CONFIG: MonitorConfig = MonitorConfig {
        flapping: None,
        ..MonitorConfig::DEFAULT
    };

    /// A monitor with its rules.
    struct Alone(MonitorRules, SharedMonitorState);

    impl Alone {
        fn new() -> Self {
            Self(MonitorRules::new(CONFIG).unwrap(), SharedMonitorState::new())
        }

        fn pass(&self, now: Instant) {
            self.1.observe(&self.0, now, ProbeResult::Pass);
        }

        fn passes_steadily(&self, now: Instant) -> bool {
            self.1.pass_steadily(&self.0, now)
        }

        fn present(&self) -> MonitorState {
            self.1.present(&self.0).0
        }
    }

    fn secs(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    /// Read the clock, lost the core while the clock stepped back, and stored after all.
    #[test]
    fn a_straggler_from_before_a_step_back_is_ignored() {
        let monitor = Alone::new();
        (0..3).for_each(|_| monitor.pass(secs(1_000)));
        let straggler = monitor.1.passed.load(Relaxed);
        assert_eq!(straggler & ((1 << INSTANT_BITS) - 1), secs(1_000).as_nanos());
        monitor.pass(secs(10));
        let before = monitor.present();
        monitor.1.passed.store(straggler, Relaxed);
        assert_eq!(monitor.present(), before);
        assert_eq!(before.stale_at, secs(100));
    }

    /// The fifth epoch has the number of the first: its pass must not be there any more.
    #[test]
    fn an_epoch_whose_number_comes_round_has_no_old_pass() {
        let monitor = Alone::new();
        (0..3).for_each(|_| monitor.pass(secs(1_000)));
        for step in 1..=4 {
            monitor.1.handle_timeout(&monitor.0, secs(1_000 - step * 100));
        }
        assert_eq!(monitor.present().last_seen.last(), secs(600));
        assert_eq!(monitor.present().stale_at, secs(690));
    }

    /// Near the end of its life a result is replaced under the lock.
    #[test]
    fn a_pass_is_stored_without_the_lock_in_the_first_half_of_the_ttl() {
        let monitor = Alone::new();
        monitor.pass(secs(0));
        assert!(monitor.passes_steadily(secs(45)));
        assert!(!monitor.passes_steadily(secs(91)));
        monitor.pass(secs(134));
        assert_eq!(monitor.present().stale_at, secs(224));
        assert!(monitor.passes_steadily(secs(135)));
        // Where its instant does not fit.
        let monitor = Alone::new();
        let far = Instant::from_nanos(1 << INSTANT_BITS);
        monitor.pass(far);
        assert!(!monitor.passes_steadily(far));
    }
}
