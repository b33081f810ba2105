//! What a circuit admits, and what closes it.

use crossbridge_core::FaultKind;
use crossbridge_core::breaker::{BreakerConfig, BreakerMode, BreakerState};
use crossbridge_core::time::nanos;

use super::{Doubts, Rule};

/// The circuit of one guard, as its events tell.
#[derive(Debug)]
pub(super) struct CircuitBook {
    config: BreakerConfig,
    state: BreakerState,
    /// Since it is half open, by the guard's elapsed time.
    since: u64,
    /// Probes of this round, settled or not.
    probes: Vec<Probe>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    call: u64,
    number: u32,
    started: u64,
    /// Whether it succeeded; `None` while it is out.
    succeeded: Option<bool>,
}

impl CircuitBook {
    pub(super) const fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: BreakerState::Closed,
            since: 0,
            probes: Vec::new(),
        }
    }

    /// Whether it decides at all.
    fn decides(&self) -> bool {
        self.config.mode == BreakerMode::Auto
    }

    pub(super) fn on_change(
        &mut self,
        from: BreakerState,
        to: BreakerState,
        now: u64,
    ) -> Option<(Rule, String)> {
        // A guard that was replaced tells what the old one had told; the book is new already.
        let ours = self.state == from;
        let succeeded = self
            .probes
            .iter()
            .filter(|probe| probe.succeeded == Some(true))
            .count();
        let needed = usize::from(self.config.half_open_successes);
        let too_soon = ours
            && self.decides()
            && (from, to) == (BreakerState::HalfOpen, BreakerState::Closed)
            && succeeded < needed;
        (self.state, self.since) = (to, now);
        self.probes.clear();
        too_soon.then(|| {
            let found = format!("closed after {succeeded} successful probes, {needed} are needed");
            (Rule::HalfOpen, found)
        })
    }

    /// An attempt was admitted.
    pub(super) fn on_start(&mut self, call: u64, number: u32, now: u64) -> Doubts {
        let mut doubts = Doubts::new();
        if !self.decides() || self.state == BreakerState::Closed {
            return doubts;
        }
        if self.state == BreakerState::Open {
            doubts.push((
                Rule::OpenCircuit,
                format!("attempt {number} while the circuit is open"),
            ));
            return doubts;
        }
        // A round that was left alone for so long begins anew, without a change of state.
        if now.saturating_sub(self.since) >= nanos(self.config.half_open_timeout) {
            self.since = now;
            self.probes.clear();
        }
        self.probes.push(Probe {
            call,
            number,
            started: now,
            succeeded: None,
        });
        let out = self.probes.iter().filter(|probe| self.is_out(probe, now)).count();
        let all = self.probes.len();
        let (most_out, most) = (self.config.half_open_concurrent, self.config.half_open_calls);
        if out > usize::from(most_out) {
            doubts.push((
                Rule::Probes,
                format!("{out} probes in flight, at most {most_out}"),
            ));
        }
        if all > usize::from(most) {
            doubts.push((Rule::Probes, format!("{all} probes in all, at most {most}")));
        }
        doubts
    }

    pub(super) fn on_end(&mut self, call: u64, number: u32, fault: Option<FaultKind>, now: u64) {
        let ours = |probe: &Probe| probe.call == call && probe.number == number;
        let Some(place) = self.probes.iter().position(ours) else {
            return;
        };
        let out = self
            .probes
            .get(place)
            .is_some_and(|probe| self.is_out(probe, now));
        if out && fault.is_some_and(|fault| !fault.blames_server()) {
            // The request was wrong, which says nothing about the server: another may ask instead.
            self.probes.remove(place);
        } else if let Some(probe) = self.probes.get_mut(place) {
            probe.succeeded = Some(fault.is_none());
        }
    }

    /// Whether a probe has its place: one without a result for so long has failed.
    fn is_out(&self, probe: &Probe, now: u64) -> bool {
        probe.succeeded.is_none() && now.saturating_sub(probe.started) < nanos(self.config.probe_timeout)
    }
}
