//! Questions to a store with an enforced timeout.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::profiling::store::{EventStore, LazyStore, StoreError};

/// Asks a store from a thread of its own, so that whoever asks gets an answer in time: that of the
/// store, or that there is none. While the store keeps its thread, further questions are not put.
#[derive(Debug)]
pub struct Prober {
    questions: Sender<Question>,
    /// A question is not answered yet.
    busy: Arc<AtomicBool>,
}

enum Question {
    Check(Sender<Result<(), StoreError>>),
    Count(Sender<Result<u64, StoreError>>),
}

/// Why a store has not said what it was asked.
#[derive(Debug)]
pub enum NoAnswer {
    /// It failed.
    Failed(StoreError),
    /// It has not answered in time.
    TimedOut(Duration),
    /// It has not answered an earlier question yet.
    StillBusy,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The same sentence: it says what was done.
            Self::Failed(error) => write!(f, "{error}"),
            Self::TimedOut(after) => write!(f, "no answer within {after:?}"),
            Self::StillBusy => f.write_str("no answer to an earlier question yet"),
        }
    }
}

impl std::error::Error for NoAnswer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::TimedOut(_) | Self::StillBusy => None,
        }
    }
}

impl Prober {
    /// Starts the thread. The store is opened by the first question; each attempt of it is told to
    /// take `timeout` at most.
    ///
    /// # Errors
    /// There is no thread.
    pub fn start<S, F>(timeout: Duration, open: F) -> io::Result<Self>
    where
        S: EventStore + 'static,
        F: FnMut(Option<Duration>) -> Result<S, StoreError> + Send + 'static,
    {
        let (questions, inbox) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&busy);
        thread::Builder::new()
            .name("crossbridge-prober".to_owned())
            // Made there: a store stays in the thread that opened it.
            .spawn(move || answer(LazyStore::new(open), timeout, &inbox, &asked))?;
        Ok(Self { questions, busy })
    }

    /// Whether the store is there and takes writes.
    ///
    /// # Errors
    /// It is not, or does not say so within `timeout`.
    pub fn check(&self, timeout: Duration) -> Result<(), NoAnswer> {
        self.ask(timeout, Question::Check)
    }

    /// How many events the store has.
    ///
    /// # Errors
    /// It does not say so within `timeout`.
    pub fn count(&self, timeout: Duration) -> Result<u64, NoAnswer> {
        self.ask(timeout, Question::Count)
    }

    #[cfg(test)]
    pub(super) fn busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    fn ask<T>(
        &self,
        timeout: Duration,
        question: impl FnOnce(Sender<Result<T, StoreError>>) -> Question,
    ) -> Result<T, NoAnswer> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(NoAnswer::StillBusy);
        }
        let (answer, told) = channel();
        if self.questions.send(question(answer)).is_err() {
            return Err(NoAnswer::StillBusy);
        }
        match told.recv_timeout(timeout) {
            Ok(answer) => answer.map_err(NoAnswer::Failed),
            Err(RecvTimeoutError::Timeout) => Err(NoAnswer::TimedOut(timeout)),
            // Its thread has ended, by a panic: nobody will answer any more.
            Err(RecvTimeoutError::Disconnected) => Err(NoAnswer::StillBusy),
        }
    }
}

fn answer(mut store: impl EventStore, timeout: Duration, inbox: &Receiver<Question>, busy: &AtomicBool) {
    for question in inbox {
        // Free before the answer is told, so that whoever has it may ask again. Whoever has asked
        // may have gone: it was too late.
        match question {
            Question::Check(to) => {
                let answer = store.check(Some(timeout));
                busy.store(false, Ordering::Release);
                let _ = to.send(answer);
            }
            Question::Count(to) => {
                let answer = store.count();
                busy.store(false, Ordering::Release);
                let _ = to.send(answer);
            }
        }
    }
}
