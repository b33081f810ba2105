//! From a source into a store, through a guard: everything once, nothing lost in silence.
//!
//! ```text
//!   Source ── Item::Event ──▶ batch ── full, or the end ──▶ guard ──▶ EventStore::write
//!      │                        │                             │ permanent, and the store works
//!      │                        │ out of reach                ▼
//!      │                        ▼                        halves, down to the event that is refused
//!      │                      spool ◀── what is left ── the guard gave up
//!      ├── Rejected, Warning ──▶ told
//!      └── error ──▶ ends the input
//! ```
//!
//! # Rules
//! - One attempt per call of the store; retries, waits and deadlines are the guard's. The timeout of
//!   the attempt is handed to the store.
//! - A batch counts once the store has said that it is written. [`Counts`] are therefore a floor that
//!   survives a crash, and the same input again adds what is missing and nothing else.
//! - An event that the store will never take does not hold up the others: its batch is halved until
//!   it stands alone. It is refused only if the store takes an empty batch at the same time;
//!   otherwise the store itself is what does not work.
//! - When the guard gives up, the batch goes to the [spool](Ingest::keeping_in), and so does the rest
//!   of the input, but for an attempt now and then ([`reach`](super::reach)) that finds out whether
//!   the store is back. Without a spool the input ends with what is stored and what is not
//!   ([`IngestError`]).
//! - What is counted as stored or spooled when [`run`](Ingest::run) returns survives a crash of this
//!   process and of the machine; what a store means by "stored" is told by the store.
//! - Memory: a batch holds at most [`BATCH_EVENTS`] events and ends after [`BATCH_BYTES`] of text,
//!   so it is bounded by those and the longest single event (16 MiB for a JSON line).
//!
//! # Example
//! ```
//! use crossbridge_core::{Guard, GuardConfig};
//! use crossbridge_std::profiling::{Ingest, MemoryStore, Options, source};
//! use crossbridge_std::{clock::SystemClock, entropy, sleeper::ThreadSleeper};
//!
//! let lines = br#"{"run_id":"r1","test_id":"a::b","event_type":"test_end"}
//! not an event
//! "#;
//! let mut store = MemoryStore::new();
//! let mut guard = Guard::new(GuardConfig { idempotent: true, ..GuardConfig::DEFAULT })?;
//! let clock = SystemClock::new();
//! for (new, already_there) in [(1, 0), (0, 1)] {
//!     let mut source = source::open(&lines[..], Options::named("events.jsonl"))?;
//!     let counts = Ingest::new(&mut store, &mut guard).run(
//!         &mut source,
//!         &clock,
//!         &mut ThreadSleeper,
//!         &mut entropy::generator(),
//!         |_notice| {},
//!     )?;
//!     assert_eq!((counts.new, counts.already_there, counts.rejected), (new, already_there, 1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io::BufRead;
use std::ops::{AddAssign, ControlFlow};

use crossbridge_core::{CallError, Clock, Guard, Observer, Sleeper};
use rand_core::Rng;

pub(super) mod batch;
mod error;
mod keep;
mod run;

pub use error::{Cause, IngestError};
pub use keep::{Keep, KeepError};

use self::batch::Batch;
use self::run::Run;
use super::deliver::Line;
use super::event::Event;
use super::reach::Reach;
use super::source::{Item, Rejected, Source, Warning};
use super::store::{EventStore, StoreError};

/// Writes what sources give into one store, through one guard. See the [module](self) for the rules.
pub struct Ingest<'a, S: ?Sized, O> {
    store: &'a mut S,
    guard: &'a mut Guard<O>,
    keep: Option<&'a mut dyn Keep>,
    reach: Reach,
    trouble: Option<CallError<StoreError>>,
    batch_events: usize,
}

impl<S: ?Sized, O> fmt::Debug for Ingest<'_, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

impl<'a, S: EventStore + ?Sized, O: Observer> Ingest<'a, S, O> {
    /// Batches of [`BATCH_EVENTS`] into `store`, each a call of `guard`.
    ///
    /// Writing twice is as good as writing once, so the guard's policies should say `idempotent`:
    /// without it, a write whose end is not known is not tried again.
    pub const fn new(store: &'a mut S, guard: &'a mut Guard<O>) -> Self {
        Self {
            store,
            guard,
            keep: None,
            reach: Reach::new(),
            trouble: None,
            batch_events: BATCH_EVENTS,
        }
    }

    /// What the store cannot take goes to `keep`, and the input does not end with the store.
    #[must_use]
    pub fn keeping_in(mut self, keep: &'a mut dyn Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Why the store was out of reach when it was last asked; `None` while it works.
    #[must_use]
    pub const fn trouble(&self) -> Option<&CallError<StoreError>> {
        self.trouble.as_ref()
    }

    /// The same, to be kept.
    #[must_use]
    pub fn into_trouble(self) -> Option<CallError<StoreError>> {
        self.trouble
    }

    /// The same with other batches; 0 is taken for 1.
    #[must_use]
    pub const fn batch_events(mut self, events: usize) -> Self {
        self.batch_events = if events == 0 { 1 } else { events };
        self
    }

    /// Reads `source` to its end and stores its events. `told` hears of everything worth telling,
    /// in its order, and of every batch that is stored.
    ///
    /// # Errors
    /// The source breaks off, the store could not be used and there is no spool, or the spool takes
    /// nothing either; what came before is stored or spooled, and the error counts it.
    pub fn run<B, C, W, R>(
        &mut self,
        source: &mut Source<B>,
        clock: &C,
        sleeper: &mut W,
        rng: &mut R,
        told: impl FnMut(Notice<'_>),
    ) -> Result<Counts, IngestError>
    where
        B: BufRead,
        C: Clock + ?Sized,
        W: Sleeper + ?Sized,
        R: Rng + ?Sized,
    {
        let mut batch = Batch::new(self.batch_events);
        let mut wait = |span| {
            sleeper.sleep(span);
            ControlFlow::Continue(())
        };
        let mut run = Run {
            line: Line {
                store: &mut *self.store,
                guard: &mut *self.guard,
                clock,
                rng,
                wait: &mut wait,
                attempts: 0,
                retries: 0,
            },
            keep: match &mut self.keep {
                Some(keep) => Some(&mut **keep),
                None => None,
            },
            reach: &mut self.reach,
            trouble: &mut self.trouble,
            told,
            counts: Counts::default(),
        };
        for item in source {
            match item {
                Ok(Item::Event(event)) => {
                    run.counts.read += 1;
                    if batch.push(event) {
                        run.flush(&mut batch)?;
                    }
                }
                Ok(Item::Rejected(rejected)) => {
                    run.counts.rejected += 1;
                    (run.told)(Notice::Rejected(&rejected));
                }
                Ok(Item::Warning(warning)) => {
                    run.counts.warnings += 1;
                    (run.told)(Notice::Warning(&warning));
                }
                Err(error) => {
                    // What came before the end of a broken file is as good as in a whole one.
                    run.flush(&mut batch)?;
                    return Err(IngestError {
                        counts: run.counts(),
                        cause: Box::new(Cause::Source(error)),
                    });
                }
            }
        }
        run.flush(&mut batch)?;
        Ok(run.counts())
    }
}

/// What was done with an input so far. Never more than what the store has confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events read.
    pub read: u64,
    /// Events stored by this run.
    pub new: u64,
    /// Events whose id the store had already, or that came earlier in the input.
    pub already_there: u64,
    /// Events the store will never take, each for a reason of its own.
    pub refused: u64,
    /// Events that the store could not take now and that went into the spool.
    pub spooled: u64,
    /// Events that the spool has dropped for want of room, of this input or earlier.
    pub lost: u64,
    /// Lines that are no events.
    pub rejected: u64,
    /// Things that are odd about what was read all the same.
    pub warnings: u64,
    /// Attempts to write, retries included.
    pub attempts: u64,
    /// How many of those were not the first of their batch.
    pub retries: u64,
}

impl Counts {
    /// Events read that neither the store nor the spool has confirmed: waiting for their batch, or
    /// lost to an error.
    #[must_use]
    pub const fn unwritten(&self) -> u64 {
        self.read
            .saturating_sub(self.new)
            .saturating_sub(self.already_there)
            .saturating_sub(self.refused)
            .saturating_sub(self.spooled)
    }

    /// Events that are in the store.
    #[must_use]
    pub const fn stored(&self) -> u64 {
        self.new + self.already_there
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.read += more.read;
        self.new += more.new;
        self.already_there += more.already_there;
        self.refused += more.refused;
        self.spooled += more.spooled;
        self.lost += more.lost;
        self.rejected += more.rejected;
        self.warnings += more.warnings;
        self.attempts += more.attempts;
        self.retries += more.retries;
    }
}

/// Something worth telling while an input is read.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'n> {
    /// A line is no event.
    Rejected(&'n Rejected),
    /// Something is odd about what was read all the same.
    Warning(&'n Warning),
    /// The store works, but will never take this event.
    Refused(&'n Event, &'n StoreError),
    /// A batch, or a part of one, is stored for good.
    Stored(&'n Counts),
    /// A batch, or a part of one, is in the spool.
    Spooled(&'n Counts),
}

/// Events in a batch. A batch costs SQLite one sync of the disk; measured on one, 500 at a time gave
/// 45 000 events a second, 2 000 gave 60 000, and held the lock for some 50 ms.
pub const BATCH_EVENTS: usize = 2_000;

/// Text in a batch, about, after which it is written even if there are fewer events in it: 4 MiB.
pub const BATCH_BYTES: usize = 4 << 20;
