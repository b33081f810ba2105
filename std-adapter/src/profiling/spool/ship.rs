//! From a spool into its store.

use std::fmt;
use std::ops::{AddAssign, ControlFlow};

use crossbridge_core::{CallError, Clock, Fault, FaultKind, Guard, Observer, Sleeper};
use rand_core::Rng;

use super::{Dead, Spool, SpoolError, chain};
use crate::profiling::deliver::{Line, Part, Patience};
use crate::profiling::event::Event;
use crate::profiling::store::{EventStore, StoreError};

/// What was shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Events the store did not have.
    pub new: u64,
    /// Events the store had already.
    pub already_there: u64,
    /// Events the store refuses; they are dead letters now.
    pub refused: u64,
    /// Attempts to write.
    pub attempts: u64,
    /// How many of those were not the first of their call.
    pub retries: u64,
}

impl Shipped {
    /// Events that are in the store.
    #[must_use]
    pub const fn stored(&self) -> u64 {
        self.new + self.already_there
    }
}

impl AddAssign for Shipped {
    fn add_assign(&mut self, more: Self) {
        self.new += more.new;
        self.already_there += more.already_there;
        self.refused += more.refused;
        self.attempts += more.attempts;
        self.retries += more.retries;
    }
}

/// Ships what is in the spool, oldest first, until there is nothing left of what was there at the
/// beginning. `told` hears of every batch.
///
/// The first batch gets `patience`; once that went well, the others get all that the policies allow.
///
/// # Errors
///
/// The store or the spool could not be used. What is not shipped is still in the spool.
#[expect(
    clippy::too_many_arguments,
    reason = "the five of a guarded call, and what is shipped"
)]
pub fn drain<S, O, C, W, R>(
    spool: &mut Spool,
    store: &mut S,
    guard: &mut Guard<O>,
    clock: &C,
    sleeper: &mut W,
    rng: &mut R,
    mut patience: Patience,
    mut told: impl FnMut(&Shipped),
) -> Result<Shipped, ShipError>
where
    S: EventStore + ?Sized,
    O: Observer,
    C: Clock + ?Sized,
    W: Sleeper + ?Sized,
    R: Rng + ?Sized,
{
    let mut wait = |span| {
        sleeper.sleep(span);
        ControlFlow::Continue(())
    };
    let mut line = Line {
        store,
        guard,
        clock,
        rng,
        wait: &mut wait,
        attempts: 0,
        retries: 0,
    };
    let mut shipped = Shipped::default();
    let ended = |shipped, cause| {
        let cause = Box::new(cause);
        Err(ShipError { shipped, cause })
    };
    // Whoever appends meanwhile does not keep us here for ever.
    let end = match spool.last_row() {
        Ok(end) => end,
        Err(error) => return ended(shipped, ShipCause::Spool(error)),
    };
    loop {
        let taken = match spool.peek() {
            Ok(taken) => taken,
            Err(error) => return ended(shipped, ShipCause::Spool(error)),
        };
        if taken.is_empty() || taken.first_row() > end {
            return Ok(shipped);
        }
        let sent = send(&mut line, taken.events(), patience);
        let settled = spool.settle(&taken, sent.settled, &sent.dead);
        shipped += sent.shipped;
        if let Err(error) = settled {
            return ended(shipped, ShipCause::Spool(error));
        }
        told(&shipped);
        if let Some(error) = sent.error {
            return ended(shipped, ShipCause::Store(error));
        }
        patience = Patience::Policies;
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(in crate::profiling) struct Sent {
    /// How many of its events, from the first one on, are stored or refused.
    pub(in crate::profiling) settled: usize,
    /// Those that are refused.
    pub(in crate::profiling) dead: Vec<Dead>,
    pub(in crate::profiling) shipped: Shipped,
    /// Why the others are not.
    pub(in crate::profiling) error: Option<CallError<StoreError>>,
}

/// Writes a batch to the store.
pub(in crate::profiling) fn send<S, O, C, R>(
    line: &mut Line<'_, S, O, C, R>,
    events: &[Event],
    patience: Patience,
) -> Sent
where
    S: EventStore + ?Sized,
    O: Observer,
    C: Clock + ?Sized,
    R: Rng + ?Sized,
{
    let (mut dead, mut shipped) = (Vec::new(), Shipped::default());
    let before = (line.attempts, line.retries);
    let done = line.deliver(events, patience, &mut |part| match part {
        Part::Stored(written) => {
            shipped.new += written.new;
            shipped.already_there += written.already_there;
        }
        Part::Refused(place, _, reason) => {
            shipped.refused += 1;
            let reason = chain(reason);
            dead.push(Dead { place, reason });
        }
    });
    shipped.attempts = line.attempts - before.0;
    shipped.retries = line.retries - before.1;
    let (settled, error) = match done {
        Ok(()) => (events.len(), None),
        Err(undelivered) => (undelivered.settled, Some(*undelivered.error)),
    };
    Sent {
        settled,
        dead,
        shipped,
        error,
    }
}

/// A spool that is not empty yet.
#[derive(Debug)]
pub struct ShipError {
    /// What was shipped until then; it has left the spool, but for a batch whose
    /// [`settle`](Spool::settle) failed.
    pub shipped: Shipped,
    /// What ended it.
    pub cause: Box<ShipCause>,
}

/// What ended the shipping.
#[derive(Debug)]
pub enum ShipCause {
    /// The store could not be used, however often the guard tried.
    Store(CallError<StoreError>),
    /// The spool could not be used.
    Spool(SpoolError),
}

impl fmt::Display for ShipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &*self.cause {
            ShipCause::Store(_) => "the store could not be used",
            ShipCause::Spool(_) => "the spool could not be used",
        };
        write!(f, "{what}: {} events were shipped before", self.shipped.stored())
    }
}

impl std::error::Error for ShipError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.cause {
            ShipCause::Store(error) => Some(error),
            ShipCause::Spool(error) => Some(error),
        }
    }
}

impl Fault for ShipError {
    fn kind(&self) -> FaultKind {
        match &*self.cause {
            ShipCause::Store(error) => error.kind(),
            ShipCause::Spool(error) => error.kind(),
        }
    }
}
