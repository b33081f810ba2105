//! What the two threads of a collector do next: decisions without a clock, a disk or a store.
//!
//! ```text
//! scribe
//!             due, asked, half full, closed
//!   Waiting ────────────────────────────────▶ Write ── it was closed ──▶ End
//!      ▲                                        │
//!      └────────────────────────────────────────┘
//!
//! shipper
//!             nothing there, or not ours
//!   Ship ────────────────────────────────────▶ Resting ── no more comes ──▶ End
//!    ▲ ▲                                        │
//!    │ └── something there, or after a second ──┘
//!    │        the store cannot be used
//!    ├────────────────────────────────────────▶ Out of reach ── closed, and asked once more ──▶ End
//!    └── its rest is over: one attempt ─────────┘
//!                                            told to stop, wherever it is ──▶ End
//! ```
//!
//! # How long an event is at risk
//! The scribe takes what is in memory when a write begins, and the next write begins half of `at_risk`
//! later, or when that one has ended. What was recorded just after the first is therefore on disk
//! after max(`at_risk` / 2, the first write) and the second write: within `at_risk`, where a write
//! takes no longer than half of that.

use std::time::Duration;

use crossbridge_core::{CallError, Instant};

use super::queue::Level;
use super::signals::{Next, Signals};
use crate::profiling::deliver::Patience;
use crate::profiling::reach::Reach;
use crate::profiling::settings::LEAST_AT_RISK;
use crate::profiling::store::StoreError;

/// What the thread between memory and spool does next.
#[derive(Debug)]
pub(super) struct ScribePlan {
    /// From the beginning of a write to that of the next one.
    period: Duration,
    due: Instant,
    /// The last question that a write has answered.
    answered: u64,
    /// The last write failed: then there is no hurry.
    failing: bool,
    /// A write has begun after the end.
    last: bool,
}

impl ScribePlan {
    pub(super) fn new(at_risk: Duration, now: Instant) -> Self {
        let period = half(at_risk);
        Self {
            period,
            due: now.saturating_add(period),
            answered: 0,
            failing: false,
            last: false,
        }
    }

    /// Whether to write now, and up to which question. The write has begun then: what was recorded
    /// until now will be in it.
    pub(super) fn next(&mut self, signals: &Signals, level: Level, now: Instant) -> Next<u64> {
        if self.last {
            return Next::End;
        }
        let pressed = level == Level::High && !self.failing;
        let due = level != Level::Empty && now >= self.due;
        if signals.closing || signals.asked > self.answered || pressed || due {
            self.due = now.saturating_add(self.period);
            self.answered = signals.asked;
            self.last = signals.closing;
            Next::Do(signals.asked)
        } else if now < self.due {
            Next::WaitUntil(self.due)
        } else {
            Next::WaitUntil(now.saturating_add(self.period))
        }
    }

    /// The write has ended.
    pub(super) const fn on_ended(&mut self, written: bool) {
        self.failing = !written;
    }
}

/// What the thread before the store does next.
#[derive(Debug)]
pub(super) struct ShipperPlan {
    reach: Reach,
    rest: Rest,
    /// How long nothing is looked for, where nobody says that there is something.
    look: Duration,
    /// There is no spool: whoever asks for a sync waits for the store.
    answers: bool,
    /// The attempt under way has begun after the end.
    last: bool,
    /// Such an attempt has failed: there is nothing to be waited for.
    failed_last: bool,
}

/// Why there is nothing to ship.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// There may be something.
    None,
    /// There was nothing, and is not until the signals say so.
    Empty { until: Instant },
    /// It cannot be had: another process ships, or the spool cannot be read.
    Barred { until: Instant },
}

/// What a shipper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Brings the next batch to the store.
    Ship(Patience),
    /// Tells those who ask, up to this question, that the store cannot be used.
    Decline(u64),
}

impl ShipperPlan {
    /// From the spool.
    pub(super) const fn of_spool() -> Self {
        Self::new(LOOK, false)
    }

    /// Straight from memory.
    pub(super) fn of_memory(at_risk: Duration) -> Self {
        Self::new(half(at_risk), true)
    }

    const fn new(look: Duration, answers: bool) -> Self {
        Self {
            reach: Reach::new(),
            rest: Rest::None,
            look,
            answers,
            last: false,
            failed_last: false,
        }
    }

    /// Where to go now. The errand has begun then.
    pub(super) fn next(&mut self, signals: &Signals, level: Level, now: Instant) -> Next<Errand> {
        if signals.stop {
            return Next::End;
        }
        if let (true, false, Some(asked)) = (self.answers, self.reach.is_within(), signals.unanswered()) {
            return Next::Do(Errand::Decline(asked));
        }
        // In memory a high level says what `idle` says of a spool.
        let called = !signals.idle || self.answers && level == Level::High;
        let until = match self.rest {
            Rest::Empty { until } if !called => Some(until),
            Rest::Barred { until } => Some(until),
            Rest::Empty { .. } | Rest::None => None,
        };
        // First what has come, then whether it was the last.
        match until {
            Some(_) if signals.last_is_here => return Next::End,
            Some(until) if now < until => return Next::WaitUntil(until),
            Some(_) | None => {}
        }
        let patience = match self.reach.ask(now) {
            Ok(patience) => patience,
            Err(_) if signals.closing && self.failed_last => return Next::End,
            // Once more, whatever was known of it.
            Err(_) if signals.closing => Patience::OneAttempt,
            Err(at) => return Next::WaitUntil(at),
        };
        self.rest = Rest::None;
        self.last = signals.closing;
        Next::Do(Errand::Ship(patience))
    }

    /// Whether the errand under way has begun after the end.
    pub(super) const fn is_last(&self) -> bool {
        self.last
    }

    /// There was none.
    pub(super) const fn on_empty(&mut self, now: Instant) {
        let until = now.saturating_add(self.look);
        self.rest = Rest::Empty { until };
    }

    /// It could not be had.
    pub(super) const fn on_barred(&mut self, now: Instant) {
        let until = now.saturating_add(LOOK);
        self.rest = Rest::Barred { until };
    }

    /// It was brought to the store from `began` to `now`; whether the store is within reach.
    pub(super) fn on_sent(
        &mut self,
        now: Instant,
        began: Instant,
        error: Option<&CallError<StoreError>>,
    ) -> bool {
        match error {
            None => self.reach.on_success(),
            Some(error) => {
                self.reach.on_failure(now, began, error);
                self.failed_last = self.last;
            }
        }
        self.reach.is_within()
    }
}

/// Half of what an event may be at risk. Nobody looks more often than twice a millisecond: a thread
/// that rests for nothing at all keeps a processor busy.
fn half(at_risk: Duration) -> Duration {
    at_risk.max(LEAST_AT_RISK) / 2
}

/// How often the spool is looked at for what other processes have put there: 1 s.
const LOOK: Duration = Duration::from_secs(1);
