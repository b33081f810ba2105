//! One input on its way: batches to the store, or to the spool.

use crossbridge_core::{CallError, Clock, Observer};
use rand_core::Rng;

use super::batch::Batch;
use super::keep::Keep;
use super::{Cause, Counts, IngestError, Notice};
use crate::profiling::deliver::{Line, Part, Patience};
use crate::profiling::event::Event;
use crate::profiling::reach::Reach;
use crate::profiling::store::{EventStore, StoreError};

pub(super) struct Run<'r, S: ?Sized, O, C: ?Sized, R: ?Sized, F> {
    pub(super) line: Line<'r, S, O, C, R>,
    pub(super) keep: Option<&'r mut dyn Keep>,
    pub(super) reach: &'r mut Reach,
    /// Why the store is out of reach.
    pub(super) trouble: &'r mut Option<CallError<StoreError>>,
    pub(super) told: F,
    pub(super) counts: Counts,
}

impl<S, O, C, R, F> Run<'_, S, O, C, R, F>
where
    S: EventStore + ?Sized,
    O: Observer,
    C: Clock + ?Sized,
    R: Rng + ?Sized,
    F: FnMut(Notice<'_>),
{
    /// Stores or spools the batch and empties it.
    pub(super) fn flush(&mut self, batch: &mut Batch) -> Result<(), IngestError> {
        let done = self.settle(batch.events());
        batch.clear();
        done.map_err(|cause| IngestError {
            counts: self.counts(),
            cause,
        })
    }

    /// What was done so far.
    pub(super) const fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.attempts = self.line.attempts;
        counts.retries = self.line.retries;
        counts
    }

    fn settle(&mut self, events: &[Event]) -> Result<(), Box<Cause>> {
        if events.is_empty() {
            return Ok(());
        }
        let began = self.line.clock.now();
        let patience = if self.keep.is_some() {
            self.reach.ask(began)
        } else {
            Ok(Patience::Policies)
        };
        let settled = match patience {
            Ok(patience) => match self.deliver(events, patience)? {
                None => {
                    self.reach.on_success();
                    *self.trouble = None;
                    return Ok(());
                }
                Some((settled, error)) => {
                    self.reach.on_failure(self.line.clock.now(), began, &error);
                    *self.trouble = Some(error);
                    settled
                }
            },
            Err(_later) => 0,
        };
        self.spool(events.get(settled..).unwrap_or_default())
    }

    /// How many were settled and why not all, where the store could not be used.
    fn deliver(
        &mut self,
        events: &[Event],
        patience: Patience,
    ) -> Result<Option<(usize, CallError<StoreError>)>, Box<Cause>> {
        let Self {
            line,
            keep,
            told,
            counts,
            ..
        } = self;
        let mut unburied = None;
        let done = line.deliver(events, patience, &mut |part| match part {
            Part::Stored(written) => {
                counts.new += written.new;
                counts.already_there += written.already_there;
                told(Notice::Stored(counts));
            }
            Part::Refused(_, event, reason) => {
                counts.refused += 1;
                if let Some(Err(error)) = keep.as_mut().map(|keep| keep.bury(event, reason)) {
                    unburied = Some(error);
                }
                told(Notice::Refused(event, reason));
            }
        });
        match (unburied, done) {
            (Some(error), _) => Err(Box::new(Cause::Spool { error, store: None })),
            (None, Ok(())) => Ok(None),
            (None, Err(undelivered)) => Ok(Some((undelivered.settled, *undelivered.error))),
        }
    }

    /// Hands what is left over to the spool.
    fn spool(&mut self, events: &[Event]) -> Result<(), Box<Cause>> {
        if events.is_empty() {
            return Ok(());
        }
        let kept = self.keep.as_mut().map(|keep| keep.keep(events));
        match kept {
            Some(Ok(lost)) => {
                self.counts.spooled += u64::try_from(events.len()).unwrap_or(u64::MAX);
                self.counts.lost += lost;
                (self.told)(Notice::Spooled(&self.counts));
                Ok(())
            }
            Some(Err(error)) => Err(Box::new(Cause::Spool {
                error,
                store: self.trouble.take(),
            })),
            None => match self.trouble.take() {
                Some(error) => Err(Box::new(Cause::Store(error))),
                // Without a spool the store is always asked, and said why not.
                None => Ok(()),
            },
        }
    }
}
