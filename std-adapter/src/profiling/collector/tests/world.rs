//! A collector without threads, in virtual time: the real queue, desk, signals and plans, with a spool
//! and a store that are models.
//!
//! Each thread is an actor that looks, sleeps or works. One that sleeps looks again when its instant
//! has come or the signals have changed, as at a condition variable, and for no other reason: a change
//! that wakes nobody shows as an event that is late. Time moves to the next instant at which somebody
//! wakes or is through with his work. After each step the books must balance.

use std::time::Duration;

use crossbridge_core::Instant;

use super::super::Account;
use super::super::desk::Desk;
use super::super::plan::{ScribePlan, ShipperPlan};
use super::super::queue::{Pushed, Queue};
use super::super::shared::SETTLE;
use super::super::signals::Signals;
use crate::profiling::event::heap;
use crate::profiling::{CollectorSettings, Durability};

mod model;
mod threads;
mod waiters;

pub(super) use model::{ModelSpool, Store, Weather};
use model::{event, long, number};
use threads::{Send, Write};
use waiters::{Closing, Flush};

/// Where an actor is.
enum Place<J> {
    Looks,
    Sleeps { until: Instant, seen: u64 },
    Works { until: Instant, job: J },
    Ended,
}

impl<J> Place<J> {
    fn wakes_at(&self) -> Option<Instant> {
        match self {
            Self::Sleeps { until, .. } | Self::Works { until, .. } => Some(*until),
            Self::Looks | Self::Ended => None,
        }
    }

    fn looks(&self, now: Instant, changes: u64) -> bool {
        match self {
            Self::Looks => true,
            Self::Sleeps { until, seen } => now >= *until || changes != *seen,
            Self::Works { .. } | Self::Ended => false,
        }
    }

    /// The job, where it is through.
    fn through(&mut self, now: Instant) -> Option<J> {
        if !matches!(self, Self::Works { until, .. } if now >= *until) {
            return None;
        }
        match std::mem::replace(self, Self::Looks) {
            Self::Works { job, .. } => Some(job),
            Self::Looks | Self::Sleeps { .. } | Self::Ended => None,
        }
    }
}

pub(super) struct World {
    pub(super) now: Instant,
    settings: CollectorSettings,
    queue: Queue,
    pub(super) desk: Desk<ModelSpool>,
    signals: Signals,
    /// How often the signals have changed.
    changes: u64,
    scribe: (ScribePlan, Place<Write>),
    shipper: (ShipperPlan, Place<Send>),
    covered: u64,
    flushes: Vec<Flush>,
    closing: Closing,
    pub(super) store: Store,
    pub(super) weather: Weather,
    /// How long a commit takes.
    pub(super) write_takes: Duration,
    /// Another process has the right to ship.
    pub(super) barred: bool,
    /// When each event was recorded.
    pub(super) accepted: Vec<Instant>,
    /// When the disk last did not keep up.
    bad_until: Option<Instant>,
    /// The flushes that have ended: whether everything was safe, and how long they took.
    pub(super) flushed: Vec<(bool, Duration)>,
    /// What one event takes.
    event_bytes: u64,
    /// The most that the events in memory took.
    pub(super) most_bytes: u64,
}

impl World {
    pub(super) fn new(settings: CollectorSettings, spool: Option<ModelSpool>, store: Store) -> Self {
        let now = Instant::ZERO;
        let (scribe, plan) = match settings.durability {
            Durability::Spool => (Place::Looks, ShipperPlan::of_spool()),
            Durability::Memory => (Place::Ended, ShipperPlan::of_memory(settings.at_risk)),
        };
        Self {
            now,
            queue: Queue::new(settings.queue_events, settings.queue_bytes, settings.overflow),
            desk: Desk::new(spool),
            signals: Signals::default(),
            changes: 0,
            scribe: (ScribePlan::new(settings.at_risk, now), scribe),
            shipper: (plan, Place::Looks),
            covered: 0,
            flushes: Vec::new(),
            closing: Closing::Not,
            store,
            weather: Weather::Up,
            write_takes: Duration::from_millis(1),
            barred: false,
            accepted: Vec::new(),
            bad_until: None,
            flushed: Vec::new(),
            event_bytes: heap::bytes(&event(0)),
            most_bytes: 0,
            settings,
        }
    }

    pub(super) fn break_disk(&mut self, broken: bool) {
        if let Some(spool) = &mut self.desk.spool {
            spool.broken = broken;
        }
    }

    /// Records one event; whether it was accepted.
    pub(super) fn record(&mut self) -> bool {
        let id = u32::try_from(self.accepted.len()).unwrap();
        let pushed = self.queue.push(event(id));
        let (accepted, wake) = match pushed {
            Pushed::In { wake } => (true, wake),
            Pushed::Dropped => (true, false),
            Pushed::Refused => (false, false),
        };
        if accepted {
            self.accepted.push(self.now);
        }
        if wake {
            self.changes += 1;
        }
        accepted
    }

    pub(super) fn flush(&mut self, deadline: Duration) {
        let ticket = self.signals.ask();
        self.changes += 1;
        self.flushes.push(Flush {
            began: self.now,
            ticket,
            until: self.now.saturating_add(deadline),
            before: self.accepted.len(),
            durable: None,
        });
    }

    /// Ends it, and lets it come to its end.
    pub(super) fn shut_down(&mut self, deadline: Duration) {
        let began = self.now;
        self.queue.close();
        self.signal(Signals::close);
        let until = began.saturating_add(deadline);
        self.closing = Closing::Scribe { until };
        // What the disk takes, which nobody can shorten: for the write under way, for what it has left
        // over and for what has come since.
        let under_way = self.scribe.1.wakes_at();
        let under_way = under_way.map_or(Duration::ZERO, |until| until.saturating_duration_since(began));
        let local = under_way + self.write_takes * 3;
        self.pass(deadline.max(local) + SETTLE);
        assert_eq!(self.closing, Closing::Over, "the shutdown has not ended");
    }

    /// Lets a span pass.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        loop {
            self.settle();
            let flushes = self.flushes.iter().map(|flush| flush.until);
            let closing = match self.closing {
                Closing::Shipper { until } | Closing::Settle { until } => Some(until),
                Closing::Not | Closing::Scribe { .. } | Closing::Over => None,
            };
            let actors = [self.scribe.1.wakes_at(), self.shipper.1.wakes_at(), closing];
            let next = actors.into_iter().flatten().chain(flushes).min();
            match next {
                Some(at) if at <= end => {
                    assert!(at > self.now, "somebody sleeps until {at}, now is {}", self.now);
                    self.now = at;
                }
                Some(_) | None => {
                    self.now = end;
                    return;
                }
            }
        }
    }

    /// Everything that happens at this instant.
    fn settle(&mut self) {
        for steps in 0.. {
            assert!(steps < 100_000, "it does not come to rest at {}", self.now);
            let moved =
                self.scribe_moves() | self.shipper_moves() | self.flushes_move() | self.closing_moves();
            self.check();
            if !moved {
                return;
            }
        }
    }

    fn signal<T>(&mut self, change: impl FnOnce(&mut Signals) -> T) -> T {
        self.changes += 1;
        change(&mut self.signals)
    }

    pub(super) fn account(&mut self) -> Account {
        self.desk.account(&self.queue)
    }

    /// The books balance, and the memory keeps its bounds.
    fn check(&mut self) {
        let account = self.account();
        assert!(account.balance(), "{account:?}");
        assert_eq!(account.recorded, long(self.accepted.len()), "{account:?}");
        if let Some(spool) = &self.desk.spool {
            assert_eq!(account.spooled, long(spool.waiting.len()));
            assert_eq!(account.handed_over, long(spool.given.len()));
        }
        // All events are of one size.
        let bytes = account.in_memory * self.event_bytes;
        self.most_bytes = self.most_bytes.max(bytes);
        assert!(account.in_memory <= self.settings.queue_events, "{account:?}");
        assert!(bytes <= self.settings.queue_bytes, "{account:?}");
    }

    /// What nobody has taken, as a shutdown hands it back, and what lasts.
    pub(super) fn take_apart(mut self) -> (Vec<u32>, Option<ModelSpool>, Store) {
        let left = self.desk.take_rest(&self.queue).iter().map(number).collect();
        (left, self.desk.spool, self.store)
    }
}
