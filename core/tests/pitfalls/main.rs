//! Faults that other libraries have, or had, each as a test that ours does not.

mod breaker;
mod budget;
mod clock;
mod guard;
mod guard_loss;
mod health;
mod rate_limit;
mod retry;

use core::time::Duration;

use crossbridge_core::Instant;

fn at_ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn at_secs(secs: u64) -> Instant {
    at_ms(secs * 1_000)
}

const AN_HOUR: Duration = Duration::from_secs(3_600);
