//! What recorders and threads share, and how they wait for each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbridge_core::{Clock as _, Instant};

use super::account::Account;
use super::answer::NotDurable;
use super::desk::Desk;
use super::groups::Groups;
use super::queue::Queue;
use super::signals::{Next, Signals};
use crate::clock::SystemClock;
use crate::profiling::event::Event;
use crate::profiling::spool::Spool;

pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) groups: Groups,
    pub(super) clock: SystemClock,
    /// Held by whoever is the next one at the desk.
    turn: Mutex<()>,
    desk: Mutex<Desk<Spool>>,
    signals: Mutex<Signals>,
    /// Something has changed in the signals.
    changed: Condvar,
}

impl Shared {
    pub(super) fn new(queue: Queue, spool: Option<Spool>) -> Self {
        Self {
            queue,
            groups: Groups::default(),
            clock: SystemClock::new(),
            turn: Mutex::default(),
            desk: Mutex::new(Desk::new(spool)),
            signals: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The desk, in turns: a mutex alone lets whoever has just left it in again, before those who wait,
    /// and a scribe under full load would keep the shipper away for seconds.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk<Spool>> {
        let _turn = lock(&self.turn);
        lock(&self.desk)
    }

    /// Changes the signals and wakes those who wait for them.
    pub(super) fn signal<T>(&self, change: impl FnOnce(&mut Signals) -> T) -> T {
        let changed = change(&mut lock(&self.signals));
        self.changed.notify_all();
        changed
    }

    /// Wakes those who look at the queue: it is half full. Under the lock, so that nobody is between
    /// his look and his wait.
    pub(super) fn wake(&self) {
        self.signal(|_| ());
    }

    /// Waits until there is something to do; `None` at the end.
    pub(super) fn next<W>(&self, mut decide: impl FnMut(&Signals, Instant) -> Next<W>) -> Option<W> {
        let mut signals = lock(&self.signals);
        loop {
            let now = self.clock.now();
            let until = match decide(&signals, now) {
                Next::Do(work) => return Some(work),
                Next::End => return None,
                Next::WaitUntil(until) => until,
            };
            let woken = self
                .changed
                .wait_timeout(signals, until.saturating_duration_since(now));
            signals = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn after(&self, span: Duration) -> Instant {
        self.clock.now().saturating_add(span)
    }

    /// Waits until everything recorded so far is on disk.
    pub(super) fn wait_for_sync(&self, until: Instant) -> Result<(), NotDurable> {
        let ticket = self.signal(Signals::ask);
        self.next(|signals, now| signals.answer(ticket, until, now))
            .unwrap_or(Err(NotDurable::TooLate))
    }

    /// Waits until nothing is left to ship, or nothing can be.
    pub(super) fn wait_until_shipped(&self, until: Instant) {
        self.next(|signals, now| signals.shipped(until, now));
    }

    /// Waits for the shipper to end by itself, then tells it to; whether it has.
    pub(super) fn wait_for_shipper(&self, until: Instant) -> bool {
        let by_itself = self.next(|signals, now| signals.ended(until, now)).is_some();
        self.signal(|signals| signals.stop = true);
        // It settles what it has just shipped, unless it is inside an attempt.
        let until = self.after(SETTLE);
        by_itself || self.next(|signals, now| signals.ended(until, now)).is_some()
    }

    /// Where everything is, at one moment.
    pub(super) fn account(&self) -> Account {
        self.desk().account(&self.queue)
    }

    /// Where everything is at the end, and what is still in memory.
    pub(super) fn end(&self) -> (Account, Vec<Event>) {
        let mut desk = self.desk();
        (desk.account(&self.queue), desk.take_rest(&self.queue))
    }
}

/// The lock, also after a panic of somebody who held it: every change behind it is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a shipper that was told to stop gets for its last step.
pub(super) const SETTLE: Duration = Duration::from_millis(200);
