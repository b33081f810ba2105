//! Policies that follow their file: a valid new one takes effect without a restart, and without
//! forgetting what the guards know.
//!
//! ```text
//!   crossbridge.yml ──poll──▶ Watched ──┬─ unchanged
//!                                       ├─ refused: said once, the old policies stay
//!                                       └─ replaced ──▶ each path: snapshot ─ fit ─ restore ──▶ new guard
//! ```
//!
//! # Rules
//! - Nothing happens by itself: [`LivePolicies::poll`] looks at the file when it is asked, and
//!   [`LivePolicies::follow`] asks every so often for as long as it is let, in a thread of the caller's
//!   and with the caller's sleeper.
//! - A new content takes effect when two looks in a row find the same: a file that is being written
//!   is empty, or ends early, and both can be valid. [`LivePolicies::reload`] takes it at once, for a
//!   caller who knows that it is complete (a signal, a deployment).
//! - All of the file or nothing. An invalid file, one that cannot be read and one that is gone change
//!   nothing; each is logged once, with every place and reason, at level error.
//! - A path whose policies did not change keeps its guard. Of the others the state is kept: see the
//!   table. What changed is logged for each path at level info.
//! - A call keeps the guard it began with. Its permits are taken, its probe is not waited for, and
//!   what comes of it does not reach the new guard; for so long the calls under way may be more than a
//!   bulkhead allows.
//! - A path that is no longer in the file keeps its last policies while somebody asks for it by name,
//!   with a warning: removing a policy must not stop production.
//! - The settings of [logging](crate::config::logging) need a restart. Limits of single subjects are in
//!   [`LivePolicies::config`].
//!
//! | state | under new policies |
//! |---|---|
//! | limiter | the used fraction stays: half empty before is half empty after |
//! | retry budget | the spent fraction stays, rounded down to tokens |
//! | breaker, closed | the calls in the window, where the window stays as it is; else they are counted anew |
//! | breaker, open | it stays open, for `open_wait_max` at most |
//! | breaker, half open | it goes on, where the numbers of probes allow it; else it is open, for no time |
//! | health | up stays up, down stays down, with as many results towards a change |
//!
//! # Example
//! ```
//! use crossbridge_core::testing::ManualClock;
//! use crossbridge_core::{Clock as _, FaultKind};
//! use crossbridge_std::reload::{LivePolicies, Polled, Watched};
//! use crossbridge_std::entropy;
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("crossbridge.yml");
//! std::fs::write(&file, "runtime: { rate_limiting: { defaults: { ask: { capacity: 10 } } }, paths: { ask: { rate_limit: ask } } }")?;
//!
//! let clock = ManualClock::new();
//! let live = LivePolicies::new(Watched::file(&file)?, clock.now());
//! let guard = live.guard("ask")?; // for one call; the next asks again
//! guard.call(&clock, &mut &clock, &mut entropy::generator(), |_attempt| Ok::<_, FaultKind>(()))?;
//!
//! std::fs::write(&file, "runtime: { rate_limiting: { defaults: { ask: { capacity: 20 } } }, paths: { ask: { rate_limit: ask } } }")?;
//! assert!(matches!(live.poll(clock.now()), Polled::Settling));
//! assert!(matches!(live.poll(clock.now()), Polled::Replaced(_)));
//! assert_eq!(live.guard("ask")?.remaining(clock.now()), 18); // a tenth was used
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod carry;
mod changes;
mod watched;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crossbridge_core::event::{Event, LogObserver, Observer};
use crossbridge_core::guard::{Policies, SharedGuard};
use crossbridge_core::{Clock, Guard, GuardConfig, Instant, Sleeper};

pub use changes::{Changes, PathChange};
pub use watched::{Look, Watched};

use crate::config::{CallPath, Config, FileError, UnknownPath};
use crate::logging::Category;

/// The guards of every call path, under the policies that the file says now. For many threads.
pub struct LivePolicies<O = PathLog> {
    watched: Mutex<Watched>,
    present: RwLock<Present<O>>,
    observer: Box<dyn Fn(&CallPath) -> O + Send + Sync>,
}

/// What is in force.
struct Present<O> {
    config: Arc<Config>,
    paths: BTreeMap<String, LivePath<O>>,
}

struct LivePath<O> {
    config: GuardConfig,
    guard: Arc<SharedGuard<O>>,
}

/// What came of a look at the file.
#[derive(Debug)]
pub enum Polled {
    /// It is as before, or refused as before.
    Unchanged,
    /// It is new; it takes effect if the next look finds the same.
    Settling,
    /// It took effect.
    Replaced(Changes),
    /// It cannot be used. The old policies stay; this has been logged.
    Refused(FileError),
}

impl LivePolicies {
    /// Guards that log what they do under their path's category.
    #[must_use]
    pub fn new(watched: Watched, now: Instant) -> Self {
        Self::with_observers(watched, now, PathLog::new)
    }
}

impl<O: Observer> LivePolicies<O> {
    /// Guards that tell the observer that `observer` makes for their path.
    #[must_use]
    pub fn with_observers(
        watched: Watched,
        now: Instant,
        observer: impl Fn(&CallPath) -> O + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::clone(watched.config());
        let mut paths = BTreeMap::new();
        for path in config.paths() {
            let guard = begin(path.guard, observer(path), now);
            paths.extend(guard.map(|guard| (path.name.clone(), LivePath::new(path.guard, guard))));
        }
        Self {
            watched: Mutex::new(watched),
            present: RwLock::new(Present { config, paths }),
            observer: Box::new(observer),
        }
    }

    /// The guard of a path, for the next call. Ask again for the one after it.
    ///
    /// # Errors
    /// There is no path of this name.
    pub fn guard(&self, path: &str) -> Result<Arc<SharedGuard<O>>, UnknownPath> {
        let present = self.present();
        match present.paths.get(path) {
            Some(live) => Ok(Arc::clone(&live.guard)),
            None => Err(UnknownPath {
                name: path.to_owned(),
                known: present.paths.keys().cloned().collect(),
            }),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.present().config)
    }

    /// Looks at the file; what is new takes effect when the next look finds the same.
    pub fn poll(&self, now: Instant) -> Polled {
        self.look(now, Watched::look)
    }

    /// Looks at the file; what is new takes effect at once.
    pub fn reload(&self, now: Instant) -> Polled {
        self.look(now, Watched::look_once)
    }

    /// [Polls](Self::poll) now and after each `interval`, until `told` breaks. It is told what came of
    /// each look.
    pub fn follow<B>(
        &self,
        interval: Duration,
        clock: &impl Clock,
        sleeper: &mut impl Sleeper,
        mut told: impl FnMut(&Polled) -> ControlFlow<B>,
    ) -> B {
        loop {
            let polled = self.poll(clock.now());
            if let ControlFlow::Break(end) = told(&polled) {
                return end;
            }
            sleeper.sleep(interval);
        }
    }

    fn look(&self, now: Instant, how: impl Fn(&mut Watched) -> Look) -> Polled {
        // One at a time, from the look until it has taken effect.
        let mut watched = lock(&self.watched);
        match how(&mut watched) {
            Look::Same => Polled::Unchanged,
            Look::Settling => Polled::Settling,
            Look::Refused(error) => {
                let reason = error.render();
                let reason = reason.trim_end();
                log::error!(target: TARGET, reason; "configuration refused, the old one stays");
                Polled::Refused(error)
            }
            Look::New(config) => Polled::Replaced(self.replace(config, now)),
        }
    }

    fn replace(&self, config: Arc<Config>, now: Instant) -> Changes {
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Changes::between(&present.config, &config);
        for path in config.paths() {
            match present.paths.get_mut(&path.name) {
                Some(live) if live.config == path.guard => {}
                Some(live) => {
                    let taken = live.guard.snapshot(now);
                    let observer = (self.observer)(path);
                    if let Some((guard, anew)) = carry::over(&taken, &live.config, path.guard, observer, now)
                    {
                        changes.began_anew(&path.name, anew);
                        *live = LivePath::new(path.guard, guard);
                    }
                }
                None => {
                    if let Some(guard) = begin(path.guard, (self.observer)(path), now) {
                        let live = LivePath::new(path.guard, guard);
                        present.paths.insert(path.name.clone(), live);
                    }
                }
            }
        }
        present.config = config;
        changes.log(TARGET);
        changes
    }

    fn present(&self) -> RwLockReadGuard<'_, Present<O>> {
        self.present.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O> LivePath<O> {
    fn new(config: GuardConfig, guard: SharedGuard<O>) -> Self {
        Self {
            config,
            guard: Arc::new(guard),
        }
    }
}

/// A guard that knows nothing yet. A [`Config`] holds policies that one accepts.
fn begin<O>(config: GuardConfig, observer: O, now: Instant) -> Option<SharedGuard<O>> {
    let fresh = Guard::new(config).ok()?.snapshot(now);
    SharedGuard::restore(Policies::new(config).ok()?, observer, &fresh, now).ok()
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<O> fmt::Debug for LivePolicies<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivePolicies").finish_non_exhaustive()
    }
}

/// A [`LogObserver`] that holds the name of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathLog {
    target: &'static str,
    path: Arc<str>,
}

impl PathLog {
    /// That of this path.
    #[must_use]
    pub fn new(path: &CallPath) -> Self {
        Self {
            target: path.log_category.target(),
            path: path.name.as_str().into(),
        }
    }
}

impl Observer for PathLog {
    fn on_event(&self, now: Instant, event: &Event) {
        let Self { target, path } = self;
        LogObserver { target, path }.on_event(now, event);
    }
}

/// Where this module's own records go.
const TARGET: &str = Category::General.target();
