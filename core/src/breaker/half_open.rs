//! A few probes that decide whether the circuit closes.

use core::time::Duration;

use super::{BreakerConfig, StateSnapshot};
use crate::snapshot::{RestoreError, left};
use crate::time::{Instant, nanos};

/// Which probe a permit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Ticket {
    slot: u8,
    /// How often the slot had been used before: an expired probe's late result is not the
    /// result of the probe that took its slot. Wide, since neutral results use a slot freely.
    use_count: u32,
}

/// What the probes have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Undecided,
    Close,
    Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct HalfOpen {
    /// When the whole state has failed.
    deadline: Instant,
    /// When each probe in flight has failed.
    probes: [Option<Instant>; MAX_PROBES],
    use_counts: [u32; MAX_PROBES],
    admitted: u16,
    pub(super) succeeded: u16,
    pub(super) failed: u16,
}

const MAX_PROBES: usize = 8;

impl HalfOpen {
    pub(super) fn new(now: Instant, config: &BreakerConfig) -> Self {
        Self {
            deadline: now.saturating_add(config.half_open_timeout),
            probes: [None; MAX_PROBES],
            use_counts: [0; MAX_PROBES],
            admitted: 0,
            succeeded: 0,
            failed: 0,
        }
    }

    /// Whether [`admit`](Self::admit) has a place.
    pub(super) fn has_room(&self, config: &BreakerConfig) -> bool {
        let places = usize::from(config.half_open_concurrent);
        self.admitted < config.half_open_calls && self.probes.iter().take(places).any(Option::is_none)
    }

    /// A place for one more probe, where there is one.
    pub(super) fn admit(&mut self, now: Instant, config: &BreakerConfig) -> Option<Ticket> {
        if self.admitted >= config.half_open_calls {
            return None;
        }
        let places = self
            .probes
            .iter_mut()
            .zip(&self.use_counts)
            .zip(0_u8..config.half_open_concurrent);
        for ((probe, &use_count), slot) in places {
            if probe.is_none() {
                *probe = Some(now.saturating_add(config.probe_timeout));
                self.admitted += 1;
                return Some(Ticket { slot, use_count });
            }
        }
        None
    }

    pub(super) fn settle(&mut self, ticket: Ticket, failed: bool, config: &BreakerConfig) -> Verdict {
        if self.free(ticket) {
            self.count(failed);
        }
        self.verdict(config)
    }

    /// A probe that says nothing: its place and its count are free again.
    pub(super) fn give_back(&mut self, ticket: Ticket) {
        if self.free(ticket) {
            self.admitted = self.admitted.saturating_sub(1);
        }
    }

    /// Fails the probes, or the whole state, whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant, config: &BreakerConfig) -> Verdict {
        if now >= self.deadline {
            return Verdict::Open;
        }
        for slot in 0..MAX_PROBES {
            if self.probes[slot].is_some_and(|deadline| now >= deadline) {
                self.probes[slot] = None;
                self.use_counts[slot] = self.use_counts[slot].wrapping_add(1);
                self.count(true);
            }
        }
        self.verdict(config)
    }

    /// The first instant at which [`expire`](Self::expire) has something to do.
    pub(super) fn deadline(&self) -> Instant {
        self.probes
            .iter()
            .flatten()
            .fold(self.deadline, |first, &probe| first.min(probe))
    }

    pub(super) fn rebase(&mut self, step: Duration) {
        self.deadline = self.deadline.saturating_sub(step);
        for probe in self.probes.iter_mut().flatten() {
            *probe = probe.saturating_sub(step);
        }
    }

    pub(super) fn snapshot(&self, now: Instant) -> StateSnapshot {
        StateSnapshot::HalfOpen {
            left: left(self.deadline, now),
            probes: self.probes.map(|probe| probe.map(|deadline| left(deadline, now))),
            admitted: self.admitted,
            succeeded: self.succeeded,
            failed: self.failed,
        }
    }

    /// Results of probes that were in flight do not come back: their places are new ones.
    pub(super) fn restore(
        config: &BreakerConfig,
        left: Duration,
        probes: &[Option<Duration>; MAX_PROBES],
        [admitted, succeeded, failed]: [u16; 3],
        now: Instant,
    ) -> Result<Self, RestoreError> {
        let longest = config.half_open_timeout;
        RestoreError::unless(left <= longest, "left", nanos(left), "at most half_open_timeout")?;
        for (probe, slot) in probes.iter().zip(0_u8..) {
            if let Some(left) = *probe {
                let place = slot < config.half_open_concurrent;
                RestoreError::unless(place, "probes", slot.into(), "below half_open_concurrent")?;
                let short = left <= config.probe_timeout;
                RestoreError::unless(short, "probes", nanos(left), "at most probe_timeout")?;
            }
        }
        let in_flight = probes.iter().flatten().count() as u64;
        let settled = u64::from(succeeded) + u64::from(failed);
        let made = u64::from(admitted);
        RestoreError::unless(
            made == in_flight + settled,
            "admitted",
            made,
            "those in flight and settled",
        )?;
        let most = u64::from(config.half_open_calls);
        RestoreError::unless(made <= most, "admitted", made, "at most half_open_calls")?;
        let restored = Self {
            deadline: now.saturating_add(left),
            probes: probes.map(|probe| probe.map(|left| now.saturating_add(left))),
            use_counts: [1; MAX_PROBES],
            admitted,
            succeeded,
            failed,
        };
        let open = restored.verdict(config) == Verdict::Undecided;
        RestoreError::unless(open, "succeeded", succeeded.into(), "a state that is not decided")?;
        Ok(restored)
    }

    fn free(&mut self, ticket: Ticket) -> bool {
        let slot = usize::from(ticket.slot) % MAX_PROBES;
        if self.use_counts[slot] != ticket.use_count || self.probes[slot].is_none() {
            return false;
        }
        self.probes[slot] = None;
        self.use_counts[slot] = self.use_counts[slot].wrapping_add(1);
        true
    }

    const fn count(&mut self, failed: bool) {
        if failed {
            self.failed = self.failed.saturating_add(1);
        } else {
            self.succeeded = self.succeeded.saturating_add(1);
        }
    }

    /// Decided as soon as the rest cannot change it.
    const fn verdict(&self, config: &BreakerConfig) -> Verdict {
        if self.succeeded >= config.half_open_successes {
            Verdict::Close
        } else if self.failed > config.half_open_calls - config.half_open_successes {
            Verdict::Open
        } else {
            Verdict::Undecided
        }
    }
}
