//! Events into a store through a guard, down to the one that the store will never take.
//!
//! ```text
//!   events ──▶ guard ──▶ EventStore::write ──▶ stored
//!                │ permanent, not for the sake of the store, and it takes an empty batch
//!                ├──▶ halves, first one first, down to the event that is refused
//!                └ anything else: the store cannot be used, and the rest is handed back
//! ```
//!
//! The events are settled in their order, so what is left over after a failure is always the end of
//! the list. An event is refused only if the store takes an empty batch at the same time; otherwise
//! the store itself is what does not work.

use std::ops::ControlFlow;
use std::time::Duration;

use crossbridge_core::guard::{Step, Verdict};
use crossbridge_core::{CallError, Clock, Guard, Observer, Outcome, StopReason};
use rand_core::Rng;

use super::event::Event;
use super::store::{EventStore, StoreError, Written};

/// How many attempts a write is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As many as the guard's policies allow, waits included.
    Policies,
    /// One, to see whether the store is back. A breaker may refuse it.
    OneAttempt,
}

/// What became of a part of the events.
#[derive(Debug)]
pub(super) enum Part<'p> {
    /// The store has them.
    Stored(Written),
    /// The store works and will never take this one, at this place among the events.
    Refused(
        #[cfg_attr(
            not(feature = "sqlite"),
            expect(dead_code, reason = "only a spool asks which one")
        )]
        usize,
        &'p Event,
        &'p StoreError,
    ),
}

/// The store could not be used.
#[derive(Debug)]
pub(super) struct Undelivered {
    /// How many events, from the first one on, are stored or refused.
    pub(super) settled: usize,
    pub(super) error: Box<CallError<StoreError>>,
}

impl Undelivered {
    fn new(settled: usize, error: CallError<StoreError>) -> Self {
        let error = Box::new(error);
        Self { settled, error }
    }
}

fn is_about_store(error: &CallError<StoreError>) -> bool {
    error.last.as_ref().is_some_and(StoreError::is_about_store)
}

/// A store, the guard in front of it, and the time that passes meanwhile.
pub(super) struct Line<'l, S: ?Sized, O, C: ?Sized, R: ?Sized> {
    pub(super) store: &'l mut S,
    pub(super) guard: &'l mut Guard<O>,
    pub(super) clock: &'l C,
    pub(super) rng: &'l mut R,
    /// Lets a span pass; breaks when nobody waits for the answer any more.
    pub(super) wait: &'l mut dyn FnMut(Duration) -> ControlFlow<()>,
    /// Attempts to write.
    pub(super) attempts: u64,
    /// How many of those were not the first of their call.
    pub(super) retries: u64,
}

impl<S, O, C, R> Line<'_, S, O, C, R>
where
    S: EventStore + ?Sized,
    O: Observer,
    C: Clock + ?Sized,
    R: Rng + ?Sized,
{
    /// Stores all of the events, or says from which one on they are not.
    pub(super) fn deliver(
        &mut self,
        events: &[Event],
        patience: Patience,
        told: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Undelivered> {
        let mut settled = 0;
        // The parts still to be written, the next one last; at most one per halving.
        let mut parts = vec![events];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let error = match self.write(part, patience) {
                Ok(written) => {
                    settled += part.len();
                    told(Part::Stored(written));
                    continue;
                }
                Err(error) if error.reason == StopReason::Permanent && !is_about_store(&error) => error,
                Err(error) => return Err(Undelivered::new(settled, error)),
            };
            let alone = if let [event] = part { Some(event) } else { None };
            // Before the first halving, and before anything is given up, the store is asked whether
            // it is at fault itself: a file that became read-only refuses nothing in particular.
            if (alone.is_some() || part.len() == events.len())
                && let Err(error) = self.write(&[], patience)
            {
                return Err(Undelivered::new(settled, error));
            }
            match (alone, error.last) {
                (Some(event), Some(reason)) => {
                    told(Part::Refused(settled, event, &reason));
                    settled += 1;
                }
                (Some(_), None) => {
                    return Err(Undelivered::new(settled, CallError { last: None, ..error }));
                }
                (None, _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// One call of the guard.
    fn write(&mut self, events: &[Event], patience: Patience) -> Result<Written, CallError<StoreError>> {
        let mut call = self.guard.begin(self.clock.now(), None);
        let (mut last, mut slept) = (None, Duration::ZERO);
        let reason = loop {
            let now = self.clock.now();
            match call.poll(now, self.rng) {
                Step::Attempt(permit) => {
                    self.attempts += 1;
                    self.retries += u64::from(permit.number() > 1);
                    let result = self.store.write(events, permit.timeout());
                    call.on_outcome(self.clock.now(), permit, Outcome::of(&result));
                    match result {
                        Ok(written) => return Ok(written),
                        Err(error) => last = Some(error),
                    }
                }
                Step::Wait { until } => {
                    // Dropped below, the call is cancelled and gives back what it holds.
                    if patience == Patience::OneAttempt {
                        break StopReason::GaveUp;
                    }
                    let span = until.saturating_duration_since(now);
                    slept += span;
                    if (self.wait)(span).is_break() {
                        break StopReason::GaveUp;
                    }
                }
                Step::Done(Verdict::Stopped { reason, .. }) => break reason,
                // Success returns above, and nobody cancels a call that this loop owns.
                Step::Done(Verdict::Succeeded | Verdict::Cancelled) => break StopReason::GaveUp,
            }
        };
        Err(CallError {
            last,
            reason,
            attempts: call.state().attempts(),
            slept,
        })
    }
}

#[cfg(test)]
mod tests {
    use crossbridge_core::{FaultKind, GuardConfig};

    use super::*;
    use crate::clock::SystemClock;
    use crate::profiling::EventType;
    use crate::profiling::store::Trouble;

    /// Takes an empty batch, and of others says the same.
    struct Half(fn() -> Trouble);

    impl EventStore for Half {
        fn write(&mut self, batch: &[Event], _: Option<Duration>) -> Result<Written, StoreError> {
            if batch.is_empty() {
                return Ok(Written::default());
            }
            Err(StoreError {
                doing: "write",
                place: None,
                kind: FaultKind::Permanent,
                trouble: (self.0)(),
            })
        }

        fn count(&mut self) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn get(&mut self, _: &str) -> Result<Option<Event>, StoreError> {
            Ok(None)
        }
    }

    #[test]
    fn a_store_that_is_at_fault_refuses_no_event() {
        let events = [1, 2, 3].map(|n| Event::new(n.to_string(), "run", "test", EventType::TestEnd));
        let refused = |trouble: fn() -> Trouble| {
            let mut line = Line {
                store: &mut Half(trouble),
                guard: &mut Guard::new(GuardConfig::DEFAULT).unwrap(),
                clock: &SystemClock::new(),
                rng: &mut crate::entropy::generator(),
                wait: &mut |_| ControlFlow::Continue(()),
                attempts: 0,
                retries: 0,
            };
            let mut refused = 0;
            let done = line.deliver(&events, Patience::Policies, &mut |part| {
                refused += usize::from(matches!(part, Part::Refused(..)));
            });
            (refused, line.attempts, done.is_ok())
        };
        // The batch, its halves, and whether nothing is taken either: once, and for each one alone.
        assert_eq!(refused(|| Trouble::Scripted), (3, 5 + 1 + 3, true));
        for trouble in [
            || Trouble::Damaged,
            || Trouble::ReadOnly,
            || Trouble::Unfit("no such table".into()),
        ] {
            assert_eq!(refused(trouble), (0, 1, false));
        }
    }
}
