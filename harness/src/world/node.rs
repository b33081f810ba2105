//! Something that serves requests: servers, a queue in front of them, and what it calls itself.
//!
//! ```text
//!   send ──▶ (latency, partition) ──▶ arrive ──▶ faults ──▶ queue ──▶ shed ──▶ work ──▶ answer ──▶ reply
//!                                       └────────┴──────────┴──────────┴─────────────────────────▶ ┘
//! ```

use std::collections::VecDeque;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant, Outcome, Verdict};

use super::calls::{CallId, Owner, RequestId};
use super::slab::at;
use super::weather::{Meeting, Spoilt};
use super::wire::{Held, Reply};
use super::{Happening, NodeCounts, World};
use crate::scenario::{Abandoned, Cold, Contention, Discipline, Node, Shed};
use crate::stream::stream;

pub(super) struct NodeState<'r> {
    pub(super) spec: &'r Node,
    busy: u32,
    queue: VecDeque<RequestId>,
    service_rng: SplitMix64,
    pub(super) latency_rng: SplitMix64,
    /// The actor that makes this node's own calls.
    pub(super) actor: Option<u32>,
    pub(super) counts: NodeCounts,
    /// Of the one row all its requests write, where they contend.
    version: u32,
    /// Requests begun since its cache was empty; `None` once it is warm.
    warmed: Option<u32>,
    /// Messages a partition holds, to and fro, in order.
    pub(super) held: VecDeque<Held>,
}

/// An attempt that has reached a node.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) node: u16,
    /// Whose attempt it is.
    pub(super) call: CallId,
    pub(super) attempt: u32,
    /// The caller no longer waits.
    pub(super) abandoned: bool,
    /// The fault that is about its answer.
    fault: Option<u32>,
    /// When its caller stops waiting.
    expires: Instant,
    /// What it read of the row it writes.
    version: u32,
}

impl<'r> NodeState<'r> {
    pub(super) fn new(spec: &'r Node, seed: u64) -> Self {
        Self {
            spec,
            busy: 0,
            queue: VecDeque::new(),
            service_rng: stream(seed, &spec.name, 0, "service"),
            latency_rng: stream(seed, &spec.name, 0, "latency"),
            actor: None,
            counts: NodeCounts::default(),
            version: 0,
            warmed: None,
            held: VecDeque::new(),
        }
    }

    pub(super) const fn counts(&self) -> NodeCounts {
        self.counts
    }

    fn note_in_flight(&mut self) {
        let waiting = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.counts.peak_in_flight = self.counts.peak_in_flight.max(u64::from(self.busy) + waiting);
    }

    /// How long the next request takes, apart from faults.
    fn service_time(&mut self) -> u64 {
        let span = self.spec.service_time.sample(&mut self.service_rng);
        let (Some(begun), Some(cold)) = (self.warmed, self.spec.cold) else {
            return span;
        };
        self.warmed = Some(begun + 1).filter(|&begun| begun < cold.requests);
        slowed(span, cold, begun)
    }
}

/// What a span becomes when `begun` requests have warmed the cache.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn slowed(span: u64, cold: Cold, begun: u32) -> u64 {
    let left = 1.0 - f64::from(begun) / f64::from(cold.requests.max(1));
    libm::round(span as f64 * (1.0 + (cold.factor - 1.0) * left)) as u64
}

impl World<'_, '_> {
    /// An attempt arrives at a node. Whether its caller has its answer already.
    pub(super) fn arrive_at(&mut self, now: Instant, node: u16, call: CallId, attempt: u32) -> bool {
        let index = usize::from(node);
        let Some(state) = self.nodes.get_mut(index) else {
            return false;
        };
        state.counts.received += 1;
        let turned_away = |outcome| Reply {
            node,
            call,
            attempt,
            outcome,
            worked: false,
        };
        let fault = match self.weather.meet(now, index) {
            Meeting::Clear => None,
            Meeting::Marked(fault) => Some(fault),
            Meeting::Hung => return false,
            Meeting::Reset => return self.reply(now, turned_away(Outcome::failed(FaultKind::Unknown))),
            Meeting::Refused => return self.reply(now, turned_away(Outcome::failed(FaultKind::NotSent))),
            Meeting::Throttled { retry_after } => {
                let failure = Failure {
                    kind: FaultKind::Throttled,
                    retry_after,
                };
                return self.reply(now, turned_away(Outcome::Failure(failure)));
            }
        };
        let servers = self.weather.servers(now, index, state.spec.servers);
        let free = state.busy < servers;
        if !free && state.spec.queue.is_some_and(|room| state.queue.len() >= room) {
            // No place to wait: answered at once, as with status 503.
            return self.reply(now, turned_away(Outcome::failed(FaultKind::Transient)));
        }
        let request = self.requests.insert(Request {
            node,
            call,
            attempt,
            abandoned: false,
            fault,
            expires: now,
            version: 0,
        });
        let expires = self.carried_by(call, attempt, request);
        if let Some(request) = self.requests.get_mut(request) {
            request.abandoned = expires.is_none();
            request.expires = expires.unwrap_or(now);
        }
        if let Some(state) = self.nodes.get_mut(index) {
            if free {
                state.busy += 1;
            } else {
                state.queue.push_back(request);
            }
            state.note_in_flight();
        }
        if free && let Some(answered) = self.turn_away_or_work(now, request) {
            self.free_a_server(now, node);
            return answered;
        }
        false
    }

    /// A request's turn has come: a server begins with it, or it is dropped or turned away. Whether
    /// its caller has heard of that, where it is.
    fn turn_away_or_work(&mut self, now: Instant, id: RequestId) -> Option<bool> {
        let request = self.requests.get_mut(id)?;
        let node = request.node;
        let state = self.nodes.get_mut(usize::from(node))?;
        let left = request.expires.as_nanos().saturating_sub(now.as_nanos());
        let shed = match state.spec.shed {
            Shed::None => false,
            Shed::Expired => left == 0,
            Shed::CannotFinishWithin(span) => left < span,
        };
        if request.abandoned && state.spec.abandoned == Abandoned::Drop {
            self.requests.remove(id);
            return Some(false);
        }
        if shed {
            let reply = Reply {
                node,
                call: request.call,
                attempt: request.attempt,
                outcome: Outcome::failed(FaultKind::Transient),
                worked: false,
            };
            self.requests.remove(id);
            return Some(self.reply(now, reply));
        }
        request.version = state.version;
        let usual = state.service_time();
        let span = self.weather.stretch(now, usize::from(node), usual);
        let done = Instant::from_nanos(now.as_nanos().saturating_add(span));
        self.queue.put(done, Happening::Served(id));
        None
    }

    /// A server has done its own part: a leaf answers, a service makes its call first.
    pub(super) fn on_served(&mut self, now: Instant, id: RequestId) {
        let Some(request) = self.requests.get_mut(id) else {
            return;
        };
        let failing = request.fault.is_some_and(|fault| self.weather.is_error(fault));
        let Some(state) = self.nodes.get_mut(usize::from(request.node)) else {
            return;
        };
        let outcome = if failing || state.spec.contention == Contention::None {
            Outcome::Success
        } else if request.version == state.version {
            state.version = state.version.wrapping_add(1);
            Outcome::Success
        } else {
            // Somebody else was faster: a serialization failure, SQLSTATE 40001.
            Outcome::failed(FaultKind::Transient)
        };
        match state.actor {
            Some(actor) if !failing => {
                self.last_call += 1;
                self.begin(now, actor, Owner::Request(id), self.last_call);
            }
            _ => self.answer(now, id, outcome),
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
    #[expect(
        clippy::inline_always,
        reason = "as for `Queue::put`: the outcome, 2 % of a run"
    )]
    #[inline(always)]
    fn answer(&mut self, now: Instant, id: RequestId, outcome: Outcome) {
        let Some(request) = self.requests.remove(id) else {
            return;
        };
        let node = request.node;
        let outcome = match request.fault {
            None => Some(outcome),
            Some(fault) => match self.weather.spoil(fault, self.codes_of(request.call)) {
                Spoilt::Failure(failure) => Some(Outcome::Failure(failure)),
                Spoilt::Lost => None,
            },
        };
        if let Some(state) = self.nodes.get_mut(usize::from(node)) {
            state.counts.served += 1;
        }
        let heard = match outcome {
            Some(outcome) => self.reply(
                now,
                Reply {
                    node,
                    call: request.call,
                    attempt: request.attempt,
                    outcome,
                    worked: true,
                },
            ),
            None => {
                self.lose(node, true);
                false
            }
        };
        self.free_a_server(now, node);
        if heard {
            self.drive(now, request.call);
        }
    }

    fn free_a_server(&mut self, now: Instant, node: u16) {
        if let Some(state) = self.nodes.get_mut(usize::from(node)) {
            state.busy = state.busy.saturating_sub(1);
        }
        self.serve_waiting(now, node);
    }

    /// Free servers take what waits.
    pub(super) fn serve_waiting(&mut self, now: Instant, node: u16) {
        let index = usize::from(node);
        while let Some(state) = self.nodes.get_mut(index) {
            if state.queue.is_empty() || state.busy >= self.weather.servers(now, index, state.spec.servers) {
                return;
            }
            let next = match state.spec.discipline {
                Discipline::Fifo => state.queue.pop_front(),
                Discipline::Lifo => state.queue.pop_back(),
            };
            let Some(next) = next else { return };
            // Taken before it is asked: who is turned away and comes back at once waits in line.
            state.busy += 1;
            let call = self.requests.get_mut(next).map(|request| request.call);
            if let Some(heard) = self.turn_away_or_work(now, next) {
                if let Some(call) = call
                    && heard
                {
                    self.drive(now, call);
                }
                if let Some(state) = self.nodes.get_mut(index) {
                    state.busy = state.busy.saturating_sub(1);
                }
            }
        }
    }

    /// A fault that is about a node as a whole begins or ends.
    pub(super) fn on_node_fault(&mut self, now: Instant, fault: u32, begins: bool) {
        use crate::scenario::FaultEffect as E;
        let Some(fault) = self.scenario.faults.get(at(fault)) else {
            return;
        };
        let Ok(node) = u16::try_from(fault.node) else {
            return;
        };
        match fault.kind {
            E::CrashRestart if begins => self.crash(now, node),
            E::CrashRestart => {
                if let Some(state) = self.nodes.get_mut(fault.node) {
                    state.warmed = state.spec.cold.map(|_| 0);
                }
            }
            E::Partition { .. } => self.release(now, node),
            E::Capacity(_) => self.serve_waiting(now, node),
            E::Refuse
            | E::Reset
            | E::Hang
            | E::Slow { .. }
            | E::Error(_)
            | E::Throttle { .. }
            | E::DropAnswer
            | E::Partial
            | E::Corrupt => {}
        }
    }

    /// A node is gone, with all it had: its callers see their connections break.
    fn crash(&mut self, now: Instant, node: u16) {
        let Some(state) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        state.queue.clear();
        state.busy = 0;
        let actor = state.actor;
        let mut heard = Vec::new();
        for id in self.requests.keys(|request| request.node == node) {
            let Some(request) = self.requests.remove(id) else {
                continue;
            };
            let reply = Reply {
                node,
                call: request.call,
                attempt: request.attempt,
                outcome: Outcome::failed(FaultKind::Unknown),
                worked: false,
            };
            if self.reply(now, reply) {
                heard.push(request.call);
            }
        }
        if let Some(actor) = actor {
            self.restart(now, &(actor..actor + 1), false);
        }
        for call in heard {
            self.drive(now, call);
        }
    }
}
