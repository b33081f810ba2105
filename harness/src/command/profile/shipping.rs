//! What became of the spool: shipped, and what is left.

use std::fmt::Write as _;
use std::path::PathBuf;

use crossbridge_core::{CallError, Guard, Observer};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::deliver::Patience;
use crossbridge_std::profiling::spool::{self, ShipCause, Shipped};
use crossbridge_std::profiling::{EventStore, SpoolCounts, SpoolError, SpoolPlace, StoreError};
use crossbridge_std::sleeper::ThreadSleeper;
use serde_json::{Value, json};

use super::text::count;

/// What became of the spool.
#[derive(Debug, Default)]
pub(super) struct Shipping {
    pub(super) path: PathBuf,
    pub(super) shipped: Shipped,
    /// What is in it; `None` where there is no spool.
    pub(super) left: Option<SpoolCounts>,
    /// Why the store does not take the rest.
    pub(super) store: Option<CallError<StoreError>>,
    /// Why the spool could not be used.
    pub(super) spool: Option<SpoolError>,
    /// Another process ships.
    pub(super) elsewhere: bool,
    /// Damaged spools that were put aside.
    pub(super) damaged: Vec<PathBuf>,
}

impl Shipping {
    /// Ships what is in the spool, where the store is not known to be `trouble`; if it is, a single
    /// attempt finds out whether it is back.
    pub(super) fn after_ingest<S: EventStore, O: Observer>(
        place: &mut SpoolPlace,
        store: &mut S,
        guard: &mut Guard<O>,
        clock: SystemClock,
        trouble: Option<CallError<StoreError>>,
    ) -> Self {
        let patience = match trouble {
            None => Patience::Policies,
            Some(_) => Patience::OneAttempt,
        };
        let mut shipping = Self::run(place, store, guard, clock, patience, |_| {});
        // Why it failed after all its attempts says more than why it failed the last one.
        if trouble.is_some() && shipping.store.is_some() {
            shipping.store = trouble;
        }
        shipping
    }

    /// Ships what is in the spool.
    pub(super) fn run<S: EventStore, O: Observer>(
        place: &mut SpoolPlace,
        store: &mut S,
        guard: &mut Guard<O>,
        clock: SystemClock,
        patience: Patience,
        told: impl FnMut(&Shipped),
    ) -> Self {
        let mut shipping = Self {
            path: place.path().to_owned(),
            ..Self::default()
        };
        match place.existing() {
            Err(error) => shipping.spool = Some(error),
            Ok(None) => {}
            Ok(Some(spool)) => {
                if let Err(error) = shipping.ship(spool, store, guard, clock, patience, told) {
                    shipping.spool = Some(error);
                }
            }
        }
        shipping.damaged = place.damaged();
        shipping
    }

    fn ship<S: EventStore, O: Observer>(
        &mut self,
        spool: &mut spool::Spool,
        store: &mut S,
        guard: &mut Guard<O>,
        clock: SystemClock,
        patience: Patience,
        told: impl FnMut(&Shipped),
    ) -> Result<(), SpoolError> {
        let lock = spool.ship_lock()?;
        self.elsewhere = lock.is_none();
        if lock.is_some() && spool.counts()?.spooled > 0 {
            let mut rng = crossbridge_std::entropy::generator();
            let done = spool::drain(
                spool,
                store,
                guard,
                &clock,
                &mut ThreadSleeper,
                &mut rng,
                patience,
                told,
            );
            match done {
                Ok(shipped) => self.shipped = shipped,
                Err(error) => {
                    self.shipped = error.shipped;
                    match *error.cause {
                        ShipCause::Store(error) => self.store = Some(error),
                        ShipCause::Spool(error) => return Err(error),
                    }
                }
            }
        }
        self.left = Some(spool.counts()?);
        Ok(())
    }

    /// Whether nothing waits for the store, as far as anybody can tell.
    pub(super) fn is_empty(&self) -> bool {
        self.spool.is_none() && self.left.is_none_or(|left| left.spooled == 0)
    }

    /// What a person should know.
    pub(super) fn render(&self, page: &mut String) {
        // Writing to a `String` does not fail.
        let Shipped {
            new,
            already_there,
            refused,
            ..
        } = self.shipped;
        if new + already_there + refused > 0 {
            let _ = writeln!(
                page,
                "Shipped from the spool: {} ({new} new, {already_there} already there, {refused} refused)",
                count(new + already_there + refused, "event"),
            );
        }
        if self.elsewhere && !self.is_empty() {
            page.push_str("Another process is shipping what is in the spool.\n");
        }
        for path in &self.damaged {
            let _ = writeln!(
                page,
                "A damaged spool was put aside: {0}\n  sqlite3 {0} .recover  shows what can be saved",
                path.display()
            );
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let left = self.left.unwrap_or_default();
        json!({
            "path": self.path.display().to_string(),
            "shipped": {
                "new": self.shipped.new,
                "already_there": self.shipped.already_there,
                "refused": self.shipped.refused,
            },
            "spooled": left.spooled,
            "dead_lettered": left.dead_letters,
            "oldest_spooled_seconds": left.oldest.map(|age| age.as_secs_f64()),
            "damaged": self.damaged.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        })
    }
}
