//! A call that holds its guard, and cannot be forgotten half way.

use rand_core::Rng;

use super::CallState;
use crate::guard::{Gates, Outcome, Permit, Step};
use crate::time::Instant;

/// One call under way, together with its guard: see [`Guard::begin`](crate::guard::Guard::begin) and
/// [`SharedGuard::begin`](crate::guard::SharedGuard::begin).
///
/// Dropped before it is done, it is cancelled; an attempt still in flight is lost, and its slot in
/// the bulkhead free again.
#[derive(Debug)]
pub struct Call<G: Gates> {
    gates: G,
    state: CallState,
}

impl<G: Gates> Call<G> {
    #[inline]
    pub(in crate::guard) const fn new(gates: G, state: CallState) -> Self {
        Self { gates, state }
    }

    /// What to do at `now`. One draw per retry decision.
    #[inline]
    pub fn poll<R: Rng + ?Sized>(&mut self, now: Instant, rng: &mut R) -> Step {
        self.state.step(&mut self.gates, now, rng)
    }

    /// Reports what became of the attempt.
    #[inline]
    pub fn on_outcome(&mut self, now: Instant, permit: Permit, outcome: Outcome) {
        self.state.settle(&mut self.gates, now, permit, outcome);
    }

    /// The call apart from its guard, for questions.
    #[must_use]
    pub const fn state(&self) -> &CallState {
        &self.state
    }
}

impl<G: Gates> Drop for Call<G> {
    #[inline]
    fn drop(&mut self) {
        if !self.state.is_over() {
            // Its permit can no longer be settled. Where it is a probe, the probe has a deadline.
            self.state.abandon(&mut self.gates);
        }
    }
}
