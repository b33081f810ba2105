//! How a store is: asked by a schedule, and told by what real writes find.
//!
//! ```text
//!   scheduler ── due ──▶ prober ── EventStore::check ──▶ the store
//!       │ ◀── answer, or none in time ──┘
//!       ▼
//!    Monitor ◀── every write of a Witnessed store
//!       └──▶ Report: health, since when, the last reason
//! ```
//!
//! # Rules
//! - The [`Monitor`] of the core decides what results mean and when the next probe is due: at once,
//!   then every [`interval`](MonitorConfig::interval), see [`health`](crossbridge_core::health).
//! - A probe is given up after [`timeout`](MonitorConfig::timeout), also where the store hangs and
//!   keeps its thread. While it does, each further probe fails at once and starts no other thread: a
//!   store that never answers costs one thread.
//! - A probe that took more than half of the timeout was slow: the store is degraded.
//! - Without a configuration nothing is watched: no probe is made and no write is evidence.
//! - A write that the store refuses for the sake of its events says nothing about the store.
//! - Health decides nothing here. Whether writes are made is for their guard to say, so a probe that
//!   cannot see what a write can does not keep events back.
//!
//! ```
//! use std::time::Duration;
//! use crossbridge_core::health::{Health, MonitorConfig};
//! use crossbridge_std::profiling::MemoryStore;
//! use crossbridge_std::profiling::watch::StoreWatch;
//!
//! let watch = StoreWatch::start(Some(MonitorConfig::DEFAULT), |_timeout| Ok(MemoryStore::new()))?;
//! assert_eq!(watch.count(Duration::from_secs(10)), Some(0));
//! while watch.report().health == Health::Unknown {
//!     std::thread::yield_now();
//! }
//! assert_eq!(watch.report().health, Health::Healthy);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbridge_core::health::{Health, Monitor, MonitorConfig, Probe, ProbeResult};
use crossbridge_core::{Clock, FaultKind, Instant};
use rand_core::Rng;

use super::event::Event;
use super::store::{EventStore, StoreError, Written, chain};
use crate::clock::SystemClock;
use crate::logging::Category;

mod prober;
#[cfg(test)]
mod tests;

pub use prober::{NoAnswer, Prober};

/// Watches one store. See the [module](self) for the rules. Dropped, it ends its thread.
#[derive(Debug)]
pub struct StoreWatch {
    shared: Arc<Shared>,
    /// Counts on a connection of its own: counting may take longer than a probe.
    counter: Prober,
}

impl StoreWatch {
    /// Starts to watch the store that `open` opens, in a thread of its own; the first probe is made
    /// at once. Without a configuration its health stays unknown, and it can only be counted.
    ///
    /// # Errors
    /// The configuration is refused (`InvalidInput`), or there is no thread.
    pub fn start<S, F>(watched: Option<MonitorConfig>, open: F) -> io::Result<Self>
    where
        S: EventStore + 'static,
        F: FnMut(Option<Duration>) -> Result<S, StoreError> + Clone + Send + 'static,
    {
        let config = watched.unwrap_or(MonitorConfig::DEFAULT);
        let monitor = Monitor::new(config)
            .map_err(|refused| io::Error::new(io::ErrorKind::InvalidInput, refused.to_string()))?;
        let clock = SystemClock::new();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                monitor,
                since: clock.now(),
                reason: None,
                stop: false,
            }),
            changed: Condvar::new(),
            clock,
            watched: watched.is_some(),
        });
        let counter = Prober::start(config.timeout, open.clone())?;
        if watched.is_some() {
            let prober = Prober::start(config.timeout, open)?;
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("crossbridge-health".to_owned())
                .spawn(move || shared.run(&config, &prober))?;
        }
        Ok(Self { shared, counter })
    }

    /// For those who use the store.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness(Arc::clone(&self.shared))
    }

    /// How the store is.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.shared.lock();
        let health = state.monitor.health();
        Report {
            health,
            since: self.shared.clock.now().saturating_duration_since(state.since),
            reason: state.reason.clone().filter(|_| health != Health::Healthy),
        }
    }

    /// How many events the store has; `None` where it does not say so within `timeout`.
    #[must_use]
    pub fn count(&self, timeout: Duration) -> Option<u64> {
        self.counter.count(timeout).ok()
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
    }
}

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the results so far amount to.
    pub health: Health,
    /// How long it has been so.
    pub since: Duration,
    /// What the last failure was; `None` while the store is healthy.
    pub reason: Option<String>,
}

/// Tells a watch what became of real writes.
#[derive(Clone, Debug)]
pub struct Witness(Arc<Shared>);

impl Witness {
    /// A store whose writes are evidence.
    #[must_use]
    pub const fn witnessed<S>(self, store: S) -> Witnessed<S> {
        Witnessed { store, witness: self }
    }

    fn tell(&self, empty: bool, done: Result<(), &StoreError>) {
        let result = match done {
            Ok(()) => ProbeResult::Pass,
            Err(error) => match error.kind {
                // The events may be at fault. Whoever writes asks next whether the store takes nothing at all.
                FaultKind::Permanent if !empty && !error.is_about_store() => return,
                FaultKind::Permanent
                | FaultKind::NotSent
                | FaultKind::Transient
                | FaultKind::Throttled
                | FaultKind::Unknown
                | FaultKind::Overloaded => ProbeResult::Fail,
            },
        };
        self.0.observe(result, done.err());
    }
}

/// A store whose writes tell a [`StoreWatch`] how it is.
#[derive(Debug)]
pub struct Witnessed<S> {
    store: S,
    witness: Witness,
}

impl<S: EventStore> EventStore for Witnessed<S> {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        let done = self.store.write(batch, timeout);
        self.witness.tell(batch.is_empty(), done.as_ref().map(|_| ()));
        done
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.store.count()
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        self.store.get(event_id)
    }

    fn check(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        let done = self.store.check(timeout);
        self.witness.tell(true, done.as_ref().copied());
        done
    }

    fn name(&self) -> &str {
        self.store.name()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: SystemClock,
    /// Whether results count.
    watched: bool,
}

struct State {
    monitor: Monitor,
    /// When the health became what it is.
    since: Instant,
    /// The last failure.
    reason: Option<String>,
    stop: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, result: ProbeResult, error: Option<&StoreError>) {
        if !self.watched {
            return;
        }
        let now = self.clock.now();
        let mut state = self.lock();
        state.change(now, error.map(|error| chain(error)), |monitor| {
            monitor.observe(now, result);
        });
        drop(state);
        // A failure brings the next probe nearer.
        if error.is_some() {
            self.changed.notify_all();
        }
    }

    /// Probes when it is due, until the end.
    fn run(&self, config: &MonitorConfig, prober: &Prober) {
        let mut rng = crate::entropy::generator();
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            match state.next(config, now, &mut rng) {
                Next::Probe(probe) => {
                    drop(state);
                    let answer = prober.check(config.timeout);
                    state = self.lock();
                    state.on_answer(config, now, self.clock.now(), probe, answer);
                }
                Next::WaitUntil(at) => {
                    let woken = self
                        .changed
                        .wait_timeout(state, at.saturating_duration_since(now));
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::End => return,
            }
        }
    }
}

/// What a watch does next.
enum Next {
    Probe(Probe),
    /// Nothing until then, unless a write says something new.
    WaitUntil(Instant),
    End,
}

impl State {
    fn next<R: Rng + ?Sized>(&mut self, config: &MonitorConfig, now: Instant, rng: &mut R) -> Next {
        if self.stop {
            return Next::End;
        }
        self.change(now, None, |monitor| monitor.handle_timeout(now));
        if let Some(probe) = self.monitor.start_probe(now, rng) {
            return Next::Probe(probe);
        }
        let due = [self.monitor.next_probe_at(rng), self.monitor.poll_at()];
        let at = due.into_iter().flatten().min();
        Next::WaitUntil(at.unwrap_or_else(|| now.saturating_add(config.interval)))
    }

    /// What became of a probe from `began` to `now`.
    fn on_answer(
        &mut self,
        config: &MonitorConfig,
        began: Instant,
        now: Instant,
        probe: Probe,
        answer: Result<(), NoAnswer>,
    ) {
        let slow = now.saturating_duration_since(began) > config.timeout / 2;
        let (result, reason) = match answer {
            Ok(()) if slow => (ProbeResult::SlowPass, Some("slow to answer".to_owned())),
            Ok(()) => (ProbeResult::Pass, None),
            Err(error) => (ProbeResult::Fail, Some(chain(&error))),
        };
        self.change(now, reason, |monitor| {
            monitor.finish_probe(now, probe, result);
            monitor.handle_timeout(now);
        });
    }

    fn change(&mut self, now: Instant, reason: Option<String>, change: impl FnOnce(&mut Monitor)) {
        let before = self.monitor.health();
        change(&mut self.monitor);
        let after = self.monitor.health();
        if reason.is_some() {
            self.reason = reason;
        }
        if before == after {
            return;
        }
        self.since = now;
        let (from, to) = (before.name(), after.name());
        let target = Category::Persistence.target();
        match after {
            Health::Healthy | Health::Unknown => log::info!(target: target, from, to; "the store is {to}"),
            Health::Degraded | Health::Unhealthy => {
                let reason = self.reason.as_deref().unwrap_or_default();
                log::warn!(target: target, from, to, reason; "the store is {to}");
            }
        }
    }
}
