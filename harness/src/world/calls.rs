//! Calls under way: polled, sent, booked, and over.

use crossbridge_core::guard::{CallState, Permit, Step};
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant, Outcome, Verdict};

use super::slab::{Key, Slab, at};
use super::{Happening, World};

pub(super) type CallId = Key;
pub(super) type RequestId = Key;
pub(super) type Calls = Slab<ActiveCall>;

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// A client's own.
    Client(u32),
    /// A client's as well, besides those it has to make: nothing follows from its end.
    Burst,
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
    /// By the world's clock, as everything here; its guard has its own.
    began: Instant,
    /// The attempt in flight, and the request that carries it; one under way or lost has none.
    in_flight: Option<(Permit, Option<RequestId>)>,
    /// When that attempt times out.
    expires: Instant,
}

impl ActiveCall {
    pub(super) const fn actor(&self) -> u32 {
        self.actor
    }
}

impl World<'_, '_> {
    #[expect(
        clippy::inline_always,
        reason = "as for `Queue::put`: the owner, 3 % of a run"
    )]
    #[inline(always)]
    pub(super) fn begin(&mut self, now: Instant, actor: u32, owner: Owner, number: u64) {
        let Some(caller) = self.actors.get_mut(at(actor)) else {
            return;
        };
        let local = self
            .groups
            .get(caller.group())
            .map_or(now, |group| group.clock.read(now));
        self.recorder.about(now, now, number);
        let state = caller.guard.begin_detached(local, None);
        let call = self.calls.insert(ActiveCall {
            state,
            actor,
            owner,
            number,
            began: now,
            in_flight: None,
            expires: Instant::MAX,
        });
        self.drive(now, call);
    }

    /// Polls a call until it waits for something or is over.
    pub(super) fn drive(&mut self, now: Instant, id: CallId) {
        while let Some(call) = self.calls.get_mut(id) {
            let Some(actor) = self.actors.get_mut(at(call.actor)) else {
                return;
            };
            let group = actor.group();
            let clock = self.groups.get(group).map(|group| &group.clock);
            let local = clock.map_or(now, |clock| clock.read(now));
            self.recorder.about(now, call.began, call.number);
            match call.state.poll(&mut actor.guard, local, &mut actor.retry_rng) {
                Step::Attempt(permit) => {
                    let Some(Some(path)) = self.paths.get(group) else {
                        return;
                    };
                    let (node, attempt) = (path.node, permit.number());
                    call.expires = Instant::MAX;
                    if let Some(timeout) = permit.timeout() {
                        let due = clock
                            .map_or_else(|| now.saturating_add(timeout), |clock| clock.after(now, timeout));
                        call.expires = due;
                        self.queue.put(due, Happening::Timeout { call: id, attempt });
                    }
                    call.in_flight = Some((permit, None));
                    // An answer at once is booked by now; otherwise the call waits for one.
                    if !self.send(now, node, id, attempt) {
                        return;
                    }
                }
                Step::Wait { until } => {
                    let due = clock.map_or(until, |clock| clock.due(now, until));
                    self.queue.put(due, Happening::Poll(id));
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
        let local = self
            .groups
            .get(actor.group())
            .map_or(now, |group| group.clock.read(now));
        self.recorder.about(now, call.began, call.number);
        call.state.on_outcome(&mut actor.guard, local, permit, outcome);
        true
    }

    /// The attempt has reached its node, where this request carries it. When it times out; `None`
    /// where its caller has given up.
    pub(super) fn carried_by(&mut self, id: CallId, attempt: u32, request: RequestId) -> Option<Instant> {
        let call = self.calls.get_mut(id)?;
        match &mut call.in_flight {
            Some((permit, carrier)) if permit.number() == attempt => *carrier = Some(request),
            _ => return None,
        }
        Some(call.expires)
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

    /// The actors in this range have stopped, and their calls with them. What is in flight is lost to
    /// them.
    pub(super) fn cancel_calls(&mut self, now: Instant, actors: &std::ops::Range<u32>) {
        for id in self.calls.keys(|call| actors.contains(&call.actor)) {
            let Some(mut call) = self.calls.remove(id) else {
                continue;
            };
            let Some(actor) = self.actors.get_mut(at(call.actor)) else {
                continue;
            };
            let local = self
                .groups
                .get(actor.group())
                .map_or(now, |group| group.clock.read(now));
            self.recorder.about(now, call.began, call.number);
            if let Some((permit, request)) = call.in_flight.take() {
                call.state
                    .on_outcome(&mut actor.guard, local, permit, Outcome::Lost);
                if let Some(request) = request.and_then(|id| self.requests.get_mut(id)) {
                    request.abandoned = true;
                }
            }
            call.state.cancel(&mut actor.guard, local);
            if let Owner::Client(client) = call.owner {
                self.on_client_done(now, client);
            }
        }
    }

    fn end(&mut self, now: Instant, id: CallId, verdict: Verdict) {
        let Some(call) = self.calls.remove(id) else { return };
        match call.owner {
            Owner::Client(client) => self.on_client_done(now, client),
            Owner::Burst => {}
            Owner::Request(request) => self.on_downstream_done(now, request, verdict),
        }
    }
}
