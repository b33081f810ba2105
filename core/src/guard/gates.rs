//! What a call asks of its guard, owned or shared.

use rand_core::Rng;

use super::{Outcome, Policies};
use crate::breaker;
use crate::event::Observer;
use crate::retry::{Bounds, Decision, Failure, Receipt, Retry, StopReason};
use crate::time::Instant;

/// A guard as its calls see it: [`&mut Guard`](super::Guard) for one owner,
/// [`&SharedGuard`](super::SharedGuard) for threads. The machine of a call is the same for both.
///
/// Implemented by these two alone; its methods are for [`CallState`](super::CallState).
pub trait Gates: sealed::Sealed {
    /// Who is told what happens.
    type Observer: Observer;

    #[doc(hidden)]
    fn policies(&self) -> &Policies;

    #[doc(hidden)]
    fn observer(&self) -> &Self::Observer;

    /// One attempt: breaker, limiter and bulkhead, all of them or none.
    #[doc(hidden)]
    fn admit(&mut self, now: Instant) -> Result<breaker::Permit, StopReason>;

    /// The same where every gate says yes without a further look; `None` changes nothing.
    #[doc(hidden)]
    fn admit_quickly(&mut self, now: Instant) -> Option<breaker::Permit>;

    /// Books what became of an attempt with everybody who gave something for it.
    #[doc(hidden)]
    fn settle(&mut self, now: Instant, started: Instant, admitted: breaker::Permit, outcome: Outcome);

    /// What follows a failure.
    #[doc(hidden)]
    fn on_failure<R: Rng + ?Sized>(
        &mut self,
        now: Instant,
        retry: &mut Option<Retry>,
        failure: Failure,
        bounds: Bounds,
        rng: &mut R,
    ) -> Decision;

    /// A first attempt succeeded.
    #[doc(hidden)]
    fn on_first_success(&mut self);

    /// The retry paid for with this receipt succeeded.
    #[doc(hidden)]
    fn on_retry_success(&mut self, receipt: Receipt);

    /// The retry paid for with this receipt was sent and failed.
    #[doc(hidden)]
    fn on_retry_failure(&mut self, receipt: Receipt);

    /// The retry paid for with this receipt is not made.
    #[doc(hidden)]
    fn refund(&mut self, receipt: Receipt);

    /// A call is over.
    #[doc(hidden)]
    fn on_end(&mut self);

    /// The permit of an attempt in flight is gone.
    #[doc(hidden)]
    fn release_lost(&mut self);
}

pub(super) mod sealed {
    pub trait Sealed {}
}
