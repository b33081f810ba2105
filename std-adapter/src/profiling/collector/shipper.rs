//! The thread that brings events to the store: from the spool, or straight from memory.

use std::ops::ControlFlow;
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::event::LogObserver;
use crossbridge_core::{Clock, Guard};

use super::desk::weight;
use super::shared::{Shared, Signals};
use crate::clock::SystemClock;
use crate::logging::Category;
use crate::profiling::deliver::{Line, Patience};
use crate::profiling::event::Event;
use crate::profiling::ingest::BATCH_EVENTS;
use crate::profiling::reach::Reach;
use crate::profiling::spool::{Sent, ShipLock, SpoolError, chain, send};
use crate::profiling::store::EventStore;

pub(super) struct Shipper<'s, S> {
    shared: &'s Shared,
    store: S,
    guard: Guard<LogObserver<'static>>,
    clock: SystemClock,
    rng: SplitMix64,
    reach: Reach,
    /// The last word of a store that is out of reach, after the collector was closed.
    asked_last: bool,
}

impl<'s, S: EventStore> Shipper<'s, S> {
    pub(super) fn new(
        shared: &'s Shared,
        store: S,
        guard: Guard<LogObserver<'static>>,
        clock: SystemClock,
    ) -> Self {
        Self {
            shared,
            store,
            guard,
            clock,
            rng: crate::entropy::generator(),
            reach: Reach::new(),
            asked_last: false,
        }
    }

    /// Ships the spool until the collector is shut down and the spool empty, or the store out of
    /// reach, or there is no more time.
    pub(super) fn ship_spool(&mut self) {
        let mut right = None;
        while !self.told_to_stop() {
            match self.next_of_spool(&mut right) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(error) => {
                    log::error!(
                        target: Category::Persistence.target(),
                        reason = chain(&error);
                        "the spool cannot be read"
                    );
                    if self.rest(LOOK).is_break() {
                        break;
                    }
                }
            }
        }
        self.shared.signal(|signals| signals.shipper_ended = true);
    }

    /// One batch, or one wait.
    fn next_of_spool(&mut self, right: &mut Option<ShipLock>) -> Result<ControlFlow<()>, SpoolError> {
        let Some(patience) = self.may_ask() else {
            return Ok(self.rest_for_store());
        };
        let taken = {
            let mut desk = self.shared.desk();
            let Some(spool) = &mut desk.spool else {
                return Ok(ControlFlow::Break(()));
            };
            if right.is_none() {
                *right = spool.ship_lock()?;
            }
            let taken = spool.peek()?;
            if taken.is_empty() {
                // Said while nothing can be put into the spool.
                self.shared.signal(|signals| signals.idle = true);
            }
            taken
        };
        if taken.is_empty() {
            return Ok(self.rest_until_there_is_more());
        }
        if right.is_none() {
            // Another process ships.
            return Ok(self.rest(LOOK));
        }
        let began = self.clock.now();
        let sent = self.send(taken.events(), patience);
        if let Some(spool) = &mut self.shared.desk().spool {
            spool.settle(&taken, sent.settled, &sent.dead)?;
        }
        self.heed(began, &sent);
        Ok(ControlFlow::Continue(()))
    }

    /// Ships what is in memory, until the collector is shut down.
    pub(super) fn ship_memory(&mut self, at_risk: Duration) {
        loop {
            let asked = self.shared.wait(at_risk / 2, |signals| {
                (signals.asked > signals.done.max(signals.failed) || signals.stop).then_some(signals.asked)
            });
            let Some(patience) = self.may_ask() else {
                if let Some(asked) = asked {
                    self.answer(asked, false);
                }
                if self.rest_for_store().is_break() {
                    break;
                }
                continue;
            };
            let done = self.empty_memory(patience);
            let closing = self.shared.wait(Duration::ZERO, |signals| Some(signals.closing)) == Some(true);
            if let Some(asked) = asked {
                self.answer(asked, done);
            }
            if self.told_to_stop() || closing && (done || self.asked_last) {
                break;
            }
            self.asked_last |= closing;
        }
        self.shared.signal(|signals| signals.shipper_ended = true);
    }

    /// Whether everything that was in memory is in the store.
    fn empty_memory(&mut self, mut patience: Patience) -> bool {
        loop {
            let batch = {
                let mut desk = self.shared.desk();
                if desk.in_hand.is_empty() {
                    let mut taken = std::mem::take(&mut desk.in_hand);
                    self.shared.queue.take(&mut taken);
                    desk.in_hand = taken;
                }
                let most = desk.in_hand.len().min(BATCH_EVENTS);
                let batch: Vec<Event> = desk.in_hand.drain(..most).collect();
                desk.in_flight = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                batch
            };
            if batch.is_empty() {
                self.shared.signal(|signals| signals.idle = true);
                return true;
            }
            let began = self.clock.now();
            let sent = self.send(&batch, patience);
            let (settled, rest) = batch.split_at(sent.settled.min(batch.len()));
            let (events, bytes) = weight(settled);
            {
                let mut desk = self.shared.desk();
                desk.in_flight = 0;
                desk.handed_over += events;
                desk.dead += sent.shipped.refused;
                desk.stored += events - sent.shipped.refused;
                desk.in_hand.splice(..0, rest.iter().cloned());
            }
            self.shared.queue.release(events, bytes);
            for dead in &sent.dead {
                log::error!(
                    target: Category::Persistence.target(),
                    reason = dead.reason;
                    "the store refuses an event"
                );
            }
            self.heed(began, &sent);
            if sent.error.is_some() {
                return false;
            }
            patience = Patience::Policies;
        }
    }

    /// Answers those who wait for a sync without a spool.
    fn answer(&self, asked: u64, done: bool) {
        self.shared.signal(|signals| {
            if done {
                signals.done = asked;
            } else {
                signals.failed = asked;
                signals.reason = Some("the store cannot be used".to_owned());
            }
        });
    }

    fn send(&mut self, events: &[Event], patience: Patience) -> Sent {
        let shared = self.shared;
        let mut wait = |span: Duration| {
            let stopped = shared.wait(span, |signals| signals.stop.then_some(()));
            if stopped.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut line = Line {
            store: &mut self.store,
            guard: &mut self.guard,
            clock: &self.clock,
            rng: &mut self.rng,
            wait: &mut wait,
            attempts: 0,
            retries: 0,
        };
        send(&mut line, events, patience)
    }

    /// Learns from what became of a batch.
    fn heed(&mut self, began: crossbridge_core::Instant, sent: &Sent) {
        match &sent.error {
            None => self.reach.on_success(),
            Some(error) => self.reach.on_failure(self.clock.now(), began, error),
        }
        let out_of_reach = !self.reach.is_within();
        self.shared.signal(|signals| signals.out_of_reach = out_of_reach);
    }

    /// How patiently the store may be asked now. After the collector was closed it is asked once
    /// more, whatever was known of it.
    fn may_ask(&mut self) -> Option<Patience> {
        let closing = self.shared.wait(Duration::ZERO, |signals| Some(signals.closing)) == Some(true);
        match self.reach.ask(self.clock.now()) {
            Ok(patience) => Some(patience),
            Err(_) if closing && !self.asked_last => {
                self.asked_last = true;
                Some(Patience::OneAttempt)
            }
            Err(_) => None,
        }
    }

    /// Waits until the store is worth asking again; breaks where that is not to be waited for.
    fn rest_for_store(&self) -> ControlFlow<()> {
        let span = self.reach.poll_at().map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(self.clock.now())
        });
        let last = self.asked_last;
        let ended = self.shared.wait(span, |signals| {
            // Closed: asked once more, and then there is nothing to be waited for.
            (signals.stop || signals.closing).then_some(signals.stop || last)
        });
        match ended {
            Some(true) => ControlFlow::Break(()),
            Some(false) | None => ControlFlow::Continue(()),
        }
    }

    /// Waits for something to ship; breaks where nothing more can come.
    fn rest_until_there_is_more(&self) -> ControlFlow<()> {
        self.rest_unless(LOOK, |signals| !signals.idle)
    }

    /// Waits; breaks at the end.
    fn rest(&self, span: Duration) -> ControlFlow<()> {
        self.rest_unless(span, |_| false)
    }

    fn rest_unless(&self, span: Duration, wakes: impl Fn(&Signals) -> bool) -> ControlFlow<()> {
        let ended = self.shared.wait(span, |signals| {
            if signals.stop {
                return Some(true);
            }
            // First what the scribe has brought, then whether it was the last.
            wakes(signals)
                .then_some(false)
                .or(signals.scribe_ended.then_some(true))
        });
        match ended {
            Some(true) => ControlFlow::Break(()),
            Some(false) | None => ControlFlow::Continue(()),
        }
    }

    fn told_to_stop(&self) -> bool {
        self.shared.wait(Duration::ZERO, |signals| Some(signals.stop)) == Some(true)
    }
}

/// How often the spool is looked at for what other processes have put there.
const LOOK: Duration = Duration::from_secs(1);
