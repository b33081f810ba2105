//! Events from a running program into a store, without ever being in the program's way.
//!
//! ```text
//!   record ──▶ memory ── at most 100 ms ──▶ spool ── guard ──▶ store
//!   record_durable, keep ─ group commit ──▶   │                  │ refused for itself
//!   flush, shutdown ──────────────────────▶   │                  ▼
//!                                             └──────────── dead letters
//! ```
//!
//! # What an answer means
//! | call | when it returns | survives |
//! |---|---|---|
//! | [`record`](Collector::record) | the event is in memory, and on disk [`at_risk`](CollectorSettings::at_risk) later (100 ms) if the disk keeps up | nothing until then |
//! | [`record_durable`](Collector::record_durable) | the event is in the spool | a crash of the process, of the machine, a loss of power |
//! | [`keep`](Collector::keep) | all of the events are in the spool, or none of them is anywhere | the same |
//! | [`flush`](Collector::flush) | everything recorded before is in the spool, and in the store if that was quick enough; it says which | the same |
//! | [`shutdown`](Collector::shutdown) | the same, and nothing is recorded any more | the same |
//!
//! With [`Durability::Memory`] there is no spool: what is not in the store yet dies with the process,
//! and the last three mean that the store has it.
//!
//! # Rules
//! - `record` never waits for a disk, a network or a thread of the collector, and never fails the
//!   test it observes. It takes one of sixteen locks, each held for moving one event or one list; if
//!   all are taken it waits for one of those. Whoever makes the memory half full also takes the lock
//!   that the threads of the collector wait with, to wake them.
//! - Memory is bounded by events and by bytes, as they are on the heap: see
//!   [`queue_bytes`](CollectorSettings::queue_bytes). What happens at the bound is the user's choice
//!   ([`Overflow`](super::Overflow)): the event is refused and the caller told, or something is
//!   dropped, counted as lost and logged. So whoever records faster than the disk writes is refused
//!   once the memory is full, and not before.
//! - Everything goes through the spool, in the order of the disk, and leaves it when the store said
//!   yes: see [`spool`](super::spool). A full or broken spool leaves events in memory, and then it is
//!   memory that is full.
//! - A store that is down is asked rarely ([`reach`](super::reach)), whatever comes in meanwhile.
//! - The books balance at any moment ([`Account::balance`]).
//! - A store keeps one event per id. An event that is recorded with an empty one gets its own; whoever
//!   may record the same event twice gives it an id.
//! - Whole tests are sampled, not events ([`Sampling`](super::Sampling)).
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use crossbridge_std::config::Config;
//! use crossbridge_std::profiling::collector::{Collector, Recorded};
//! use crossbridge_std::profiling::{Event, EventType, SpoolPlace, StoreUrl};
//!
//! let directory = tempfile::tempdir()?;
//! let state = directory.path(); // such as `.crossbridge`
//! let store: StoreUrl = format!("sqlite:{}", state.join("events.db").display()).parse()?;
//! let config = Config::default(); // `Config::load` reads crossbridge.yml
//! let collector = Collector::start(
//!     config.profiling().collector.clone(),
//!     SpoolPlace::new(state, &store.key(), config.profiling().spool),
//!     config.path("profiling_storage")?.guard,
//!     move |timeout| store.open(timeout),
//! )?;
//! let event = Event::new("id", "run", "test", EventType::TestEnd);
//! assert_eq!(collector.record(event), Recorded::Accepted);
//! let ended = collector.shutdown(Duration::from_secs(10));
//! assert_eq!((ended.account.stored, ended.account.in_memory), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbridge_core::event::LogObserver;
use crossbridge_core::{Guard, GuardConfig};

use super::event::Event;
use super::settings::{CollectorSettings, Durability};
use super::spool::SpoolPlace;
use super::store::{EventStore, LazyStore, StoreError};
use crate::logging::Category;

mod account;
mod answer;
mod desk;
mod groups;
mod hand;
mod ids;
mod plan;
mod queue;
mod scribe;
mod shared;
mod shipper;
mod signals;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use answer::{Ended, Flushed, Kept, NotDurable, NotKept, Recorded, StartError};
use ids::Ids;
use plan::ShipperPlan;
use queue::{Pushed, Queue};
use shared::{Shared, lock};
use shipper::Shipper;
use signals::Signals;

/// Takes events from any thread and brings them to a store. See the [module](self) for the rules.
pub struct Collector {
    settings: CollectorSettings,
    ids: Ids,
    shared: Arc<Shared>,
    /// Empty once it was shut down.
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    /// Only with a spool.
    scribe: Option<JoinHandle<()>>,
    shipper: JoinHandle<()>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Collector {
    /// Starts the collector's two threads. The store is opened by the first event that is shipped, and
    /// every touch of it is a call of a guard with these policies: those of the path
    /// `profiling_storage`.
    ///
    /// # Errors
    ///
    /// The spool cannot be opened, or the policies are refused. A store that cannot be used is no
    /// error: it may come back.
    pub fn start<S, F>(
        settings: CollectorSettings,
        place: SpoolPlace,
        policies: GuardConfig,
        store: F,
    ) -> Result<Self, StartError>
    where
        S: EventStore + 'static,
        F: FnMut(Option<Duration>) -> Result<S, StoreError> + Send + 'static,
    {
        let log = LogObserver {
            target: Category::Performance.target(),
            path: "profiling_storage",
        };
        let guard = Guard::with_observer(policies, log).map_err(StartError::Policies)?;
        let spool = match settings.durability {
            Durability::Spool => Some(place.into_spool().map_err(StartError::Spool)?),
            Durability::Memory => None,
        };
        let queue = Queue::new(settings.queue_events, settings.queue_bytes, settings.overflow);
        let shared = Arc::new(Shared::new(queue, spool));
        let scribe = (settings.durability == Durability::Spool)
            .then(|| {
                let (shared, at_risk) = (Arc::clone(&shared), settings.at_risk);
                spawn("crossbridge-scribe", move || scribe::run(&shared, at_risk))
            })
            .transpose()?;
        let shipper = {
            let (shared, at_risk, durability) = (Arc::clone(&shared), settings.at_risk, settings.durability);
            spawn("crossbridge-shipper", move || {
                // Made here: a store stays in the thread that opened it.
                let store = LazyStore::new(store);
                match durability {
                    Durability::Spool => {
                        Shipper::new(&shared, store, guard, ShipperPlan::of_spool()).ship_spool();
                    }
                    Durability::Memory => {
                        Shipper::new(&shared, store, guard, ShipperPlan::of_memory(at_risk)).ship_memory();
                    }
                }
            })?
        };
        Ok(Self {
            settings,
            ids: Ids::new(),
            shared,
            threads: Mutex::new(Some(Threads { scribe, shipper })),
        })
    }

    /// Takes an event. See the [module](self) for what that means. One whose id is empty gets one that no
    /// other has.
    pub fn record(&self, mut event: Event) -> Recorded {
        if !self.settings.sampling.takes(&event.run_id, &event.test_id) {
            return Recorded::SampledOut;
        }
        self.ids.name(&mut event);
        match self.shared.queue.push(event) {
            Pushed::In { wake } => {
                if wake {
                    self.shared.wake();
                }
                Recorded::Accepted
            }
            Pushed::Dropped => Recorded::Lost,
            Pushed::Refused => Recorded::Refused,
        }
    }

    /// Takes an event and returns when it is on disk, together with those of other threads that wait
    /// for the same: one sync for all of them.
    ///
    /// # Errors
    ///
    /// [`NotDurable`], which says whether the event may get there yet.
    pub fn record_durable(&self, event: Event, deadline: Duration) -> Result<(), NotDurable> {
        let drops = self.shared.queue.drops();
        match self.record(event) {
            Recorded::Accepted => {}
            // Whoever asks for a sample gets one.
            Recorded::SampledOut => return Ok(()),
            Recorded::Refused | Recorded::Lost => return Err(NotDurable::NoRoom),
        }
        self.shared.wait_for_sync(self.shared.after(deadline))?;
        if self.shared.queue.drops() == drops {
            Ok(())
        } else {
            Err(NotDurable::PerhapsDropped)
        }
    }

    /// Takes events for somebody who is told at once what became of them, and returns when they are
    /// on disk: all of them, or none is anywhere. They do not pass through memory, so a full spool
    /// refuses them and keeps nothing of them back. What other threads want kept at the same time
    /// shares the sync. It waits for the local disk alone, however long that takes.
    ///
    /// # Errors
    ///
    /// [`NotKept`]: none of them is kept.
    pub fn keep(&self, mut events: Vec<Event>) -> Result<Kept, NotKept> {
        let given = events.len();
        if self.settings.durability == Durability::Memory {
            return Err(NotKept::NoSpool);
        }
        let sampling = &self.settings.sampling;
        events.retain(|event| sampling.takes(&event.run_id, &event.test_id));
        for event in &mut events {
            self.ids.name(event);
        }
        let kept = events.len();
        if kept > 0 {
            self.shared
                .groups
                .keep(&self.shared, events)
                .map_err(|error| error.map_or(NotKept::Closed, NotKept::Spool))?;
        }
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Kept {
            events: count(kept),
            sampled_out: count(given - kept),
        })
    }

    /// Waits until everything that was recorded before is in the spool, and then until the store has
    /// it, for `deadline` in all; says what is where. A store that is known to be down is not waited
    /// for. The books are read from the spool, so another process that keeps it locked can add up to 5 s.
    pub fn flush(&self, deadline: Duration) -> Flushed {
        let until = self.shared.after(deadline);
        let durable = self.shared.wait_for_sync(until);
        self.shared.wait_until_shipped(until);
        Flushed {
            account: self.account(),
            durable,
        }
    }

    /// What is where.
    #[must_use]
    pub fn account(&self) -> Account {
        self.shared.account()
    }

    /// Ends it: nothing is recorded any more, what is in memory goes to the spool, and what is in the
    /// spool to the store as far as `deadline` allows. A store that is known to be down is asked once
    /// more and not waited for.
    ///
    /// Other threads may still record: what they were told is accepted is in the answer. Called again,
    /// it waits for the first call and has nothing to hand back.
    #[must_use = "it says what is not in the store, and hands back what is nowhere"]
    pub fn shutdown(&self, deadline: Duration) -> Ended {
        let until = self.shared.after(deadline);
        let mut threads = lock(&self.threads);
        let Some(Threads { scribe, shipper }) = threads.take() else {
            let (account, left) = (self.account(), Vec::new());
            return Ended { account, left };
        };
        self.shared.queue.close();
        self.shared.groups.close();
        self.shared.signal(Signals::close);
        if let Some(scribe) = scribe {
            // Local work, bounded by how long a lock of the spool is waited for.
            let _ = scribe.join();
        }
        self.shared.signal(|signals| signals.last_is_here = true);
        if self.shared.wait_for_shipper(until) {
            let _ = shipper.join();
        }
        // Otherwise it is inside an attempt, sees this at its end, and settles what it has shipped.
        let (account, left) = self.shared.end();
        self.shared.signal(|signals| signals.end(left.is_empty()));
        Ended { account, left }
    }
}

impl Drop for Collector {
    /// A collector that is dropped is shut down with a second for the store; what would be handed
    /// back is counted as lost and logged.
    fn drop(&mut self) {
        if lock(&self.threads).is_none() {
            return;
        }
        let ended = self.shutdown(DROP_DEADLINE);
        if !ended.left.is_empty() {
            log::error!(
                target: Category::Persistence.target(),
                lost = ended.left.len();
                "the collector was dropped with events that nobody keeps"
            );
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(StartError::Thread)
}

/// How long a collector that is dropped tries the store.
const DROP_DEADLINE: Duration = Duration::from_secs(1);
