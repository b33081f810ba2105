//! A few probes that decide whether the circuit closes.
//!
//! # Rules
//! - A probe's deadline ends with the state's. It is kept as a span since the state began, in units
//!   of at most a 2^28th part of `half_open_timeout` and rounded up: 1 ns up to a quarter of a second,
//!   256 ns for a minute. A clock that steps back changes no span.
//! - That deadline is also how a result is known to belong to a probe: a place is used again only
//!   after its probe has reported, which spends the permit, or has expired, and then the next
//!   deadline is a later one.
//! - A state with a failed or an unanswered probe has failed at its deadline. Without one, nobody
//!   asked, which is no evidence: the next caller makes the first probe of a new round.

use super::circuit::Body;
use super::{BreakerRules, StateSnapshot};
use crate::snapshot::{RestoreError, left};
use crate::time::{Instant, nanos};
use core::time::Duration;

/// What the probes have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Undecided,
    Close,
    Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HalfOpen {
    /// When the whole state has failed.
    deadline: Instant,
    /// When each probe in flight has failed, in units since the state began; zero for a free place.
    probes: [u32; MAX_PROBES],
    admitted: u16,
    pub(super) succeeded: u16,
    pub(super) failed: u16,
}

/// A result's probe: its place in the lowest bits, its deadline above. Never zero.
pub(super) type Ticket = u32;

const MAX_PROBES: usize = 8;
const PLACE_BITS: u32 = 3;

impl HalfOpen {
    pub(super) const fn new(now: Instant, rules: &BreakerRules) -> Self {
        Self {
            deadline: now.saturating_add_nanos(rules.half_open_timeout),
            probes: [0; MAX_PROBES],
            admitted: 0,
            succeeded: 0,
            failed: 0,
        }
    }

    pub(super) const fn load(body: &Body) -> Self {
        const fn low(word: u64) -> u32 {
            (word & 0xFFFF_FFFF) as u32
        }
        const fn high(word: u64) -> u32 {
            (word >> 32) as u32
        }
        let [deadline, a, b, c, d, tally] = *body;
        Self {
            deadline: Instant::from_nanos(deadline),
            probes: [low(a), high(a), low(b), high(b), low(c), high(c), low(d), high(d)],
            admitted: (tally & 0xFFFF) as u16,
            succeeded: (tally >> 16 & 0xFFFF) as u16,
            failed: (tally >> 32 & 0xFFFF) as u16,
        }
    }

    pub(super) const fn store(&self) -> Body {
        const fn pair(low: u32, high: u32) -> u64 {
            low as u64 | (high as u64) << 32
        }
        let [a, b, c, d, e, f, g, h] = self.probes;
        let tally = self.admitted as u64 | (self.succeeded as u64) << 16 | (self.failed as u64) << 32;
        [
            self.deadline.as_nanos(),
            pair(a, b),
            pair(c, d),
            pair(e, f),
            pair(g, h),
            tally,
        ]
    }

    /// Whether [`admit`](Self::admit) has a place.
    pub(super) fn has_room(&self, rules: &BreakerRules) -> bool {
        let places = usize::from(rules.half_open_concurrent);
        self.admitted < rules.half_open_calls && self.probes.iter().take(places).any(|&probe| probe == 0)
    }

    /// Whether nobody has asked until the state's deadline: it is over and [`expire`](Self::expire)
    /// has found nothing.
    pub(super) fn is_left_alone(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// A place for one more probe, where there is one.
    pub(super) fn admit(&mut self, now: Instant, rules: &BreakerRules) -> Option<Ticket> {
        if self.admitted >= rules.half_open_calls {
            return None;
        }
        let elapsed = rules
            .half_open_timeout
            .saturating_sub(nanos(left(self.deadline, now)));
        let deadline = units(elapsed.saturating_add(rules.probe_timeout), rules);
        let places = self
            .probes
            .iter_mut()
            .zip(0..u32::from(rules.half_open_concurrent));
        for (probe, place) in places {
            if *probe == 0 {
                *probe = deadline;
                self.admitted += 1;
                return Some(deadline << PLACE_BITS | place);
            }
        }
        None
    }

    pub(super) fn settle(&mut self, ticket: Ticket, failed: bool, rules: &BreakerRules) -> Verdict {
        if self.free(ticket) {
            self.count(failed);
        }
        self.verdict(rules)
    }

    /// A probe that says nothing: its place and its count are free again.
    pub(super) fn give_back(&mut self, ticket: Ticket) {
        if self.free(ticket) {
            self.admitted = self.admitted.saturating_sub(1);
        }
    }

    /// Fails the probes, or the whole state, whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant, rules: &BreakerRules) -> Verdict {
        let deadline = self.deadline;
        let mut expired = 0;
        for probe in &mut self.probes {
            if *probe != 0 && now >= instant(*probe, deadline, rules) {
                *probe = 0;
                expired += 1;
            }
        }
        self.failed = self.failed.saturating_add(expired);
        if now >= deadline && self.failed > 0 {
            Verdict::Open
        } else {
            self.verdict(rules)
        }
    }

    /// The first instant at which [`expire`](Self::expire) has something to do.
    pub(super) fn deadline(&self, rules: &BreakerRules) -> Option<Instant> {
        match self.probes.iter().copied().filter(|&probe| probe != 0).min() {
            Some(first) => Some(instant(first, self.deadline, rules)),
            None if self.failed > 0 => Some(self.deadline),
            None => None,
        }
    }

    pub(super) fn snapshot(&self, now: Instant, rules: &BreakerRules) -> StateSnapshot {
        let probe_left = |probe: u32| left(instant(probe, self.deadline, rules), now);
        StateSnapshot::HalfOpen {
            left: left(self.deadline, now),
            probes: self
                .probes
                .map(|probe| Some(probe).filter(|&probe| probe != 0).map(probe_left)),
            admitted: self.admitted,
            succeeded: self.succeeded,
            failed: self.failed,
        }
    }

    pub(super) fn restore(
        rules: &BreakerRules,
        left: Duration,
        probes: &[Option<Duration>; MAX_PROBES],
        [admitted, succeeded, failed]: [u16; 3],
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let state_left = nanos(left);
        let longest = rules.half_open_timeout;
        RestoreError::unless(
            state_left <= longest,
            "left",
            state_left,
            "at most half_open_timeout",
        )?;
        let mut restored = Self {
            deadline: now.saturating_add(left),
            probes: [0; MAX_PROBES],
            admitted,
            succeeded,
            failed,
        };
        let mut in_flight = 0_u64;
        for ((place, left), slot) in restored.probes.iter_mut().zip(probes).zip(0_u8..) {
            if let Some(left) = *left {
                let left = nanos(left);
                let known = slot < rules.half_open_concurrent;
                RestoreError::unless(known, "probes", slot.into(), "below half_open_concurrent")?;
                let longest = rules.probe_timeout.saturating_add(1 << shift(rules));
                RestoreError::unless(left <= longest, "probes", left, "at most probe_timeout")?;
                let elapsed = rules
                    .half_open_timeout
                    .saturating_sub(state_left.saturating_sub(left));
                *place = units(elapsed, rules);
                in_flight += 1;
            }
        }
        let made = u64::from(admitted);
        RestoreError::unless(
            made == in_flight + u64::from(succeeded) + u64::from(failed),
            "admitted",
            made,
            "those in flight and settled",
        )?;
        let most = u64::from(rules.half_open_calls);
        RestoreError::unless(made <= most, "admitted", made, "at most half_open_calls")?;
        let open = restored.verdict(rules) == Verdict::Undecided;
        RestoreError::unless(open, "succeeded", succeeded.into(), "a state that is not decided")?;
        Ok(restored)
    }

    fn free(&mut self, ticket: Ticket) -> bool {
        let place = ticket as usize % MAX_PROBES;
        match self.probes.get_mut(place) {
            Some(probe) if *probe != 0 && *probe == ticket >> PLACE_BITS => {
                *probe = 0;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) const fn count(&mut self, failed: bool) {
        if failed {
            self.failed = self.failed.saturating_add(1);
        } else {
            self.succeeded = self.succeeded.saturating_add(1);
        }
    }

    /// Decided as soon as the rest cannot change it.
    pub(super) const fn verdict(&self, rules: &BreakerRules) -> Verdict {
        if self.succeeded >= rules.half_open_successes {
            Verdict::Close
        } else if self.failed > rules.half_open_calls.saturating_sub(rules.half_open_successes) {
            Verdict::Open
        } else {
            Verdict::Undecided
        }
    }
}

/// A unit is `1 << shift` nanoseconds: the whole state has fewer than 2^28 of them.
const fn shift(rules: &BreakerRules) -> u32 {
    (u64::BITS - rules.half_open_timeout.leading_zeros()).saturating_sub(28)
}

/// A span since the state began, in units, rounded up; the state's deadline at most.
fn units(elapsed: u64, rules: &BreakerRules) -> u32 {
    let shift = shift(rules);
    let most = rules.half_open_timeout;
    let whole = (elapsed.min(most).saturating_sub(1) >> shift) + 1;
    // At most 2^28.
    u32::try_from(whole).unwrap_or(1 << 28)
}

/// The instant of a deadline in units.
fn instant(units: u32, deadline: Instant, rules: &BreakerRules) -> Instant {
    let elapsed = u64::from(units) << shift(rules);
    let left = rules.half_open_timeout.saturating_sub(elapsed);
    deadline.saturating_sub(Duration::from_nanos(left))
}
