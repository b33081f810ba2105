//! What recorders and threads tell each other, and what they do next.
//!
//! Nobody here waits or reads a clock: a decision is a function of the signals and of `now`, and says
//! until when there is nothing to do. Whoever asks waits for that instant or for a change of the
//! signals, and asks again ([`Shared::next`](super::shared::Shared::next)).

use crossbridge_core::Instant;

use super::answer::NotDurable;

/// What somebody who looks at the signals does next.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next<W> {
    /// This, now.
    Do(W),
    /// Nothing until then, unless the signals change.
    WaitUntil(Instant),
    /// Nothing more.
    End,
}

/// Numbers and flags that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Syncs asked for so far, those that were done, and those that were tried in vain.
    pub(super) asked: u64,
    done: u64,
    failed: u64,
    /// Why the last one failed.
    reason: Option<String>,
    /// The spool was found empty, or what was in memory is in the store.
    pub(super) idle: bool,
    /// There is nothing to wait for until the store is back.
    pub(super) out_of_reach: bool,
    /// No more events come in.
    pub(super) closing: bool,
    /// No more events come to whoever ships.
    pub(super) last_is_here: bool,
    /// Whoever ships should stop.
    pub(super) stop: bool,
    pub(super) shipper_ended: bool,
}

impl Signals {
    /// Asks for everything recorded so far to be brought to disk.
    pub(super) const fn ask(&mut self) -> Ticket {
        self.asked += 1;
        self.idle = false;
        Ticket(self.asked)
    }

    /// The last question that nobody has answered.
    pub(super) const fn unanswered(&self) -> Option<u64> {
        if self.asked > self.done && self.asked > self.failed {
            Some(self.asked)
        } else {
            None
        }
    }

    /// All questions up to this one are answered: it is on disk.
    pub(super) const fn on_done(&mut self, asked: u64) {
        self.done = asked;
    }

    /// The same, and nothing is left to ship, unless somebody has asked since: he has recorded something
    /// before.
    pub(super) const fn on_all_shipped(&mut self, asked: u64) {
        self.on_done(asked);
        self.idle = self.asked == asked;
    }

    /// They were tried in vain.
    pub(super) fn on_failed(&mut self, asked: u64, reason: String) {
        self.failed = asked;
        self.reason = Some(reason);
    }

    /// No more events come in; what is there is asked for.
    pub(super) const fn close(&mut self) {
        self.closing = true;
        let _ = self.ask();
    }

    /// Nobody works any more: whoever asks from now on is answered at once, as is whoever waits.
    pub(super) fn end(&mut self, nothing_left: bool) {
        self.out_of_reach = true;
        if nothing_left {
            self.on_done(u64::MAX);
        } else {
            self.on_failed(u64::MAX, "the collector was shut down".to_owned());
        }
    }

    /// For whoever has asked: the answer, until then.
    pub(super) fn answer(
        &self,
        Ticket(ticket): Ticket,
        until: Instant,
        now: Instant,
    ) -> Next<Result<(), NotDurable>> {
        if self.done >= ticket {
            Next::Do(Ok(()))
        } else if self.failed >= ticket {
            let reason = self.reason.clone().unwrap_or_default();
            Next::Do(Err(NotDurable::InMemory(reason)))
        } else {
            wait(until, now)
        }
    }

    /// For whoever waits until nothing is left to ship, or nothing can be.
    pub(super) fn shipped(&self, until: Instant, now: Instant) -> Next<()> {
        if self.idle || self.out_of_reach {
            Next::Do(())
        } else {
            wait(until, now)
        }
    }

    /// For whoever lets a span pass before the next attempt.
    pub(super) fn stopped(&self, until: Instant, now: Instant) -> Next<()> {
        if self.stop { Next::Do(()) } else { wait(until, now) }
    }

    /// For whoever waits until nobody ships any more.
    pub(super) fn ended(&self, until: Instant, now: Instant) -> Next<()> {
        if self.shipper_ended {
            Next::Do(())
        } else {
            wait(until, now)
        }
    }
}

fn wait<W>(until: Instant, now: Instant) -> Next<W> {
    if now < until {
        Next::WaitUntil(until)
    } else {
        Next::End
    }
}

/// A question for a sync.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);
