//! The guard of one owner.

mod gates;

use core::borrow::Borrow;

use super::{Call, CallState, GuardConfig, GuardSnapshot, Policies};
use crate::ConfigError;
use crate::breaker::{BreakerState, Circuit};
use crate::event::Observer;
use crate::health::{Health, MonitorState};
use crate::rate_limit::level::Level;
use crate::retry::Tokens;
use crate::snapshot::{RestoreError, VERSION};
use crate::time::Instant;

/// The guard of one call path, owned by one caller. See the [module](super) for the rules, and
/// [`SharedGuard`](super::SharedGuard) for many threads.
///
/// It owns its [`Policies`], or is [under](Guard::under) somebody else's; and it does everything, or
/// is [small](Guard::of_calls).
// In this order, what a call that goes well reads is together: 76 bytes, where the policies are lent. A
// replay of ten thousand guards misses a cache of 2 MB a quarter less often.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Guard<O = (), P = Policies, const ANNEX: usize = 1> {
    level: Level,
    tokens: Tokens,
    in_flight: u32,
    observer: O,
    policies: P,
    circuit: Circuit<ANNEX>,
    vitals: Option<MonitorState>,
}

impl Guard {
    /// A guard that tells nobody.
    ///
    /// # Errors
    /// The first policy that is refused.
    pub const fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        Self::with_observer(config, ())
    }
}

impl<O> Guard<O> {
    /// A guard that tells `observer` what happens.
    ///
    /// # Errors
    /// The first policy that is refused.
    pub const fn with_observer(config: GuardConfig, observer: O) -> Result<Self, ConfigError>
    where
        O: Copy,
    {
        let policies = match Policies::new(config) {
            Ok(policies) => policies,
            Err(refused) => return Err(refused),
        };
        Ok(Self {
            level: Level::FULL,
            circuit: Circuit::new(&policies.breaker),
            in_flight: 0,
            tokens: Tokens::new(),
            vitals: match policies.health {
                Some(_) => Some(MonitorState::new()),
                None => None,
            },
            policies,
            observer,
        })
    }
}

impl<O, P: Borrow<Policies>> Guard<O, P> {
    /// A guard under policies that exist already: `&'static Policies`, an `Rc<Policies>`.
    #[must_use]
    pub fn under(policies: P, observer: O) -> Self {
        Self::fresh(policies, observer)
    }

    /// The guard that was taken a snapshot of, at `now`, under these policies or others that fit.
    ///
    /// # Errors
    /// A machine's snapshot has another version, or holds what these policies cannot; or it
    /// watches a target's health and they do not, or the other way round.
    pub fn restore(
        policies: P,
        observer: O,
        from: &GuardSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        Self::resume(policies, observer, from, now)
    }

    /// The same with waits of its own while its circuit is open: `seed` is added to the policies'
    /// [`jitter_seed`](crate::BreakerConfig::jitter_seed), so that a fleet under the same policies does
    /// not come back in step. 0 unless set; no part of a snapshot.
    ///
    /// ```
    /// use crossbridge_core::guard::Policies;
    /// use crossbridge_core::{Guard, GuardConfig};
    ///
    /// let policies = Policies::new(GuardConfig::DEFAULT)?;
    /// let fleet = [3, 4].map(|seed| Guard::under(&policies, ()).with_jitter_seed(seed));
    /// assert_eq!(fleet[1].jitter_seed(), 4);
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.circuit.set_jitter_seed(seed);
        self
    }

    /// What it adds to the policies' `jitter_seed`.
    #[must_use]
    pub const fn jitter_seed(&self) -> u64 {
        self.circuit.jitter_seed()
    }
}

impl<O, P: Borrow<Policies>> Guard<O, P, 0> {
    /// The same in less memory: the breaker's window is of calls, and it counts none that hang. See
    /// [`Breaker::of_calls`](crate::breaker::Breaker::of_calls).
    ///
    /// ```
    /// use crossbridge_core::guard::Policies;
    /// use crossbridge_core::{Guard, GuardConfig};
    ///
    /// let policies = Policies::new(GuardConfig::DEFAULT)?;
    /// let small = Guard::of_calls(&policies, ())?;
    /// assert!(size_of_val(&small) <= 256);
    /// # Ok::<(), crossbridge_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Policies with a window of time, or with hanging calls.
    pub fn of_calls(policies: P, observer: O) -> Result<Self, ConfigError> {
        policies.borrow().breaker.fit(0)?;
        Ok(Self::fresh(policies, observer))
    }

    /// The small guard that was taken a snapshot of: see [`Guard::restore`].
    ///
    /// # Errors
    /// The same, and those of [`of_calls`](Self::of_calls).
    pub fn restore_of_calls(
        policies: P,
        observer: O,
        from: &GuardSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        policies.borrow().breaker.fit(0).map_err(RestoreError::of)?;
        Self::resume(policies, observer, from, now)
    }
}

impl<O, P: Borrow<Policies>, const ANNEX: usize> Guard<O, P, ANNEX> {
    fn fresh(policies: P, observer: O) -> Self {
        let rules = policies.borrow();
        Self {
            level: Level::FULL,
            circuit: Circuit::new(&rules.breaker),
            in_flight: 0,
            tokens: Tokens::new(),
            vitals: rules.health.map(|_| MonitorState::new()),
            policies,
            observer,
        }
    }

    /// The policies it keeps.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        self.policies.borrow()
    }

    /// The state of its circuit.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.circuit.state(&self.policies().breaker)
    }

    /// The health of its target, where it is watched.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        let rules = self.policies().health.as_ref();
        self.vitals
            .as_ref()
            .zip(rules)
            .map(|(vitals, rules)| vitals.health(rules))
    }

    /// Permits its limiter has at `now`.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        self.level.remaining(&self.policies().quota, now)
    }

    /// Tokens its retry budget has at `now`.
    #[must_use]
    pub fn budget_tokens(&self, now: Instant) -> u32 {
        self.tokens.left(&self.policies().budget, now)
    }

    /// Attempts in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The observer.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }
}

impl<O: Observer, P: Borrow<Policies>, const ANNEX: usize> Guard<O, P, ANNEX> {
    /// Begins a call that should be over by `deadline`, or by the policy's own, whichever is
    /// earlier.
    #[inline]
    pub fn begin(&mut self, now: Instant, deadline: Option<Instant>) -> Call<&mut Self> {
        let state = self.begin_detached(now, deadline);
        Call::new(self, state)
    }

    /// Begins a call that does not borrow the guard, so that many can be under way at once in one
    /// thread. Drive it with this guard and no other, and end each one that is given up with
    /// [`CallState::cancel`].
    #[inline]
    pub fn begin_detached(&mut self, now: Instant, deadline: Option<Instant>) -> CallState {
        let policies = self.policies.borrow();
        self.tokens.on_call(&policies.budget, now);
        CallState::new(policies, now, deadline)
    }
}

impl<O, P: Borrow<Policies>, const ANNEX: usize> Guard<O, P, ANNEX> {
    /// The state at `now`. Attempts in flight are no part of it: who settles them is gone by the
    /// time it is restored.
    pub fn snapshot(&self, now: Instant) -> GuardSnapshot {
        let policies = self.policies();
        GuardSnapshot {
            version: VERSION,
            limiter: self.level.snapshot(&policies.quota, now),
            breaker: self.circuit.snapshot(&policies.breaker, now),
            budget: self.tokens.snapshot(&policies.budget, now),
            health: match (&self.vitals, &policies.health) {
                (Some(vitals), Some(rules)) => Some(vitals.snapshot(rules, now)),
                _ => None,
            },
        }
    }

    fn resume(policies: P, observer: O, from: &GuardSnapshot, now: Instant) -> Result<Self, RestoreError> {
        let rules = policies.borrow();
        from.check(rules)?;
        let vitals = match (&rules.health, &from.health) {
            (Some(rules), Some(health)) => Some(MonitorState::restore(rules, health, now)?),
            _ => None,
        };
        Ok(Self {
            level: Level::restore(&rules.quota, &from.limiter, now)?,
            circuit: Circuit::restore(&rules.breaker, &from.breaker, now)?,
            in_flight: 0,
            tokens: Tokens::restore(&rules.budget, &from.budget, now)?,
            vitals,
            policies,
            observer,
        })
    }
}
