//! Everybody's observer: counts what happens and hands it to the trace.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};

use crossbridge_core::{Event, Instant, Observer, Verdict};

use crate::invariants::{Findings, Invariants, Seen};
use crate::tally::{Change, Counts, Gauge, Moment, falls_ill, opens, second};
use crate::trace::{Trace, What};
use crate::uses::Uses;

/// What a run is watched by. Shared by all guards of the run, hence the cells.
#[derive(Debug)]
pub struct Recorder<'w> {
    /// The call that is being driven: events do not know theirs.
    call: Cell<u64>,
    /// When that call began, and the present. Guards have their clients' clocks, which may be wrong;
    /// what is recorded has the world's.
    began: Cell<Instant>,
    now: Cell<Instant>,
    trace: RefCell<Trace<'w>>,
    ledger: RefCell<Ledger>,
    /// Where they are checked.
    invariants: Option<RefCell<Invariants>>,
}

/// Everything that was counted.
#[derive(Debug)]
pub struct Ledger {
    /// All clients together; added up when the run is over.
    pub total: Counts,
    /// Each group of clients.
    pub groups: Vec<Counts>,
    /// Guards whose circuit is not closed.
    pub open: Gauge,
    /// Targets known to be down.
    pub down: Gauge,
    /// What the retry budgets have left; `None` without budgets, on real servers, or where the run is so
    /// large that they are not read.
    pub reserve: Option<Reserve>,
    /// How often a circuit opened.
    pub opened: u64,
    /// What changed, in order.
    pub moments: Vec<Moment>,
    /// What the policies of each group did; services come after clients.
    pub uses: Vec<Uses>,
    carried: usize,
    /// Changes of a kind closer than this are told as one, in nanoseconds.
    together: u64,
}

/// The tokens of all retry budgets together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Those left at the end of each second.
    pub left: Vec<u64>,
    /// Those there are when all budgets are full.
    pub full: u64,
}

impl Reserve {
    /// Whether a retry ever took of it.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.left.iter().any(|left| *left < self.full)
    }

    /// The least there ever was, in thousandths of what there is when all are full.
    #[must_use]
    pub fn least_per_mille(&self) -> u64 {
        let least = self.left.iter().copied().min().unwrap_or(self.full);
        let per_mille = u128::from(least) * 1_000 / u128::from(self.full.max(1));
        u64::try_from(per_mille).unwrap_or(u64::MAX)
    }
}

/// The group an actor belongs to: clients first, services after them.
#[derive(Clone, Copy, Debug)]
pub struct Tap<'r, 'w> {
    pub(crate) recorder: &'r Recorder<'w>,
    pub(crate) actor: u32,
    pub(crate) group: u32,
}

/// The report stays readable, and memory bounded, however restless the run is.
const MAX_MOMENTS: usize = 400;

impl<'w> Recorder<'w> {
    pub(crate) fn new(
        actors: Vec<String>,
        groups: usize,
        seconds: usize,
        file: Option<&'w mut dyn Write>,
        invariants: Option<Invariants>,
    ) -> Self {
        Self {
            call: Cell::new(0),
            began: Cell::new(Instant::ZERO),
            now: Cell::new(Instant::ZERO),
            trace: RefCell::new(Trace::new(actors, file)),
            invariants: invariants.map(RefCell::new),
            ledger: RefCell::new(Ledger {
                total: Counts::new(seconds),
                groups: vec![Counts::new(seconds); groups],
                open: Gauge::new(seconds),
                down: Gauge::new(seconds),
                reserve: None,
                opened: 0,
                moments: Vec::new(),
                uses: Vec::new(),
                carried: 0,
                // A twentieth of the run, which is about three columns of the page's lanes.
                together: u64::try_from(seconds)
                    .unwrap_or(u64::MAX)
                    .saturating_mul(50_000_000)
                    .max(2_000_000_000),
            }),
        }
    }

    /// Further events are at `now` and about this call, which began at `began`.
    #[inline]
    pub(crate) fn about(&self, now: Instant, began: Instant, call: u64) {
        self.now.set(now);
        self.began.set(began);
        self.call.set(call);
    }

    pub(crate) fn on_offered(&self, now: Instant, actor: u32, group: usize) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.carry(now);
        if let Some(counts) = ledger.groups.get_mut(group) {
            counts.on_offered(now);
        }
        self.trace
            .borrow_mut()
            .push(now, actor, self.call.get(), What::Offered);
        if let Some(invariants) = &self.invariants {
            invariants.borrow_mut().on_offered();
        }
    }

    /// Everything that was counted, the hash of the trace, and what was found where invariants were
    /// checked.
    pub(crate) fn finish(self, end: Instant) -> io::Result<(Ledger, String, Option<Findings>)> {
        let mut ledger = self.ledger.into_inner();
        ledger.carry(Instant::MAX);
        let Ledger { total, groups, .. } = &mut ledger;
        groups.iter().for_each(|group| total.add(group));
        let invariants = self.invariants.map(RefCell::into_inner);
        let findings = invariants.map(|invariants| invariants.finish(&ledger, end));
        Ok((ledger, self.trace.into_inner().finish()?, findings))
    }
}

impl Observer for Tap<'_, '_> {
    fn on_event(&self, local: Instant, event: &Event) {
        let (call, now) = (self.recorder.call.get(), self.recorder.now.get());
        let took = now.saturating_duration_since(self.recorder.began.get());
        let by_the_world;
        let event = if let Event::CallEnded {
            verdict,
            attempts,
            took: local,
        } = *event
            && local != took
        {
            by_the_world = Event::CallEnded {
                verdict,
                attempts,
                took,
            };
            &by_the_world
        } else {
            event
        };
        let what = What::Guard(event);
        self.recorder.trace.borrow_mut().push(now, self.actor, call, what);
        let group = usize::try_from(self.group).unwrap_or(usize::MAX);
        self.recorder.ledger.borrow_mut().on_event(now, group, event);
        if let Some(invariants) = &self.recorder.invariants {
            let (at, actor) = (now, self.actor);
            invariants.borrow_mut().on_event(&Seen {
                at,
                local,
                actor,
                call,
                event,
            });
        }
    }
}

impl Ledger {
    fn on_event(&mut self, now: Instant, group: usize, event: &Event) {
        self.carry(now);
        // Only clients' calls are counted; what services do shows in the dependencies they call.
        if let Some(counts) = self.groups.get_mut(group) {
            counts.on_event(now, event);
        }
        if self.uses.len() <= group {
            self.uses.resize(group + 1, Uses::default());
        }
        if let Some(uses) = self.uses.get_mut(group) {
            uses.on_event(event);
        }
        match *event {
            Event::BreakerChanged { from, to } => {
                if let Some(up) = opens(from, to) {
                    self.open.step(now, up);
                    self.opened += u64::from(up);
                    self.tell(now, group, if up { Change::Opened } else { Change::Closed });
                }
            }
            Event::HealthChanged { from, to } => {
                if let Some(down) = falls_ill(from, to) {
                    self.down.step(now, down);
                    self.tell(now, group, if down { Change::WentDown } else { Change::CameUp });
                }
            }
            Event::CallEnded {
                verdict: Verdict::Stopped { reason, .. },
                ..
            } => {
                self.tell(now, group, Change::Stopped(reason.name()));
            }
            Event::CallEnded { .. }
            | Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::RetryScheduled { .. }
            | Event::WaitingForLimit { .. } => {}
        }
    }

    fn tell(&mut self, now: Instant, group: usize, change: Change) {
        let like = self
            .moments
            .iter_mut()
            .rev()
            .take(32)
            .find(|moment| moment.group == group && moment.change == change);
        if let Some(moment) = like
            && now.as_nanos() - moment.last.as_nanos() <= self.together
        {
            moment.last = now;
            moment.count += 1;
        } else if self.moments.len() < MAX_MOMENTS {
            self.moments.push(Moment {
                at: now,
                last: now,
                count: 1,
                group,
                change,
            });
        }
    }

    /// Gauges hold their value through the seconds in which nothing happens.
    fn carry(&mut self, now: Instant) {
        let reached = second(now).min(self.open.peaks.len().saturating_sub(1));
        while self.carried < reached {
            self.carried += 1;
            self.open.carry(self.carried);
            self.down.carry(self.carried);
        }
    }
}
