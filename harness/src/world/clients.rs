//! Clients: when they call, and what goes wrong with them.

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::guard::Policies;
use crossbridge_core::health::Health;
use crossbridge_core::{Event, Guard, Instant, Observer};

use super::calls::Owner;
use super::clock::Clock;
use super::slab::at;
use super::{Actor, Happening, World};
use crate::recorder::Tap;
use crate::scenario::arrivals::Place;
use crate::scenario::{ClientEffect, ClientGroup};

/// What the clients of a group have in common.
#[derive(Debug)]
pub(super) struct Group<'r> {
    pub(super) spec: &'r ClientGroup,
    /// The first of its clients.
    pub(super) first: u32,
    pub(super) clock: Clock,
    /// They are stopped until then.
    pub(super) down_until: Instant,
}

impl World<'_, '_> {
    /// A client makes a call, and knows when it makes the next one.
    pub(super) fn arrive(&mut self, now: Instant, index: u32) {
        let Some(client) = self.actors.get_mut(at(index)) else {
            return;
        };
        let Some(group) = self.groups.get(client.group()) else {
            return;
        };
        let arrivals = &group.spec.arrivals;
        let down = now < group.down_until;
        let place = Place {
            index: index - group.first,
            count: group.spec.count,
        };
        client.made += 1;
        if let Some(next) = arrivals.after_begin(now, place, client.made, &mut client.arrivals_rng) {
            self.queue.put(next, Happening::Arrival { client: index });
        } else if down && arrivals.after_end(now).is_some() {
            // One call at a time: the next is due once the client is back.
            self.queue
                .put(group.down_until, Happening::Arrival { client: index });
        }
        if !down {
            self.call(now, index, false);
        }
    }

    /// A client makes a call besides those it has to make.
    pub(super) fn arrive_in_a_burst(&mut self, now: Instant, index: u32) {
        let group = self.actors.get(at(index)).map(Actor::group);
        let up = group
            .and_then(|group| self.groups.get(group))
            .is_some_and(|group| now >= group.down_until);
        if up {
            self.call(now, index, true);
        }
    }

    fn call(&mut self, now: Instant, index: u32, burst: bool) {
        let Some(group) = self.actors.get(at(index)).map(Actor::group) else {
            return;
        };
        self.last_call += 1;
        self.recorder.about(now, now, self.last_call);
        self.recorder.on_offered(now, index, group);
        let owner = if burst { Owner::Burst } else { Owner::Client(index) };
        self.begin(now, index, owner, self.last_call);
    }

    /// A client's call is over.
    pub(super) fn on_client_done(&mut self, now: Instant, index: u32) {
        let Some(client) = self.actors.get(at(index)) else {
            return;
        };
        let Some(group) = self.groups.get(client.group()) else {
            return;
        };
        if let Some(next) = group.spec.arrivals.after_end(now) {
            self.queue.put(next, Happening::Arrival { client: index });
        }
    }

    /// A fault on a group of clients begins or ends.
    pub(super) fn on_client_fault(&mut self, now: Instant, fault: u32, begins: bool) {
        let Some(fault) = self.scenario.client_faults.get(at(fault)) else {
            return;
        };
        let Some(group) = self.groups.get_mut(fault.group) else {
            return;
        };
        let clients = group.first..group.first + group.spec.count;
        match fault.kind {
            ClientEffect::Burst(calls) if begins => {
                let lasts = fault.until.as_nanos() - fault.from.as_nanos();
                for call in 0..calls {
                    let after = u128::from(lasts) * u128::from(call) / u128::from(calls);
                    let after = u64::try_from(after).unwrap_or(u64::MAX);
                    let due = Instant::from_nanos(fault.from.as_nanos().saturating_add(after));
                    for client in clients.clone() {
                        self.queue.put(due, Happening::Burst { client });
                    }
                }
            }
            ClientEffect::Restart { snapshot } if begins => {
                group.down_until = group.down_until.max(fault.until);
                self.restart(now, &clients, snapshot);
            }
            ClientEffect::Burst(_) | ClientEffect::Restart { .. } => {}
            ClientEffect::ClockStep { .. } | ClientEffect::ClockDrift(_) | ClientEffect::ClockFreeze => {
                group.clock.change(now, fault.kind, begins);
            }
        }
    }

    /// The actors in this range lose their calls and start again.
    pub(super) fn restart(&mut self, now: Instant, actors: &std::ops::Range<u32>, snapshot: bool) {
        self.cancel_calls(now, actors);
        let range = at(actors.start)..at(actors.end);
        for actor in self.actors.get_mut(range).unwrap_or_default() {
            let local = self
                .groups
                .get(actor.group())
                .map_or(now, |group| group.clock.read(now));
            self.recorder.about(now, now, 0);
            if let Some(Some(path)) = self.paths.get(actor.group()) {
                restart_guard(&mut actor.guard, &path.policies, local, snapshot);
            }
        }
    }
}

/// A guard after its owner's restart: a new one, or restored from a snapshot. `now` is by its owner's
/// clock.
fn restart_guard<'r>(
    guard: &mut Guard<Tap<'r, '_>, &'r Policies>,
    policies: &'r Policies,
    now: Instant,
    snapshot: bool,
) {
    let (tap, jitter_seed) = (*guard.observer(), guard.jitter_seed());
    if snapshot {
        let kept = guard.snapshot(now);
        // It fits: it was taken under the same policies.
        if let Ok(restored) = Guard::restore(policies, tap, &kept, now) {
            *guard = restored.with_jitter_seed(jitter_seed);
        }
        return;
    }
    let old = std::mem::replace(guard, Guard::under(policies, tap).with_jitter_seed(jitter_seed));
    // What the old one had told its observer no longer holds.
    let from = old.breaker_state();
    if from != BreakerState::Closed {
        let to = BreakerState::Closed;
        tap.on_event(now, &Event::BreakerChanged { from, to });
    }
    if let Some(from) = old.health()
        && from != Health::Unknown
    {
        let to = Health::Unknown;
        tap.on_event(now, &Event::HealthChanged { from, to });
    }
}
