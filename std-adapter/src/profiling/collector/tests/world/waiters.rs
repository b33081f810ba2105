//! Those who wait for a collector: for a flush, for its end.

use std::collections::BTreeSet;

use crossbridge_core::Instant;

use super::super::super::NotDurable;
use super::super::super::shared::SETTLE;
use super::super::super::signals::{Next, Ticket};
use super::{Place, World};
use crate::profiling::Overflow;

/// Somebody who waits for a flush.
pub(super) struct Flush {
    pub(super) began: Instant,
    pub(super) ticket: Ticket,
    pub(super) until: Instant,
    /// Accepted before it was asked for.
    pub(super) before: usize,
    pub(super) durable: Option<Result<(), NotDurable>>,
}

/// The steps of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    Not,
    Scribe { until: Instant },
    Shipper { until: Instant },
    Settle { until: Instant },
    Over,
}

impl World {
    pub(super) fn flushes_move(&mut self) -> bool {
        let mut answered = Vec::new();
        let (signals, now) = (&self.signals, self.now);
        self.flushes.retain_mut(|flush| {
            if flush.durable.is_none() {
                flush.durable = match signals.answer(flush.ticket, flush.until, now) {
                    Next::Do(answer) => Some(answer),
                    Next::End => Some(Err(NotDurable::TooLate)),
                    Next::WaitUntil(_) => return true,
                };
            }
            if matches!(signals.shipped(flush.until, now), Next::WaitUntil(_)) {
                return true;
            }
            assert!(now <= flush.until, "a flush ends after its deadline");
            let durable = flush.durable == Some(Ok(()));
            let took = now.saturating_duration_since(flush.began);
            answered.push((durable, took, flush.before));
            false
        });
        for (durable, took, before) in answered {
            self.flushed.push((durable, took));
            // Of what may be dropped, nobody knows whether it was.
            if durable && self.settings.overflow == Overflow::Refuse {
                let safe = self.safe();
                for id in 0..u32::try_from(before).unwrap() {
                    assert!(safe.contains(&id), "{id} was said to be safe");
                }
            }
        }
        false
    }

    pub(super) fn closing_moves(&mut self) -> bool {
        let next = match self.closing {
            Closing::Scribe { until } if matches!(self.scribe.1, Place::Ended) => {
                self.signal(|signals| signals.last_is_here = true);
                Closing::Shipper { until }
            }
            Closing::Shipper { until } => match self.signals.ended(until, self.now) {
                Next::WaitUntil(_) => return false,
                Next::Do(()) => Closing::Over,
                Next::End => {
                    self.signal(|signals| signals.stop = true);
                    let until = self.now.saturating_add(SETTLE);
                    Closing::Settle { until }
                }
            },
            Closing::Settle { until } => match self.signals.ended(until, self.now) {
                Next::WaitUntil(_) => return false,
                Next::Do(()) | Next::End => Closing::Over,
            },
            Closing::Not | Closing::Scribe { .. } | Closing::Over => return false,
        };
        self.closing = next;
        true
    }

    /// What has left the memory for a place that lasts.
    fn safe(&self) -> BTreeSet<u32> {
        match &self.desk.spool {
            Some(spool) => spool.given.iter().copied().collect(),
            None => self
                .store
                .has
                .keys()
                .chain(&self.store.refused)
                .copied()
                .collect(),
        }
    }
}
