//! What happened, as data.
//!
//! A guard tells its [`Observer`] every decision as a closed [`Event`]: logs, metrics, traces and
//! reports are observers of it. The unit type observes nothing and costs nothing.
//!
//! | event | when |
//! |---|---|
//! | [`AttemptStarted`](Event::AttemptStarted) | an attempt was admitted by breaker, limiter and bulkhead |
//! | [`AttemptEnded`](Event::AttemptEnded) | its outcome was reported |
//! | [`RetryScheduled`](Event::RetryScheduled) | a failure will be tried again, and when |
//! | [`WaitingForLimit`](Event::WaitingForLimit) | the limiter has no permit and the call waits for one |
//! | [`BreakerChanged`](Event::BreakerChanged) | the circuit opened, half opened or closed |
//! | [`HealthChanged`](Event::HealthChanged) | the target's health changed |
//! | [`CallEnded`](Event::CallEnded) | the call is over, once for every call |

use core::time::Duration;

use crate::breaker::BreakerState;
use crate::fault::FaultKind;
use crate::guard::Verdict;
use crate::health::Health;
use crate::time::Instant;

#[cfg(feature = "defmt")]
mod defmt_observer;
#[cfg(feature = "log")]
mod log_observer;

#[cfg(feature = "defmt")]
pub use defmt_observer::DefmtObserver;
#[cfg(feature = "log")]
pub use log_observer::LogObserver;

/// One thing a guard decided or learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Event {
    /// An attempt may be sent.
    AttemptStarted {
        /// 1 for the first.
        number: u32,
    },
    /// An attempt's outcome is known.
    AttemptEnded {
        /// 1 for the first.
        number: u32,
        /// `None` when it succeeded or ended neutrally.
        fault: Option<FaultKind>,
        /// From its start to its outcome.
        took: Duration,
    },
    /// A failed attempt will be followed by another.
    RetryScheduled {
        /// The number of the attempt to come.
        number: u32,
        /// When it is due.
        at: Instant,
        /// What the last one met.
        fault: FaultKind,
    },
    /// No permit now; the call waits for one.
    WaitingForLimit {
        /// When it asks again.
        until: Instant,
    },
    /// The circuit changed its state.
    BreakerChanged {
        /// Before.
        from: BreakerState,
        /// After.
        to: BreakerState,
    },
    /// The target's health changed.
    HealthChanged {
        /// Before.
        from: Health,
        /// After.
        to: Health,
    },
    /// The call is over.
    CallEnded {
        /// How.
        verdict: Verdict,
        /// Attempts sent.
        attempts: u32,
        /// From the call's begin to its end, waits included.
        took: Duration,
    },
}

/// Somebody who is told. Shared by reference, so that one observer can serve many guards.
pub trait Observer {
    /// `event` happened at `now`. Called in the middle of a decision: be quick, and call no guard.
    fn on_event(&self, now: Instant, event: &Event);
}

impl Observer for () {
    #[inline]
    fn on_event(&self, _: Instant, _: &Event) {}
}

impl<O: Observer + ?Sized> Observer for &O {
    fn on_event(&self, now: Instant, event: &Event) {
        (**self).on_event(now, event);
    }
}

/// Both are told, the first one first.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn on_event(&self, now: Instant, event: &Event) {
        self.0.on_event(now, event);
        self.1.on_event(now, event);
    }
}
