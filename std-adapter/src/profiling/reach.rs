//! Whether a store can be used, and when to ask it again.
//!
//! ```text
//!            a call failed, however often the guard tried
//!   Within ─────────────────────────────────────────────▶ Out { ask_at, rest }
//!     ▲                                                     │        ▲
//!     └──────────── one attempt succeeded ──────────────────┤        │
//!                                                           └────────┘
//!                                           one attempt failed: a longer rest
//! ```
//!
//! # Rules
//! - While the store is within reach, a write gets all the patience of the guard's policies.
//! - Once it is out of reach, it is asked with one attempt at a time, and in between not at all: an
//!   input of a thousand batches does not wait a thousand times for a store that is down.
//! - The rest before the first such attempt is [`FIRST_REST`]; each that fails doubles it up to
//!   [`LONGEST_REST`]. A rest is at least [`SHARE`] times as long as the attempt took, so a store that
//!   hangs costs a tenth of the time; and at least as long as the breaker or the server asked for.

use std::time::Duration;

use crossbridge_core::{CallError, Fault, Instant, StopReason};

use super::deliver::Patience;
use super::store::StoreError;

/// Whether a store can be used. See the [module](self) for the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    out: Option<Out>,
}

/// What is known of a store that is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Out {
    ask_at: Instant,
    rest: Duration,
}

impl Reach {
    /// Within reach, until somebody finds otherwise.
    #[must_use]
    pub const fn new() -> Self {
        Self { out: None }
    }

    /// Whether the last word was that the store works.
    #[must_use]
    pub const fn is_within(&self) -> bool {
        self.out.is_none()
    }

    /// How patiently the store may be asked at `now`; when to ask again if not at all.
    ///
    /// # Errors
    /// The instant before which asking is a waste.
    pub fn ask(&self, now: Instant) -> Result<Patience, Instant> {
        match self.out {
            None => Ok(Patience::Policies),
            Some(out) if now >= out.ask_at => Ok(Patience::OneAttempt),
            Some(out) => Err(out.ask_at),
        }
    }

    /// When it is next worth asking; `None` while the store is within reach.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.out.map(|out| out.ask_at)
    }

    /// The store took something.
    pub const fn on_success(&mut self) {
        self.out = None;
    }

    /// The store could not be used: a call that began at `began` ended so at `now`.
    pub fn on_failure(&mut self, now: Instant, began: Instant, error: &CallError<StoreError>) {
        let rest = match self.out {
            // The call has taken its time already: the policies' own.
            None => FIRST_REST,
            Some(out) => {
                let took = now.saturating_duration_since(began);
                let longer = out.rest.saturating_mul(2).min(LONGEST_REST);
                longer.max(took.saturating_mul(SHARE))
            }
        };
        let mut ask_at = now.saturating_add(rest);
        if let StopReason::Breaker { retry_at: Some(at) } | StopReason::RateLimit { not_before: Some(at) } =
            error.reason
        {
            ask_at = ask_at.max(at);
        }
        if let Some(asked) = error.retry_after() {
            ask_at = ask_at.max(now.saturating_add(asked));
        }
        self.out = Some(Out {
            ask_at,
            rest: rest.min(LONGEST_REST),
        });
    }
}

/// The rest after the guard has given up for the first time: 1 s.
pub const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest that failures alone lead to: 30 s, about what a database takes to restart.
pub const LONGEST_REST: Duration = Duration::from_secs(30);

/// How many times as long as an attempt the rest after it is at least.
pub const SHARE: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn failure(reason: StopReason) -> CallError<StoreError> {
        CallError {
            last: None,
            reason,
            attempts: 1,
            slept: Duration::ZERO,
        }
    }

    #[test]
    fn rests_double_up_to_the_longest() {
        let mut reach = Reach::new();
        assert_eq!(reach.ask(at(0)), Ok(Patience::Policies));
        let (mut now, mut rests) = (at(0), Vec::new());
        for _ in 0..8 {
            // Whatever a call by the policies takes, its own rest is the first one.
            let began = if reach.is_within() { at(0) } else { now };
            reach.on_failure(now, began, &failure(StopReason::GaveUp));
            let next = reach.poll_at().unwrap();
            rests.push(next.saturating_duration_since(now).as_secs());
            let early = Instant::from_nanos(next.as_nanos() - 1);
            assert_eq!(reach.ask(early), Err(next));
            assert_eq!(reach.ask(next), Ok(Patience::OneAttempt));
            now = next;
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30, 30]);
        reach.on_success();
        assert_eq!((reach.ask(now), reach.poll_at()), (Ok(Patience::Policies), None));
        reach.on_failure(now, now, &failure(StopReason::GaveUp));
        assert_eq!(reach.poll_at(), Some(now.saturating_add(FIRST_REST)));
    }

    #[test]
    fn an_attempt_that_hangs_is_followed_by_ten_times_its_span() {
        let mut reach = Reach::new();
        reach.on_failure(at(60), at(0), &failure(StopReason::Deadline));
        assert_eq!(reach.poll_at(), Some(at(61)));
        reach.on_failure(at(66), at(61), &failure(StopReason::GaveUp));
        assert_eq!(reach.poll_at(), Some(at(66 + 50)));
    }

    #[test]
    fn nobody_is_asked_before_the_breaker_or_the_server_says() {
        let open = StopReason::Breaker {
            retry_at: Some(at(40)),
        };
        let asked = StopReason::HintTooLong {
            asked: Duration::from_secs(90),
        };
        for (reason, expected) in [(open, 40), (asked, 91)] {
            let mut reach = Reach::new();
            reach.on_failure(at(1), at(0), &failure(reason));
            assert_eq!(reach.poll_at(), Some(at(expected)));
        }
    }
}
