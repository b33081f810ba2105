//! The blocking loop: sends, waits and reports until the call is done.

use core::borrow::Borrow;
use core::fmt;
use core::time::Duration;

use rand_core::Rng;

use crate::event::Observer;
use crate::fault::{Fault, FaultKind};
#[cfg(target_has_atomic = "64")]
use crate::guard::SharedGuard;
use crate::guard::{Call, Gates, Guard, Outcome, Permit, Policies, Step, Verdict};
use crate::retry::StopReason;
use crate::time::{Clock, Instant, Sleeper};

/// A call that ended without success: the last error whole, and how it came to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CallError<E> {
    /// What the last attempt returned; `None` when none was sent.
    pub last: Option<E>,
    /// Why no further attempt was made.
    pub reason: StopReason,
    /// Attempts sent.
    pub attempts: u32,
    /// Time spent waiting between them.
    pub slept: Duration,
}

impl<E> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            0 => write!(f, "not attempted: {}", self.reason),
            1 => write!(f, "gave up after 1 attempt: {}", self.reason),
            n => write!(
                f,
                "gave up after {n} attempts and {:?} of waiting: {}",
                self.slept, self.reason
            ),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.last
            .as_ref()
            .map(|error| error as &(dyn core::error::Error + 'static))
    }
}

impl<E> Fault for CallError<E> {
    fn kind(&self) -> FaultKind {
        self.reason.fault_above()
    }

    fn retry_after(&self) -> Option<Duration> {
        if let StopReason::HintTooLong { asked } = self.reason {
            Some(asked)
        } else {
            None
        }
    }
}

impl<O: Observer, P: Borrow<Policies>, const ANNEX: usize> Guard<O, P, ANNEX> {
    /// Calls `attempt` until it succeeds or the policies say stop, sleeping in between.
    ///
    /// The attempt is handed its [`Permit`]: its number, and the timeout it has to keep. If it
    /// panics, the permit is settled as lost and the panic goes on.
    ///
    /// # Errors
    /// The last error, with the number of attempts, the time slept and the reason.
    ///
    /// ```
    /// use crossbridge_core::draw::SplitMix64;
    /// use crossbridge_core::testing::ManualClock;
    /// use crossbridge_core::{FaultKind, Guard, GuardConfig};
    ///
    /// let mut guard = Guard::new(GuardConfig::DEFAULT)?;
    /// let clock = ManualClock::new();
    /// let mut sleeper = &clock; // sleeping moves the clock
    ///
    /// let answer = guard.call(&clock, &mut sleeper, &mut SplitMix64::new(7), |attempt| {
    ///     if attempt.number() < 3 { Err(FaultKind::Transient) } else { Ok("rows") }
    /// });
    /// assert_eq!(answer, Ok("rows"));
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    pub fn call<T, E, C, S, R, F>(
        &mut self,
        clock: &C,
        sleeper: &mut S,
        rng: &mut R,
        attempt: F,
    ) -> Result<T, CallError<E>>
    where
        E: Fault,
        C: Clock + ?Sized,
        S: Sleeper + ?Sized,
        R: Rng + ?Sized,
        F: FnMut(&Permit) -> Result<T, E>,
    {
        let now = clock.now();
        let call = self.begin(now, None);
        drive(call, now, clock, sleeper, rng, attempt)
    }
}

#[cfg(target_has_atomic = "64")]
impl<O: Observer> SharedGuard<O> {
    /// Calls `attempt` until it succeeds or the policies say stop, sleeping in between: see
    /// [`Guard::call`]. Any number of threads may be in it at once, each with its own generator.
    ///
    /// # Errors
    /// The last error, with the number of attempts, the time slept and the reason.
    pub fn call<T, E, C, S, R, F>(
        &self,
        clock: &C,
        sleeper: &mut S,
        rng: &mut R,
        attempt: F,
    ) -> Result<T, CallError<E>>
    where
        E: Fault,
        C: Clock + ?Sized,
        S: Sleeper + ?Sized,
        R: Rng + ?Sized,
        F: FnMut(&Permit) -> Result<T, E>,
    {
        let now = clock.now();
        let call = self.begin(now, None);
        drive(call, now, clock, sleeper, rng, attempt)
    }
}

#[inline]
fn drive<G, T, E, C, S, R, F>(
    mut call: Call<G>,
    mut now: Instant,
    clock: &C,
    sleeper: &mut S,
    rng: &mut R,
    mut attempt: F,
) -> Result<T, CallError<E>>
where
    G: Gates,
    E: Fault,
    C: Clock + ?Sized,
    S: Sleeper + ?Sized,
    R: Rng + ?Sized,
    F: FnMut(&Permit) -> Result<T, E>,
{
    let mut last = None;
    let mut slept = Duration::ZERO;
    // The first poll asks about the instant the call began: a clock is read once for both.
    loop {
        let reason = match call.poll(now, rng) {
            Step::Attempt(permit) => {
                let in_flight = InFlight {
                    settle: |permit, outcome| call.on_outcome(clock.now(), permit, outcome),
                    permit: Some(permit),
                };
                let result = in_flight.permit.as_ref().map(&mut attempt);
                let Some(result) = result else { continue };
                in_flight.finish(Outcome::of(&result));
                match result {
                    Ok(value) => return Ok(value),
                    Err(error) => last = Some(error),
                }
                now = clock.now();
                continue;
            }
            Step::Wait { until } => {
                let wait = until.saturating_duration_since(now);
                slept = slept.saturating_add(wait);
                sleeper.sleep(wait);
                now = clock.now();
                continue;
            }
            Step::Done(Verdict::Stopped { reason, .. }) => reason,
            // Success returns above, and nobody cancels a call that this loop owns.
            Step::Done(Verdict::Succeeded | Verdict::Cancelled) => StopReason::GaveUp,
        };
        return Err(CallError {
            last,
            reason,
            attempts: call.state().attempts(),
            slept,
        });
    }
}

/// An attempt that is settled as lost if it never comes back.
struct InFlight<F: FnMut(Permit, Outcome)> {
    settle: F,
    permit: Option<Permit>,
}

impl<F: FnMut(Permit, Outcome)> InFlight<F> {
    fn finish(mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            (self.settle)(permit, outcome);
        }
    }
}

impl<F: FnMut(Permit, Outcome)> Drop for InFlight<F> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            (self.settle)(permit, Outcome::Lost);
        }
    }
}
