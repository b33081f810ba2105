//! Clients, guards and dependencies wired together in virtual time.
//!
//! ```text
//!   client ──▶ guard ──▶ faults ──▶ queue ──▶ servers ──▶ answer ──▶ guard ──▶ …
//!                                               │ a service: its own guard ──▶ the next node
//! ```
//!
//! A run is a loop over one queue: take the next event, let it happen, put in what follows. Nothing
//! else moves the clock and nothing depends on the order of a hash map, so the same scenario and
//! seed give the same run on every machine.

mod calls;
mod node;
mod weather;

use std::io::{self, Write};

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::{ConfigError, Guard, Instant};

use crate::queue::Queue;
use crate::recorder::{Ledger, Recorder, Tap};
use crate::scenario::{Arrivals, Scenario};
use crate::stream::stream;
use calls::{CallId, Calls, Owner, RequestId, Requests};
use node::NodeState;
use weather::Weather;

/// What a run produced.
#[derive(Debug)]
pub struct Outcome {
    /// Everything that was counted.
    pub ledger: Ledger,
    /// Each node, in the order of the scenario.
    pub nodes: Vec<NodeCounts>,
    /// Events that happened.
    pub events: u64,
    /// The hash of the trace.
    pub trace_sha256: String,
}

/// What a node saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Requests that arrived, refused ones included.
    pub received: u64,
    /// Requests that were worked on to the end, whatever the answer.
    pub served: u64,
    /// Of these, those whose caller no longer waited.
    pub wasted: u64,
    /// The most requests waiting or worked on at once.
    pub peak_in_flight: u64,
}

/// Why a run could not be finished.
#[derive(Debug)]
pub enum RunError {
    /// A guard refused its policies.
    Policy(String, ConfigError),
    /// The trace file could not be written.
    Trace(io::Error),
    /// Virtual time stands still at this instant.
    Stuck(Instant),
}

/// How often somebody who watches is told: some fifty times a second.
const EVENTS_BETWEEN_LOOKS: u64 = 1 << 16;

/// More events at one instant than this for each actor are a loop without time in it, such as a
/// closed client without think time against a dependency that refuses.
const MAX_EVENTS_AT_ONCE: u64 = 10_000;

/// Runs a scenario. Its events also go to `trace` as JSON lines, where one is given; `watch` is told
/// now and then how far virtual time is.
///
/// # Errors
/// See [`RunError`].
pub fn run(
    scenario: &Scenario,
    seed: u64,
    trace: Option<&mut dyn Write>,
    watch: &mut dyn FnMut(Instant),
) -> Result<Outcome, RunError> {
    let seconds = scenario.duration.as_secs_f64().ceil();
    // Durations are limited to a year when a scenario is loaded.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = seconds as usize;
    let recorder = Recorder::new(actor_names(scenario), scenario.clients.len(), seconds, trace);
    let mut world = World::new(scenario, seed, &recorder)?;
    world.run(watch)?;
    let (nodes, events) = (world.nodes.iter().map(NodeState::counts).collect(), world.events);
    drop(world);
    let (ledger, trace_sha256) = recorder.finish().map_err(RunError::Trace)?;
    Ok(Outcome {
        ledger,
        nodes,
        events,
        trace_sha256,
    })
}

fn actor_names(scenario: &Scenario) -> Vec<String> {
    let clients = scenario
        .clients
        .iter()
        .flat_map(|group| (0..group.count).map(|index| format!("{}/{index}", group.name)));
    let services = scenario.nodes.iter().filter(|node| node.downstream.is_some());
    clients.chain(services.map(|node| node.name.clone())).collect()
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A client has a call to make.
    Arrival { client: u32 },
    /// A call asked to be polled.
    Poll(CallId),
    /// An attempt has run out of time.
    Timeout { call: CallId, attempt: u32 },
    /// A server has done its part of a request.
    Served(RequestId),
}

/// Somebody with a guard: a client, or a service.
struct Actor<'r, 'w> {
    guard: Guard<Tap<'r, 'w>>,
    /// Jitter of its retries.
    retry_rng: SplitMix64,
    /// The node it calls.
    node: usize,
    /// The client group or node whose retryable codes apply.
    codes: &'r [u16],
}

struct World<'r, 'w> {
    queue: Queue<Happening>,
    end: Instant,
    recorder: &'r Recorder<'w>,
    actors: Vec<Actor<'r, 'w>>,
    clients: Vec<Client>,
    nodes: Vec<NodeState>,
    weather: Weather,
    calls: Calls,
    requests: Requests,
    events: u64,
    last_call: u64,
}

/// What is a client's own besides its guard.
struct Client {
    group: usize,
    arrivals: Arrivals,
    rng: SplitMix64,
}

impl<'r, 'w> World<'r, 'w> {
    fn new(scenario: &'r Scenario, seed: u64, recorder: &'r Recorder<'w>) -> Result<Self, RunError> {
        let mut world = Self {
            queue: Queue::default(),
            end: Instant::ZERO.saturating_add(scenario.duration),
            recorder,
            actors: Vec::new(),
            clients: Vec::new(),
            nodes: Vec::new(),
            weather: Weather::new(scenario, seed),
            calls: Calls::default(),
            requests: Requests::default(),
            events: 0,
            last_call: 0,
        };
        for (group, spec) in scenario.clients.iter().enumerate() {
            for index in 0..spec.count {
                world.add_actor(&spec.name, index, group, &spec.calls, seed)?;
                let mut rng = stream(seed, &spec.name, index, "arrivals");
                let first = spec.arrivals.first(index, spec.count, &mut rng);
                let client = u32::try_from(world.clients.len()).unwrap_or(u32::MAX);
                world.clients.push(Client {
                    group,
                    arrivals: spec.arrivals,
                    rng,
                });
                world.queue.put(first, Happening::Arrival { client });
            }
        }
        for (index, spec) in scenario.nodes.iter().enumerate() {
            let service_rng = stream(seed, &spec.name, 0, "service");
            let mut state = NodeState::new(spec, service_rng);
            if let Some(downstream) = &spec.downstream {
                state.actor = Some(world.actors.len());
                world.add_actor(&spec.name, 0, scenario.clients.len() + index, downstream, seed)?;
            }
            world.nodes.push(state);
        }
        Ok(world)
    }

    fn add_actor(
        &mut self,
        name: &str,
        index: u32,
        group: usize,
        calls: &'r crate::scenario::Downstream,
        seed: u64,
    ) -> Result<(), RunError> {
        let actor = u32::try_from(self.actors.len()).unwrap_or(u32::MAX);
        let mut config = calls.guard;
        // A fleet's breakers must not wait in step.
        config.breaker.jitter_seed = stream(seed, name, index, "breaker").next();
        let tap = Tap {
            recorder: self.recorder,
            actor,
            group,
        };
        let guard = Guard::with_observer(config, tap)
            .map_err(|refused| RunError::Policy(calls.path.clone(), refused))?;
        let retry_rng = stream(seed, name, index, "retry");
        self.actors.push(Actor {
            guard,
            retry_rng,
            node: calls.node,
            codes: &calls.retryable_codes,
        });
        Ok(())
    }

    fn run(&mut self, watch: &mut dyn FnMut(Instant)) -> Result<(), RunError> {
        let actors = u64::try_from(self.actors.len()).unwrap_or(u64::MAX);
        let most_at_once = MAX_EVENTS_AT_ONCE.saturating_mul(actors);
        let mut at_once = 0;
        let mut before = Instant::ZERO;
        while let Some(happening) = self.queue.take_before(self.end) {
            let now = self.queue.now();
            at_once = if now == before { at_once + 1 } else { 0 };
            if at_once > most_at_once {
                return Err(RunError::Stuck(now));
            }
            before = now;
            self.events += 1;
            if self.events.is_multiple_of(EVENTS_BETWEEN_LOOKS) {
                watch(now);
            }
            match happening {
                Happening::Arrival { client } => self.arrive(now, client),
                Happening::Poll(call) => self.drive(now, call),
                Happening::Timeout { call, attempt } => self.time_out(now, call, attempt),
                Happening::Served(request) => self.on_served(now, request),
            }
        }
        Ok(())
    }

    /// A client makes a call, and knows when it makes the next one.
    fn arrive(&mut self, now: Instant, index: u32) {
        let Some(client) = usize::try_from(index)
            .ok()
            .and_then(|at| self.clients.get_mut(at))
        else {
            return;
        };
        if let Some(next) = client.arrivals.after_begin(now, &mut client.rng) {
            self.queue.put(next, Happening::Arrival { client: index });
        }
        let group = client.group;
        self.last_call += 1;
        self.recorder.about(self.last_call);
        self.recorder.on_offered(now, index, group);
        self.begin(now, index, Owner::Client(index), self.last_call);
    }

    /// A client's call is over.
    fn on_client_done(&mut self, now: Instant, index: u32) {
        let Some(client) = usize::try_from(index)
            .ok()
            .and_then(|at| self.clients.get_mut(at))
        else {
            return;
        };
        if let Some(next) = client.arrivals.after_end(now) {
            self.queue.put(next, Happening::Arrival { client: index });
        }
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy(path, _) => write!(f, "path `{path}` has a policy that cannot be used"),
            Self::Trace(_) => f.write_str("the trace file could not be written"),
            Self::Stuck(at) => write!(
                f,
                "time stands still at {at}: more than {MAX_EVENTS_AT_ONCE} events for each actor at one instant; \
                 give closed clients a think time, or the dependency a service time"
            ),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Policy(_, source) => Some(source),
            Self::Trace(source) => Some(source),
            Self::Stuck(_) => None,
        }
    }
}
