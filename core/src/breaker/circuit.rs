//! One circuit: what has happened, and the step that decides.
//!
//! Everything that changes is here, and nothing that is configured: every method takes the
//! [`BreakerRules`]. [`Breaker`](super::Breaker) is one circuit with its rules for one owner;
//! the shared form keeps the same circuit in atomic words and takes the same steps.
//!
//! ```text
//!   8 bytes   head: generation │ good results since the last change │ phase │ level
//!   8 bytes   last seen
//!  48 bytes   body, by phase:
//!             closed      since     │ window                  │ in a row, credit, calls, next
//!             open        until     │                         │
//!             half open   deadline  │ a deadline per probe    │ admitted, succeeded, failed
//! ```
//!
//! The body is words that each phase reads in its way, since the phases have not much in common and
//! share their memory. It is unpacked where a phase is left or a window changes; a closed
//! circuit admits a call and counts a quick success without a look at it.

mod change;
#[cfg(planted_bug)]
mod planted;

use core::fmt;

use super::annex::{self, Annex};
use super::closed::Closed;
use super::half_open::{HalfOpen, Verdict};
use super::window::Counts;
use super::{BreakerMode, BreakerRules, BreakerState, Permit, Refused, Settled};
use crate::time::{Instant, LastSeen};

/// The state of one breaker; `ANNEX` is 1, or 0 for windows of calls and nothing in flight.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// In this order, so that what every call reads stands beside its neighbours in a guard. The head first:
// behind `last_seen`, a breaker of its own costs 4 instructions more closed and 7 more open.
#[repr(C)]
pub(crate) struct Circuit<const ANNEX: usize = 1> {
    pub(super) head: Head,
    pub(super) last_seen: LastSeen,
    pub(super) body: Body,
    pub(super) annex: [Annex; ANNEX],
}

/// What every call reads, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Head {
    /// Counts the changes of state; a permit of another generation decides nothing.
    pub(super) generation: u32,
    /// Quick successes that the window has not been told of.
    pub(super) good: u16,
    pub(super) phase: Phase,
    /// The exponent of the next open wait.
    pub(super) level: u8,
}

/// The state as its machine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub(super) enum Phase {
    Closed,
    /// Closed of late: a share of the calls goes through.
    SlowStart,
    Open,
    HalfOpen,
}

/// So many good results in one bucket are passed on to the window: half of what the head can count,
/// since threads may count as many while one is passing them on.
pub(super) const GOOD_MAX: u16 = 1 << 15;

/// What each phase remembers.
pub(super) type Body = [u64; 6];

impl<const ANNEX: usize> Circuit<ANNEX> {
    /// Closed, as if since the origin of the clock.
    pub(crate) const fn new(rules: &BreakerRules) -> Self {
        Self {
            last_seen: LastSeen::new(),
            head: Head {
                generation: 0,
                good: 0,
                phase: Phase::Closed,
                level: 0,
            },
            body: Closed::new(rules, Instant::ZERO).store(),
            annex: [const { Annex::new(Instant::ZERO) }; ANNEX],
        }
    }

    /// The state now: a question.
    #[inline]
    pub(crate) const fn state(&self, rules: &BreakerRules) -> BreakerState {
        self.head.state(rules)
    }

    /// What the window holds; nothing unless closed.
    pub(crate) fn counts(&self, rules: &BreakerRules) -> Counts {
        match self.head.phase {
            Phase::Closed | Phase::SlowStart => {
                let mut window = Closed::load(rules, &self.body).window;
                window.pass(&mut [], self.head.good);
                window.counts()
            }
            Phase::Open | Phase::HalfOpen => Counts::NONE,
        }
    }

    /// What [`admit`](Self::admit) would answer at `now`.
    pub(crate) fn would_admit(&self, rules: &BreakerRules, now: Instant) -> Result<(), Refused> {
        if rules.quick == Some(self.head.phase) {
            return Ok(());
        }
        // Off the hot path, so that there is one place that decides.
        self.clone().admit(rules, now).map(|_unused: Permit| ())
    }

    /// What [`admit`](Self::admit) would answer right after [`handle_timeout`](Self::handle_timeout)
    /// at the same `now`, without a copy: the guard asks before every attempt.
    ///
    /// During a slow start the answer is yes: there only asking in earnest counts, and `admit`
    /// decides.
    #[inline]
    pub(crate) fn has_room(&self, rules: &BreakerRules, now: Instant) -> Result<(), Refused> {
        if rules.quick == Some(self.head.phase) {
            return Ok(());
        }
        self.has_room_unless_closed(rules, now)
    }

    #[cold]
    fn has_room_unless_closed(&self, rules: &BreakerRules, now: Instant) -> Result<(), Refused> {
        if let Some(answer) = rules.overrule() {
            return answer;
        }
        if rules.mode == BreakerMode::MetricsOnly {
            return Ok(());
        }
        match self.head.phase {
            Phase::Closed | Phase::SlowStart => Ok(()),
            Phase::Open => match self.until() {
                until if now < until => Err(Refused {
                    state: BreakerState::Open,
                    retry_at: Some(until),
                }),
                _ => Ok(()),
            },
            Phase::HalfOpen if HalfOpen::load(&self.body).has_room(rules) => Ok(()),
            Phase::HalfOpen => Err(Refused {
                state: BreakerState::HalfOpen,
                retry_at: None,
            }),
        }
    }

    /// Asks to send a call at `now`.
    #[inline]
    pub(crate) fn admit(&mut self, rules: &BreakerRules, now: Instant) -> Result<Permit, Refused> {
        if rules.quick == Some(self.head.phase) && self.moves_on(now) {
            return Ok(self.head.permit(now, 0));
        }
        match self.still_open(rules, now) {
            Some(refused) => Err(refused),
            None => self.admit_unless_closed(rules, now),
        }
    }

    /// The refusal of an open circuit, where that is all there is to do. Under an outage it is what
    /// every call gets.
    #[inline]
    fn still_open(&mut self, rules: &BreakerRules, now: Instant) -> Option<Refused> {
        let refuses = self.head.phase == Phase::Open && rules.mode == BreakerMode::Auto;
        (refuses && now < self.until() && self.moves_on(now)).then(|| Refused {
            state: BreakerState::Open,
            retry_at: Some(self.until()),
        })
    }

    #[cold]
    fn admit_unless_closed(&mut self, rules: &BreakerRules, now: Instant) -> Result<Permit, Refused> {
        if let Some(answer) = rules.overrule() {
            return answer.map(|()| self.head.permit(now, 0));
        }
        self.handle_timeout(rules, now);
        let refused = match self.head.phase {
            Phase::Closed => return Ok(self.depart(rules, now)),
            Phase::SlowStart => {
                let mut closed = Closed::load(rules, &self.body);
                let asked = closed.ask(rules, now);
                self.body = closed.store();
                match asked {
                    Ok(()) => return Ok(self.depart(rules, now)),
                    Err(at) => Refused {
                        state: BreakerState::Closed,
                        retry_at: Some(at),
                    },
                }
            }
            Phase::Open if now < self.until() => Refused {
                state: BreakerState::Open,
                retry_at: Some(self.until()),
            },
            Phase::Open => return Ok(self.first_probe(rules, now)),
            Phase::HalfOpen => {
                let mut half_open = HalfOpen::load(&self.body);
                if half_open.is_left_alone(now) {
                    return Ok(self.first_probe(rules, now));
                }
                if let Some(ticket) = half_open.admit(now, rules) {
                    self.body = half_open.store();
                    return Ok(self.head.permit(now, ticket));
                }
                Refused {
                    state: BreakerState::HalfOpen,
                    retry_at: None,
                }
            }
        };
        if rules.mode == BreakerMode::MetricsOnly {
            // Let through, and of no generation there ever is: its result decides nothing.
            let generation = self.head.generation.wrapping_sub(1);
            return Ok(Permit::new(now, generation, 0));
        }
        Err(refused)
    }

    /// A call of a closed circuit, which may have to be counted while it is in flight.
    fn depart(&mut self, rules: &BreakerRules, now: Instant) -> Permit {
        let slice = match (rules.slice, self.annex.first_mut()) {
            (Some(_), Some(annex)) => annex.in_flight.depart(),
            (Some(_) | None, _) => 0,
        };
        self.head.permit(now, slice)
    }

    /// Half opens, for the call that is admitted with it.
    fn first_probe(&mut self, rules: &BreakerRules, now: Instant) -> Permit {
        let mut half_open = HalfOpen::new(now, rules);
        // A new round has a place.
        let ticket = half_open.admit(now, rules).unwrap_or(0);
        self.become_phase(Phase::HalfOpen, half_open.store());
        self.head.permit(now, ticket)
    }

    /// Reports what became of an admitted call.
    #[inline]
    pub(crate) fn settle(&mut self, rules: &BreakerRules, now: Instant, permit: Permit, settled: Settled) {
        if rules.quick == Some(self.head.phase)
            && permit.generation() == self.head.generation
            && settled == Settled::Success
            && permit.took(now) < rules.slow_call
            && self.count_good(rules, now)
        {
            return;
        }
        self.settle_otherwise(rules, now, permit, settled);
    }

    /// A quick success of a closed circuit, where counting it is all there is to do.
    #[inline]
    fn count_good(&mut self, rules: &BreakerRules, now: Instant) -> bool {
        if !self.moves_on(now) {
            return false;
        }
        if let Some(width) = rules.bucket {
            let [_, started, ..] = self.body;
            let in_bucket = now.as_nanos().saturating_sub(started) < width.get();
            if !in_bucket || self.head.good >= GOOD_MAX {
                return false;
            }
            self.head.good += 1;
        } else if self.head.good < rules.size.into() {
            // With more of them than that the window holds nothing else.
            self.head.good += 1;
        }
        true
    }

    /// Whatever is not a quick success of a closed circuit.
    #[cold]
    fn settle_otherwise(&mut self, rules: &BreakerRules, now: Instant, permit: Permit, settled: Settled) {
        if rules.mode == BreakerMode::Disabled {
            return;
        }
        self.handle_timeout(rules, now);
        if permit.generation() != self.head.generation {
            #[cfg(planted_bug)]
            self.decide_by_a_stale_result(rules, now, settled);
            return;
        }
        let slow = permit.took(now) >= rules.slow_call;
        // Where slowness cannot trip, a slow success is a success.
        let too_slow = slow && rules.slow_rate.is_some();
        let (outcome, hint) = match settled {
            Settled::Success => (Some(too_slow), None),
            Settled::Failure { retry_after } => (Some(true), retry_after),
            Settled::Neutral | Settled::Lost => (None, None),
        };
        match self.head.phase {
            Phase::Closed | Phase::SlowStart => {
                if let (Some(_), Some(annex)) = (rules.slice, self.annex.first_mut()) {
                    annex.in_flight.come_back(permit.mark());
                }
                let Some(bad) = outcome else { return };
                let failed = settled != Settled::Success;
                let mut closed = self.take_closed(rules);
                closed
                    .window
                    .record(annex::buckets(&mut self.annex), now, failed, slow);
                closed.in_a_row = if failed {
                    closed.in_a_row.saturating_add(1)
                } else {
                    0
                };
                self.body = closed.store();
                if bad && rules.trip(closed.in_a_row, closed.window.counts()) {
                    self.open(rules, now, hint);
                }
            }
            Phase::HalfOpen => {
                let mut half_open = HalfOpen::load(&self.body);
                let verdict = if settled == Settled::Neutral {
                    half_open.give_back(permit.mark());
                    Verdict::Undecided
                } else {
                    // A slow probe is no proof of health, and neither is a lost one.
                    half_open.settle(permit.mark(), outcome.unwrap_or(true), rules)
                };
                self.body = half_open.store();
                self.conclude(rules, now, verdict, hint);
            }
            // The generation changes with the state: a permit of this one was not given.
            Phase::Open => {}
        }
    }

    /// The closed state, its window told of the good results so far.
    pub(super) fn take_closed(&mut self, rules: &BreakerRules) -> Closed {
        let mut closed = Closed::load(rules, &self.body);
        let good = core::mem::take(&mut self.head.good);
        if good > 0 {
            closed.in_a_row = 0;
        }
        closed.window.pass(annex::buckets(&mut self.annex), good);
        closed
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling.
    pub(crate) fn poll_at(&self, rules: &BreakerRules) -> Option<Instant> {
        match self.head.phase {
            Phase::HalfOpen => HalfOpen::load(&self.body).deadline(rules),
            Phase::Closed | Phase::SlowStart => {
                let annex = self.annex.first()?;
                annex.in_flight.overdue_at(rules.hanging_calls?, rules.slice?)
            }
            Phase::Open => None,
        }
    }

    /// Time goes on; `false` where the clock stepped back.
    #[inline]
    fn moves_on(&mut self, now: Instant) -> bool {
        let on = now >= self.last_seen.last();
        if on {
            self.last_seen = LastSeen::at(now);
        }
        on
    }

    /// When an open circuit admits a probe.
    pub(super) const fn until(&self) -> Instant {
        let [until, ..] = self.body;
        Instant::from_nanos(until)
    }
}

impl Circuit {
    /// What it adds to the seed of its rules.
    pub(crate) const fn jitter_seed(&self) -> u64 {
        let [annex] = &self.annex;
        annex.jitter_seed
    }

    /// The same with another share of the seed.
    pub(crate) const fn set_jitter_seed(&mut self, seed: u64) {
        let [annex] = &mut self.annex;
        annex.jitter_seed = seed;
    }
}

impl<const ANNEX: usize> fmt::Debug for Circuit<ANNEX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("last_seen", &self.last_seen)
            .field("head", &self.head)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl Head {
    pub(super) const fn state(self, rules: &BreakerRules) -> BreakerState {
        match (rules.mode, self.phase) {
            (BreakerMode::ForcedOpen, _) | (_, Phase::Open) => BreakerState::Open,
            (_, Phase::Closed | Phase::SlowStart) => BreakerState::Closed,
            (_, Phase::HalfOpen) => BreakerState::HalfOpen,
        }
    }

    #[inline]
    pub(super) const fn permit(self, now: Instant, mark: u32) -> Permit {
        Permit::new(now, self.generation, mark)
    }
}
