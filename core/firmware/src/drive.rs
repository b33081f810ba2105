//! Drives one guard, with several calls under way, through the inputs.

use core::fmt;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{CallState, Permit};
use crossbridge_core::{ConfigError, Guard, GuardConfig, Instant, Observer, Step};

use crate::trace::{Input, What};

/// An observer that is also shown what the guard answered.
pub trait Record: Observer + Copy + fmt::Debug {
    /// `slot` was answered `answer`.
    fn answer(&self, now: Instant, slot: usize, answer: &dyn fmt::Debug);
    /// The guard was asked how it is, or is shown whole.
    fn state(&self, now: Instant, state: &dyn fmt::Debug);
}

/// Calls under way at once: more than the narrow bulkhead takes.
pub const SLOTS: usize = 6;

/// One guard and its calls.
#[derive(Debug)]
pub struct Driver<O> {
    guard: Guard<O>,
    rng: SplitMix64,
    calls: [Option<CallState>; SLOTS],
    in_flight: [Option<Permit>; SLOTS],
    inputs: u32,
}

impl<O: Record> Driver<O> {
    /// A fresh guard.
    ///
    /// # Errors
    /// The policy that is refused.
    pub fn new(config: GuardConfig, seed: u64, record: O) -> Result<Self, ConfigError> {
        Ok(Self {
            guard: Guard::with_observer(config, record)?,
            rng: SplitMix64::new(seed),
            calls: [const { None }; SLOTS],
            in_flight: [const { None }; SLOTS],
            inputs: 0,
        })
    }

    /// One input at `now`. A slot with an attempt in flight gets its outcome; one with a call is
    /// polled; an idle one begins a call.
    pub fn input(&mut self, now: Instant, input: &Input) {
        let slot = input.slot % SLOTS;
        if let Some(mut call) = self.calls[slot].take() {
            if input.what == What::Cancel {
                call.cancel(&mut self.guard, now);
            }
            if let Some(permit) = self.in_flight[slot].take() {
                call.on_outcome(&mut self.guard, now, permit, input.outcome());
                self.calls[slot] = Some(call);
            } else {
                self.poll(now, slot, call);
            }
        } else if input.what == What::Lost {
            self.begin_and_drop(now, slot);
        } else {
            let deadline = input.span().map(|span| now.saturating_add(span));
            let mut call = self.guard.begin_detached(now, deadline);
            if input.what == What::Neutral {
                call.set_idempotent(false);
            }
            self.poll(now, slot, call);
        }
        self.inputs += 1;
        self.ask(now);
    }

    fn poll(&mut self, now: Instant, slot: usize, mut call: CallState) {
        let step = call.poll(&mut self.guard, now, &mut self.rng);
        self.guard.observer().answer(now, slot, &step);
        match step {
            Step::Attempt(permit) => self.in_flight[slot] = Some(permit),
            Step::Wait { .. } => {}
            Step::Done(_) => return,
        }
        self.calls[slot] = Some(call);
    }

    /// A call that borrows the guard, dropped with whatever it was doing.
    fn begin_and_drop(&mut self, now: Instant, slot: usize) {
        let record = *self.guard.observer();
        let mut call = self.guard.begin(now, None);
        record.answer(now, slot, &call.poll(now, &mut self.rng));
    }

    /// The questions now and then, and the whole state rarely: what never comes out in an answer
    /// is compared, too.
    fn ask(&self, now: Instant) {
        let guard = &self.guard;
        if self.inputs.is_multiple_of(32) {
            guard.observer().state(
                now,
                &(
                    guard.remaining(now),
                    guard.budget_tokens(now),
                    guard.in_flight(),
                    guard.breaker_state(),
                    guard.health(),
                ),
            );
        }
        if self.inputs.is_multiple_of(512) {
            guard.observer().state(now, self);
        }
    }
}
