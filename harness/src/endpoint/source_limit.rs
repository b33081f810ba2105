//! How many events a run may send: a source that sends too many does not fill the spool of the others.
//!
//! The limit is `runtime.rate_limiting.defaults.profiling_events`, per run; `overrides` may name a run
//! (`run:nightly-7`) or a client address (`address:10.0.0.7`), which goes before. Without any of them
//! there is no limit.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crossbridge_core::rate_limit::keyed::hash::KeyHash;
use crossbridge_core::rate_limit::keyed::{KeyedAnswer, Overflow, SharedKeyedLimiter, SharedLine};
use crossbridge_core::{Clock, ConfigError, Instant, Quota};
use crossbridge_std::config::rate_limiting::{Limit, RateLimits};
use crossbridge_std::profiling::Event;

use super::answer::Answer;

/// The operation whose limit it is.
pub const OPERATION: &str = "profiling_events";

/// The limits of all runs.
#[derive(Debug)]
pub struct SourceLimits {
    limits: RateLimits,
    table: SharedKeyedLimiter<Vec<SharedLine>>,
    hash: KeyHash,
}

impl SourceLimits {
    /// Those of the configuration.
    ///
    /// # Errors
    /// None that a configuration can cause: the size of the table is ours.
    pub fn new(limits: RateLimits, seed: u64) -> Result<Self, ConfigError> {
        let mut lines = Vec::new();
        lines.resize_with(LINES, SharedLine::new);
        Ok(Self {
            limits,
            // Some thousand runs at once are a crowd; one too many pushes out the one that owes least.
            table: SharedKeyedLimiter::new(lines, Overflow::EvictNearestIdle)?,
            hash: KeyHash::new(seed),
        })
    }

    /// Takes permits for all of the events, or for none.
    pub(super) fn take(&self, now: Instant, events: &[Event], peer: Option<IpAddr>) -> Result<Taken, Over> {
        let mut taken = Taken {
            at: now,
            sources: Vec::new(),
        };
        if !self.limits.enabled || !self.has_limits() {
            return Ok(taken);
        }
        let address = peer.map(|peer| format!("address:{peer}"));
        let mut sources: BTreeMap<String, (u32, Quota)> = BTreeMap::new();
        for event in events {
            let run = format!("run:{}", event.run_id);
            if let Some((count, _)) = sources.get_mut(&run) {
                *count = count.saturating_add(1);
                continue;
            }
            let of = |source: &String| self.limits.overrides.get(source)?.get(OPERATION).copied();
            let own = address.as_ref().filter(|_| of(&run).is_none());
            let (source, limit) = match own.and_then(|address| Some((address.clone(), of(address)?))) {
                Some((address, limit)) => (address, Some(limit)),
                None => {
                    let limit = of(&run).or_else(|| self.limits.defaults.get(OPERATION).copied());
                    (run, limit)
                }
            };
            let quota = limit.map_or(Quota::UNLIMITED, Limit::quota);
            let (count, _) = sources.entry(source).or_insert((0, quota));
            *count = count.saturating_add(1);
        }
        for (source, (count, quota)) in sources {
            let key = self.hash.text(&source);
            let wait = match self.table.check(now, key, count, quota) {
                KeyedAnswer::Granted => {
                    taken.sources.push((key, count, quota));
                    continue;
                }
                KeyedAnswer::NotBefore(at) | KeyedAnswer::Full(at) => Some(at.saturating_duration_since(now)),
                KeyedAnswer::Never => None,
            };
            return Err(Over {
                source,
                count,
                capacity: quota.capacity(),
                wait,
                taken,
            });
        }
        Ok(taken)
    }

    /// Gives back what was taken for nothing.
    pub(super) fn give_back(&self, taken: &Taken, clock: &impl Clock) {
        for (key, count, quota) in &taken.sources {
            self.table.give_back(taken.at, *key, *count, *quota, clock);
        }
    }

    fn has_limits(&self) -> bool {
        let overrides = &self.limits.overrides;
        self.limits.defaults.contains_key(OPERATION)
            || overrides.values().any(|limits| limits.contains_key(OPERATION))
    }
}

/// Permits that were taken.
#[derive(Debug)]
pub(super) struct Taken {
    at: Instant,
    sources: Vec<(u64, u32, Quota)>,
}

/// A source is over its limit.
#[derive(Debug)]
pub(super) struct Over {
    source: String,
    count: u32,
    capacity: u32,
    /// `None` where so many are never granted at once.
    wait: Option<Duration>,
    /// What was taken for others before.
    pub(super) taken: Taken,
}

impl Over {
    pub(super) fn answer(&self) -> Answer {
        let Self {
            source,
            count,
            capacity,
            ..
        } = self;
        match self.wait {
            Some(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let text = format!("{source} is over its limit of {OPERATION}, {capacity} at once");
                Answer::error(429, &text).retry_after(seconds.max(1))
            }
            None => {
                let text = format!("{count} events of {source}, expected at most {capacity} at once");
                Answer::error(413, &text)
            }
        }
    }
}

/// Four slots each: 16 384 runs in 256 KiB.
const LINES: usize = 4_096;
