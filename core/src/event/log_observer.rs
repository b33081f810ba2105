//! An observer that writes `log` records with key-values.
//!
//! | event | level |
//! |---|---|
//! | breaker opened, health down, call failed | warn |
//! | retry scheduled, breaker or health recovering, call succeeded after retries | info |
//! | attempt failed, waiting for the limiter, call refused, health known for the first time | debug |
//! | everything else | trace |
//!
//! The target is the log category, so that a subscriber can set a level for each; every record
//! carries `path` and the event's own numbers as key-values, never glued into the text.

use log::{Level, debug, log, trace, warn};

use super::{Event, Observer};
use crate::breaker::BreakerState;
use crate::fault::FaultKind;
use crate::guard::Verdict;
use crate::health::Health;
use crate::time::Instant;

/// Writes the events of one call path. Times are microseconds since the clock's origin (`at_us`)
/// or spans in microseconds (`took_us`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogObserver<'a> {
    /// The target of every record: the log category, such as `crossbridge::persistence`.
    pub target: &'a str,
    /// The name of the call path.
    pub path: &'a str,
}

impl Observer for LogObserver<'_> {
    fn on_event(&self, now: Instant, event: &Event) {
        let Self { target, path } = *self;
        let at_us = now.as_nanos() / 1_000;
        match *event {
            Event::AttemptStarted { number } => {
                trace!(target: target, path, at_us, attempt = number; "attempt started");
            }
            Event::AttemptEnded {
                number,
                fault: None,
                took,
            } => {
                let took_us = micros(took);
                trace!(target: target, path, at_us, attempt = number, took_us; "attempt succeeded");
            }
            Event::AttemptEnded {
                number,
                fault: Some(fault),
                took,
            } => {
                let (fault, took_us) = (fault.name(), micros(took));
                debug!(target: target, path, at_us, attempt = number, fault, took_us; "attempt failed");
            }
            Event::RetryScheduled { number, at, fault } => {
                let wait_us = micros(at.saturating_duration_since(now));
                let fault = fault.name();
                log!(target: target, Level::Info, path, at_us, attempt = number, fault, wait_us; "retry scheduled");
            }
            Event::WaitingForLimit { until } => {
                let wait_us = micros(until.saturating_duration_since(now));
                debug!(target: target, path, at_us, wait_us; "waiting for the rate limit");
            }
            Event::BreakerChanged { from, to } => {
                let level = if to == BreakerState::Open {
                    Level::Warn
                } else {
                    Level::Info
                };
                log!(target: target, level, path, at_us, from = from.name(), to = to.name(); "breaker changed");
            }
            Event::HealthChanged { from, to } => {
                let level = match (from, to) {
                    (_, Health::Unhealthy | Health::Degraded) => Level::Warn,
                    // The first call of every process.
                    (Health::Unknown, Health::Healthy) => Level::Debug,
                    (_, Health::Healthy | Health::Unknown) => Level::Info,
                };
                log!(target: target, level, path, at_us, from = from.name(), to = to.name(); "health changed");
            }
            Event::CallEnded {
                verdict,
                attempts,
                took,
            } => {
                let took_us = micros(took);
                match verdict {
                    Verdict::Succeeded if attempts > 1 => {
                        log!(target: target, Level::Info, path, at_us, attempts, took_us; "call succeeded after retries");
                    }
                    Verdict::Succeeded => {
                        trace!(target: target, path, at_us, attempts, took_us; "call succeeded");
                    }
                    Verdict::Cancelled => {
                        debug!(target: target, path, at_us, attempts, took_us; "call cancelled");
                    }
                    Verdict::Stopped { reason, fault: None } => {
                        let reason = reason.name();
                        debug!(target: target, path, at_us, attempts, reason, took_us; "call refused");
                    }
                    Verdict::Stopped {
                        reason,
                        fault: Some(fault),
                    } => {
                        let (reason, fault): (&str, FaultKind) = (reason.name(), fault);
                        let fault = fault.name();
                        warn!(target: target, path, at_us, attempts, reason, fault, took_us; "call failed");
                    }
                }
            }
        }
    }
}

fn micros(span: core::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
