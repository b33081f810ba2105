//! What recorders and threads tell each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbridge_core::{Clock, Instant};

use super::NotDurable;
use super::account::Account;
use super::desk::Desk;
use super::groups::Groups;
use super::queue::Queue;
use crate::clock::SystemClock;
use crate::profiling::event::Event;
use crate::profiling::spool::Spool;

pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) groups: Groups,
    desk: Mutex<Desk>,
    signals: Mutex<Signals>,
    /// Something has changed in the signals.
    changed: Condvar,
    clock: SystemClock,
}

/// Numbers and flags that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Syncs asked for so far, those that were done, and those that were tried in vain.
    pub(super) asked: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    /// Why the last one failed.
    pub(super) reason: Option<String>,
    /// The spool was found empty, or what was in memory is in the store.
    pub(super) idle: bool,
    /// There is nothing to wait for until the store is back.
    pub(super) out_of_reach: bool,
    /// No more events come in.
    pub(super) closing: bool,
    /// No more events come into the spool.
    pub(super) scribe_ended: bool,
    /// Whoever ships should stop.
    pub(super) stop: bool,
    pub(super) shipper_ended: bool,
}

impl Shared {
    pub(super) fn new(queue: Queue, desk: Desk) -> Self {
        Self {
            queue,
            groups: Groups::default(),
            desk: Mutex::new(desk),
            signals: Mutex::default(),
            changed: Condvar::new(),
            clock: SystemClock::new(),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Changes the signals and wakes those who wait for them.
    pub(super) fn signal(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut lock(&self.signals));
        self.changed.notify_all();
    }

    /// Wakes the thread that empties the queue. It may come a moment too early and be missed, then
    /// the thread wakes by itself a little later.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits until the signals are as wanted, for `most` at most; the answer of the last look.
    pub(super) fn wait<T>(
        &self,
        most: Duration,
        mut wanted: impl FnMut(&mut Signals) -> Option<T>,
    ) -> Option<T> {
        let began = self.clock.now();
        let mut signals = lock(&self.signals);
        loop {
            let answer = wanted(&mut signals);
            let left = self.left(began, most);
            if answer.is_some() || left.is_zero() {
                return answer;
            }
            signals = self
                .changed
                .wait_timeout(signals, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn left(&self, began: Instant, most: Duration) -> Duration {
        most.saturating_sub(self.clock.now().saturating_duration_since(began))
    }

    /// Waits until everything recorded so far is on disk.
    pub(super) fn wait_for_sync(&self, deadline: Duration) -> Result<(), NotDurable> {
        let mut ticket = 0;
        self.signal(|signals| {
            signals.asked += 1;
            signals.idle = false;
            ticket = signals.asked;
        });
        let waited = self.wait(deadline, |signals| {
            if signals.done >= ticket {
                return Some(Ok(()));
            }
            (signals.failed >= ticket).then(|| {
                let reason = signals.reason.clone().unwrap_or_default();
                Err(NotDurable::InMemory(reason))
            })
        });
        waited.unwrap_or(Err(NotDurable::TooLate))
    }

    /// Waits until nothing is left to ship, or nothing can be.
    pub(super) fn wait_until_shipped(&self, deadline: Duration) {
        self.wait(deadline, |signals| {
            (signals.idle || signals.out_of_reach).then_some(())
        });
    }

    pub(super) fn close(&self) {
        self.signal(|signals| {
            signals.closing = true;
            signals.asked += 1;
        });
    }

    pub(super) fn scribe_has_ended(&self) {
        self.signal(|signals| signals.scribe_ended = true);
    }

    /// Waits for the shipper to end by itself, then tells it to; whether it has.
    pub(super) fn wait_for_shipper(&self, deadline: Duration) -> bool {
        let ended = |signals: &mut Signals| signals.shipper_ended.then_some(());
        let by_itself = self.wait(deadline, ended).is_some();
        self.signal(|signals| signals.stop = true);
        // It settles what it has just shipped, unless it is inside an attempt.
        by_itself || self.wait(SETTLE, ended).is_some()
    }

    /// Where everything is, at one moment.
    pub(super) fn account(&self) -> Account {
        let mut desk = self.desk();
        let tally = self.queue.tally();
        let in_hand = u64::try_from(desk.in_hand.len()).unwrap_or(u64::MAX);
        let in_memory = tally.waiting + in_hand + desk.in_flight;
        let mut account = Account {
            accepted: in_memory + tally.dropped,
            in_memory,
            lost: tally.dropped,
            recorded: tally.recorded + desk.kept,
            handed_over: desk.handed_over + desk.kept,
            dropped: tally.dropped,
            stored: desk.stored,
            dead_lettered: desk.dead,
            ..Account::default()
        };
        match desk.spool.as_mut().map(Spool::counts) {
            // What was purged is nobody's any more.
            Some(Ok(counts)) => {
                account.accepted += counts.accepted - counts.purged;
                account.stored = counts.stored;
                account.spooled = counts.spooled;
                account.dead_lettered = counts.dead_letters;
                account.lost += counts.lost;
            }
            // A spool that cannot be read still has what it was given.
            Some(Err(_)) => {
                account.accepted += desk.handed_over + desk.kept;
                account.spooled = desk.handed_over + desk.kept;
            }
            None => account.accepted += desk.handed_over,
        }
        account
    }

    /// What is still in memory.
    pub(super) fn take_rest(&self) -> Vec<Event> {
        let mut desk = self.desk();
        let mut rest = std::mem::take(&mut desk.in_hand);
        self.queue.take(&mut rest);
        rest
    }
}

/// The lock, also after a panic of somebody who held it: every change behind it is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a shipper that was told to stop gets for its last step.
const SETTLE: Duration = Duration::from_millis(200);
