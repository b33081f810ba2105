//! Calls and requests under way.
//!
//! Both live in slabs whose keys carry a generation: an event about something that is over (a
//! timeout that was not needed, an answer nobody waits for) finds nothing and does nothing.

use crossbridge_core::guard::{CallState, Permit, Step};
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant, Outcome, Verdict};

use super::{Happening, World};

/// A key into a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

pub(super) type CallId = Key;
pub(super) type RequestId = Key;
pub(super) type Calls = Slab<ActiveCall>;
pub(super) type Requests = Slab<Request>;

/// Things with keys that are not used twice.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop()
            && let Some((generation, slot)) = self.slots.get_mut(at(index))
        {
            *slot = Some(value);
            return Key {
                index,
                generation: *generation,
            };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push((0, Some(value)));
        Key { index, generation: 0 }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (generation, slot) = self.slots.get_mut(at(key.index))?;
        if *generation == key.generation {
            slot.as_mut()
        } else {
            None
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let (generation, slot) = self.slots.get_mut(at(key.index))?;
        if *generation != key.generation {
            return None;
        }
        let value = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }
}

/// Indices fit: `usize` has at least 32 bits wherever this runs.
const fn at(index: u32) -> usize {
    index as usize
}

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// A client's own.
    Client(u32),
    /// A service's, to serve this request.
    Request(RequestId),
}

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct ActiveCall {
    state: CallState,
    actor: u32,
    owner: Owner,
    /// Its number in the trace.
    number: u64,
    /// The attempt in flight, and the request that carries it; a hung one has none.
    in_flight: Option<(Permit, Option<RequestId>)>,
}

/// An attempt that has reached a node.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) node: usize,
    /// Whose attempt it is.
    pub(super) call: CallId,
    pub(super) attempt: u32,
    /// The caller no longer waits.
    pub(super) abandoned: bool,
    /// The fault that makes it end with an error, by its index.
    pub(super) error: Option<usize>,
}

impl World<'_, '_> {
    pub(super) fn begin(&mut self, now: Instant, actor: u32, owner: Owner, number: u64) {
        let Some(caller) = self.actors.get_mut(at(actor)) else {
            return;
        };
        self.recorder.about(number);
        let state = caller.guard.begin_detached(now, None);
        let call = self.calls.insert(ActiveCall {
            state,
            actor,
            owner,
            number,
            in_flight: None,
        });
        self.drive(now, call);
    }

    /// Polls a call until it waits for something or is over.
    pub(super) fn drive(&mut self, now: Instant, id: CallId) {
        while let Some(call) = self.calls.get_mut(id) {
            let Some(actor) = self.actors.get_mut(at(call.actor)) else {
                return;
            };
            self.recorder.about(call.number);
            match call.state.poll(&mut actor.guard, now, &mut actor.retry_rng) {
                Step::Attempt(permit) => {
                    let (node, attempt) = (actor.node, permit.number());
                    if let Some(timeout) = permit.timeout() {
                        let due = now.saturating_add(timeout);
                        self.queue.put(due, Happening::Timeout { call: id, attempt });
                    }
                    call.in_flight = Some((permit, None));
                    self.send(now, node, id, attempt);
                    // An answer at once is booked by now; otherwise the call waits for one.
                    if self
                        .calls
                        .get_mut(id)
                        .is_some_and(|call| call.in_flight.is_some())
                    {
                        return;
                    }
                }
                Step::Wait { until } => {
                    self.queue.put(until, Happening::Poll(id));
                    return;
                }
                Step::Done(verdict) => {
                    self.end(now, id, verdict);
                    return;
                }
            }
        }
    }

    /// Reports an attempt's outcome; the call is to be driven afterwards. `false` when nobody waits
    /// for it any more.
    pub(super) fn book(&mut self, now: Instant, id: CallId, attempt: u32, outcome: Outcome) -> bool {
        let Some(call) = self.calls.get_mut(id) else {
            return false;
        };
        let Some((permit, request)) = call.in_flight.take() else {
            return false;
        };
        if permit.number() != attempt {
            call.in_flight = Some((permit, request));
            return false;
        }
        let Some(actor) = self.actors.get_mut(at(call.actor)) else {
            return false;
        };
        self.recorder.about(call.number);
        call.state.on_outcome(&mut actor.guard, now, permit, outcome);
        true
    }

    /// The attempt in flight is carried by this request.
    pub(super) fn carried_by(&mut self, id: CallId, request: RequestId) {
        if let Some(call) = self.calls.get_mut(id)
            && let Some((_, carrier)) = &mut call.in_flight
        {
            *carrier = Some(request);
        }
    }

    /// The retryable codes of whoever makes this call.
    pub(super) fn codes_of(&mut self, id: CallId) -> &[u16] {
        let actor = self.calls.get_mut(id).map(|call| call.actor);
        actor
            .and_then(|actor| self.actors.get(at(actor)))
            .map_or(&[], |actor| actor.codes)
    }

    /// The attempt's time is over: whether it took effect nobody knows.
    pub(super) fn time_out(&mut self, now: Instant, id: CallId, attempt: u32) {
        let request = self.calls.get_mut(id).and_then(|call| match &call.in_flight {
            Some((permit, request)) if permit.number() == attempt => *request,
            _ => None,
        });
        let outcome = Outcome::Failure(Failure {
            kind: FaultKind::Unknown,
            retry_after: None,
        });
        if self.book(now, id, attempt, outcome) {
            if let Some(request) = request.and_then(|id| self.requests.get_mut(id)) {
                request.abandoned = true;
            }
            self.drive(now, id);
        }
    }

    fn end(&mut self, now: Instant, id: CallId, verdict: Verdict) {
        let Some(call) = self.calls.remove(id) else { return };
        match call.owner {
            Owner::Client(client) => self.on_client_done(now, client),
            Owner::Request(request) => self.on_downstream_done(now, request, verdict),
        }
    }
}
