//! Something that serves requests: servers, a queue in front of them, and what it calls itself.

use std::collections::VecDeque;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant, Outcome, Verdict};

use super::calls::{CallId, Owner, Request, RequestId};
use super::weather::Meeting;
use super::{Happening, NodeCounts, World};
use crate::distribution::Distribution;
use crate::scenario::{Abandoned, Node};

pub(super) struct NodeState {
    servers: u32,
    busy: u32,
    queue: VecDeque<RequestId>,
    room: Option<usize>,
    service_time: Distribution,
    abandoned: Abandoned,
    rng: SplitMix64,
    /// The actor that makes this node's own calls.
    pub(super) actor: Option<usize>,
    counts: NodeCounts,
}

impl NodeState {
    pub(super) fn new(spec: &Node, rng: SplitMix64) -> Self {
        Self {
            servers: spec.servers,
            busy: 0,
            queue: VecDeque::new(),
            room: spec.queue,
            service_time: spec.service_time,
            abandoned: spec.abandoned,
            rng,
            actor: None,
            counts: NodeCounts::default(),
        }
    }

    pub(super) const fn counts(&self) -> NodeCounts {
        self.counts
    }

    fn note_in_flight(&mut self) {
        let waiting = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.counts.peak_in_flight = self.counts.peak_in_flight.max(u64::from(self.busy) + waiting);
    }
}

impl World<'_, '_> {
    /// An attempt arrives at a node.
    pub(super) fn send(&mut self, now: Instant, node: usize, call: CallId, attempt: u32) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        state.counts.received += 1;
        let error = match self.weather.meet(now, node) {
            Meeting::Clear => None,
            Meeting::Error(fault) => Some(fault),
            Meeting::Hung => return,
            Meeting::Refused => {
                self.book(now, call, attempt, Outcome::failed(FaultKind::NotSent));
                return;
            }
            Meeting::Throttled { retry_after } => {
                let failure = Failure {
                    kind: FaultKind::Throttled,
                    retry_after,
                };
                self.book(now, call, attempt, Outcome::Failure(failure));
                return;
            }
        };
        if state.busy >= state.servers && state.room.is_some_and(|room| state.queue.len() >= room) {
            // No place to wait: answered at once, as with status 503.
            self.book(now, call, attempt, Outcome::failed(FaultKind::Transient));
            return;
        }
        let request = self.requests.insert(Request {
            node,
            call,
            attempt,
            abandoned: false,
            error,
        });
        self.carried_by(call, request);
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        if state.busy < state.servers {
            state.busy += 1;
            state.note_in_flight();
            self.work(now, node, request);
        } else {
            state.queue.push_back(request);
            state.note_in_flight();
        }
    }

    /// A server begins with a request.
    fn work(&mut self, now: Instant, node: usize, request: RequestId) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        let usual = state.service_time.sample(&mut state.rng);
        let span = self.weather.stretch(now, node, usual);
        let done = Instant::from_nanos(now.as_nanos().saturating_add(span));
        self.queue.put(done, Happening::Served(request));
    }

    /// A server has done its own part: a leaf answers, a service makes its call first.
    pub(super) fn on_served(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id) else {
            return;
        };
        let (node, failing) = (request.node, request.error.is_some());
        let actor = self.nodes.get(node).and_then(|state| state.actor);
        match actor.and_then(|actor| u32::try_from(actor).ok()) {
            Some(actor) if !failing => {
                self.last_call += 1;
                self.begin(now, actor, Owner::Request(id), self.last_call);
            }
            _ => self.answer(now, id, Outcome::Success),
        }
    }

    /// A service's own call has ended, and with it the request it was made for.
    pub(super) fn on_downstream_done(&mut self, now: Instant, id: RequestId, verdict: Verdict) {
        let outcome = match verdict {
            Verdict::Succeeded => Outcome::Success,
            Verdict::Cancelled => Outcome::failed(FaultKind::Overloaded),
            Verdict::Stopped { reason, .. } => Outcome::failed(reason.fault_above()),
        };
        self.answer(now, id, outcome);
    }

    /// The server is free again and the caller, if it still waits, has its answer.
    fn answer(&mut self, now: Instant, id: RequestId, outcome: Outcome) {
        let Some(request) = self.requests.remove(id) else {
            return;
        };
        let outcome = match request.error {
            Some(fault) => {
                let codes = self.codes_of(request.call).to_vec();
                Outcome::Failure(self.weather.error(fault, &codes))
            }
            None => outcome,
        };
        let heard = self.book(now, request.call, request.attempt, outcome);
        if let Some(state) = self.nodes.get_mut(request.node) {
            state.counts.served += 1;
            state.counts.wasted += u64::from(!heard);
        }
        self.serve_next(now, request.node);
        if heard {
            self.drive(now, request.call);
        }
    }

    fn serve_next(&mut self, now: Instant, node: usize) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        while let Some(next) = state.queue.pop_front() {
            let skip = state.abandoned == Abandoned::Drop
                && self
                    .requests
                    .get_mut(next)
                    .is_none_or(|request| request.abandoned);
            if skip {
                self.requests.remove(next);
                continue;
            }
            self.work(now, node, next);
            return;
        }
        state.busy = state.busy.saturating_sub(1);
    }
}
