//! The clients: one thread that knows when calls are due, and one for every call under way.
//!
//! ```text
//!   arrivals ──▶ serve ──▶ call: begin ─▶ poll ─▶ attempt ─▶ outcome ─▶ poll ─▶ wait ─▶ … ─▶ done
//!       ▲                    │ the client's guard, locked for each step and not in between
//!       └── one call at a time: the next is due after the end
//! ```
//!
//! A call belongs to the second in which it was due, and took as long as from there to its end: clients
//! that fall behind do not hide it (coordinated omission).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{Policies, Step};
use crossbridge_core::{Clock, FaultKind, Guard, Instant, Outcome as Answered};
use crossbridge_std::clock::SystemClock;

use super::events::{Caller, Events, Witness};
use super::result::LateMs;
use super::stand::Stand;
use super::stop::{Stop, lock};
use super::wire::Ask;
use super::{LiveError, since};
use crate::scenario::Scenario;
use crate::scenario::arrivals::Place;
use crate::stream::stream;
use crate::world::{Outcome, RunError, guard_of};

/// A thread for a call holds no big things on its stack.
const STACK: usize = 256 << 10;
/// The most calls under way; those after them begin late.
const MOST_UNDER_WAY: usize = 500;
/// How often somebody who watches is told.
const LOOK: Duration = Duration::from_millis(100);

/// All clients of a run. Events outlive the guards that tell them.
pub(super) struct Run<'r> {
    scenario: &'r Scenario,
    stands: &'r [Option<Stand<'r>>],
    clock: SystemClock,
    end: Instant,
    stop: &'r Stop,
    seed: u64,
    events: Events,
    /// How late each call began.
    late: Mutex<Vec<Duration>>,
    under_way: AtomicUsize,
}

/// A client between its calls.
struct Arrivals {
    caller: Caller,
    place: Place,
    rng: SplitMix64,
    made: u64,
}

/// What a client decides with.
struct Client<'e> {
    guard: Guard<Witness<'e>>,
    retry_rng: SplitMix64,
}

/// A call that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    number: u64,
    caller: Caller,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        scenario: &'r Scenario,
        seed: u64,
        stands: &'r [Option<Stand<'r>>],
        clock: SystemClock,
        end: Instant,
        stop: &'r Stop,
    ) -> Self {
        Self {
            scenario,
            stands,
            clock,
            end,
            stop,
            seed,
            events: Events::default(),
            late: Mutex::default(),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(super) const fn clock(&self) -> &SystemClock {
        &self.clock
    }

    pub(super) const fn end(&self) -> Instant {
        self.end
    }

    /// Makes all calls; returns when the last one has ended, soon after the end of the run.
    pub(super) fn serve(&self, watch: &mut dyn FnMut(Instant)) -> Result<(), LiveError> {
        let mut arrivals = Vec::new();
        let mut clients = Vec::new();
        let mut due = BinaryHeap::new();
        for (group, spec) in self.scenario.clients.iter().enumerate() {
            let policies = Policies::new(spec.calls.guard).map_err(|refused| {
                LiveError::Prediction(RunError::Policy(spec.calls.path.clone(), refused))
            })?;
            for index in 0..spec.count {
                let client = arrivals.len();
                let actor = u32::try_from(client).unwrap_or(u32::MAX);
                let caller = Caller { actor, group };
                let witness = self.events.witness(caller);
                let (guard, retry_rng) = guard_of(policies.clone(), &spec.name, index, self.seed, witness);
                clients.push(Mutex::new(Client { guard, retry_rng }));
                let mut rng = stream(self.seed, &spec.name, index, "arrivals");
                let place = Place {
                    index,
                    count: spec.count,
                };
                if let Some(first) = spec.arrivals.first(place, &mut rng) {
                    due.push(Reverse((first, client)));
                }
                arrivals.push(Arrivals {
                    caller,
                    place,
                    rng,
                    made: 0,
                });
            }
        }
        thread::scope(|scope| {
            let ended = self.dispatch(scope, &mut arrivals, &clients, due, watch);
            if self.stop.is_over() || ended.is_err() {
                // Whoever waits for an answer would wait for the end of its attempt.
                self.stands.iter().flatten().for_each(Stand::hang_up);
            }
            ended
        })
    }

    /// Has every call begin when it is due.
    fn dispatch<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        arrivals: &mut [Arrivals],
        clients: &'env [Mutex<Client<'env>>],
        mut due: BinaryHeap<Reverse<(Instant, usize)>>,
        watch: &mut dyn FnMut(Instant),
    ) -> Result<(), LiveError> {
        let (ended, ends) = mpsc::channel();
        let mut number = 0;
        loop {
            let now = self.clock.now();
            watch(now);
            if now >= self.end || self.stop.is_over() {
                return Ok(());
            }
            let next = due.peek().map_or(self.end, |Reverse((at, _))| *at);
            let is_full = self.under_way.load(Ordering::Relaxed) >= MOST_UNDER_WAY;
            if next > now || is_full {
                let wait = next.saturating_duration_since(now);
                let wait = if is_full { LOOK } else { wait.min(LOOK) };
                match ends.recv_timeout(wait) {
                    Ok((client, at)) => due.extend(self.after_end(arrivals, client, at)),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                }
                continue;
            }
            let Some(Reverse((at, client))) = due.pop() else {
                continue;
            };
            let (Some(one), Some(guarded)) = (arrivals.get_mut(client), clients.get(client)) else {
                continue;
            };
            let Some(group) = self.scenario.clients.get(one.caller.group) else {
                continue;
            };
            one.made += 1;
            if let Some(next) = group.arrivals.after_begin(at, one.place, one.made, &mut one.rng) {
                due.push(Reverse((next, client)));
            }
            number += 1;
            let call = Due {
                at,
                number,
                caller: one.caller,
            };
            self.events.on_offered(at, call.caller, number);
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let ended: Sender<(usize, Instant)> = ended.clone();
            let work = move || {
                let at = self.call(&call, guarded);
                self.under_way.fetch_sub(1, Ordering::Relaxed);
                // Nobody listens after the end.
                let _ = ended.send((client, at));
            };
            let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
            thread.map_err(LiveError::Thread)?;
        }
    }

    /// A client that makes one call at a time has its next one due.
    fn after_end(
        &self,
        arrivals: &[Arrivals],
        client: usize,
        at: Instant,
    ) -> Option<Reverse<(Instant, usize)>> {
        let group = arrivals.get(client)?.caller.group;
        let next = self.scenario.clients.get(group)?.arrivals.after_end(at)?;
        Some(Reverse((next, client)))
    }

    /// Drives a call to its end, or to the end of the run; returns when that was.
    fn call(&self, call: &Due, client: &Mutex<Client<'_>>) -> Instant {
        lock(&self.late).push(since(&self.clock, call.at));
        let mut state = self.step(call, client, |client, now| client.guard.begin_detached(now, None));
        loop {
            let step = self.step(call, client, |Client { guard, retry_rng }, now| {
                state.poll(guard, now, retry_rng)
            });
            match step {
                Step::Attempt(permit) => {
                    let timeout = permit.timeout();
                    let until = timeout.map_or(Instant::MAX, |span| permit.started().saturating_add(span));
                    let outcome = self.attempt(call.caller.group, until.min(self.end));
                    self.step(call, client, |client, now| {
                        state.on_outcome(&mut client.guard, now, permit, outcome);
                    });
                }
                Step::Wait { until } => {
                    if until >= self.end || !self.stop.wait(&self.clock, until) {
                        return self.clock.now();
                    }
                }
                Step::Done(_) => return self.clock.now(),
            }
        }
    }

    /// One step of a call with its client's guard. The clock is read under the lock, so that instants of
    /// a guard never go back.
    fn step<T>(
        &self,
        call: &Due,
        client: &Mutex<Client<'_>>,
        step: impl FnOnce(&mut Client<'_>, Instant) -> T,
    ) -> T {
        let mut client = lock(client);
        client.guard.observer().about(call.number, call.at);
        step(&mut client, self.clock.now())
    }

    fn attempt(&self, group: usize, until: Instant) -> Answered {
        let group = self.scenario.clients.get(group);
        let stand = group.and_then(|group| self.stands.get(group.calls.node)?.as_ref());
        let (Some(group), Some(stand)) = (group, stand) else {
            return Answered::Lost;
        };
        let began = self.clock.now();
        let ask = Ask {
            clock: &self.clock,
            until,
            work: stand.work(began),
            codes: &group.calls.retryable_codes,
        };
        let answer = stand.attempt(&ask);
        let served = began.saturating_add(ask.work);
        if answer.is_error && stand.errors_follow_service && self.clock.now() < served {
            // The run may end meanwhile: then nobody asks what came of it.
            self.stop.wait(&self.clock, served.min(until));
            if until <= served {
                return Answered::failed(FaultKind::Unknown);
            }
        }
        answer.outcome
    }

    /// Everything that was counted before the end, and how late calls began.
    pub(super) fn finish(self) -> Result<(Outcome, LateMs), LiveError> {
        let late = self.late.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.events.count(self.scenario, self.end);
        Ok((outcome.map_err(LiveError::Prediction)?, LateMs::of(late)))
    }
}
