//! The thread that brings events to the store, from the spool or straight from memory, as its
//! [plan](ShipperPlan) says.

use std::ops::ControlFlow;
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::event::LogObserver;
use crossbridge_core::{Clock as _, Guard, Instant};

use super::plan::{Errand, ShipperPlan};
use super::queue::Level;
use super::shared::Shared;
use crate::logging::Category;
use crate::profiling::deliver::{Line, Patience};
use crate::profiling::event::Event;
use crate::profiling::spool::{Sent, ShipLock, SpoolError, chain, send};
use crate::profiling::store::EventStore;

pub(super) struct Shipper<'s, S> {
    shared: &'s Shared,
    store: S,
    guard: Guard<LogObserver<'static>>,
    rng: SplitMix64,
    plan: ShipperPlan,
}

impl<'s, S: EventStore> Shipper<'s, S> {
    pub(super) fn new(
        shared: &'s Shared,
        store: S,
        guard: Guard<LogObserver<'static>>,
        plan: ShipperPlan,
    ) -> Self {
        Self {
            shared,
            store,
            guard,
            rng: crate::entropy::generator(),
            plan,
        }
    }

    /// Ships the spool until the collector is shut down and the spool empty, or the store out of
    /// reach, or there is no more time.
    pub(super) fn ship_spool(&mut self) {
        let mut right = None;
        // The spool says itself, by the signals, that there is something.
        while let Some(errand) = self.next(|| Level::Empty) {
            if let Errand::Ship(patience) = errand
                && let Err(error) = self.one_of_spool(&mut right, patience)
            {
                log::error!(
                    target: Category::Persistence.target(),
                    reason = chain(&error);
                    "the spool cannot be read"
                );
                self.plan.on_barred(self.shared.clock.now());
            }
        }
        self.shared.signal(|signals| signals.shipper_ended = true);
    }

    /// One batch of the spool.
    fn one_of_spool(&mut self, right: &mut Option<ShipLock>, patience: Patience) -> Result<(), SpoolError> {
        let shared = self.shared;
        let taken = {
            let mut desk = shared.desk();
            if self.plan.is_last() {
                // What has left the spool made room.
                desk.write_rest(&shared.queue);
            }
            let Some(spool) = &mut desk.spool else {
                return Ok(());
            };
            if right.is_none() {
                *right = spool.ship_lock()?;
            }
            let taken = spool.peek()?;
            if taken.is_empty() {
                // Said while nothing can be put into the spool.
                shared.signal(|signals| signals.idle = true);
            }
            taken
        };
        let began = shared.clock.now();
        if taken.is_empty() {
            self.plan.on_empty(began);
        } else if right.is_none() {
            // Another process ships.
            self.plan.on_barred(began);
        } else {
            let sent = self.send(taken.events(), patience);
            let settled = match &mut shared.desk().spool {
                Some(spool) => spool.settle(&taken, sent.settled, &sent.dead),
                None => Ok(()),
            };
            self.heed(began, &sent);
            if sent.error.is_some() {
                // Another process may have a way to the store: a newer password, another network.
                *right = None;
            }
            settled?;
        }
        Ok(())
    }

    /// Ships what is in memory, until the collector is shut down and nothing is left, or the store out
    /// of reach, or there is no more time.
    pub(super) fn ship_memory(&mut self) {
        let shared = self.shared;
        // The last question before what is in hand was taken.
        let mut covered = 0;
        while let Some(errand) = self.next(|| shared.queue.level()) {
            match errand {
                Errand::Ship(patience) => self.one_of_memory(&mut covered, patience),
                Errand::Decline(asked) => {
                    let reason = "the store cannot be used".to_owned();
                    shared.signal(|signals| signals.on_failed(asked, reason));
                }
            }
        }
        shared.signal(|signals| signals.shipper_ended = true);
    }

    /// One batch of what is in memory.
    fn one_of_memory(&mut self, covered: &mut u64, patience: Patience) {
        let shared = self.shared;
        let batch = {
            let mut desk = shared.desk();
            if desk.is_clear() {
                *covered = shared.signal(|signals| signals.asked);
            }
            desk.take_batch(&shared.queue)
        };
        let began = shared.clock.now();
        if batch.is_empty() {
            self.plan.on_empty(began);
        } else {
            let sent = self.send(&batch, patience);
            for dead in &sent.dead {
                log::error!(
                    target: Category::Persistence.target(),
                    reason = dead.reason;
                    "the store refuses an event"
                );
            }
            shared.desk().settle(&shared.queue, batch, &sent);
            self.heed(began, &sent);
            if !shared.desk().is_clear() {
                return;
            }
        }
        shared.signal(|signals| signals.on_all_shipped(*covered));
    }

    fn next(&mut self, level: impl Fn() -> Level) -> Option<Errand> {
        let plan = &mut self.plan;
        self.shared.next(|signals, now| plan.next(signals, level(), now))
    }

    fn send(&mut self, events: &[Event], patience: Patience) -> Sent {
        let shared = self.shared;
        let mut wait = |span: Duration| {
            let until = shared.after(span);
            match shared.next(|signals, now| signals.stopped(until, now)) {
                Some(()) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        };
        let mut line = Line {
            store: &mut self.store,
            guard: &mut self.guard,
            clock: &shared.clock,
            rng: &mut self.rng,
            wait: &mut wait,
            attempts: 0,
            retries: 0,
        };
        send(&mut line, events, patience)
    }

    /// Learns from what became of a batch.
    fn heed(&mut self, began: Instant, sent: &Sent) {
        let within = self
            .plan
            .on_sent(self.shared.clock.now(), began, sent.error.as_ref());
        self.shared.signal(|signals| signals.out_of_reach = !within);
    }
}
