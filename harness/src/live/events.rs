//! What happened on real servers, collected from all threads and counted as a replay counts.
//!
//! Guards of many threads tell what they do; the recorder of the replay wants it in order and from one.
//! So events are kept until the run is over, and put in order by their instants.

use std::cell::Cell;
use std::sync::Mutex;

use crossbridge_core::{Event, Instant, Observer};

use super::stop::lock;
use crate::recorder::{Recorder, Tap};
use crate::scenario::Scenario;
use crate::world::{NodeCounts, Outcome, RunError};

/// Everything that happened so far.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Vec<Entry>>);

/// Who calls, and on whose behalf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) actor: u32,
    pub(super) group: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    caller: Caller,
    call: u64,
    /// When the call was to begin.
    began: Instant,
    /// What the guard decided or learnt; `None` where the client has a call to make.
    event: Option<Event>,
}

/// A guard's observer.
#[derive(Debug)]
pub(super) struct Witness<'r> {
    events: &'r Events,
    caller: Caller,
    /// The call that is being driven, and when it was to begin.
    about: Cell<(u64, Instant)>,
}

impl Events {
    pub(super) fn witness(&self, caller: Caller) -> Witness<'_> {
        Witness {
            events: self,
            caller,
            about: Cell::new((0, Instant::ZERO)),
        }
    }

    pub(super) fn on_offered(&self, at: Instant, caller: Caller, call: u64) {
        self.push(Entry {
            at,
            caller,
            call,
            began: at,
            event: None,
        });
    }

    fn push(&self, entry: Entry) {
        lock(&self.0).push(entry);
    }

    /// All that happened before `end`, counted.
    pub(super) fn count(self, scenario: &Scenario, end: Instant) -> Result<Outcome, RunError> {
        let mut entries = self
            .0
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.retain(|entry| entry.at < end);
        // At the same instant in the order in which they were told.
        entries.sort_by_key(|entry| entry.at);
        let seconds = usize::try_from(scenario.duration.as_secs()).unwrap_or(usize::MAX);
        let seconds = seconds.saturating_add(usize::from(scenario.duration.subsec_nanos() > 0));
        let recorder = Recorder::new(Vec::new(), scenario.clients.len(), seconds, None, None);
        let mut nodes = vec![Node::default(); scenario.nodes.len()];
        for entry in &entries {
            let Caller { actor, group } = entry.caller;
            recorder.about(entry.at, entry.began, entry.call);
            match &entry.event {
                None => recorder.on_offered(entry.at, actor, group),
                Some(event) => {
                    let node = scenario.clients.get(group).map(|group| group.calls.node);
                    if let Some(node) = node.and_then(|node| nodes.get_mut(node)) {
                        node.on_event(event);
                    }
                    let recorder = &recorder;
                    Tap {
                        recorder,
                        actor,
                        group: u32::try_from(group).unwrap_or(u32::MAX),
                    }
                    .on_event(entry.at, event);
                }
            }
        }
        let (ledger, trace_sha256, invariants) = recorder.finish(end).map_err(RunError::Trace)?;
        Ok(Outcome {
            ledger,
            nodes: nodes.into_iter().map(|node| node.counts).collect(),
            events: u64::try_from(entries.len()).unwrap_or(u64::MAX),
            trace_sha256,
            invariants,
        })
    }
}

impl Witness<'_> {
    /// What its guard tells from now on is about this call.
    pub(super) fn about(&self, call: u64, began: Instant) {
        self.about.set((call, began));
    }
}

impl Observer for Witness<'_> {
    fn on_event(&self, now: Instant, event: &Event) {
        let (call, began) = self.about.get();
        self.events.push(Entry {
            at: now,
            caller: self.caller,
            call,
            began,
            event: Some(*event),
        });
    }
}

/// What a server got, as its clients saw it.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    counts: NodeCounts,
    in_flight: u64,
}

impl Node {
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::AttemptStarted { .. } => {
                self.in_flight += 1;
                self.counts.received += 1;
                self.counts.peak_in_flight = self.counts.peak_in_flight.max(self.in_flight);
            }
            Event::AttemptEnded { fault, .. } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.counts.served += u64::from(fault.is_none());
            }
            Event::RetryScheduled { .. }
            | Event::WaitingForLimit { .. }
            | Event::BreakerChanged { .. }
            | Event::HealthChanged { .. }
            | Event::CallEnded { .. } => {}
        }
    }
}
