//! The two threads of a collector as actors.

use std::sync::Arc;
use std::time::Duration;

use crossbridge_core::{CallError, Instant, StopReason};

use super::super::super::plan::Errand;
use super::super::super::signals::Next;
use super::model::{Weather, is_poison, long, number};
use super::{Place, World};
use crate::profiling::Event;
use crate::profiling::deliver::Patience;
use crate::profiling::ingest::BATCH_EVENTS;
use crate::profiling::spool::{Dead, Sent, Shipped};
use crate::profiling::store::StoreError;

/// Under way between memory and spool.
pub(super) struct Write {
    asked: u64,
    /// What came since the last write is in it.
    taken: bool,
    began: Instant,
}

/// Under way to the store.
pub(super) struct Send {
    began: Instant,
    /// Of memory; those of the spool are there.
    batch: Arc<Vec<Event>>,
    ids: Vec<u32>,
}

impl World {
    pub(super) fn scribe_moves(&mut self) -> bool {
        if let Some(job) = self.scribe.1.through(self.now) {
            self.scribe.1 = Place::Ended;
            let before = self.desk.spool.as_ref().map_or(0, |spool| spool.given.len());
            match self.desk.write_part(&self.queue) {
                Ok(_) => {
                    self.signal(|signals| signals.idle = false);
                    self.check_risk(before, &job);
                    self.write_on(job);
                }
                Err(error) => self.written(&job, Err(error.to_string())),
            }
            return true;
        }
        if !self.scribe.1.looks(self.now, self.changes) {
            return false;
        }
        let level = self.queue.level();
        match self.scribe.0.next(&self.signals, level, self.now) {
            Next::Do(asked) => {
                let began = self.now;
                self.write_on(Write {
                    asked,
                    taken: false,
                    began,
                });
            }
            Next::WaitUntil(until) => {
                let seen = self.changes;
                self.scribe.1 = Place::Sleeps { until, seen };
                return false;
            }
            Next::End => self.scribe.1 = Place::Ended,
        }
        true
    }

    /// The next part of a write, or its end.
    fn write_on(&mut self, mut job: Write) {
        if self.desk.is_clear() && !job.taken {
            self.desk.take(&self.queue);
            job.taken = true;
        }
        if self.desk.is_clear() {
            self.written(&job, Ok(()));
        } else {
            let until = self.now.saturating_add(self.write_takes);
            self.scribe.1 = Place::Works { until, job };
        }
    }

    fn written(&mut self, job: &Write, done: Result<(), String>) {
        let long = self.now.saturating_duration_since(job.began) > self.settings.at_risk / 2;
        if long || done.is_err() {
            self.bad_until = Some(self.now);
        }
        self.scribe.0.on_ended(done.is_ok());
        self.signal(|signals| {
            signals.idle = false;
            match done {
                Ok(()) => signals.on_done(job.asked),
                Err(reason) => signals.on_failed(job.asked, reason),
            }
        });
        self.scribe.1 = Place::Looks;
    }

    /// What has just reached the disk was not at risk for too long, where the disk has kept up.
    fn check_risk(&self, before: usize, job: &Write) {
        if self.now.saturating_duration_since(job.began) > self.settings.at_risk / 2 {
            return;
        }
        let given = self
            .desk
            .spool
            .as_ref()
            .map_or(&[][..], |spool| &spool.given[before..]);
        for id in given {
            let recorded = self.accepted[*id as usize];
            let at_risk = self.now.saturating_duration_since(recorded);
            let excused = self.bad_until.is_some_and(|bad| recorded <= bad);
            assert!(
                excused || at_risk <= self.settings.at_risk,
                "{id} was at risk for {at_risk:?}"
            );
        }
    }

    pub(super) fn shipper_moves(&mut self) -> bool {
        if let Some(job) = self.shipper.1.through(self.now) {
            self.sent(job);
            return true;
        }
        if !self.shipper.1.looks(self.now, self.changes) {
            return false;
        }
        let level = self.queue.level();
        match self.shipper.0.next(&self.signals, level, self.now) {
            Next::Do(Errand::Ship(patience)) => self.ship(patience),
            Next::Do(Errand::Decline(asked)) => {
                self.signal(|signals| signals.on_failed(asked, "out of reach".to_owned()));
            }
            Next::WaitUntil(until) => {
                let seen = self.changes;
                self.shipper.1 = Place::Sleeps { until, seen };
                return false;
            }
            Next::End => {
                self.shipper.1 = Place::Ended;
                self.signal(|signals| signals.shipper_ended = true);
            }
        }
        true
    }

    fn ship(&mut self, patience: Patience) {
        self.shipper.1 = Place::Looks;
        if self.shipper.0.is_last() && self.desk.spool.is_some() {
            self.desk.write_rest(&self.queue);
        }
        let mut batch = Arc::default();
        let ids: Vec<u32> = match &self.desk.spool {
            Some(spool) => spool.waiting.iter().take(BATCH_EVENTS).copied().collect(),
            None => {
                if self.desk.is_clear() {
                    self.covered = self.signals.asked;
                }
                batch = self.desk.take_batch(&self.queue);
                batch.iter().map(number).collect()
            }
        };
        if ids.is_empty() {
            let covered = self.covered;
            let spool = self.desk.spool.is_some();
            self.shipper.0.on_empty(self.now);
            self.signal(|signals| {
                if spool {
                    signals.idle = true;
                } else {
                    signals.on_all_shipped(covered);
                }
            });
        } else if self.barred && self.desk.spool.is_some() {
            self.shipper.0.on_barred(self.now);
        } else {
            let attempts = if patience == Patience::Policies { 3 } else { 1 };
            let takes = match self.weather {
                Weather::Up | Weather::Half | Weather::Forgets => Duration::from_millis(5),
                Weather::Down => Duration::from_millis(20) * attempts,
                Weather::Hangs => Duration::from_secs(10) * attempts,
            };
            let began = self.now;
            let until = began.saturating_add(takes);
            let job = Send { began, batch, ids };
            self.shipper.1 = Place::Works { until, job };
        }
    }

    fn sent(&mut self, job: Send) {
        let (stored, settled) = match self.weather {
            Weather::Up => (job.ids.len(), job.ids.len()),
            Weather::Half => (job.ids.len() / 2, job.ids.len() / 2),
            Weather::Forgets => (job.ids.len(), 0),
            Weather::Down | Weather::Hangs => (0, 0),
        };
        let (mut dead, mut shipped) = (Vec::new(), Shipped::default());
        for (place, id) in job.ids.iter().enumerate().take(stored) {
            if is_poison(*id) {
                let reason = String::new();
                dead.push(Dead { place, reason });
            } else {
                *self.store.has.entry(*id).or_default() += 1;
            }
        }
        dead.retain(|dead| dead.place < settled);
        let refused = dead.iter().map(|dead| job.ids[dead.place]);
        self.store.refused.extend(refused);
        shipped.refused = long(dead.len());
        let error = (settled < job.ids.len()).then(|| CallError {
            last: None::<StoreError>,
            reason: StopReason::GaveUp,
            attempts: 1,
            slept: Duration::ZERO,
        });
        let within = self.shipper.0.on_sent(self.now, job.began, error.as_ref());
        if let Some(spool) = &mut self.desk.spool {
            spool.settle(settled, &dead);
        } else {
            let sent = Sent {
                settled,
                dead,
                shipped,
                error,
            };
            self.desk.settle(&self.queue, job.batch, &sent);
        }
        self.signal(|signals| signals.out_of_reach = !within);
        if self.desk.spool.is_none() && self.desk.is_clear() {
            let covered = self.covered;
            self.signal(|signals| signals.on_all_shipped(covered));
        }
    }
}
