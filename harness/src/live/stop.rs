//! Waiting that somebody can end.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbridge_core::{Clock, Instant};
use crossbridge_std::clock::SystemClock;

/// Ends a run early: whoever waits is woken, and nothing new begins.
#[derive(Debug, Default)]
pub struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Running,
    /// The run itself cannot go on.
    GivenUp,
    /// Somebody said so.
    Stopped,
}

impl Stop {
    /// Ends the run: it says that it was stopped.
    pub fn stop(&self) {
        *lock(&self.state) = State::Stopped;
        self.changed.notify_all();
    }

    /// Ends the run because of an error, which is told elsewhere.
    pub(super) fn give_up(&self) {
        let mut state = lock(&self.state);
        if *state == State::Running {
            *state = State::GivenUp;
        }
        self.changed.notify_all();
    }

    /// Whether somebody has stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *lock(&self.state) == State::Stopped
    }

    /// Whether it ends early, for whatever reason.
    pub(super) fn is_over(&self) -> bool {
        *lock(&self.state) != State::Running
    }

    /// Waits until `until`, or less where the run ends early: then the answer is false.
    pub(super) fn wait(&self, clock: &SystemClock, until: Instant) -> bool {
        let mut state = lock(&self.state);
        loop {
            if *state != State::Running {
                return false;
            }
            let left = until.saturating_duration_since(clock.now());
            if left.is_zero() {
                return true;
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a panic under a lock of this module leaves behind is still whole, and the panic goes on
/// elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
