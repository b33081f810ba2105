//! What lies between a caller and a node: the time a message takes, and partitions.

use crossbridge_core::{Instant, Outcome};

use super::calls::{ActiveCall, CallId};
use super::slab::{Key, at};
use super::{Actor, Happening, World};

/// An answer on its way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) node: u16,
    pub(super) call: CallId,
    pub(super) attempt: u32,
    pub(super) outcome: Outcome,
    /// A server worked for it: in vain, where nobody hears it.
    pub(super) worked: bool,
}

/// A message that a partition holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    Attempt(CallId, u32),
    Reply(Reply),
}

impl World<'_, '_> {
    /// An attempt leaves for a node. Whether its caller has its answer already.
    pub(super) fn send(&mut self, now: Instant, node: u16, call: CallId, attempt: u32) -> bool {
        let index = usize::from(node);
        let partition = self.weather.partition(now, index);
        let Some(state) = self.nodes.get_mut(index) else {
            return false;
        };
        match (partition, &state.spec.latency) {
            (Some(false), _) => false,
            (Some(true), _) => {
                state.held.push_back(Held::Attempt(call, attempt));
                false
            }
            (None, Some(latency)) => {
                let span = latency.sample(&mut state.latency_rng);
                let due = Instant::from_nanos(now.as_nanos().saturating_add(span));
                self.queue.put(due, Happening::Deliver { node, call, attempt });
                false
            }
            (None, None) => self.arrive_at(now, node, call, attempt),
        }
    }

    /// An answer leaves for its caller. Whether that has it already, and is to be driven.
    pub(super) fn reply(&mut self, now: Instant, reply: Reply) -> bool {
        let index = usize::from(reply.node);
        let partition = self.weather.partition(now, index);
        let Some(state) = self.nodes.get_mut(index) else {
            return false;
        };
        match (partition, &state.spec.latency) {
            (Some(false), _) => {
                self.lose(reply.node, reply.worked);
                false
            }
            (Some(true), _) => {
                state.held.push_back(Held::Reply(reply));
                false
            }
            (None, Some(latency)) => {
                let span = latency.sample(&mut state.latency_rng);
                let due = Instant::from_nanos(now.as_nanos().saturating_add(span));
                let reply = self.replies.insert(reply);
                self.queue.put(due, Happening::Reply(reply));
                false
            }
            (None, None) => self.hear(now, reply),
        }
    }

    /// An attempt arrives that was under way.
    pub(super) fn deliver(&mut self, now: Instant, node: u16, call: CallId, attempt: u32) {
        if self.arrive_at(now, node, call, attempt) {
            self.drive(now, call);
        }
    }

    /// An answer arrives that was under way.
    pub(super) fn on_reply(&mut self, now: Instant, id: Key) {
        if let Some(reply) = self.replies.remove(id)
            && self.hear(now, reply)
        {
            self.drive(now, reply.call);
        }
    }

    fn hear(&mut self, now: Instant, reply: Reply) -> bool {
        let heard = self.book(now, reply.call, reply.attempt, reply.outcome);
        if !heard {
            self.lose(reply.node, reply.worked);
        }
        heard
    }

    /// Nobody hears an answer.
    pub(super) fn lose(&mut self, node: u16, worked: bool) {
        if let Some(state) = self.nodes.get_mut(usize::from(node)) {
            state.counts.wasted += u64::from(worked);
        }
    }

    /// A partition is over: what it held comes through in order, unless there is another one.
    pub(super) fn release(&mut self, now: Instant, node: u16) {
        let index = usize::from(node);
        if self.weather.partition(now, index).is_some() {
            return;
        }
        let Some(state) = self.nodes.get_mut(index) else {
            return;
        };
        for held in std::mem::take(&mut state.held) {
            let (call, answered) = match held {
                Held::Attempt(call, attempt) => (call, self.send(now, node, call, attempt)),
                Held::Reply(reply) => (reply.call, self.reply(now, reply)),
            };
            if answered {
                self.drive(now, call);
            }
        }
    }

    /// The retryable codes of whoever makes this call.
    pub(super) fn codes_of(&self, id: CallId) -> &[u16] {
        let actor = self.calls.get(id).map(ActiveCall::actor);
        let group = actor
            .and_then(|actor| self.actors.get(at(actor)))
            .map(Actor::group);
        group
            .and_then(|group| self.paths.get(group)?.as_ref())
            .map_or(&[], |path| path.codes)
    }
}
